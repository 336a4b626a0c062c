"""The mean of the weights of several runs that began with the same ones.

    python docs/releasing/mean.py dacn-equivariant-x2-5 a.safetensors b.safetensors -o c.safetensors

Runs from one start end near each other, and their mean errs less than any of them (Wortsman et al.,
"Model soups", ICML 2022). `--set` changes numbers of the network that no weight depends on, such as
`cells` of `dacn-equivariant`.
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from hsisr.models.registry import build
from hsisr.weights import LoadedWeights, load_weights, resolve, save_weights


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("weights", nargs="+", help="released weights by name, or files")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=COUNT", dest="changes")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    own = parser.parse_args(arguments)
    every = [load_weights(resolve(name)) for name in own.weights]
    first = every[0].descriptor
    for name, other in zip(own.weights, every, strict=True):
        if other.descriptor != first:
            parser.error(f"{name}: found {other.descriptor}, expected {first}, as the first has")
    changes = (change.partition("=") for change in own.changes)
    hparams = first.hparams | {name: int(count) for name, _, count in changes}
    descriptor = dataclasses.replace(first, hparams=hparams)
    network = build(descriptor)
    network.load_state_dict(mean(every))
    save_weights(own.output, network, descriptor, card=every[0].card)
    return 0


def mean(every: Sequence[LoadedWeights]) -> dict[str, torch.Tensor]:
    """Of each tensor, summed in float64."""
    states = [weights.network.state_dict() for weights in every]
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(tensor.dtype)
        for name, tensor in states[0].items()
    }


if __name__ == "__main__":
    sys.exit(main())

"""Turn `dacn-equivariant` weights into a start for groups of twice as many bands.

    python docs/releasing/widen.py dacn-equivariant-x4-5 --patterns 24 --filters 8 -o x.safetensors
    hsisr train SCENES --recipe aerial --init x.safetensors

Two neighbouring bands of the new group are seen as their mean, which is what one pseudo-band was,
and both receive the detail it had: the weights do in one pass what the old ones do on half as many
pseudo-bands. Patterns and filters can be added; they add nothing before training.
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from hsisr.models.dacn_equivariant import EquivariantSize
from hsisr.models.registry import build
from hsisr.weights import LoadedWeights, load_weights, resolve, save_weights

GROWN = {
    "patterns.kernel": 0,
    "patterns.bias": 0,
    "mixture.kernel": 0,
    "mixture.bias": 0,
    "pixels.kernel": 1,
    "filters.kernel": 0,
}
"""The axis of patterns or filters, by the tensor's name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the wider weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("weights", help="released weights by name, or a file")
    parser.add_argument("--patterns", type=int, help="of the new network; default: as many")
    parser.add_argument("--filters", type=int, help="likewise")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    own = parser.parse_args(arguments)
    narrow = load_weights(resolve(own.weights))
    if narrow.descriptor.arch != "dacn-equivariant":
        parser.error(f"{own.weights}: found a {narrow.descriptor.arch}, expected dacn-equivariant")
    size = EquivariantSize(**narrow.descriptor.hparams)
    wanted = {"patterns": own.patterns, "filters": own.filters}
    more = {part: count for part, count in wanted.items() if count is not None}
    if any(count < getattr(size, part) for part, count in more.items()):
        parser.error(f"found {more}, expected no fewer than {size.patterns} and {size.filters}")
    wide = widened(narrow, dataclasses.replace(size, **more))
    save_weights(own.output, wide.network, wide.descriptor, card=wide.card)
    return 0


def widened(narrow: LoadedWeights, size: EquivariantSize) -> LoadedWeights:
    """The same weights for groups of twice as many bands, and of a size that is no smaller."""
    bands = narrow.descriptor.group_size
    hparams = dataclasses.asdict(size)
    descriptor = dataclasses.replace(
        narrow.descriptor,
        group_size=2 * bands,
        group_overlap=2 * narrow.descriptor.group_overlap,
        hparams=hparams,
    )
    torch.manual_seed(0)
    network = build(descriptor)
    state = network.state_dict()
    for name, tensor in narrow.network.state_dict().items():
        if name == "entry.kernel":  # bands, and beside them their distances from 0
            state[name] = tensor.repeat_interleave(2, dim=1) / 2
            continue
        lent = tensor.repeat_interleave(2, dim=0) if name == "pixels.kernel" else tensor
        if (axis := GROWN.get(name)) is not None:
            if name in ("pixels.kernel", "mixture.kernel", "mixture.bias"):
                state[name] = torch.zeros_like(state[name])
            state[name].narrow(axis, 0, lent.shape[axis]).copy_(lent)
        else:
            state[name] = lent
    network.load_state_dict(state)
    return dataclasses.replace(narrow, network=network, descriptor=descriptor)


if __name__ == "__main__":
    sys.exit(main())

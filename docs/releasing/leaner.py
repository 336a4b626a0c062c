"""Cut `dacn-any` weights down: fewer patterns of detail, fewer blocks.

    python docs/releasing/leaner.py my-x4.safetensors --basis 48 -o leaner-x4.safetensors
    python docs/releasing/leaner.py my-x8.safetensors --basis 32 --without 1 3 -o start.safetensors

The last convolution becomes two, by the singular value decomposition of its kernel: the nearest
kernel of that rank in the sense of squares (Eckart and Young, 1936). Blocks that are left out leave
a gap that training has to close, `hsisr train --init start.safetensors`; the more so as the windows
of those behind them move by half a window where an odd number is left out before them.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from hsisr.models.dacn_any import AnySize
from hsisr.models.fast.dacn_equivariant import without_means
from hsisr.models.registry import build
from hsisr.weights import LoadedWeights, load_weights, resolve, save_weights

State = dict[str, torch.Tensor]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the leaner weights, and say what was lost of the kernel."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("weights", help="released weights by name, or a file")
    parser.add_argument("--basis", type=int, required=True, help="patterns of detail")
    parser.add_argument("--without", type=int, nargs="*", default=[], help="blocks, from 0")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    own = parser.parse_args(arguments)
    trained = load_weights(resolve(own.weights))
    if complaint := why_not(trained, own.basis, own.without):
        parser.error(f"{own.weights}: {complaint}")
    leaner, lost = with_basis(without_blocks(trained, own.without), own.basis)
    card = dict(leaner.card)
    if "validation" in card:
        card["validation"] += f" That was before it was cut to {own.basis} patterns."
    save_weights(own.output, leaner.network, leaner.descriptor, card=card)
    sys.stdout.write(f"{own.output}: {lost:.3%} of the kernel's squares lost\n")
    return 0


def why_not(trained: LoadedWeights, rank: int, blocks: Sequence[int]) -> str:
    """What stands against it, in words; empty if nothing does."""
    descriptor = trained.descriptor
    if descriptor.arch != "dacn-any":
        return f"found a {descriptor.arch}, expected a dacn-any"
    if descriptor.hparams.get("basis"):
        return f"its detail is made of {descriptor.hparams['basis']} patterns already"
    size = AnySize(**descriptor.hparams)
    most = min(9 * size.width, descriptor.group_size * min(descriptor.scale, 4) ** 2)
    if not 0 < rank <= most:
        return f"found --basis {rank}, expected 1 to {most}"
    unknown = sorted(set(blocks) - set(range(size.blocks)))
    return f"has no blocks {unknown}; it has {size.blocks}, from 0" if unknown else ""


def without_blocks(trained: LoadedWeights, numbers: Sequence[int]) -> LoadedWeights:
    """The same weights without some blocks; those behind them move up."""
    before = range(AnySize(**trained.descriptor.hparams).blocks)
    places = {old: new for new, old in enumerate(n for n in before if n not in numbers)}
    kept: State = {}
    for name, tensor in trained.network.state_dict().items():
        if not name.startswith("blocks."):
            kept[name] = tensor
            continue
        block, rest = name.removeprefix("blocks.").split(".", 1)
        if int(block) in places:
            kept[f"blocks.{places[int(block)]}.{rest}"] = tensor
    return rebuilt(trained, kept, {"blocks": len(places)})


def with_basis(trained: LoadedWeights, rank: int) -> tuple[LoadedWeights, float]:
    """The last convolution as two, and the share of its kernel's squares that is lost.

    Where all pixels of one LR pixel come from it, their mean, which the network takes away
    afterwards, is taken away first.
    """
    descriptor = trained.descriptor
    state = dict(trained.network.state_dict())
    place = max(int(name.split(".")[1]) for name in state if name.startswith("upsampling."))
    kernel, bias = (state.pop(f"upsampling.{place}.{part}").double() for part in ("weight", "bias"))
    if len(kernel) == descriptor.group_size * descriptor.scale**2:
        kernel, bias = (without_means(table, descriptor.group_size) for table in (kernel, bias))
    left, strength, right = torch.linalg.svd(kernel.flatten(1), full_matrices=False)
    root = strength[:rank].sqrt()
    state[f"upsampling.{place}.weight"] = (right[:rank] * root[:, None]).reshape(
        rank, *kernel.shape[1:]
    )
    state[f"upsampling.{place}.bias"] = torch.zeros(rank)
    state[f"upsampling.{place + 1}.weight"] = (left[:, :rank] * root)[:, :, None, None]
    state[f"upsampling.{place + 1}.bias"] = bias
    lost = float(strength[rank:].square().sum() / strength.square().sum())
    return rebuilt(trained, state, {"basis": rank}), lost


def rebuilt(trained: LoadedWeights, state: State, size: Mapping[str, int]) -> LoadedWeights:
    """A network of another size with that state, in evaluation mode."""
    hparams = {**trained.descriptor.hparams, **size}
    descriptor = replace(trained.descriptor, hparams=hparams)
    network = build(descriptor)
    network.load_state_dict(state)
    return replace(trained, descriptor=descriptor, network=network.eval())


if __name__ == "__main__":
    raise SystemExit(main())

"""Seconds, operations and rates of one tile: hsisr, a plain port and the released network.

Beside them stands how fast the machine multiplies matrices, and how much of that a network reaches.
Everything that is compared takes turns, round after round, so that what else the machine does falls
on all alike; figures are medians over the rounds.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional

from hsisr.benchmark.speed.network_cost import operations
from hsisr.benchmark.speed.plain import PlainDacn, lively_dacn
from hsisr.engine.memory import tile_bytes, tiles_that_pay
from hsisr.models.dacn import Dacn
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.fast.cuda_graph import SETTLED_AFTER
from hsisr.models.fast.onednn import linear
from hsisr.models.registry import for_inference
from hsisr.weights import default_for, load_weights, resolve

SHAPES: Final = ((5184, 512, 2048), (5184, 4608, 128), (20736, 1152, 32), (2048, 2048, 2048))
"""(pixels, features in times taps, features out times taps): what convolutions of `dacn` at x4 are
as one product each, and a square one."""

Subjects = Mapping[str, Callable[[], object]]


def taking_turns(subjects: Subjects, rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of every subject in every round; calls before these are unmeasured.

    In its turn a subject is called twice, and the second call counts: the first one finds memory
    and caches as another subject left them, and in use one network is called again and again. On a
    GPU there are as many rounds before as it takes until CUDA graphs are recorded.
    """
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    before = SETTLED_AFTER if device.type == "cuda" else 0
    with torch.inference_mode():
        for number in range(rounds + before):
            for name, call in subjects.items():
                call()
                _wait(device)
                started = time.perf_counter()
                call()
                _wait(device)
                if number >= before:
                    seconds[name].append(time.perf_counter() - started)
    return seconds


def products(precision: torch.dtype, device: torch.device, share: int = 1) -> Subjects:
    """Matrix products of every shape by every library, by `NAME PIXELSxINxOUT`.

    Args:
        precision: Of both matrices.
        device: Where they lie.
        share: Divides the pixels, to see quickly that all works.
    """
    found: dict[str, Callable[[], object]] = {}
    ways: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]
    ways = {"torch": functional.linear}
    if device.type == "cpu" and precision is torch.float32:
        ways["oneDNN"] = linear
    for pixels, before, after in SHAPES:
        x = torch.rand(pixels // share, before, device=device).to(precision)
        weight = torch.rand(after, before, device=device).to(precision)
        for way, multiply in ways.items():
            name = f"{way} {len(x)}x{before}x{after}"
            found[name] = lambda m=multiply, x=x, weight=weight: m(x, weight)  # type: ignore[misc]
    return found


def operations_of_product(name: str) -> int:
    """Of a name that `products` gives; two per multiply-add.

    >>> operations_of_product("torch 10x20x30")
    12000
    """
    pixels, before, after = map(int, name.split(" ")[1].split("x"))
    return 2 * pixels * before * after


def in_precision(precision: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Autocast, as `hsisr upscale` runs a network in half precision."""
    return torch.autocast(device.type, precision, enabled=precision is not torch.float32)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


PLAIN: Final = "dacn, plain port, channels last"
OURS: Final = "dacn, hsisr"
PRECISIONS: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_QUICK: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A network and the tile it is given."""

    network: nn.Module
    descriptor: ModelDescriptor
    side: int
    """Of what goes in, in LR pixels."""
    at_once: int
    """Tiles in one call, as `hsisr upscale` would have them."""
    output_values: int
    """That come out, context apart."""
    fresh_values: int
    """Of them, those that no neighbouring tile or group gives again."""


def tiles_at_once(
    network: nn.Module,
    descriptor: ModelDescriptor,
    side: int,
    device: torch.device,
    precision: torch.dtype,
) -> int:
    """How many tiles of that side in LR pixels `hsisr upscale` would have in one call."""
    taken = tile_bytes(network, descriptor.group_size, side)
    return tiles_that_pay(side, taken, device, precision)


def tile_facts(
    scale: int, device: torch.device, *, rounds: int, quick: bool = False
) -> list[dict[str, Any]]:
    """For every precision: what each way takes, and the machine's products of the same rounds."""
    network, descriptor = lively_dacn(scale)
    if quick:
        descriptor = replace(descriptor, tile_lr_px=_QUICK, overlap_lr_px=_QUICK // 4)
    facts = []
    for name, precision in PRECISIONS.items():
        ways = _ways(network.to(device), descriptor, precision, device)
        multiplied = products(precision, device, _QUICK**2 if quick else 1)
        calls = {key: _call(way, precision, device) for key, way in ways.items()}
        seconds = taking_turns({**multiplied, **calls}, rounds, device)
        for key, way in ways.items():
            seconds[key] = [whole / way.at_once for whole in seconds[key]]
        rates = {
            key: operations_of_product(key) / statistics.median(seconds[key]) for key in multiplied
        }
        most = max(rates.values())
        rows = [
            _row(key, way, operations(way.network, *_input(way, 1, device)), seconds, most)
            for key, way in ways.items()
        ]
        facts.append(
            {
                "scale": scale,
                "precision": name,
                "products": rates,
                "attainable": most,
                "difference": difference(ways[OURS].network, ways[PLAIN].network, descriptor),
                "ways": rows,
            }
        )
    return facts


@torch.inference_mode()
def difference(ours: nn.Module, plain: nn.Module, descriptor: ModelDescriptor) -> float:
    """Largest difference of two networks on a tile in float32, over the range of the output."""
    like = next(plain.parameters())
    lr = torch.rand(
        1, descriptor.group_size, *[descriptor.tile_lr_px] * 2, device=like.device, dtype=like.dtype
    )
    expected = plain(lr)
    return float((ours(lr) - expected).abs().max() / (expected.max() - expected.min()))


def _ways(
    network: Dacn, descriptor: ModelDescriptor, precision: torch.dtype, device: torch.device
) -> dict[str, Way]:
    side, scale, bands = descriptor.tile_lr_px, descriptor.scale, descriptor.group_size
    values, fresh = bands * (side * scale) ** 2, _fresh(descriptor)
    ours = for_inference(network, precision)
    many = tiles_at_once(ours, descriptor, side, device, precision)
    alone = (bands - descriptor.group_overlap) * (side * scale) ** 2
    default = PlainDacn(network, torch.contiguous_format)
    ways = {
        OURS: Way(ours, descriptor, side, many, values, fresh),
        PLAIN: Way(PlainDacn.in_channels_last(network), descriptor, side, many, values, alone),
        "dacn, plain port, default layout": Way(default, descriptor, side, many, values, alone),
    }
    if (entry := default_for(scale)) is not None:
        released = load_weights(resolve(entry.name, scale))
        own, any_sensor = released.descriptor, released.network.to(device)
        whole = own.tile_lr_px + 2 * own.margin_lr_px
        inside = own.group_size * (own.tile_lr_px * scale) ** 2
        fast = for_inference(any_sensor, precision)
        many = tiles_at_once(fast, own, side, device, precision)
        ways[f"{entry.name}, output as large"] = Way(fast, own, side, many, values, alone)
        many = tiles_at_once(fast, own, whole, device, precision)
        ways[f"{entry.name}, tile of upscale"] = Way(fast, own, whole, many, inside, _fresh(own))
    return ways


def _fresh(descriptor: ModelDescriptor) -> int:
    step = (descriptor.tile_lr_px - descriptor.overlap_lr_px) * descriptor.scale
    return (descriptor.group_size - descriptor.group_overlap) * step**2


def _call(way: Way, precision: torch.dtype, device: torch.device) -> Callable[[], object]:
    lr, zero = _input(way, way.at_once, device)

    def call() -> object:
        with in_precision(precision, device):
            return way.network(lr, zero)

    return call


def _input(way: Way, tiles: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    bands = way.descriptor.group_size
    lr = torch.rand(tiles, bands, way.side, way.side, device=device)
    return lr, torch.zeros(1, bands, 1, 1, device=device)


def _row(
    name: str,
    way: Way,
    counted: int,
    seconds: dict[str, list[float]],
    attainable: float,
) -> dict[str, Any]:
    own = seconds[name]
    middle = statistics.median(own)
    return {
        "way": name,
        "side_lr_px": way.side,
        "tiles_at_once": way.at_once,
        "operations": counted,
        "seconds": middle,
        "rate": counted / middle,
        "of_attainable": counted / middle / attainable,
        "output_values": way.output_values,
        "fresh_values": way.fresh_values,
        "seconds_per_million_fresh": middle * 1e6 / way.fresh_values,
        "plain_takes_times": spread(seconds[PLAIN], own),
    }


def spread(longer: Sequence[float], shorter: Sequence[float]) -> dict[str, float]:
    """Median, least and most of the ratios, round by round.

    >>> spread([2.0, 9.0, 4.0], [1.0, 3.0, 4.0])
    {'median': 2.0, 'least': 1.0, 'most': 3.0}
    """
    ratios = [a / b for a, b in zip(longer, shorter, strict=True)]
    return {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}

"""How fast a machine multiplies matrices, and how much of that a network reaches.

Everything that is compared takes turns, round after round, so that what else the machine does
falls on all alike; figures are medians over the rounds.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Final

import torch
from torch.nn import functional

from hsisr.models.fast.cuda_graph import SETTLED_AFTER
from hsisr.models.fast.onednn import linear

SHAPES: Final = ((5184, 512, 2048), (5184, 4608, 128), (20736, 1152, 32), (2048, 2048, 2048))
"""(pixels, features in times taps, features out times taps): what convolutions of `dacn` at x4 are
as one product each, and a square one."""

Subjects = Mapping[str, Callable[[], object]]


def taking_turns(subjects: Subjects, rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of every subject in every round; calls before these are unmeasured.

    In its turn a subject is called twice, and the second call counts: the first one finds memory
    and caches as another subject left them, and in use one network is called again and again. On a
    GPU there are as many rounds before as it takes until CUDA graphs are recorded.

    Args:
        subjects: What to call, by name.
        rounds: How often.
        device: Waited for after every call.
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

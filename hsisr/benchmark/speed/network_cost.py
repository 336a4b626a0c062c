"""What one batch through one network costs, measured in this process and for nothing else.

Run as a program: a JSON object on stdin, a JSON object on stdout. Peak memory is the network's own
only if nothing else ever ran in the process.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from hsisr.engine.machine import device_named, peak_memory_bytes, tune_allocator
from hsisr.engine.upscaler import InterpolationUpscaler
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.fast.cuda_graph import SETTLED_AFTER, Graphed
from hsisr.models.fast.onednn import CONVOLUTION, LINEAR
from hsisr.models.interpolation import KERNELS, Trim
from hsisr.models.registry import build, for_inference, is_own

_REPEATS: Final = 5
_ENOUGH_S: Final = 5.0
"""No more repeats after this long."""


def measured(task: dict[str, Any]) -> dict[str, Any]:
    """Parameters, operations, seconds and memory of a batch.

    The task has the `descriptor` of a network, or `interpolation` with `scale`, `bands` and `tile`;
    `batch`, `device`, `threads`.
    """
    if task.get("threads"):
        torch.set_num_threads(task["threads"])
    device = device_named(task["device"])
    before = _peak_bytes(device)
    forward, facts = _subject(task, device)
    with torch.inference_mode():
        for _ in range(SETTLED_AFTER if device.type == "cuda" else 1):
            forward()  # the first pass allocates and chooses kernels
        seconds = _seconds(forward, device)
    return {
        **facts,
        "batch": task["batch"],
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "seconds": statistics.median(seconds),
        "repeats": len(seconds),
        "seconds_per_mpb": statistics.median(seconds) * 1e6 / facts["fresh_values"],
        "base_bytes": before,
        "peak_bytes": _peak_bytes(device),
    }


def _subject(
    task: dict[str, Any], device: torch.device
) -> tuple[Callable[[], object], dict[str, Any]]:
    """One pass, and what is known without running it."""
    if "descriptor" in task:
        return _network(ModelDescriptor.from_dict(task["descriptor"]), task["batch"], device)
    bands, tile, scale = task["bands"], task["tile"], task["scale"]
    upscaler = InterpolationUpscaler(KERNELS[task["interpolation"]], scale, consistent=False)
    lr = torch.rand(task["batch"], bands, tile, tile)
    facts = {
        "parameters": 0,
        "flops": None,
        "fresh_values": task["batch"] * bands * (tile * scale) ** 2,
    }
    return lambda: upscaler.run(lr, tuple(range(bands)), Trim(0, 0, 0, 0)), facts


def _network(
    descriptor: ModelDescriptor, batch: int, device: torch.device
) -> tuple[Callable[[], object], dict[str, Any]]:
    torch.manual_seed(0)
    # the counter of operations fails on normalised weights that could be trained
    is_own(descriptor.arch)  # the user named it as a method; in this process it is imported here
    trained = build(descriptor).eval().requires_grad_(False).to(device)
    network = for_inference(trained)
    side = descriptor.tile_lr_px + 2 * descriptor.margin_lr_px
    lr = torch.rand(batch, descriptor.group_size, side, side, device=device)
    zero = torch.zeros(1, descriptor.group_size, 1, 1, device=device)
    facts = {
        "parameters": sum(p.numel() for p in trained.parameters()),
        "flops": operations(network, lr[:1], zero) if batch == 1 else None,
        "fresh_values": batch * fresh_values(descriptor),
    }
    return lambda: network(lr, zero), facts


def fresh_values(descriptor: ModelDescriptor) -> int:
    """HR values of a tile that no neighbouring tile or band group gives again."""
    step_px = (descriptor.tile_lr_px - descriptor.overlap_lr_px) * descriptor.scale
    return (descriptor.group_size - descriptor.group_overlap) * step_px**2


def operations(network: nn.Module, lr: torch.Tensor, zero: torch.Tensor) -> int:
    """Operations of one tile: convolutions, matrix products, attention; two per multiply-add."""
    network = network.plain if isinstance(network, Graphed) else network  # a graph shows none
    known: Any = {  # layers that torch does not know how to count
        LINEAR: lambda x, weight, *_, **__: 2 * x.numel() * weight[0],
        CONVOLUTION: lambda x, weight, *_, out_shape, **__: conv_flop_count(
            list(x), list(weight), list(out_shape)
        ),
    }
    with (
        torch.inference_mode(),
        sdpa_kernel(SDPBackend.MATH),  # fused attention would go uncounted on the processor
        FlopCounterMode(display=False, custom_mapping=known) as counter,
    ):
        network(lr, zero)
    return int(counter.get_total_flops())


def _seconds(forward: Callable[[], object], device: torch.device) -> list[float]:
    found: list[float] = []
    while len(found) < _REPEATS and sum(found) < _ENOUGH_S:
        started = time.perf_counter()
        forward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - started)
    return found


def _peak_bytes(device: torch.device) -> int | None:
    """Most memory held so far: on a GPU by tensors, elsewhere by the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_memory_bytes()


if __name__ == "__main__":
    tune_allocator()
    json.dump(measured(json.load(sys.stdin)), sys.stdout)

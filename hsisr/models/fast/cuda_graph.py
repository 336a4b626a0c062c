"""A fast network on a GPU as CUDA graphs: one launch in place of hundreds of small ones.

A graph is bound to the shape of its input and the memory it was recorded with. So one is recorded
for every shape that recurs, with its own input and output. All share one memory pool for the rest,
which is safe because they run one after another and each result is copied before the next begins.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

from hsisr.errors import means_no_memory

SETTLED_AFTER: Final = 3
"""Calls with one shape before it is recorded."""
MOST_GRAPHS: Final = 4
"""Graphs kept; each holds memory for an input and a result."""
_IDLE_CALLS: Final = 64
"""A graph that was not used for so many calls may be replaced."""
_MOST_SHAPES: Final = 1024
"""Shapes counted before the count starts anew."""
_AGREES: Final = {torch.float32: 1e-3, torch.float16: 1e-2, torch.bfloat16: 3e-2}
"""Largest difference allowed, over the largest number; cuDNN convolves float32 in TF32."""
_WARM_UPS: Final = 2

_log = logging.getLogger("hsisr")


@dataclass(frozen=True, slots=True)
class Recording:
    """Recorded work on a device."""

    replay: Callable[[], None]
    result: torch.Tensor
    """The tensor that every replay writes."""
    shared: Any = None
    """Passed to the next recording, which shares its memory."""


Record = Callable[[Callable[[], torch.Tensor], torch.device, Any], Recording]
"""Records work on a device; gets `shared` of an earlier recording, or None."""


def record(work: Callable[[], torch.Tensor], device: torch.device, shared: Any) -> Recording:
    """A CUDA graph of the work.

    Errors are checked in this thread alone: other threads only free memory of transfers.

    Raises:
        RuntimeError: The work cannot be recorded, or there is not enough memory.
    """
    pool, stream = (None, torch.cuda.Stream(device)) if shared is None else shared  # type: ignore[no-untyped-call]
    graph = torch.cuda.CUDAGraph()
    # the inner context does not leave its stream when recording fails; the outer one does
    with torch.cuda.device(device), torch.cuda.stream(stream):
        torch.cuda.synchronize(device)
        for _ in range(_WARM_UPS):  # libraries' set-up in the first call cannot be recorded
            work()
        with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            result = work()
    return Recording(graph.replay, result, (graph.pool(), stream))


class Graphed(nn.Module):
    """A fast network whose calls are recorded and replayed; for one thread at a time.

    The first replay is compared with the plain network's result. Where the two differ, or recording
    fails, that is logged, and the network is called plainly from then on.

    Args:
        plain: Called with band groups and the normalised value of a stored 0. Its forward pass
            must not synchronise with the device, and its tensors must keep their addresses.
        record: How to record; a stand-in needs no GPU.
        device_type: Calls with tensors elsewhere, or with gradients, are not recorded.
    """

    def __init__(
        self, plain: nn.Module, record: Record = record, device_type: str = "cuda"
    ) -> None:
        super().__init__()
        self.plain, self.record, self.device_type = plain, record, device_type
        self.given_up = False
        self._forget()

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """As the plain network; the result is a tensor of its own."""
        if self.given_up or lr.device.type != self.device_type or torch.is_grad_enabled():
            return self.plain(lr, zero)
        key = _key(lr, zero)
        self._calls += 1
        if (graph := self._graphs.get(key)) is not None:
            graph.used = self._calls
            return graph(lr, zero).clone()
        expected: torch.Tensor = self.plain(lr, zero)
        if len(self._seen) >= _MOST_SHAPES:
            self._seen.clear()
        self._seen[key] += 1
        if self._seen[key] >= SETTLED_AFTER and self._has_room():
            self._try(key, lr, zero, expected)
        return expected

    def give_up(self, reason: object) -> None:
        """Free the graphs' memory and call the plain network from now on."""
        if self.device_type == "cuda":
            torch.cuda.synchronize()  # a replay may be under way
        self._forget()
        self.given_up = True
        _log.info("CUDA graphs are not used any more: %s", reason)

    def _try(
        self, key: object, lr: torch.Tensor, zero: torch.Tensor | None, expected: torch.Tensor
    ) -> None:
        """Record a graph for calls like this one; keep it if it returns what is expected."""
        if not bool(expected.isfinite().all() & lr.any()):
            return  # nothing to compare with; a later tile will do
        shared = next((graph.recording.shared for graph in self._graphs.values()), None)
        try:
            graph = _Graph(self.plain, self.record, lr, zero, shared)
            furthest = _furthest(graph(lr, zero), expected)
        except (RuntimeError, MemoryError) as error:
            memory = "not enough memory" if means_no_memory(error) else error
            self.give_up(f"recording failed ({memory})")
            return
        if not furthest <= _AGREES.get(expected.dtype, 0.0):
            self.give_up(f"a replay differs by {furthest:.1e} of the largest number")
            return
        graph.used = self._calls
        self._graphs[key] = graph
        _log.info("a CUDA graph for tiles of %s, differs by %.1e", tuple(lr.shape), furthest)

    def _has_room(self) -> bool:
        """Whether one more graph may be kept; removes one that is idle."""
        if len(self._graphs) < MOST_GRAPHS:
            return True
        oldest = min(self._graphs, key=lambda key: self._graphs[key].used)
        if self._calls - self._graphs[oldest].used <= _IDLE_CALLS:
            return False
        del self._graphs[oldest]
        return True

    def _forget(self) -> None:
        self._graphs: dict[object, _Graph] = {}
        self._seen: Counter[object] = Counter()
        self._calls = 0

    def __getstate__(self) -> dict[str, object]:  # a copy records its own
        return {**self.__dict__, "_graphs": {}, "_seen": Counter()}

    def _apply(self, *given: object, **named: object) -> "Graphed":  # another type or device
        self._forget()
        super()._apply(*given, **named)  # type: ignore[no-untyped-call]
        return self


class _Graph:
    """A recording and its input."""

    def __init__(
        self,
        network: nn.Module,
        record: Record,
        lr: torch.Tensor,
        zero: torch.Tensor | None,
        shared: object,
    ) -> None:
        self.used = 0
        # inference tensors cannot be written to outside inference mode; recorded with zeros, the
        # comparison after the first replay shows whether the graph reads its input
        with torch.inference_mode(mode=False), torch.no_grad():
            self._lr = lr.new_zeros(lr.shape)
            self._zero = None if zero is None else zero.new_zeros(zero.shape)
            self.recording = record(lambda: network(self._lr, self._zero), lr.device, shared)

    def __call__(self, lr: torch.Tensor, zero: torch.Tensor | None) -> torch.Tensor:
        """The result, until the next replay of this or another graph."""
        self._lr.copy_(lr)
        if self._zero is not None and zero is not None:
            self._zero.copy_(zero)
        self.recording.replay()
        return self.recording.result


def _furthest(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference over the largest number."""
    largest = expected.abs().max().float().clamp_min(torch.finfo(torch.float32).tiny)
    return float((found - expected).abs().max() / largest)


def _key(lr: torch.Tensor, zero: torch.Tensor | None) -> object:
    kind = lr.device.type
    precision = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
    stored_0 = None if zero is None else (zero.shape, zero.dtype)
    return lr.shape, lr.dtype, lr.device, stored_0, precision

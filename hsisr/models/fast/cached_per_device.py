"""A cache of tensors, keyed by the arguments they are computed from and the device."""

import functools
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import torch

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")
_Build = Callable[..., _Result]


def cached_per_device(
    build: Callable[[*_Arguments, torch.device], _Result],
) -> Callable[[*_Arguments, torch.device], _Result]:
    """Cache the tensors that `build` returns, for the last 32 sets of arguments, without gradients.

    On CUDA nothing is evicted: a CUDA graph reads a tensor at a fixed address. On the meta device
    nothing is cached, so that every memory estimate counts the same allocations.

    Args:
        build: Takes hashable arguments by position, the device as the last one.
    """

    def without_gradients(*given: *tuple[*_Arguments, torch.device]) -> _Result:
        with torch.inference_mode(mode=False), torch.no_grad():
            return build(*given)

    recent: _Build[_Result] = functools.lru_cache(maxsize=32)(without_gradients)
    caches: dict[str, _Build[_Result]] = {
        "cuda": functools.cache(without_gradients),
        "meta": without_gradients,
    }

    @functools.wraps(build)
    def cached(*given: *tuple[*_Arguments, torch.device]) -> _Result:
        return caches.get(given[-1].type, recent)(*given)

    return cached

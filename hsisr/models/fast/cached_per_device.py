"""Tables that follow from a few numbers, computed once."""

import functools
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import torch

_Arguments = TypeVarTuple("_Arguments")
_Table = TypeVar("_Table")
_Way = Callable[..., _Table]


def cached_per_device(
    build: Callable[[*_Arguments, torch.device], _Table],
) -> Callable[[*_Arguments, torch.device], _Table]:
    """What `build` gives for the last 32 sets of arguments, its tensors without gradients.

    On CUDA it is never forgotten: a CUDA graph reads a table where it lies for as long as it lives.
    On the meta device nothing is cached, so that the memory estimate counts the same each time.

    Args:
        build: Takes hashable arguments by position, the device as the last one.
    """

    def outside(*given: *tuple[*_Arguments, torch.device]) -> _Table:
        with torch.inference_mode(mode=False), torch.no_grad():
            return build(*given)

    lately: _Way[_Table] = functools.lru_cache(maxsize=32)(outside)
    ways: dict[str, _Way[_Table]] = {"cuda": functools.cache(outside), "meta": outside}

    @functools.wraps(build)
    def recalled(*given: *tuple[*_Arguments, torch.device]) -> _Table:
        return ways.get(given[-1].type, lately)(*given)

    return recalled

"""Parts of a network that stay in float32 where the rest runs in half precision."""

from contextlib import AbstractContextManager, nullcontext

import torch


def in_full(x: torch.Tensor) -> AbstractContextManager[object]:
    """No autocast for what follows, on the device of `x`; the meta device knows none."""
    if x.is_meta:
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)

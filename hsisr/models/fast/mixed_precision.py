"""The wrapper of a fast network: autocast selects float32 or half-precision weights."""

import copy
from typing import Any

import torch
from torch import nn

from hsisr.models.common import in_full, require_bands


class MixedPrecision(nn.Module):
    """A fast network in float32 and, for half precision, a second copy of it.

    Args:
        name: Of the network, for messages.
        fast: Called with band groups and the normalised value of a stored 0; has `bands`.
        precision: The one used under autocast.

    Attributes:
        detail_only: Return what `fast.detail` does; see `hsisr.models.detail.AddsDetail`.
    """

    def __init__(self, name: str, fast: nn.Module, precision: torch.dtype) -> None:
        super().__init__()
        self.name, self.full, self.precision = name, fast, precision
        self.detail_only = False
        half = precision is not torch.float32
        self.in_half = copy.deepcopy(fast).to(precision) if half else None

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """As the trained network; in half precision under autocast."""
        require_bands(self.name, lr, int(self.full.bands))  # type: ignore[arg-type]
        fast = self.full
        if (
            self.in_half is not None
            and not lr.is_meta
            and torch.is_autocast_enabled(lr.device.type)
        ):
            fast = self.in_half
        with in_full(lr):
            run: Any = fast.detail if self.detail_only else fast
            hr: torch.Tensor = run(lr, zero)
        return hr

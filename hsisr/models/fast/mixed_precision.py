"""A lean network as the rest of hsisr calls it: autocast chooses the precision, as for layers."""

import copy
from typing import Any

import torch
from torch import nn

from hsisr.models.common import in_full, require_bands


class MixedPrecision(nn.Module):
    """A lean network in full and, if wanted, a second one in half precision.

    Args:
        name: Of the network, for messages.
        lean: Called with band groups and what a stored 0 is; knows its number of `bands`.
        precision: In which it will be called under autocast.

    Attributes:
        detail_only: Return what `lean.detail` does; see `hsisr.models.detail.AddsDetail`.
    """

    def __init__(self, name: str, lean: nn.Module, precision: torch.dtype) -> None:
        super().__init__()
        self.name, self.full, self.precision = name, lean, precision
        self.detail_only = False
        wanted = precision is not torch.float32
        self.quick = copy.deepcopy(lean).to(precision) if wanted else None

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """As the trained network's; in the half precision under autocast."""
        require_bands(self.name, lr, int(self.full.bands))  # type: ignore[arg-type]
        lean = self.full
        if self.quick is not None and not lr.is_meta:
            lean = self.quick if torch.is_autocast_enabled(lr.device.type) else self.full
        with in_full(lr):
            run: Any = lean.detail if self.detail_only else lean
            hr: torch.Tensor = run(lr, zero)
        return hr

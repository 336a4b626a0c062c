"""The learning rate over a run, and the average of weights over its end."""

import math
from collections.abc import Mapping
from typing import Literal

import torch

Schedule = Literal["cosine", "constant"]
_LAST_SHARE = 0.01


def rate_factor(
    step: int, progress: float, warmup_steps: int, schedule: Schedule, warmup_share: float = 0.0
) -> float:
    """What the learning rate is multiplied by.

    Args:
        step: Optimiser steps done.
        progress: Share of the run that is over, by steps or by time, 0 to 1.
        warmup_steps: The rate rises linearly over so many steps.
        warmup_share: It has risen after this share of the run, if that is sooner; 0: no limit.
        schedule: cosine falls to a hundredth at the end (Loshchilov, Hutter, "SGDR", ICLR 2017).

    >>> [round(rate_factor(1000, p, 0, "cosine"), 3) for p in (0, 0.5, 1)]
    [1.0, 0.505, 0.01]
    """
    warm = min(1.0, (step + 1) / (warmup_steps + 1))
    if warmup_share:
        warm = min(1.0, max(warm, progress / warmup_share))
    if schedule == "constant":
        return warm
    falling = 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, progress))))
    return warm * (_LAST_SHARE + (1 - _LAST_SHARE) * falling)


class WeightAverage:
    """An exponential moving average of a network's weights; all other state is copied.

    `decay` is the share of the old average that stays; 0 follows the network. Early on the average
    covers what there is: the decay is at most (1 + n) / (10 + n) after n updates.
    """

    def __init__(self, state: Mapping[str, torch.Tensor], decay: float) -> None:
        self.decay = decay
        self.tensors = {name: tensor.detach().clone() for name, tensor in state.items()}

    @torch.no_grad()
    def update(self, state: Mapping[str, torch.Tensor], updates: int) -> None:
        """Count in the weights after a step; `updates` is how many came before."""
        decay = min(self.decay, (1 + updates) / (10 + updates))
        for name, tensor in state.items():
            if tensor.is_floating_point():
                self.tensors[name].lerp_(tensor, 1 - decay)
            else:
                self.tensors[name].copy_(tensor)

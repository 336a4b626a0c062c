"""`precision = "auto"`: which precision a training step takes less time in, on this machine.

On processors with bfloat16 arithmetic (AVX-512 BF16, AMX) and on GPUs a step in bfloat16 takes
about half the time of float32; on processors without it, such as AVX2, it takes several times
as long.
"""

import copy
from dataclasses import replace
from statistics import median
from time import perf_counter
from typing import Final, Literal

import torch

from hsisr.errors import DivergedError
from hsisr.training.distributed import Workers
from hsisr.training.feed import on_device, opened_feed
from hsisr.training.loop import Plan, Trainer

Precision = Literal["float32", "bfloat16"]
CANDIDATES: Final[tuple[Precision, ...]] = ("float32", "bfloat16")
_STEPS = 10
_CLEAR_AFTER = 3
"""Steps after which a precision twice as fast as the other is taken without timing the rest."""


def timed_precisions(plan: Plan) -> dict[str, float]:
    """Seconds that a training step takes in each precision; `plan` and its network stay unchanged.

    Ten steps of each (three where one is twice as fast), in turn, after one that is not counted,
    all on the first batch of the plan; making batches is not counted. A precision in which this
    network cannot be trained at all counts as infinitely slow. Medians, by names in `CANDIDATES`.
    """
    alone = replace(plan, workers=Workers())  # processes may time different numbers of steps
    with (
        opened_feed(plan.source, 0, plan.recipe.batch_size) as feed,
        torch.random.fork_rng(devices=[]),
    ):
        batch = on_device(feed(0), plan.device)
        trainers = {name: _trainer(alone, name) for name in CANDIDATES}
        seconds: dict[str, list[float]] = {name: [] for name in CANDIDATES}
        for step in range(_STEPS + 1):
            for name, trainer in trainers.items():
                started = perf_counter()
                try:
                    trainer.optimise(batch)
                    took = perf_counter() - started
                except (DivergedError, RuntimeError):  # not finite, or an operation torch lacks
                    took = float("inf")
                if step:
                    seconds[name].append(took)
            fast, slow = sorted(median(s or [0.0]) for s in seconds.values())
            if step >= _CLEAR_AFTER and slow > 2 * fast:
                break
    return {name: median(found) for name, found in seconds.items()}


def _trainer(plan: Plan, precision: Precision) -> Trainer:
    recipe = replace(plan.recipe, precision=precision)
    network = copy.deepcopy(plan.network).train()
    return Trainer(replace(plan, network=network, recipe=recipe))

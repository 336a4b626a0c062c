"""The training loop: steps, learning rate, average of weights, validations, states, four endings.

A run ends when its steps are done, its time is over, no validation was better for too long, or
someone asks it to stop. However it ends, and even if the machine dies, it can be continued from
its last state and, on the processor, gives the same result bit by bit as a run that was never
broken off (unless it is bound by time).
"""

import copy
import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, Final, Literal, Protocol

import torch
from torch import nn

from hsisr.datasets.patches import PatchSource
from hsisr.errors import DivergedError, InputDataError, UsageError, one_line
from hsisr.models.descriptor import ModelDescriptor
from hsisr.training.distributed import Workers
from hsisr.training.feed import Feed, Tensors, on_device, opened_feed
from hsisr.training.losses import Loss, in_unit, squared_weights
from hsisr.training.recipe import Recipe
from hsisr.training.state import Progress, Record, TrainingState, load_state, save_state
from hsisr.training.validation import (
    Float32,
    Scores,
    ValidationWindow,
    bicubic_scores,
    network_scores,
    picture,
)


@dataclass(slots=True)
class StopRequest:
    """The first signal that came; None: none yet."""

    signal: int | None = None


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Remember the first SIGINT or SIGTERM while in this context; a second one interrupts at once.

    A program that calls us from another thread than its main one has its own handlers.
    """
    request = StopRequest()
    if current_thread() is not main_thread():
        yield request
        return

    def receive(number: int, _frame: FrameType | None) -> None:
        if request.signal is not None:
            raise KeyboardInterrupt
        request.signal = number

    before = {n: signal.signal(n, receive) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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


Ending = Literal["finished", "time", "patience", "stopped"]
SCORES: Final = ("score", "sam", "bicubic", "bicubic_sam", "baseline", "baseline_sam")
"""Of a validation, as `Record` has them."""


class Observer(Protocol):
    """Hears of a run; only the first process has one."""

    def stepped(self, progress: Progress, total: int, loss: float, rate: float) -> None:
        """A step is done; `rate` is the learning rate it had."""

    def validated(self, record: Record, progress: Progress) -> None:
        """A validation is done."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Plan:
    """What to train, on what, how long, and where its state lies."""

    network: nn.Module
    """On its device."""
    descriptor: ModelDescriptor
    recipe: Recipe
    source: PatchSource
    judges: Sequence[ValidationWindow]
    """Empty: nothing is validated, and the last weights count as the best."""
    total_steps: int
    validate_every: int
    """Steps between validations."""
    state_path: Path
    fingerprint: dict[str, Any]
    device: torch.device
    workers: Workers = field(default_factory=Workers)
    max_seconds: float | None = None
    clock: Callable[[], float] = time.monotonic
    """Seconds that count: `time.process_time` for those of the processor, of all threads."""
    milestones: tuple[float, ...] = ()
    """Shares of the run, ascending, after which `keep` is called."""
    keep: Callable[[float, dict[str, torch.Tensor]], None] | None = None
    """Called with a milestone and the averaged weights of the moment; may be called once more for
    one that was kept already when a run is resumed."""
    save_every: int = 200
    """Steps between states; every validation saves one too."""
    show: Callable[[int, Float32], None] | None = None
    """Called after a validation with its step and a picture; see `validation.picture`."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Outcome:
    """What a run gave."""

    weights: dict[str, torch.Tensor]
    """The best by validation, averaged if the recipe says so."""
    progress: Progress
    ending: Ending
    signal: int | None = None
    """That ended it, if one did."""


def train(plan: Plan, observers: Sequence[Observer] = (), *, resume: bool = False) -> Outcome:
    """Run a plan, whose network is changed, to one of its ends; observers hear of every step.

    With `resume` it continues from the plan's state file, which must be there.

    Raises:
        InputDataError: The state cannot be read or belongs to another run.
        ResourceError: The state cannot be written.
        DivergedError: The loss is no longer a number.
        UsageError: The recipe penalises weights that this network does not have.
    """
    trainer = Trainer(plan, observers)
    if resume:
        trainer.restore(load_state(plan.state_path))
    first, count = plan.workers.rank * plan.recipe.batch_size, plan.recipe.batch_size
    pin = plan.device.type == "cuda"
    with (
        stop_requests() as request,
        opened_feed(plan.source, first, count, pin=pin) as feed,
        torch.random.fork_rng(devices=[]),
    ):
        ending = trainer.run(feed, request)
    return Outcome(
        weights=trainer.best, progress=trainer.progress, ending=ending, signal=request.signal
    )


class Trainer:
    """The moving parts of a run; UsageError: its recipe penalises weights that are not there."""

    def __init__(self, plan: Plan, observers: Sequence[Observer] = ()) -> None:
        recipe = plan.recipe
        self.plan, self.observers = plan, observers
        self.model = plan.workers.wrapped(plan.network)
        self.loss = Loss(
            distance=recipe.distance,
            spatial=recipe.spatial,
            spectral=recipe.spectral,
            angle=recipe.angle,
        )
        self.parameters = [p for p in plan.network.parameters() if p.requires_grad]
        beginnings = tuple(name.strip() for name in recipe.penalised.split(","))
        named = {name: p for name, p in plan.network.named_parameters() if p.requires_grad}
        self.penalised = [p for name, p in named.items() if name.startswith(beginnings)]
        if recipe.weight_penalty and not self.penalised:
            parts = ", ".join(dict.fromkeys(name.partition(".")[0] for name in named))
            raise UsageError(
                f"recipe {recipe.name!r}: found penalised = {recipe.penalised!r}, with which no "
                f"name of a weight begins, expected some of {parts}; leave it empty for all"
            )
        self.optimiser = _optimiser(recipe, self.parameters)
        self.average = WeightAverage(plan.network.state_dict(), recipe.ema_decay)
        self.best = {name: tensor.clone() for name, tensor in self.average.tensors.items()}
        self.progress = Progress()
        self.interpolated: tuple[Scores, Scores] | None = None
        """Of bicubic on the validation windows, plain and agreeing."""

    def restore(self, state: TrainingState) -> None:
        """Become the run that saved this state."""
        _require_same_run(state.fingerprint, self.plan)
        self.progress = state.progress
        try:
            self.plan.network.load_state_dict(state.tensors["network"])
            for part, own in (("average", self.average.tensors), ("best", self.best)):
                for name, tensor in state.tensors[part].items():
                    own[name] = tensor.to(self.plan.device)
            table = self.optimiser.state_dict()
            table["state"] = state.optimiser
            self.optimiser.load_state_dict(table)
        except (LookupError, RuntimeError, ValueError) as error:
            raise InputDataError(
                f"{self.plan.state_path}: its tensors are not those of this network "
                f"({one_line(str(error))}); start anew with --overwrite"
            ) from error

    def run(self, feed: Feed, request: StopRequest) -> Ending:
        """Step until an end; leaves a state behind."""
        started = self.plan.clock() - self.progress.seconds
        self.plan.network.train()
        if self.progress.validated_step < 0:
            self._validate(self._rate())
            self._save()
        while (ending := self._ending(request, started)) is None:
            before = self._share(self.progress.seconds)
            rate = self._step(feed)
            self._keep_milestones(before, self._share(self.plan.clock() - started))
            done = self.progress.step
            last = done == self.plan.total_steps
            if done % self.plan.validate_every == 0 or last:
                self.progress.seconds = self.plan.clock() - started
                self._validate(rate)
                self._save()
            elif done % self.plan.save_every == 0:
                self._save()
        if ending != "stopped" and self.progress.validated_step != self.progress.step:
            self._validate(self._rate())
        self._save()
        return ending

    def _keep_milestones(self, before: float, now: float) -> None:
        """Keep the averaged weights where a milestone lies between two shares of the run."""
        for share in self.plan.milestones if self.plan.workers.first else ():
            if before < share <= now and self.plan.keep is not None:
                self.plan.keep(share, self.average.tensors)

    def _share(self, seconds: float) -> float:
        """Of the run that is over after so many seconds, by its steps or its time."""
        share = self.progress.step / self.plan.total_steps
        longest = self.plan.max_seconds
        return max(share, seconds / longest) if longest else share

    def _ending(self, request: StopRequest, started: float) -> Ending | None:
        """Whether to go on, decided by the first process for all."""
        mine = [self.plan.clock() - started, float(request.signal is not None)]
        seconds, signalled = self.plan.workers.from_first(mine)
        self.progress.seconds = seconds
        if signalled:
            return "stopped"
        if self.progress.step >= self.plan.total_steps:
            return "finished"
        if self.plan.max_seconds is not None and seconds >= self.plan.max_seconds:
            return "time"
        patience = self.plan.recipe.patience
        return "patience" if 0 < patience <= self.progress.waiting else None

    def _rate(self) -> float:
        """The learning rate of the step to come."""
        recipe, progress = self.plan.recipe, self.progress
        share = self._share(progress.seconds)
        factor = rate_factor(
            progress.step, share, recipe.warmup_steps, recipe.schedule, recipe.warmup_share
        )
        return recipe.learning_rate * factor

    def _step(self, feed: Feed) -> float:
        """One optimiser step; returns its learning rate."""
        rate = self._rate()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        batch = on_device(feed(self.progress.step), self.plan.device)
        # layers that draw numbers draw the same ones after a resume
        torch.manual_seed(self.progress.step * self.plan.workers.count + self.plan.workers.rank)
        loss = self.optimise(batch)
        self.average.update(self.plan.network.state_dict(), self.progress.step)
        self.progress.step += 1
        self.progress.loss_sum += loss
        self.progress.loss_count += 1
        for observer in self.observers:
            observer.stepped(self.progress, self.plan.total_steps, loss, rate)
        return rate

    def optimise(self, batch: Tensors) -> float:
        """Change the weights by one batch; returns its loss, the mean over all processes.

        DivergedError: loss or gradient is not finite; the weights are unchanged.
        """
        recipe = self.plan.recipe
        half = recipe.precision == "bfloat16"
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self.plan.device.type, torch.bfloat16, enabled=half):
            estimate = self.model(batch.lr, -batch.mean / batch.deviation)
        loss = self.loss(*in_unit(recipe.loss_unit, estimate.float(), batch))
        if recipe.weight_penalty:
            loss = loss + recipe.weight_penalty * squared_weights(self.penalised)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.parameters, recipe.clip_norm or math.inf)
        value = self.plan.workers.mean(float(loss.item()))
        if not math.isfinite(value) or not math.isfinite(float(norm)):
            raise DivergedError(
                f"training broke down at step {self.progress.step + 1}: the loss is {value:g} and "
                f"the length of its gradient {float(norm):g}, expected finite numbers; lower "
                "learning_rate or set clip_norm in the recipe, or precision to float32; look for "
                "numbers far beyond all others in the scenes; "
                f"{self.plan.state_path} holds the last state before"
            )
        self.optimiser.step()
        return value

    def _validate(self, rate: float) -> None:
        """Score the averaged weights and remember the best; the first process decides."""
        progress = self.progress
        progress.validated_step = progress.step
        if not self.plan.judges:
            progress.best_step = progress.step
            self.best = {name: tensor.clone() for name, tensor in self.average.tensors.items()}
            return
        workers = self.plan.workers
        found = workers.from_first(self._scores() if workers.first else [0.0] * len(SCORES))
        record = Record(
            step=progress.step,
            seconds=progress.seconds,
            loss=progress.loss_sum / progress.loss_count if progress.loss_count else None,
            learning_rate=rate,
            **dict(zip(SCORES, found, strict=True)),
        )
        progress.history.append(record)
        progress.loss_sum, progress.loss_count = 0.0, 0
        if progress.best_score is None or record.score > progress.best_score:
            progress.best_score, progress.best_step = record.score, progress.step
            progress.waiting = 0
            self.best = {name: tensor.clone() for name, tensor in self.average.tensors.items()}
        else:
            progress.waiting += 1
        for observer in self.observers:
            observer.validated(record, progress)

    def _scores(self) -> list[float]:
        """In the order of `SCORES`."""
        plan = self.plan
        if self.interpolated is None:
            plain = bicubic_scores(plan.judges, plan.descriptor)
            agreeing = bicubic_scores(plan.judges, plan.descriptor, agreeing=True)
            self.interpolated = plain, agreeing
        judged = copy.deepcopy(plan.network)
        judged.load_state_dict(self.average.tensors)
        scores = network_scores(judged, plan.descriptor, plan.judges, plan.device)
        if plan.show is not None:
            shown = picture(judged, plan.descriptor, plan.judges[0], plan.device)
            plan.show(self.progress.step, shown)
        return [value for s in (scores, *self.interpolated) for value in (s.mpsnr, s.sam)]

    def _save(self) -> None:
        if not self.plan.workers.first:
            return
        state = TrainingState(
            progress=self.progress,
            fingerprint=self.plan.fingerprint,
            tensors={
                "network": self.plan.network.state_dict(),
                "average": self.average.tensors,
                "best": self.best,
            },
            optimiser=self.optimiser.state_dict()["state"],
        )
        save_state(self.plan.state_path, state)


def _optimiser(recipe: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if recipe.optimiser == "adam":
        return torch.optim.Adam(parameters, lr=recipe.learning_rate)
    return torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def _require_same_run(found: dict[str, Any], plan: Plan) -> None:
    expected = plan.fingerprint
    if "recipe" in found:  # of before some keys were there, whose defaults are what it did
        defaults = json.loads(json.dumps(Recipe().as_dict()))
        found = {**found, "recipe": {**defaults, **found["recipe"]}}
    if any(found.get(key) != expected.get(key) for key in found.keys() | expected.keys()):
        key, has, wanted = _first_difference(found, expected)
        raise InputDataError(
            f"{plan.state_path}: belongs to another run: its {key} is {has!r}, found {wanted!r}; "
            "give the same options to --resume, or start anew with --overwrite"
        )


def _first_difference(one: dict[str, Any], other: dict[str, Any]) -> tuple[str, Any, Any]:
    """Name and values of the first entry that differs, in tables and lists within tables too.

    >>> _first_difference({"a": 1, "b": [{"c": 2, "d": 3}]}, {"a": 1, "b": [{"c": 2}]})
    ('b: 1: d', 3, None)
    """
    keys = sorted(one.keys() | other.keys())
    key = next((k for k in keys if one.get(k) != other.get(k)), keys[0])
    has, wanted = one.get(key), other.get(key)
    if isinstance(has, list) and isinstance(wanted, list):
        has, wanted = ({str(n): v for n, v in enumerate(list_, 1)} for list_ in (has, wanted))
    if isinstance(has, dict) and isinstance(wanted, dict):
        inner, has, wanted = _first_difference(has, wanted)
        key = f"{key}: {inner}"
    return key, has, wanted

"""Where a run begins: which network, with which weights, on which device, in which precision.

On processors with bfloat16 arithmetic (AVX-512 BF16, AMX) and on GPUs a step in bfloat16 takes
about half the time of float32; on processors without it, such as AVX2, it takes several times
as long.
"""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final, Literal

import torch
from torch import nn

from hsisr.engine.machine import device_named
from hsisr.errors import DivergedError, UsageError, WeightsError
from hsisr.models.descriptor import BandGroupNetwork, ModelDescriptor, sized
from hsisr.models.registry import build, descriptor_for
from hsisr.training.distributed import Workers
from hsisr.training.feed import on_device, opened_feed
from hsisr.training.loop import Plan, Trainer
from hsisr.training.recipe import Recipe
from hsisr.weights import LoadedWeights, load_weights, resolve, save_weights

UPSAMPLING: Final = ("upsampling.", "output.", "pixels.", "filters.")
"""Where the names of weights begin that belong to one scale, in all of these networks."""
_SIZE_OF_UPSAMPLING: Final = ("basis",)
"""Sizes that belong to one scale as well."""
_ADDED: Final = ("filters",)
"""Parts that weights may be without, and that a recipe may add to them."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Start:
    """A network to train."""

    descriptor: ModelDescriptor
    network: nn.Module
    """In training mode, on the processor, channels last: convolutions in bfloat16 take a third
    less time so."""
    init_sha256: str | None = None
    """Hash of the weights file it began with."""


def fresh_start(model: str, scale: int, recipe: Recipe, seed: int) -> Start:
    """A network with fresh weights, drawn from the seed."""
    descriptor = described(model, scale, recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(descriptor)
    return Start(descriptor=descriptor, network=in_channels_last(network))


def described(model: str, scale: int, recipe: Recipe) -> ModelDescriptor:
    """An architecture's settings for a scale, changed as the recipe asks.

    Groups of another size share as many bands as the architecture's do, but at most half.
    """
    descriptor = descriptor_for(model, scale)
    if recipe.normalisation != "architecture":
        descriptor = replace(descriptor, normalisation=recipe.normalisation)
    if size := recipe.group_size:
        overlap = min(descriptor.group_overlap, size // 2)
        descriptor = replace(descriptor, group_size=size, group_overlap=overlap)
    return replace(descriptor, hparams={**descriptor.hparams, **recipe.network})


def start_from(init: str, model: str | None, scale: int, recipe: Recipe, seed: int) -> Start:
    """The network of some weights, a file or released ones by name, with these weights.

    Weights of another scale lend all but their upsampling, which starts with fresh weights, drawn
    from the seed. So does a part that the recipe adds; it adds next to nothing at first. `model` is
    the architecture that the user named, or None.

    Raises:
        WeightsError: They cannot be read, or are of another architecture.
        UsageError: The recipe wants another network than theirs.
    """
    loaded = load_weights(resolve(init))
    found = loaded.descriptor
    if model not in (None, found.arch):
        raise WeightsError(f"{init} is a {found.arch}, found --model {model}; leave --model out")
    lends = found.scale != scale
    wanted = {"normalisation": recipe.normalisation, **recipe.network}
    sizes = _sizes(loaded)
    has = {"normalisation": found.normalisation, **sizes}
    if recipe.group_size:
        wanted["group_size"], has["group_size"] = recipe.group_size, found.group_size
    added = {part for part in _ADDED if recipe.network.get(part) and not has.get(part)}
    own = {*added, *(_SIZE_OF_UPSAMPLING if lends else ())}
    for key, value in wanted.items():
        if key not in own and value not in ("architecture", has.get(key)):
            raise UsageError(
                f"recipe {recipe.name!r} wants {key} = {value!r}, but {init} has "
                f"{has.get(key)!r}; leave {key} out of the recipe"
            )
    if not lends and not added:
        network = in_channels_last(loaded.network.train())
        return Start(descriptor=found, network=network, init_sha256=loaded.sha256)
    trunk = {k: v for k, v in sizes.items() if k not in own}
    like_it = replace(
        recipe,
        normalisation=found.normalisation,
        group_size=found.group_size,
        network={**recipe.network, **trunk},
    )
    fresh = fresh_start(found.arch, scale, like_it, seed)
    lent = {
        name: tensor
        for name, tensor in loaded.network.state_dict().items()
        if not (lends and name.startswith(UPSAMPLING))
    }
    fresh.network.load_state_dict(lent, strict=False)
    return replace(fresh, init_sha256=loaded.sha256)


def _sizes(loaded: LoadedWeights) -> dict[str, Any]:
    """All parameters of a network, those too that its weights file does not name."""
    if isinstance(loaded.network, BandGroupNetwork):
        return asdict(sized(type(loaded.network).size_type, loaded.descriptor))
    return dict(loaded.descriptor.hparams)


def milestone_path(out: Path, share: float) -> Path:
    """Where the weights of a moment of a run are kept, by the share of the run that was over."""
    return out / f"after-{share:g}.safetensors"


def keep_milestone(
    out: Path, start: Start, share: float, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Save the averaged weights of a moment of a run."""
    network = copy.deepcopy(start.network)
    network.load_state_dict(dict(tensors))
    save_weights(milestone_path(out, share), network, start.descriptor, overwrite=True)


def in_channels_last(network: nn.Module) -> nn.Module:
    """The network, its kernels laid out with the channels last."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def training_device(name: str, workers: Workers) -> torch.device:
    """The device of this process."""
    device = device_named(name)
    if device.type == "cuda" and workers.count > 1:
        return torch.device("cuda", workers.local_rank)
    return device


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

"""From what a user names to what a network sees: scenes, patches, and windows to judge by."""

import dataclasses
import math
import zlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsisr.commands.options import SceneOptions
from hsisr.datasets.catalogue import Dataset
from hsisr.datasets.patches import (
    Augmentation,
    GridPatches,
    GridSample,
    PatchSource,
    RandomPatches,
    grid_samples,
)
from hsisr.datasets.photographs import Photographs
from hsisr.datasets.splits import (
    PUBLISHED_TESTS,
    Split,
    held_out_split,
    patch_split,
    published_split,
    whole_split,
)
from hsisr.datasets.training_scenes import TrainingScene, coarser, fitting_region, training_scene
from hsisr.errors import InputDataError, UsageError, warn
from hsisr.io.base import Scene
from hsisr.io.open import find_scenes, open_with, options_of_kind
from hsisr.io.views import warn_of_fill, watched_for_digits
from hsisr.models.descriptor import ModelDescriptor
from hsisr.tiling import Window
from hsisr.training.recipe import Recipe
from hsisr.training.validation import ValidationWindow, validation_windows

_MOST_SCENE_BYTES = 2 << 30
_LEAST_STRIP_LR_PX = 4
_PUBLISHED_SHARE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One scene file, and how to read it."""

    path: Path
    variable: str | None = None
    axes: str | None = None
    nodata: str | None = None
    dataset: Dataset | None = None
    """Where it comes from, if it was asked for by name."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainingData:
    """What a run learns from and is judged by."""

    scenes: tuple[TrainingScene, ...]
    patches: PatchSource
    judges: tuple[ValidationWindow, ...]
    total_steps: int
    validate_every: int
    photographs: Photographs | None = None

    @property
    def wavelengths_nm(self) -> tuple[float, float] | None:
        """Shortest and longest band centre of the scenes that name theirs; None if none does."""
        known = [w for scene in self.scenes for w in scene.wavelengths_nm or ()]
        return (min(known), max(known)) if known else None

    def facts(self) -> list[dict[str, Any]]:
        """What identifies and describes scenes and photographs, as plain values."""
        facts = [_facts(scene.name, scene.values, scene.split) for scene in self.scenes]
        if (photographs := self.photographs) is not None:
            images, name = photographs.images, photographs.name
            split = Split(training=(Window(0, 0, len(images) * images.shape[2], images.shape[3]),))
            facts.append(_facts(f"{name} ({len(images)} photographs)", images, split))
        return facts


def _facts(name: str, numbers: npt.NDArray[Any], split: Split) -> dict[str, Any]:
    bands, rows, cols = numbers.shape[-3:]
    return {
        "name": name,
        "live_bands": bands,
        "rows": rows,
        "cols": cols,
        "crc32": checksum(numbers),
        "training_px": sum(w.rows * w.cols for w in split.training),
        "validation_px": sum(w.rows * w.cols for w in split.validation),
        "test_windows": [list(dataclasses.astuple(w)) for w in split.test],
        "test_px_also_trained_on": split.leak_px,
    }


def checksum(numbers: npt.NDArray[Any]) -> str:
    """What tells the numbers of a scene from other ones."""
    return f"{zlib.crc32(np.ascontiguousarray(numbers).tobytes()):08x}"


def expand_sources(paths: Sequence[Path], how: SceneOptions) -> list[Source]:
    """The scenes that some paths stand for; folders are searched.

    Where there are several, variable and axes are for those whose kind of file takes them.
    What cannot be used in a folder is left out, and that is said.
    """
    named = [(path, find_scenes(path)) for path in paths]
    alone = sum(len(found) for _, found in named) == 1
    sources = []
    for path, found in named:
        own = []
        for scene in found:
            variable, axes = how.variable, how.axes
            if not alone:
                variable, axes = options_of_kind(scene, variable, axes)
            own.append(Source(path=scene, variable=variable, axes=axes, nodata=how.nodata))
        if found == [path]:  # refused before any of the others is read
            open_with(path, own[0]).close()
        else:
            own = [source for source in own if _can_be_opened(source)]
        if not own:
            raise InputDataError(f"{path}: found no scene in this folder; name scene files")
        sources += own
    return sources


def _can_be_opened(source: Source) -> bool:
    try:
        with closing(open_with(source.path, source)):
            return True
    except (InputDataError, UsageError) as error:
        warn(f"left out: {error}")
        return False


def training_data(
    sources: Sequence[Source],
    validation: Sequence[Source],
    recipe: Recipe,
    descriptor: ModelDescriptor,
    seed: int,
    photographs: Photographs | None = None,
) -> TrainingData:
    """Read all scenes and lay out patches and judges as the recipe says.

    Without scenes for validation, the recipe's share of `sources` judges.
    """
    scale = descriptor.scale
    elsewhere = bool(validation)
    scenes = [_read(source, scale, recipe, seed, whole=elsewhere) for source in sources]
    judging = [_read(source, scale, recipe, seed, whole=True) for source in validation] or scenes
    judges = [
        judge for scene in judging for judge in validation_windows(scene, scale, whole=elsewhere)
    ]
    _say_leaks(scenes)
    both = (
        source.path
        for source, judge in zip(validation, judging if elsewhere else (), strict=True)
        if any(np.array_equal(judge.values, scene.values) for scene in scenes)  # copies too
    )
    for path in dict.fromkeys(both):
        warn(
            f"{path} is trained on and validated on, which flatters; leave out --val or name others"
        )
    if recipe.patches == "grid":
        return _grid_data(scenes, judges, recipe, descriptor, seed)
    if recipe.split != "whole":
        _warn_if_unjudged(judges)
    extra = [coarser(scene, factor, scale) for factor in recipe.coarser for scene in scenes]
    patches = RandomPatches(
        scenes=[*scenes, *(scene for scene in extra if scene is not None)],
        scale=scale,
        group_size=descriptor.group_size,
        crop_lr_px=recipe.crop_lr_px,
        least_lr_px=recipe.least_crop_lr_px,
        seed=seed,
        augmentation=Augmentation(
            **{f.name: getattr(recipe, f.name) for f in dataclasses.fields(Augmentation)}
        ),
        normalise=descriptor.normalisation == "band",
        power=recipe.scene_power,
        photographs=photographs,
        photograph_share=recipe.photograph_share,
    )
    return TrainingData(
        scenes=tuple(scenes),
        photographs=photographs,
        patches=patches,
        judges=tuple(judges),
        total_steps=recipe.steps,
        validate_every=recipe.validate_every,
    )


def _grid_data(
    scenes: Sequence[TrainingScene],
    judges: Sequence[ValidationWindow],
    recipe: Recipe,
    descriptor: ModelDescriptor,
    seed: int,
) -> TrainingData:
    published = recipe.split == "published"
    size, overlap = descriptor.group_size, descriptor.group_overlap
    samples = [
        sample
        for scene in scenes
        for sample in grid_samples(scene, size, overlap, anchored=not published)
    ]
    if published:
        samples, judges = _published_samples(samples, recipe, seed)
    _warn_if_unjudged(judges)
    patches = GridPatches(
        samples=samples,
        scale=descriptor.scale,
        batch_size=recipe.batch_size,
        seed=seed,
        normalise=descriptor.normalisation == "band",
    )
    return TrainingData(
        scenes=tuple(scenes),
        patches=patches,
        judges=tuple(judges),
        total_steps=recipe.epochs * patches.steps_per_epoch,
        validate_every=recipe.validate_every or patches.steps_per_epoch,
    )


def _published_samples(
    samples: Sequence[GridSample], recipe: Recipe, seed: int
) -> tuple[list[GridSample], list[ValidationWindow]]:
    """A tenth of the samples judges, though neighbouring groups of its patches are trained on."""
    count = math.floor(len(samples) / _PUBLISHED_SHARE)
    order = np.random.default_rng(seed).permutation(len(samples)).tolist()
    chosen = set(order[:count])
    judges = [
        ValidationWindow(samples[n].scene, samples[n].window, (samples[n].bands,)) for n in chosen
    ]
    if not judges:
        raise InputDataError(
            f"found {len(samples)} samples, expected at least {_PUBLISHED_SHARE} for recipe "
            f"{recipe.name!r}"
        )
    return [s for n, s in enumerate(samples) if n not in chosen], judges


def _read(source: Source, scale: int, recipe: Recipe, seed: int, *, whole: bool) -> TrainingScene:
    with closing(watched_for_digits(open_with(source.path, source))) as opened:
        _require_shape(opened, source.dataset)
        looked_at = source.nodata is None and source.dataset is None
        scene = warn_of_fill(opened) if looked_at else opened
        region = fitting_region(scene, scale, _MOST_SCENE_BYTES)
        if not region.rows or not region.cols:
            raise InputDataError(
                f"{source.path}: found {scene.metadata.rows} x {scene.metadata.cols} pixels, "
                f"expected at least {scale} x {scale} for scale {scale}"
            )
        if (region.rows, region.cols) != tuple(
            n // scale * scale for n in (scene.metadata.rows, scene.metadata.cols)
        ):
            warn(
                f"{source.path.name}: only the middle {region.rows} x {region.cols} pixels are "
                "used, so that it fits into memory; cut large scenes into several files"
            )
        split = _split(source, (region.rows, region.cols), scale, recipe, seed, whole=whole)
        return training_scene(scene, scale, split, region)


def _split(
    source: Source, size: tuple[int, int], scale: int, recipe: Recipe, seed: int, *, whole: bool
) -> Split:
    """Windows of one scene; sizes of published scenes are those of the file, not cut to scale."""
    name = source.dataset.name if source.dataset is not None else ""
    if recipe.split == "published":
        shape = source.dataset.shape if source.dataset is not None else None
        rows, cols = shape[1:] if shape is not None else size
        return published_split(name or source.path.name, rows, cols, scale)
    if recipe.split == "patches":
        test = (PUBLISHED_TESTS[name][1],) if name in PUBLISHED_TESTS else ()
        split = patch_split(*size, scale, test, recipe.patch_hr_px, seed=seed)
        joined = Split(training=(*split.training, *split.validation), test=test)
        return joined if whole else split
    if whole or recipe.split == "whole":
        return whole_split(*size, scale)
    return held_out_split(*size, scale, _LEAST_STRIP_LR_PX)


def _require_shape(scene: Scene, dataset: Dataset | None) -> None:
    """A file of a dataset without a known identity is at least of the known shape."""
    if dataset is None or dataset.shape is None or scene.metadata.shape == dataset.shape:
        return
    raise InputDataError(
        f"{scene.path}: found (bands, rows, cols) {scene.metadata.shape}, expected "
        f"{dataset.shape} for {dataset.title}; remove the file to download it again"
    )


def _say_leaks(scenes: Sequence[TrainingScene]) -> None:
    for scene in scenes:
        leak, test = scene.split.leak_px, scene.split.test_px
        if leak:
            warn(
                f"{scene.name}: {leak} of {test} test pixels ({100 * leak / test:.0f} %) are also "
                "trained on, as in the published notebooks; a score on them flatters"
            )


def _warn_if_unjudged(judges: Sequence[ValidationWindow]) -> None:
    if not judges:
        warn(
            "the scenes are too small to hold anything out, so nothing is validated and the last "
            "weights are kept; name other scenes with --val"
        )

"""Training pairs, HR patch and LR patch, from any mix of scenes, sensors and band counts.

A batch is a function of the seed and its number alone: any batch can be made at any time, on any
machine, so a run that was broken off continues with the very patches it would have seen.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from hsisr.datasets.observation import observed, resampled
from hsisr.datasets.photographs import Photographs
from hsisr.datasets.training_scenes import TrainingScene, area_average
from hsisr.errors import InputDataError
from hsisr.tiling import Window, mirrored_order, window_starts

Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]
_Array = TypeVar("_Array")
_Other = TypeVar("_Other")

LEAST_LR_PX = 4
"""Smallest side of a patch that teaches anything."""
_TRIES = 20
_MOST_INVALID = 0.5


class Batch(NamedTuple, Generic[_Array]):
    """Pairs of normalised patches, in arrays of NumPy or of torch."""

    hr: _Array
    """Shape (n, group_size, rows, cols), float32."""
    lr: _Array
    """Area average of `hr`, shape (n, group_size, rows / scale, cols / scale)."""
    mean: _Array
    """Subtracted from stored numbers, shape (n, group_size, 1, 1); 0 where nothing was."""
    deviation: _Array
    """By which they were then divided, shape (n, group_size, 1, 1); 1 where nothing was."""
    valid: _Array | None = None
    """Where `hr` is data, shape (n, 1, rows, cols), bool; None: everywhere."""

    def each(self, change: Callable[[_Array], _Other]) -> "Batch[_Other]":
        """The same with every array changed."""
        hr, lr, mean, deviation = map(change, self[:4])
        return Batch(hr, lr, mean, deviation, None if self.valid is None else change(self.valid))


Arrays = Batch[npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A window of some bands of a scene, before its batch."""

    hr: Float32
    """Normalised, shape (bands, rows, cols)."""
    mean: Float32
    """As in `Batch`, shape (bands,)."""
    deviation: Float32
    valid: Bool | None
    lr: Float32 | None = None
    """As a sensor sees it, shape (bands, rows / scale, cols / scale); None: the area average."""


def cut_patch(
    scene: TrainingScene, window: Window, bands: Sequence[int], *, normalise: bool
) -> Patch:
    """A window of some bands, minus their means and divided by their deviations if wanted."""
    chosen = list(bands)
    hr, valid = scene.cut(window)[chosen], scene.mask(window)
    if not normalise:
        return Patch(hr, np.zeros(len(hr), np.float32), np.ones(len(hr), np.float32), valid)
    mean = scene.statistics.mean[chosen].astype(np.float32)
    deviation = scene.statistics.deviation[chosen].astype(np.float32)
    return _normalised(hr, mean, deviation, valid)


def _normalised(hr: Float32, mean: Float32, deviation: Float32, valid: Bool | None) -> Patch:
    return Patch((hr - mean[:, None, None]) / deviation[:, None, None], mean, deviation, valid)


def pseudo_patch(scene: TrainingScene, window: Window, runs: Sequence[tuple[int, int]]) -> Patch:
    """A window of means over runs of bands (first, one after the last).

    Normalised as the scene of such bands would be.
    """
    cut, count = scene.cut(window), np.array([last - first for first, last in runs])
    hr = np.stack([cut[first:last].mean(0) for first, last in runs])
    means = np.array([scene.statistics.mean[first:last].mean() for first, last in runs])
    variances = [scene.covariance[first:last, first:last].sum() for first, last in runs]
    deviations = np.sqrt(np.array(variances) / count**2 + (0.01 * means) ** 2)
    own = means.astype(np.float32), deviations.astype(np.float32)
    return _normalised(hr, *own, scene.mask(window))


class PatchSource(Protocol):
    """Makes batches by their number."""

    def batch(self, step: int, first: int, count: int) -> Arrays:
        """Samples `first` to `first + count - 1` of the batch of a training step."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """What random patches may undergo."""

    flips: bool = True
    """Mirror rows, mirror columns, exchange both: the eight orientations of a square."""
    reverse_bands: bool = True
    """Turn the order of bands round, every other time."""
    band_steps: int = 1
    """Take every n-th band, n drawn from 1 to this, where the scene has bands enough."""
    pseudo_share: float = 0.0
    """Probability that each band is the mean of a run of neighbouring bands, as a coarser
    spectrometer's: runs share a random part of the spectrum among them, or all of it."""
    blur_share: float = 0.0
    """Probability that a sensor's blur takes the place of the area average."""
    noise_share: float = 0.0
    """Probability of noise in the LR patch."""
    resampled_share: float = 0.0
    """Probability that a patch is one of a resampled scene."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RandomPatches:
    """Random crops of random band groups of random scenes, and of photographs.

    Scenes are drawn in proportion to a power of their training pixels: the square root, if large
    ones are to teach more while small ones still get their turn; 0, if all count alike. The patches
    of a batch have one size: that of the recipe, or the largest that fits the scene drawn first;
    scenes that are smaller still take no part in that batch. InputDataError: no training window is
    large enough for a patch.
    """

    scenes: Sequence[TrainingScene]
    scale: int
    group_size: int
    crop_lr_px: int
    seed: int
    augmentation: Augmentation
    least_lr_px: int = LEAST_LR_PX
    """Scenes that cannot give a patch of this side are left out."""
    normalise: bool = True
    """Off for networks that take stored numbers."""
    power: float = 0.5
    """Of a scene's training pixels, in proportion to which it is drawn."""
    photographs: Photographs | None = None
    photograph_share: float = 0.0
    """Probability that a patch is of a photograph."""

    def __post_init__(self) -> None:
        if not any(self._side(scene) for scene in self.scenes):
            least = self.least_lr_px * self.scale
            raise InputDataError(
                f"found no training window of at least {least} x {least} pixels in "
                f"{', '.join(s.name for s in self.scenes) or 'no scene'}; give larger scenes, or "
                "a smaller --scale"
            )

    def batch(self, step: int, first: int, count: int) -> Arrays:
        """See `PatchSource.batch`."""
        sides = np.array([self._side(scene) for scene in self.scenes])
        pixels = [sum(w.rows * w.cols for w in s.split.training) for s in self.scenes]
        drawn = [count**self.power for count in pixels]
        shares = np.where(sides > 0, drawn, 0.0)
        leader = np.random.default_rng((self.seed, step))
        side = int(sides[leader.choice(len(sides), p=shares / shares.sum())])
        shares = np.where(sides >= side, shares, 0.0)
        patches = []
        for number in range(first, first + count):
            rng = np.random.default_rng((self.seed, step, number))
            patch = self._photograph(side * self.scale, rng)
            if patch is None:
                scene = self.scenes[int(rng.choice(len(shares), p=shares / shares.sum()))]
                patch = self._sample(scene, side * self.scale, rng)
            patches.append(self._augmented(patch, rng))
        return stacked(patches, self.scale)

    def _side(self, scene: TrainingScene) -> int:
        """Side of the patches this scene can give, in LR pixels; 0 if it is too small."""
        largest = max(min(w.rows, w.cols) for w in scene.split.training) // self.scale
        return min(self.crop_lr_px, largest) if largest >= self.least_lr_px else 0

    def _sample(self, scene: TrainingScene, side: int, rng: np.random.Generator) -> Patch:
        window = self._window(scene, side, rng)
        share = self.augmentation.pseudo_share
        enough = scene.bands > self.group_size and self.normalise
        if share > 0 and rng.random() < share and enough:
            return pseudo_patch(scene, window, self._runs(scene, rng))
        return cut_patch(scene, window, self._bands(scene, rng), normalise=self.normalise)

    def _photograph(self, side: int, rng: np.random.Generator) -> Patch | None:
        """A crop of a photograph, normalised by its whole LR picture; None: it is not its turn."""
        if self.photographs is None or side > self.photographs.side:
            return None
        if rng.random() >= self.photograph_share:
            return None
        cube = self.photographs.cube(self.group_size, rng)
        rows, cols = (n // self.scale * self.scale for n in cube.shape[1:])
        lr = area_average(cube[:, :rows, :cols], self.scale).reshape(len(cube), -1)
        mean, deviation = lr.mean(1), np.sqrt(lr.var(1) + (0.01 * lr.mean(1)) ** 2) + 1e-6
        row, col = (int(rng.integers(n - side + 1)) for n in cube.shape[1:])
        hr = cube[:, row : row + side, col : col + side]
        if not self.normalise:
            mean, deviation = np.zeros_like(mean), np.ones_like(deviation)
        return _normalised(hr, mean, deviation, None)

    def _augmented(self, patch: Patch, rng: np.random.Generator) -> Patch:
        """Turned, and seen through blur and noise."""
        chances = self.augmentation
        if chances.flips:
            turn = int(rng.integers(8))
            valid = None if patch.valid is None else turned(patch.valid, turn)
            patch = replace(patch, hr=turned(patch.hr, turn), valid=valid)
        whole = patch.valid is None or bool(patch.valid.all())
        if chances.resampled_share and rng.random() < chances.resampled_share and whole:
            patch = replace(patch, hr=resampled(patch.hr, rng))
        if not (chances.blur_share or chances.noise_share):
            return patch
        hr, shares = np.ascontiguousarray(patch.hr), (chances.blur_share, chances.noise_share)
        return replace(patch, lr=observed(hr, self.scale, rng, *shares))

    def _runs(self, scene: TrainingScene, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Ends of `group_size` runs of bands that share a part of the spectrum; maybe reversed."""
        width = scene.bands
        if rng.integers(2):
            width = int(rng.integers(self.group_size + 1, scene.bands + 1))
        start = int(rng.integers(scene.bands - width + 1))
        edges = start + np.linspace(0, width, self.group_size + 1).round().astype(int)
        runs = list(itertools.pairwise(edges.tolist()))
        return runs[::-1] if self.augmentation.reverse_bands and rng.integers(2) else runs

    def _window(self, scene: TrainingScene, side: int, rng: np.random.Generator) -> Window:
        """A place with data; the best of some tries where the scene has gaps."""
        homes = [w for w in scene.split.training if w.rows >= side and w.cols >= side]
        sizes = np.array([w.rows * w.cols for w in homes], np.float64)
        best, best_share = homes[0], -1.0
        for _ in range(_TRIES):
            home = homes[int(rng.choice(len(homes), p=sizes / sizes.sum()))]
            row = home.row + int(rng.integers(home.rows - side + 1))
            col = home.col + int(rng.integers(home.cols - side + 1))
            window = Window(row, col, side, side)
            mask = scene.mask(window)
            share = 1.0 if mask is None else float(mask.mean())
            if share > best_share:
                best, best_share = window, share
            if best_share >= 1 - _MOST_INVALID:
                break
        return best

    def _bands(self, scene: TrainingScene, rng: np.random.Generator) -> list[int]:
        """Consecutive bands, or every n-th; mirrored where there are too few; maybe reversed."""
        size, bands = self.group_size, scene.bands
        step = int(rng.integers(1, self.augmentation.band_steps + 1))
        step = max(1, min(step, bands // size))
        if bands < size:
            chosen = mirrored_order(bands, size)
        else:
            start = int(rng.integers(bands - (size - 1) * step))
            chosen = list(range(start, start + size * step, step))
        if self.augmentation.reverse_bands and rng.integers(2):
            chosen.reverse()
        return chosen


@dataclass(frozen=True, slots=True)
class GridSample:
    """One patch and one group of bands."""

    scene: TrainingScene
    window: Window
    bands: tuple[int, ...]


def grid_samples(
    scene: TrainingScene, size: int, overlap: int, *, anchored: bool = True
) -> list[GridSample]:
    """Every training window with every band group.

    Groups have `size` bands, neighbours share `overlap`. The last one ends at the last band if
    `anchored`; else bands that fill no group are left out, as in the published notebooks.
    """
    if scene.bands < size:
        groups = [tuple(mirrored_order(scene.bands, size))]
    else:
        starts = window_starts(scene.bands, size, overlap)
        if not anchored:
            starts = tuple(range(0, scene.bands - size + 1, size - overlap))
        groups = [tuple(range(start, start + size)) for start in starts]
    return [GridSample(scene, w, group) for w in scene.split.training for group in groups]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GridPatches:
    """A fixed list of samples, in a new order each epoch: the paper's way.

    Samples of one size share a batch; the last batch of a size may be smaller. InputDataError: the
    list is empty.
    """

    samples: Sequence[GridSample]
    scale: int
    batch_size: int
    seed: int
    normalise: bool = True
    """Off for networks that take stored numbers."""

    def __post_init__(self) -> None:
        if not self.samples:
            raise InputDataError("found no patch to train on; give larger scenes")

    @property
    def steps_per_epoch(self) -> int:
        """Batches that show every sample once."""
        return len(self._epoch(0))

    def batch(self, step: int, first: int, count: int) -> Arrays:
        """See `PatchSource.batch`; steps count from 0."""
        epoch, number = divmod(step, self.steps_per_epoch)
        alike = self._epoch(epoch)[number]
        # a process that finds the batch used up repeats a sample of it, to keep in step
        picked = alike[first : first + count] or [alike[first % len(alike)]]
        patches = [cut_patch(s.scene, s.window, s.bands, normalise=self.normalise) for s in picked]
        return stacked(patches, self.scale)

    def _epoch(self, epoch: int) -> list[list[GridSample]]:
        rng = np.random.default_rng((self.seed, epoch))
        by_size: dict[tuple[int, int], list[GridSample]] = {}
        for number in rng.permutation(len(self.samples)):
            sample = self.samples[number]
            by_size.setdefault((sample.window.rows, sample.window.cols), []).append(sample)
        batches = [
            alike[i : i + self.batch_size]
            for _, alike in sorted(by_size.items())
            for i in range(0, len(alike), self.batch_size)
        ]
        return [batches[n] for n in rng.permutation(len(batches))]


def stacked(patches: Sequence[Patch], scale: int) -> Arrays:
    """A batch of equally large patches; a mask only if any pixel of any patch is invalid."""
    hr = np.stack([np.ascontiguousarray(patch.hr) for patch in patches])
    mean = np.stack([patch.mean for patch in patches])[..., None, None]
    deviation = np.stack([patch.deviation for patch in patches])[..., None, None]
    masks, valid = [patch.valid for patch in patches], None
    if any(mask is not None and not mask.all() for mask in masks):
        shape = hr.shape[-2:]
        valid = np.stack([np.ones(shape, np.bool_) if m is None else m for m in masks])[:, None]
    lr = area_average(hr, scale)
    for number, patch in enumerate(patches):
        if patch.lr is not None:
            lr[number] = patch.lr
    return Batch(hr, lr, mean, deviation, valid)


def turned(patch: npt.NDArray[Any], turn: int) -> npt.NDArray[Any]:
    """One of the eight orientations of a square; bit 1 mirrors rows, 2 columns, 4 exchanges.

    >>> turned(np.array([[1, 2], [3, 4]]), 1 + 4).tolist()
    [[3, 1], [4, 2]]
    """
    if turn & 1:
        patch = patch[..., ::-1, :]
    if turn & 2:
        patch = patch[..., ::-1]
    if turn & 4:
        patch = patch.swapaxes(-1, -2)
    return patch

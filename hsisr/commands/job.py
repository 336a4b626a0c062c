"""Everything about one scene that is decided before its first tile, and what is said of it."""

import functools
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.engine.machine import Room, device_named, one_thread_each, torch_threads
from hsisr.engine.mixing import SceneStatistics, measure_scene
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.plan import Layout, Plan
from hsisr.engine.reading import BandStatistics, Reading, scene_statistics
from hsisr.engine.session import Model, Session
from hsisr.engine.stitch import Stitched, stitch
from hsisr.errors import InputDataError, UsageError, about_scene, warn_of_scene
from hsisr.io.base import Scene, SceneWriter, TargetOptions
from hsisr.io.formats import Format, output_format
from hsisr.io.geotiff.gdal import pixel_size_m
from hsisr.io.open import chosen_bands, open_scene, options_of_kind
from hsisr.io.paths import scene_path
from hsisr.io.views import rows_at_once, warn_of_fill
from hsisr.io.write import block_size, output_numbers
from hsisr.models.interpolation import Trim
from hsisr.option import Result
from hsisr.resume.record import provenance_tags, with_provenance
from hsisr.scene.metadata import SceneMetadata

Progress = Callable[[int, int], None]
"""Called with the tiles finished and the tiles in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleResult(Result):
    """What was made, or with `written` False what would be made."""

    source: Path
    output: Path
    written: bool
    format: str
    model: str
    weights_sha256: str | None
    scale: int
    input_shape: tuple[int, int, int]
    """(bands, rows, cols)."""
    output_shape: tuple[int, int, int]
    dtype: str
    bad_bands: tuple[int, ...]
    """1-based numbers, in the input, of bands that were not given to the network."""
    tiles: int
    groups: int
    output_bytes: int
    """Of the numbers, before compression."""
    peak_memory_bytes: int
    """Estimate for the whole process."""
    written_bands: tuple[int, ...] | None = None
    """1-based numbers, in the input, of the output's bands; None: it has all."""
    pseudo_bands: int | None = None
    """Means of neighbouring bands that the network sees; None: it sees the bands themselves."""
    band_groups: str | None = None
    """What the network is to see, as `UpscaleOptions.band_groups`; None: there is no network."""
    moved_values: int = 0
    """Valid numbers that did not fit the data type, or met nodata, and were moved."""
    seconds: float = 0.0
    device: str = "cpu"
    pixel_m: tuple[float, float] | None = None
    """Ground size of an input and of an output pixel, in metres; None where it is unknown."""
    files: tuple[Path, ...] = ()
    """All that were written: the output's own, and those beside it that were asked for."""
    file_bytes: int | None = None
    """Of the output as written; None where it is not on this machine."""
    agreement: float | None = None
    """Largest difference of block average and observed pixel in some rows, in stored numbers."""
    used_memory_bytes: int | None = None
    """Most memory that the process has held so far; None where the system does not tell."""
    estimated_seconds: float | None = None
    """For all tiles, from one that was timed; of plans alone."""

    def __repr__(self) -> str:
        bands, rows, cols = self.input_shape
        _, fine_rows, fine_cols = self.output_shape
        return (
            f"UpscaleResult({self.output.name!r}: {bands} bands, {rows} x {cols} -> {fine_rows} x "
            f"{fine_cols}, {self.model}, {self.seconds:.1f} s)"
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Job:
    """Everything decided before the first tile."""

    scene: Scene
    output: Path
    options: UpscaleOptions
    target: TargetOptions
    session: Session
    bands: tuple[int, ...]
    """Read, in order."""
    bad: tuple[int, ...]
    metadata: SceneMetadata
    plan: Plan
    statistics: SceneStatistics | None = None
    """Of all bands of the scene, where something depends on them."""

    @classmethod
    def prepare(
        cls,
        scene: Scene,
        output: Path,
        options: UpscaleOptions,
        session: Session,
        room: Room,
        statistics: SceneStatistics | None = None,
    ) -> "Job":
        """Decide everything; the scene is read once if statistics are needed and not known."""
        if statistics is None:
            statistics = measure_if_needed(scene, options, session)
        bad = _bad_bands(scene, options, None if statistics is None else statistics.bands)
        bands, positions = _bands_to_read(scene, options, bad, session.model)
        written = output_format(output, options.format)
        kept = scene.metadata.with_bands([bands[n] for n in positions])
        metadata, masked = _output_metadata(scene, kept, written, options, session.model)
        blocks = block_size(metadata, written.name, options.creation_options)
        block_rows, block_cols = (1, 1) if options.ortho else blocks
        layout = Layout(
            bands=len(bands),
            rows=kept.rows,
            cols=kept.cols,
            itemsize=metadata.stored.dtype.itemsize,
            block_rows=block_rows,
            block_cols=block_cols,
            rows_at_once=rows_at_once(scene),
            working_bytes=room.working_bytes,
        )
        beside = () if options.bad_bands != "interpolate" else bad
        if statistics is not None and statistics.mixing is not None:
            statistics = replace(statistics, mixing=statistics.mixing.without(bad))
        known = statistics and statistics.subset(bands)
        some = None if len(positions) == len(bands) else positions
        plan = session.plan(layout, known, beside, room.tile_bytes, some)
        return cls(
            scene=scene,
            output=output,
            options=options,
            target=replace(target_of(options), masked=masked),
            session=session,
            bands=bands,
            bad=bad,
            metadata=metadata,
            plan=plan,
            statistics=statistics,
        )

    @property
    def written(self) -> tuple[int, ...]:
        """0-based bands of the scene that the output has."""
        kept = self.plan.kept
        return self.bands if kept is None else tuple(self.bands[position] for position in kept)

    def counter(self, progress: Progress | None) -> Callable[[int], None]:
        """What takes the number of tiles just finished, and tells how many are in all."""
        done = 0

        def advance(tiles: int) -> None:
            nonlocal done
            done += tiles
            if progress is not None:
                progress(done, self.plan.tiles)

        return advance

    def stitch(self, writer: SceneWriter, advance: Callable[[int], None], **how: Any) -> Stitched:
        """Upscale into a writer, as planned; see `hsisr.engine.stitch`."""
        return stitch(
            self.scene,
            self.bands,
            writer,
            self.plan,
            consistent=self.options.consistency,
            masked=self.target.masked,
            advance=advance,
            **how,
        )

    def result(self, *, written: bool) -> UpscaleResult:
        """What is made, or would be."""
        made = self.metadata
        if self.options.ortho:
            from hsisr.io.products.ortho import ortho_metadata

            made = ortho_metadata(made)
        bands, rows, cols = made.shape
        before, after = (pixel_size_m(meta) for meta in (self.scene.metadata, made))
        written_bands = tuple(band + 1 for band in self.written)
        return UpscaleResult(
            device=str(device_named(self.options.device)),
            pixel_m=(before[0], after[0]) if before and after else None,
            estimated_seconds=None if written else estimated_seconds(self.plan),
            source=self.scene.path,
            output=self.output,
            written=written,
            format=output_format(self.output, self.options.format).name,
            model=self.session.model.name,
            weights_sha256=self.session.model.sha256,
            scale=self.options.scale,
            input_shape=self.scene.metadata.shape,
            output_shape=made.shape,
            dtype=str(self.metadata.stored.dtype),
            bad_bands=tuple(band + 1 for band in self.bad),
            written_bands=written_bands if bands < self.scene.metadata.bands else None,
            tiles=self.plan.tiles,
            groups=len(self.plan.groups),
            pseudo_bands=None if self.plan.mixing is None else self.plan.mixing.count,
            band_groups=self.session.model.settled(self.options).band_groups,
            output_bytes=bands * rows * cols * self.metadata.stored.dtype.itemsize,
            peak_memory_bytes=self.plan.peak_bytes,
        )


def _bands_to_read(
    scene: Scene, options: UpscaleOptions, bad: tuple[int, ...], model: Model
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """0-based bands to read, and the positions among them of those to write."""
    bands = tuple(range(scene.metadata.bands))
    if options.bad_bands == "drop":
        bands = tuple(band for band in bands if band not in bad)
        if not bands:
            raise InputDataError(f"{scene.path}: every band is bad; nothing would be left")
    chosen = {*chosen_bands(scene, options.bands, options.wavelengths)} & {*bands}
    if not chosen:
        raise InputDataError(f"{scene.path}: every chosen band is bad; nothing would be left")
    if model.weights is None:
        bands = tuple(sorted(chosen))
    return bands, tuple(n for n, band in enumerate(bands) if band in chosen)


def _output_metadata(
    scene: Scene, kept: SceneMetadata, written: Format, options: UpscaleOptions, model: Model
) -> tuple[SceneMetadata, bool]:
    """What is written beside the numbers of `kept`, and whether a mask is."""
    stored, masked = output_numbers(
        scene, kept.stored, dtype=options.dtype, mask_possible=written.maskable
    )
    tags = provenance_tags(
        source=scene.path.name,
        model=model.name,
        weights_sha256=model.sha256,
        options=model.settled(options),
    )
    metadata = replace(with_provenance(kept.finer(options.scale), tags), stored=stored)
    if options.ortho:
        from hsisr.io.products.ortho import ortho_metadata

        ortho_metadata(metadata)  # refuses a scene without a lookup table
    return metadata, masked


def target_of(options: UpscaleOptions) -> TargetOptions:
    """How an output is written, as far as the scene does not decide it."""
    return TargetOptions(
        format=options.format,
        creation_options=options.creation_options,
        overviews=options.overviews,
        overwrite=options.overwrite,
        threads=options.threads or 2,
        ortho=options.ortho,
    )


def measure_if_needed(
    scene: Scene, options: UpscaleOptions, session: Session, reading: Reading | None = None
) -> SceneStatistics | None:
    """One pass over the scene, where a network or the choice of bands depends on it."""
    if session.model.weights is None and options.statistics_from is not None:
        raise UsageError(
            f"--statistics-from normalises what a network sees, and {session.model.name} is none; "
            "leave it out or name weights with --model"
        )
    if session.model.weights is None and options.bad_bands != "drop":
        return None
    scene = scene.whole
    _warn_of_other_wavelengths(scene, options, session.model)
    used = _unmarked(scene, options) if session.model.takes_pseudo_bands(options) else None
    asked = options.band_groups == "pseudo"
    if options.statistics_from is None:
        found = measure_scene(scene, used, reading, least=session.model.bands_at_once, asked=asked)
    else:
        found = _measured_elsewhere(scene, options.statistics_from, options, session.model, used)
    if asked and session.model.weights is not None and found.mixing is None:
        warn_of_scene(
            "too few bands, or pixels that are valid in all of them, for pseudo-bands; the network "
            "sees the bands themselves"
        )
    return found


_BEYOND: Final = 1.1
"""A band may lie so many times beyond the wavelengths that a network was trained on."""
_SHARE_BEYOND: Final = 0.25
"""Of the bands that are not bad; a scene with more of them beyond is warned of."""


def _warn_of_other_wavelengths(scene: Scene, options: UpscaleOptions, model: Model) -> None:
    """Warn where many bands lie beyond the wavelengths that a network was trained on."""
    known = None if model.weights is None else model.weights.descriptor.wavelengths_nm
    seen = scene.metadata.spectral_axis.wavelengths_nm
    if known is None or seen is None:
        return
    centres = np.array(seen)[_unmarked(scene, options)]
    beyond = (centres < known[0] / _BEYOND) | (centres > known[1] * _BEYOND)
    if np.count_nonzero(beyond) > _SHARE_BEYOND * centres.size:
        with about_scene(scene.path):
            warn_of_scene(
                f"{np.count_nonzero(beyond)} of {centres.size} bands lie outside {known[0]:.0f} to "
                f"{known[1]:.0f} nm, which {model.name} was trained on; compare it with the "
                "baseline by hsisr evaluate --wald"
            )


def _measured_elsewhere(
    scene: Scene,
    path: Path,
    options: UpscaleOptions,
    model: Model,
    used: npt.NDArray[np.bool_] | None,
) -> SceneStatistics:
    """Ranges of this scene; normalisation and mixing of another one."""
    path = scene_path(path)
    variable, axes = options_of_kind(path, options.variable, options.axes)
    with closing(open_scene(path, variable=variable, axes=axes, nodata=options.nodata)) as other:
        _require_same_bands(scene, other)
        if used is not None:
            used = used & _unmarked(other, options)
        looked_at = warn_of_fill(other) if options.nodata is None else other
        asked = options.band_groups == "pseudo"
        there = measure_scene(looked_at, used, least=model.bands_at_once, asked=asked)
    here = scene_statistics(scene)
    _require_same_numbers(here, there.bands, path)
    return SceneStatistics(here, there.mixing, there.bands)


_OTHER_UNIT: Final = 1000
"""How many times as large the numbers of one sensor's scenes hardly are."""


def _require_same_numbers(here: BandStatistics, there: BandStatistics, path: Path) -> None:
    """Refuse statistics of a scene without data, or of numbers in another unit."""
    told = "--statistics-from takes a scene of the same sensor"
    if not there.count.any():
        raise InputDataError(f"{path}: found no valid pixel, expected some; {told}")
    both = (here.count > 0) & (there.count > 0)
    sizes = [np.median(np.abs(s.mean[both])) if both.any() else 0.0 for s in (here, there)]
    if all(sizes) and not 1 / _OTHER_UNIT < sizes[0] / sizes[1] < _OTHER_UNIT:
        raise InputDataError(
            f"{path}: found numbers like {sizes[1]:.3g}, expected some like {sizes[0]:.3g}; {told}"
            ", in the same unit"
        )


def _require_same_bands(scene: Scene, other: Scene) -> None:
    here, there = scene.metadata.spectral_axis, other.metadata.spectral_axis
    if here.count != there.count:
        raise InputDataError(
            f"{other.path}: found {there.count} bands, expected the {here.count} of {scene.path}; "
            "--statistics-from takes a scene of the same sensor"
        )
    if here.wavelengths_nm is None or there.wavelengths_nm is None:
        return
    apart = np.abs(np.subtract(here.wavelengths_nm, there.wavelengths_nm))
    if apart.max() > 1:
        band = int(apart.argmax())
        raise InputDataError(
            f"{other.path}: band {band + 1} lies at {there.wavelengths_nm[band]:g} nm, expected "
            f"{here.wavelengths_nm[band]:g} nm as in {scene.path}; --statistics-from takes a scene "
            "of the same sensor"
        )


def _unmarked(scene: Scene, options: UpscaleOptions) -> npt.NDArray[np.bool_]:
    """Bands that the file does not mark as bad; all where such bands are kept."""
    good = scene.metadata.spectral_axis.good
    if good is None or options.bad_bands == "keep":
        return np.ones(scene.metadata.bands, np.bool_)
    return np.array(good, np.bool_)


def _bad_bands(
    scene: Scene, options: UpscaleOptions, statistics: BandStatistics | None
) -> tuple[int, ...]:
    """0-based bands that are marked bad, empty or constant; none where all are kept."""
    if options.bad_bands == "keep":
        return ()
    bad = ~_unmarked(scene, options)
    if statistics is not None:
        bad |= statistics.constant
    return tuple(int(band) for band in np.flatnonzero(bad))


def estimated_seconds(plan: Plan) -> float:
    """Seconds that all tiles of a plan take here, from a few timed after others.

    Reading and writing are not counted.
    """
    import torch

    total = 0.0
    side = max(segment.size for segment in plan.rows)
    columns = [segment for panel in plan.panels for segment in panel.segments]
    area = sum(row.size * col.size for row in plan.rows for col in columns)
    in_a_row = len(plan.groups) * max(len(panel.segments) for panel in plan.panels)
    count, size = 1, plan.batch_size
    if plan.side_by_side:
        count, size = min(plan.batch_size, in_a_row), 1
    timed: dict[tuple[int, int], float] = {}
    for group in plan.groups:
        key = id(group.upscaler), len(group.bands)
        if key not in timed:
            margin = group.upscaler.margin_lr_px
            batches = [torch.zeros(size, len(group.bands), *[side + 2 * margin] * 2)] * count
            trim = Trim(margin, margin, margin, margin)
            run = functools.partial(group.upscaler.run, bands=group.bands, trim=trim)
            with torch_threads(1), one_thread_each(len(batches), "tiles") as threads:
                list(threads.map(run, batches))
                started = time.perf_counter()
                list(threads.map(run, batches))
            timed[key] = (time.perf_counter() - started) / (count * size * side**2)
        total += timed[key] * area
    return total

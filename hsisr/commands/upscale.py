"""Make a finer scene file from a scene file."""

import time
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hsisr.commands.model_choice import ChosenModel, choose_model, plan_work
from hsisr.commands.options import UpscaleOptions
from hsisr.commands.provenance import provenance_tags, with_provenance
from hsisr.commands.storage import output_numbers, refuse_same_file
from hsisr.errors import InputDataError, MovedValuesWarning
from hsisr.inference.devices import torch_threads
from hsisr.inference.planning import Layout, Plan, memory_at_hand
from hsisr.inference.statistics import BandStatistics, scene_statistics
from hsisr.inference.stitcher import stitch
from hsisr.io.behind import written_behind
from hsisr.io.opening import open_scene
from hsisr.io.protocol import Scene, TargetOptions
from hsisr.io.quicklook import check_quicklook, write_quicklook
from hsisr.io.rolling import rows_at_once
from hsisr.io.writer import block_size, check_target, create_writer, guess_format
from hsisr.scene.metadata import SceneMetadata

Progress = Callable[[int, int], None]
"""Called with the tiles finished and the tiles in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleResult:
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
    moved_values: int = 0
    """Valid numbers that did not fit the data type, or met nodata, and were moved."""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        names = self.__dataclass_fields__
        plain = {name: getattr(self, name) for name in names}
        return {k: str(v) if isinstance(v, Path) else v for k, v in plain.items()}


def upscale(
    source: str | Path,
    output: str | Path,
    options: UpscaleOptions | None = None,
    *,
    progress: Progress | None = None,
) -> UpscaleResult:
    """Make a scene with `scale` times smaller pixels.

    CRS, bounds, wavelengths and every other field of the input are carried over; invalid pixels
    stay invalid; the output appears whole or not at all.

    Args:
        source: A scene in any supported format.
        output: The file to make; its suffix names the format.
        options: How; the defaults without it.
        progress: Called as tiles are finished.

    Raises:
        InputDataError: The scene cannot be read.
        OutputExistsError: The output exists and `overwrite` is off.
        WeightsError: The model cannot be found or used.
        ResourceError: The machine lacks space, memory or a device.
        UsageError: The options contradict the scene.
    """
    return _upscale(Path(source), Path(output), options or UpscaleOptions(), progress, dry=False)


def plan_upscale(
    source: str | Path, output: str | Path, options: UpscaleOptions | None = None
) -> UpscaleResult:
    """Say what `upscale` would make, and what it would take, without writing anything."""
    return _upscale(Path(source), Path(output), options or UpscaleOptions(), None, dry=True)


def _upscale(
    source: Path, output: Path, options: UpscaleOptions, progress: Progress | None, *, dry: bool
) -> UpscaleResult:
    started = time.monotonic()
    target = TargetOptions(
        format=options.format,
        creation_options=options.creation_options,
        overviews=options.overviews,
        overwrite=options.overwrite,
        threads=options.threads or 2,
    )
    refuse_same_file(source, output)
    check_target(output, target)
    if options.quicklook is not None:
        check_quicklook(options.quicklook, overwrite=options.overwrite)
    with closing(open_scene(source, variable=options.variable, axes=options.axes)) as scene:
        model = choose_model(options)
        job = _Job.prepare(scene, output, options, target, model)
        # planes are small: a second thread would wait more than work, where compression needs it
        threads = 1 if model.weights is None else options.threads
        with torch_threads(threads):
            moved = 0 if dry else _run(job, progress)
    result = job.result(written=not dry)
    if dry:
        return result
    _write_quicklook(job, options)
    if moved:
        warnings.warn(
            f"{output.name}: {moved} values did not fit {result.dtype} and were moved to the "
            "nearest storable number; --dtype float32 keeps them",
            MovedValuesWarning,
            stacklevel=3,
        )
    return replace(result, moved_values=moved, seconds=time.monotonic() - started)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Job:
    """Everything decided before the first tile."""

    scene: Scene
    output: Path
    options: UpscaleOptions
    target: TargetOptions
    model: ChosenModel
    bands: tuple[int, ...]
    bad: tuple[int, ...]
    metadata: SceneMetadata
    plan: Plan

    @classmethod
    def prepare(
        cls,
        scene: Scene,
        output: Path,
        options: UpscaleOptions,
        target: TargetOptions,
        model: ChosenModel,
    ) -> "_Job":
        statistics = _statistics_if_needed(scene, options, model)
        bad = _bad_bands(scene, options, statistics)
        bands = tuple(range(scene.metadata.bands))
        if options.bad_bands == "drop":
            bands = tuple(band for band in bands if band not in bad)
            if not bands:
                raise InputDataError(f"{scene.path}: every band is bad; nothing would be left")
        file_format = guess_format(output, options.format)
        kept = scene.metadata.with_bands(bands)
        stored, masked = output_numbers(
            scene, kept.stored, dtype=options.dtype, mask_possible=file_format in _MASKABLE
        )
        tags = provenance_tags(
            source=scene.path.name,
            model=model.name,
            weights_sha256=model.sha256,
            options=options,
        )
        metadata = replace(with_provenance(kept.finer(options.scale), tags), stored=stored)
        target = replace(target, masked=masked)
        block_rows, block_cols = block_size(metadata, file_format, options.creation_options)
        layout = Layout(
            bands=len(bands),
            rows=kept.rows,
            cols=kept.cols,
            itemsize=stored.dtype.itemsize,
            block_rows=block_rows,
            block_cols=block_cols,
            rows_at_once=rows_at_once(scene),
            working_bytes=memory_at_hand(),
        )
        positions = () if options.bad_bands != "interpolate" else bad
        plan = plan_work(model, options, layout, statistics and statistics.subset(bands), positions)
        return cls(
            scene=scene,
            output=output,
            options=options,
            target=target,
            model=model,
            bands=bands,
            bad=bad,
            metadata=metadata,
            plan=plan,
        )

    def result(self, *, written: bool) -> UpscaleResult:
        bands, rows, cols = self.metadata.shape
        return UpscaleResult(
            source=self.scene.path,
            output=self.output,
            written=written,
            format=guess_format(self.output, self.options.format),
            model=self.model.name,
            weights_sha256=self.model.sha256,
            scale=self.options.scale,
            input_shape=self.scene.metadata.shape,
            output_shape=self.metadata.shape,
            dtype=str(self.metadata.stored.dtype),
            bad_bands=tuple(band + 1 for band in self.bad),
            tiles=self.plan.tiles,
            groups=len(self.plan.groups),
            output_bytes=bands * rows * cols * self.metadata.stored.dtype.itemsize,
            peak_memory_bytes=self.plan.peak_bytes,
        )


_MASKABLE = ("GTiff", "COG", "MAT")


def _run(job: _Job, progress: Progress | None) -> int:
    """Do the work; returns how many values had to be moved."""
    done = 0

    def advance(tiles: int) -> None:
        nonlocal done
        done += tiles
        if progress is not None:
            progress(done, job.plan.tiles)

    with written_behind(create_writer(job.output, job.metadata, job.target)) as writer:
        return stitch(
            job.scene,
            job.bands,
            writer,
            job.plan,
            consistent=job.options.consistency,
            masked=job.target.masked,
            advance=advance,
        ).moved


def _statistics_if_needed(
    scene: Scene, options: UpscaleOptions, model: ChosenModel
) -> BandStatistics | None:
    """One pass over the scene, where a network or the choice of bands depends on it."""
    if model.weights is None and options.bad_bands != "drop":
        return None
    return scene_statistics(scene)


def _bad_bands(
    scene: Scene, options: UpscaleOptions, statistics: BandStatistics | None
) -> tuple[int, ...]:
    """0-based bands that are marked bad, empty or constant; none where all are kept."""
    if options.bad_bands == "keep":
        return ()
    good = scene.metadata.spectral_axis.good
    bad = np.zeros(scene.metadata.bands, np.bool_) if good is None else ~np.array(good)
    if statistics is not None:
        bad |= statistics.constant
    return tuple(int(band) for band in np.flatnonzero(bad))


def _write_quicklook(job: _Job, options: UpscaleOptions) -> None:
    if options.quicklook is None:
        return
    with (
        closing(open_scene(job.scene.path, variable=options.variable, axes=options.axes)) as lr,
        closing(open_scene(job.output)) as hr,
    ):
        write_quicklook(options.quicklook, lr, hr, overwrite=options.overwrite)

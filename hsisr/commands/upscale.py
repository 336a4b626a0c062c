"""Make a finer scene file from a scene file."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hsisr import __version__
from hsisr.commands.job import Job, Progress, UpscaleResult, measure_if_needed, target_of
from hsisr.engine.machine import peak_memory_bytes, torch_threads
from hsisr.engine.mixing import PSEUDO_BANDS
from hsisr.engine.options import AFFECTS_BITS, UpscaleOptions
from hsisr.engine.session import Model, Session
from hsisr.errors import InputDataError, UsageError, WeightsError, warn
from hsisr.io import write
from hsisr.io.atomic import refuse_existing
from hsisr.io.base import Scene, SceneWriter, TargetOptions, in_one_unit
from hsisr.io.formats import output_format
from hsisr.io.open import PartScene, open_scene, open_with
from hsisr.io.paths import RemotePath, scene_path, sibling
from hsisr.io.views import warn_of_fill
from hsisr.models.interpolation import area_average
from hsisr.resume.record import (
    PREFIX,
    Work,
    hashes_beside,
    output_files,
    scene_identity,
    states,
)
from hsisr.resume.run import Journal, RunKey, RunLock, is_unfinished, locked_run, run_place
from hsisr.tiling import Window

if TYPE_CHECKING:
    from hsisr.engine.uncertainty import ErrorModel, StandardErrors

__all__ = ["Progress", "UpscaleResult", "plan_upscale", "upscale"]


def upscale(
    source: str | Path,
    output: str | Path,
    options: UpscaleOptions | None = None,
    *,
    session: Session | None = None,
    progress: Progress | None = None,
) -> UpscaleResult:
    """Make a scene file with `scale` times smaller pixels; raises as `hsisr.upscale` does.

    Without `options` it is made as the session says, else by the defaults; `session` is the model,
    ready, for many scenes alike. `progress` is called as tiles are finished; its attribute
    `reading`, if it has one, with the rows read for statistics and the rows in all.
    """
    started = time.monotonic()
    source, output = scene_path(source), scene_path(output)
    session, options = _checked_options(source, output, options, session, dry=False)
    with (
        torch_threads(session.threads) as count,
        closing(_opened(source, options)) as scene,
        _unfinished(scene, output, options, session, count, progress) as run,
    ):
        finished = _is_finished(source, output, options, session)
        if finished:
            options = _without_those_there(options)
        else:
            write.check_target(output, target_of(options))
            _check_pictures(options, overwrite=options.overwrite)
        job = Job.prepare(scene, output, options, session, run.room, run.statistics)
        moved = 0 if finished else _run(job, progress, run, count)
        checked = _checked(job, options)
    result = job.result(written=True)
    _write_pictures(job, options)
    write.warn_of_moved(output, moved, job.metadata.stored)
    return replace(
        result,
        moved_values=moved,
        seconds=time.monotonic() - started,
        used_memory_bytes=peak_memory_bytes(),
        files=_files(job, options),
        **checked,
    )


def _files(job: Job, options: UpscaleOptions) -> tuple[Path, ...]:
    files = output_files(Work(job.scene.path, job.scene.path, job.output), options)
    asked = (path for path in (options.quicklook, options.report) if path is not None)
    likely = [sibling(file, f"{file.name}.aux.xml") for file in files]
    has_place_inside = output_format(job.output, options.format).name == "netCDF"
    if job.metadata.geolocation is not None and not (options.ortho or has_place_inside):
        from hsisr.io.products.ortho import positions_path

        likely.append(positions_path(job.output))
    found = (one for one in likely if not isinstance(one, RemotePath) and one.exists())
    return (*files, *found, *asked)


def _checked(job: Job, options: UpscaleOptions) -> dict[str, Any]:
    """Size of the output and its agreement with the input, where it is on this machine."""
    if isinstance(job.output, RemotePath) or isinstance(job.scene.path, RemotePath):
        return {}
    agreement = None
    if not options.ortho:
        with closing(open_scene(job.output)) as estimate:
            observed = PartScene(job.scene, bands=job.written)
            agreement = _sampled_agreement(observed, estimate, options.scale)
    alone = replace(options, uncertainty=None)
    files = output_files(Work(job.scene.path, job.scene.path, job.output), alone)
    return {"agreement": agreement, "file_bytes": sum(file.bytes for file in states(files))}


_SAMPLED_ROWS: Final = 8
_SAMPLED_BYTES: Final = 32 * 2**20
"""Of the output in float32, at a time."""


def _sampled_agreement(observed: Scene, estimate: Scene, scale: int) -> float | None:
    """Largest absolute difference of block average and observed pixel in a few rows.

    The first, middle and last 8 rows of the scene, or fewer: enough to notice that something went
    wrong, whatever its size. None where nothing is valid.
    """
    import torch

    lr, found = observed.metadata, list[float]()
    most = _SAMPLED_BYTES // (lr.bands * lr.cols * 4 * scale**2)
    step = max(1, min(_SAMPLED_ROWS, lr.rows, most))
    for row in sorted({0, max(0, lr.rows // 2 - step // 2), lr.rows - step}):
        window = Window(row, 0, step, lr.cols)
        truth, made = observed.read(window), estimate.read(window.scaled(scale))
        blocks = (lr.bands, step, scale, lr.cols, scale)
        mean = area_average(torch.from_numpy(made.values).double(), scale).float().numpy()
        x, y = in_one_unit((truth.values, observed), (mean, estimate))
        valid = truth.valid & made.valid.reshape(blocks).all((2, 4))
        apart = np.abs(y[valid] - x[valid].astype(np.float64))
        found += [float(apart.max())] if apart.size else []
    return max(found, default=None)


def plan_upscale(
    source: str | Path,
    output: str | Path,
    options: UpscaleOptions | None = None,
    *,
    session: Session | None = None,
) -> UpscaleResult:
    """Say what `upscale` would make, and what it would take, without writing anything."""
    source, output = scene_path(source), scene_path(output)
    session, options = _checked_options(source, output, options, session, dry=True)
    with torch_threads(session.threads), closing(_opened(source, options)) as scene:
        job = Job.prepare(scene, output, options, session, session.room)
        write.check_writer(output, job.metadata, job.target)
        return job.result(written=False)


def _checked_options(
    source: Path,
    output: Path,
    options: UpscaleOptions | None,
    session: Session | None,
    *,
    dry: bool,
) -> tuple[Session, UpscaleOptions]:
    """The session and its options, once all that would be written has a name and a place."""
    session = session or Session(options or UpscaleOptions())
    options = session.options_of(options or session.options)
    for read, made in product((source, options.statistics_from), (output, options.uncertainty)):
        if read is not None and made is not None:
            write.refuse_same_file(read, made)
    if dry or not (options.resume or is_unfinished(run_place(output, options.format))):
        write.check_target(output, target_of(options))
    _check_pictures(options, overwrite=options.overwrite or options.resume)
    if options.ortho and (options.quicklook or options.report):
        raise UsageError(
            "--quicklook and --report show an output on the grid of the scene; leave them or "
            "--ortho out"
        )
    _check_uncertainty(output, options, session.model)
    return session, options


def _check_pictures(options: UpscaleOptions, *, overwrite: bool) -> None:
    for path, suffixes in ((options.quicklook, (".png",)), (options.report, (".html", ".htm"))):
        if path is not None:
            from hsisr.view.figure import check_picture

            check_picture(path, overwrite=overwrite, suffixes=suffixes)


def _without_those_there(options: UpscaleOptions) -> UpscaleOptions:
    """Options that ask for no picture or page that is there, since its output is finished."""
    asked = {name: getattr(options, name) for name in ("quicklook", "report")}
    there: dict[str, Any] = {name: None for name, at in asked.items() if at and at.exists()}
    return replace(options, **there)


def _is_finished(source: Path, output: Path, options: UpscaleOptions, session: Session) -> bool:
    """True if there is nothing to resume because this very output is there already."""
    if not options.resume or options.overwrite:
        return False
    from hsisr.resume.completion import judge  # only of a run that is resumed

    found = judge(Work(source, source, output), options, session.model).state == "finished"
    if found:
        warn(f"{output} is finished already")
    return found


def _opened(source: Path, options: UpscaleOptions) -> Scene:
    scene = open_with(source, options, all_bands=True)
    return warn_of_fill(scene) if options.nodata is None else scene


def _unfinished(
    scene: Scene,
    output: Path,
    options: UpscaleOptions,
    session: Session,
    threads: int,
    progress: Progress | None,
) -> AbstractContextManager[RunLock]:
    """The run as it stands: begun now, or by an earlier one that was broken off."""
    few = scene.metadata.bands <= PSEUDO_BANDS[0]
    settled = replace(options, band_groups="all") if few else session.model.settled(options)
    settings = {
        **{name: getattr(settled, name) for name in sorted(AFFECTS_BITS - {"ortho"})},
        **({"ortho": True} if options.ortho else {}),  # runs of earlier versions did not know it
        **hashes_beside(options),
        "creation_options": dict(options.creation_options),
        "device": session.device.type,
        "threads": threads,
        "weights": session.model.sha256 or session.model.name,
        "hsisr": __version__,
        "torch": version("torch"),
    }
    return locked_run(
        run_place(output, options.format),
        lambda: RunKey(input=scene_identity(scene.path), settings=settings),
        lambda: session.room,
        lambda: measure_if_needed(scene, options, session, getattr(progress, "reading", None)),
        resume=options.resume,
        overwrite=options.overwrite,
    )


def _run(job: Job, progress: Progress | None, run: RunLock, threads: int) -> int:
    """Do the work; returns how many values had to be moved."""
    advance = job.counter(progress)
    grows = write.create_writer(job.output, job.metadata, job.target)
    with write.writing_async(grows) as writer, _writing_errors(job, grows) as errors:
        if job.options.scheduler is not None:
            from hsisr.commands.cluster.strips import compute_strips

            compute_strips(job, run, threads, advance)
            advance = job.counter(None)  # all is done; what follows only puts it together
        stitched = job.stitch(writer, advance, journal=_journal(job, run), errors=errors)
        if run.is_outdated():
            raise InputDataError(
                f"{job.scene.path}: changed while it was read, so nothing is written; run again "
                "once it is whole"
            )
        whole = job.scene.whole is job.scene
        if not stitched.seen and whole and "product" in job.scene.metadata.header:
            raise InputDataError(
                f"{job.scene.path}: no pixel is data, all are fill values; order the product again"
            )
        if not stitched.seen:
            warn(
                f"{job.scene.path}: no pixel is data, so none of the output is; if that is wrong, "
                "--nodata names the number that means no data"
            )
    return stitched.moved


def _journal(job: Job, run: RunLock) -> Journal | None:
    """Where finished strips are kept, if that is worth its while.

    An interpolation is done again in the time that its strips take to be read.
    """
    if job.options.scheduler is not None or len(run.journal):
        return run.journal
    strips = len(job.plan.panels) * len(job.plan.rows)
    return run.journal if job.session.model.weights is not None and strips > 1 else None


def _write_pictures(job: Job, options: UpscaleOptions) -> None:
    """The quicklook and the page that are asked for, of the bands that were written."""
    written = ",".join(str(band + 1) for band in job.written)
    part = replace(options, bands=written, wavelengths=None)
    if options.quicklook is not None:
        from hsisr.view.figure import Quicklook, write_quicklook

        path, name = job.scene.path, job.session.model.name
        with closing(open_with(path, part)) as lr, closing(open_scene(job.output)) as hr:
            shown = Quicklook(observed=lr, result=hr, name=name)
            write_quicklook(options.quicklook, shown, overwrite=options.overwrite)
    if options.report is not None:
        from hsisr.commands.options import ViewOptions
        from hsisr.commands.view import view

        names = ("uncertainty", "variable", "axes", "nodata", "overwrite")
        how = ViewOptions(**{name: getattr(options, name) for name in names})
        view(job.scene.path, [job.output], options.report, how, look_for_fill=False, part=part)


def _check_uncertainty(output: Path, options: UpscaleOptions, model: Model) -> None:
    """Refuse early what `_writing_errors` could not write."""
    path = options.uncertainty
    if path is None:
        return
    if isinstance(output, RemotePath) or options.ortho:
        where = "a remote output" if isinstance(output, RemotePath) else "--ortho"
        raise UsageError(f"found --uncertainty with {where}; leave one of them out")
    here = path.resolve().parent == output.resolve().parent and path.name != output.name
    if not here or path.suffix.lower() not in (".tif", ".tiff"):
        raise UsageError(
            f"--uncertainty {path}: expected another .tif in {output.parent}, the folder of the "
            "output, so that both appear together"
        )
    _error_model(model)
    if not options.resume:
        refuse_existing((path,), overwrite=options.overwrite)


def _error_model(model: Model) -> "ErrorModel":
    from hsisr.engine.uncertainty import model_of

    found = None if model.sha256 is None else model_of(model.sha256)
    if found is None:
        raise WeightsError(
            f"--uncertainty: nothing is known of the error of {model.name}; expected weights that "
            "are released with a model of it"
        )
    return found


@contextmanager
def _writing_errors(job: Job, output: SceneWriter) -> "Iterator[StandardErrors | None]":
    """What takes the standard errors of a run; the file appears when `output` is committed."""
    path = job.options.uncertainty
    if path is None:
        yield None
        return
    from hsisr.engine.uncertainty import StandardErrors, levels
    from hsisr.metrics.coverage import FACTORS

    model, result = _error_model(job.session.model), job.metadata
    level = levels(job.scene.whole).subset(job.bands)
    stored = replace(result.stored, dtype=np.dtype(np.float32), nodata=np.nan, offsets=None)
    tags = dict(zip(FACTORS, model.factors.tolist(), strict=True))
    told = {
        f"{PREFIX}STANDARD_ERROR_OF": job.output.name,
        **{f"{PREFIX}{name}": f"{factor:.4g}" for name, factor in tags.items()},
    }
    metadata = replace(result, stored=stored, tags={**result.tags, **told}, geolocation=None)
    target = TargetOptions(format="GTiff", threads=job.target.threads)
    grown = output.companion(path)
    with write.writing_async(write.create_writer(grown, metadata, target)) as writer:
        yield StandardErrors(model, level, writer, whole=result.stored.dtype.kind != "f")

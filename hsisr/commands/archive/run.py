"""Many scenes: best effort through all of them, each finished one remembered."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from hsisr.commands.archive.select import Failure, Selection, companions
from hsisr.commands.upscale import Progress, UpscaleResult, plan_upscale, upscale
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.session import Model, Session, model_named, with_precision
from hsisr.errors import (
    HsisrError,
    InputDataError,
    OutputExistsError,
    ResourceError,
    UsageError,
    means_no_memory,
    system_words,
    warn,
)
from hsisr.io.atomic import resource_errors
from hsisr.io.paths import RemotePath, scene_path
from hsisr.option import Result
from hsisr.resume.record import (
    FileState,
    Record,
    Work,
    head_of,
    item_path,
    output_files,
    output_spec_of,
    source_states,
    states,
    told_of_source,
    write_record,
)
from hsisr.resume.run import clear_rest, is_unfinished, run_place

if TYPE_CHECKING:
    from hsisr.commands.cluster.tasks import WorkerContext

_Came = TypeVar("_Came")


@dataclass(frozen=True, slots=True)
class Done:
    """A scene that was upscaled, or planned."""

    result: UpscaleResult
    item: Path | None
    """The STAC Item that was written."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.result.as_dict(), "item": None if self.item is None else str(self.item)}


@dataclass(frozen=True, slots=True)
class Skipped(Result):
    """A scene whose output is there already."""

    source: Path
    output: Path
    reason: str
    """How that was seen."""


Outcome = Done | Skipped | Failure


def upscale_all(
    selection: Selection,
    options: UpscaleOptions,
    *,
    skip_existing: bool = False,
    dry_run: bool = False,
    progress: Callable[[Path], Progress | None] = lambda _: None,
) -> Iterator[Outcome]:
    """Upscale one after the other; a scene that fails does not stop the rest.

    Outputs in a folder get a completion record each. With `skip_existing` scenes whose output is
    finished are left out, and those whose output is broken off are made anew; what is neither is
    kept, unless `options.overwrite`. `progress` gives the callback of a scene that begins.

    Raises:
        WeightsError: The model cannot be found or used.
        UsageError: The options contradict each other, the model or the machine.
        ResourceError: No such device; or, with a scheduler, it or all of its workers are lost.
    """
    if all(isinstance(entry, Failure) for entry in selection.entries):
        yield from (entry for entry in selection.entries if isinstance(entry, Failure))
        return
    run = _Run(selection, options, model_named(options) if skip_existing else None, dry_run)
    if options.scheduler is not None and len(selection.entries) > 1 and not dry_run:
        yield from _on_workers(run, options.scheduler, progress)
        return
    session = Session(options, run.model)
    run = replace(run, options=session.options)
    for entry in selection.entries:
        if isinstance(entry, Failure):
            yield entry
            continue
        try:
            yield _tried(entry.source, partial(run.do, entry, session, progress))
        except (MemoryError, RuntimeError) as error:
            if not means_no_memory(error):
                raise
            yield Failure(entry.source, ResourceError(f"{entry.source}: out of memory ({error})"))


def _on_workers(
    run: "_Run", scheduler: str, progress: Callable[[Path], Progress | None]
) -> Iterator[Outcome]:
    """The same, on the workers of a Dask scheduler, in the order in which scenes are finished."""
    from hsisr.commands.cluster.connection import connected

    if run.options.precision == "auto":  # here, once, so that all workers compute alike
        run = replace(run, options=with_precision(run.options))
    begun: dict[Path, _Begun] = {}
    for entry in run.selection.entries:
        one = (
            entry if isinstance(entry, Failure) else _tried(entry.source, partial(run.begin, entry))
        )
        if isinstance(one, _Begun):
            begun[one.work.output] = one
        else:
            yield one
    do, tasks = partial(_upscale_here, uuid4().hex), [_task(one) for one in begun.values()]
    with connected(scheduler) as workers:
        for task, report in workers.results(do, tasks):
            one = begun[task.output]
            if report.done is None:
                if report.error is not None:
                    yield Failure(one.work.source, report.error)
                continue
            if (advance := progress(one.work.source)) is not None:
                advance(report.done.tiles, report.done.tiles)
            yield _tried(one.work.source, partial(run.finish, one, report.done))


@dataclass(frozen=True, slots=True)
class _SceneTask:
    source: Path
    output: Path
    options: UpscaleOptions
    seen: tuple[Path, ...]
    """Files and folders that the command sees."""


def _task(begun: "_Begun") -> _SceneTask:
    """What a worker needs.

    What is unfinished by then, and was not before, was left by a worker that died over it.
    """
    source, output, options = scene_path(begun.work.scene), begun.work.output, begun.options
    unfinished = False
    with suppress(UsageError):  # an impossible name; the worker says so
        unfinished = is_unfinished(run_place(output, options.format))
    options = replace(
        options,
        creation_options=dict(options.creation_options),
        resume=options.resume or not unfinished,
        threads=options.threads or 1,
        scheduler=None,
    )
    seen = tuple(path for path in (source, output.parent) if path.exists())
    return _SceneTask(source, output, options, seen)


def _upscale_here(run: str, task: _SceneTask, here: "WorkerContext") -> UpscaleResult:
    """On a worker: one scene of a run, with the session that the scene before used."""
    from hsisr.commands.cluster.tasks import unseen

    for path in task.seen:
        if not path.exists():
            raise unseen(path, here)
    options = replace(task.options, device=here.device(task.options.device))
    session: Session = here.kept(run, partial(Session, options))
    return upscale(
        task.source,
        task.output,
        options,
        session=session,
        progress=lambda _, __: here.require_wanted(),
    )


def _tried(source: Path, do: Callable[[], _Came]) -> _Came | Failure:
    """What comes of a step of one scene; a deliberate error, or one of its files, is its own."""
    try:
        return do()
    except HsisrError as error:
        return Failure(source, error)
    except OSError as error:
        return Failure(source, ResourceError(f"{source}: {system_words(error)}"))


def make_folder(folder: Path) -> None:
    """Make the folder that several outputs go to, unless it is there, or remote."""
    if isinstance(folder, RemotePath):
        return
    with resource_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def _there(folder: Path) -> Iterator[None]:
    """A folder that a run would make is there for its plan, and goes again."""
    lacking = [one for one in (folder, *folder.parents) if not one.exists()]
    make_folder(folder)
    try:
        yield
    finally:
        for one in lacking:
            with suppress(OSError):  # somebody put something there
                one.rmdir()


@dataclass(frozen=True, slots=True)
class _Begun:
    work: Work
    options: UpscaleOptions
    source: tuple[FileState, ...]
    """The files of the scene as they stood before."""
    remote: Sequence[Any]
    """What was told of them where they are not on this machine."""


@dataclass(frozen=True, slots=True)
class _Run:
    """What holds for every scene of a run."""

    selection: Selection
    options: UpscaleOptions
    model: Model | None
    """To compare existing outputs with; None: none is left out."""
    dry_run: bool

    def do(
        self, work: Work, session: Session, progress: Callable[[Path], Progress | None]
    ) -> Done | Skipped:
        """One scene."""
        planned = self.dry_run and self.selection.in_folder
        planned = planned and not isinstance(work.output, RemotePath)
        with _there(work.output.parent) if planned else nullcontext():
            begun = self.begin(work)
            if isinstance(begun, Skipped):
                return begun
            if self.dry_run:
                plan = plan_upscale(work.scene, work.output, begun.options, session=session)
                return Done(plan, None)
        shown = progress(work.source)
        result = upscale(work.scene, work.output, begun.options, session=session, progress=shown)
        return self.finish(begun, result)

    def begin(self, work: Work) -> _Begun | Skipped:
        """Decide how a scene is upscaled, or that it is left out: its finished output is there."""
        options = self._with_own_companions(work.output)
        if work.item is not None:
            from hsisr.io.stac.bands import bands_of

            fields = work.item.item.assets[work.item.key].extra_fields
            said = bands_of(fields, work.item.item.properties)
            options = replace(options, item_bands=said)
        if self.model is not None:
            judged = self._judged(work, options, self.model)
            if isinstance(judged, Skipped):
                return judged
            options = judged
        if work.item is not None:
            from hsisr.commands.archive.stac_item import check_item

            kept = options.resume and work.output.exists()  # finished, or refused by its own name
            check_item(work, overwrite=options.overwrite or kept)
        told = told_of_source(work) if self.selection.in_folder else ()
        return _Begun(work, options, source_states(work), told)

    def finish(self, begun: _Begun, result: UpscaleResult) -> Done:
        """Put an item and a record beside an output."""
        work, options, item = begun.work, begun.options, None
        if work.item is not None:
            from hsisr.commands.archive.stac_item import write_item

            part, anew = bool(options.window or options.bbox), options.overwrite
            item = item_path(work.output)
            if anew or not (options.resume and item.exists()):
                write_item(work.item, work.output, result, part=part, overwrite=anew)
            result = replace(result, files=(*result.files, item))
        if self.selection.in_folder:
            _remember(begun, result)
        return Done(result, item)

    def _judged(
        self, work: Work, options: UpscaleOptions, model: Model
    ) -> UpscaleOptions | Skipped:
        """The options to make the output with, unless it is to be left out."""
        from hsisr.resume.completion import judge  # only with --skip-existing

        verdict = judge(work, options, model)
        if verdict.state == "finished":
            clear_rest(run_place(work.output, options.format))
            return Skipped(work.source, work.output, verdict.reason)
        if verdict.state == "half":
            warn(f"{work.output} {verdict.reason}; it is made anew")
            return replace(options, overwrite=True)
        if verdict.state == "other" and not options.overwrite:
            raise OutputExistsError(
                f"{work.output} {verdict.reason}, and is kept; --overwrite replaces it"
            )
        return options

    def _with_own_companions(self, output: Path) -> UpscaleOptions:
        """The options with the companions of one scene, in folders named for several."""
        changes: dict[str, Any] = {}
        for name, path in companions(output, self.options).items():
            folder = getattr(self.options, name)
            if not (self.selection.total > 1 or folder.is_dir()):
                continue
            if folder.suffix.lower() == path.suffix:
                raise UsageError(f"--{name} {folder} is one file; several scenes need a folder")
            is_made = not self.dry_run or folder.is_dir()
            if is_made:
                make_folder(folder)
            changes[name] = path if is_made else None
        return replace(self.options, **changes)


def _remember(begun: _Begun, result: UpscaleResult) -> None:
    """Write the record of an output; without one it is still known by its tags, so go on."""
    from hsisr import __version__

    work, options = begun.work, replace(begun.options, band_groups=result.band_groups)
    files = output_files(work, options)
    try:
        record = Record(
            hsisr=__version__,
            source=begun.source,
            output=states(files),
            heads={path.name: head for path in files if (head := head_of(path))},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            making=output_spec_of(options, work.output, result.model, result.weights_sha256),
            moved_values=result.moved_values,
            seconds=round(result.seconds, 3),
            remote_source=begun.remote,
        )
        write_record(work.output, record)
    except (InputDataError, ResourceError) as error:
        warn(f"{work.output} has no record: {error}")

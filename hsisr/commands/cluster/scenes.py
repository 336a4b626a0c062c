"""The scenes of an archive, each upscaled whole by one worker."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from hsisr.commands.cluster.connection import connected
from hsisr.commands.cluster.tasks import WorkerContext, unseen
from hsisr.commands.upscale import UpscaleResult, upscale
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.session import Session
from hsisr.errors import HsisrError, UsageError
from hsisr.resume.lock import is_unfinished, run_place


@dataclass(frozen=True, slots=True)
class SceneTask:
    """A scene, its output, and how."""

    source: Path
    output: Path
    options: UpscaleOptions
    seen: tuple[Path, ...] = ()
    """Files and folders that the command sees."""


def upscale_scenes(
    tasks: Sequence[SceneTask], scheduler: str
) -> Iterator[tuple[SceneTask, UpscaleResult | HsisrError]]:
    """Upscale scenes on workers, one at a time on each; gives them as they finish."""
    run = uuid4().hex
    with connected(scheduler) as workers:
        do = partial(_upscale_here, run)
        for task, report in workers.results(do, [_ready(task) for task in tasks]):
            done = report.error if report.done is None else report.done
            if done is not None:
                yield task, done


def _ready(task: SceneTask) -> SceneTask:
    """A task as a worker needs it.

    What is unfinished by then, and was not before, was left by a worker that died over it.
    """
    options = task.options
    options = replace(
        options,
        creation_options=dict(options.creation_options),
        resume=options.resume or not _is_unfinished(task),
        threads=options.threads or 1,
        scheduler=None,
    )
    seen = tuple(path for path in (task.source, task.output.parent) if path.exists())
    return replace(task, options=options, seen=seen)


def _is_unfinished(task: SceneTask) -> bool:
    try:
        return is_unfinished(run_place(task.output, task.options.format))
    except UsageError:  # an impossible name; the worker says so
        return False


def _upscale_here(run: str, task: SceneTask, here: WorkerContext) -> UpscaleResult:
    """On a worker: one scene of a run."""
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

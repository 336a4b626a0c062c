"""What a worker does with a task: alone in its process, in the command's folder, stoppable.

The scheduler loads this file too, and nothing that it names; so it imports little.
"""

import pickle
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from hsisr.errors import HsisrError, HsisrWarning, ResourceError

_Task = TypeVar("_Task")
_Done = TypeVar("_Done")
_Kept = TypeVar("_Kept")

_ALONE: Final = threading.Lock()
"""A worker may have many threads; a scene takes its memory and its processor threads once."""
_KEPT: Final[dict[object, Any]] = {}
_TIMERS: Final[list[threading.Timer]] = []
_IDLE_S: Final = 60.0
"""How long a worker without tasks keeps what it has; weights would hold their memory for ever."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The worker that a task runs on."""

    name: str
    """For messages: its machine and process."""
    number: int
    """Among the workers of its machine."""
    require_wanted: Callable[[], None]
    """Raises ResourceError once nobody waits for the task any more."""

    def kept(self, key: object, make: Callable[[], _Kept]) -> _Kept:
        """What the task before made under this key, such as a loaded network, or it is made now.

        A worker keeps one thing; it is let go of once the worker has had no task for a while.
        """
        found: _Kept | None = _KEPT.get(key)
        if found is None:
            _KEPT.clear()
            found = _KEPT[key] = make()
        return found

    def device(self, asked: str) -> str:
        """The device of that name; where several GPUs would do, this worker's own."""
        import torch

        several = torch.cuda.device_count() if asked in ("auto", "cuda") else 0
        return f"cuda:{self.number % several}" if several > 1 else asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Generic[_Done]):
    """What came of a task."""

    done: _Done | None = None
    error: HsisrError | None = None
    said: tuple[tuple[type[HsisrWarning], str], ...] = ()
    """Warnings on the way."""


Doing = Callable[[_Task, WorkerContext], _Done]
"""A function of a module (it travels by its name), or a `functools.partial` of one."""


def carry_out(parcel: bytes, folder: str, number: int) -> Report[Any]:
    """Do a task on a worker, in the folder where the command was given.

    Deliberate errors and warnings come back in the report.
    """
    here = _here(number)
    with _ALONE, _kept_for_a_while(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        done, error = None, None
        try:
            here.require_wanted()
            with ExitStack() as stack:
                try:
                    stack.enter_context(chdir(folder))
                except OSError as lost:
                    raise unseen(folder, here) from lost
                do, task = pickle.loads(parcel)  # noqa: S301 - Dask itself runs what it is sent
                done = do(task, here)
        except HsisrError as found:
            error = found
        except MemoryError as found:
            error = ResourceError(f"worker {here.name} is out of memory ({found})")
    ours = [(w.category, str(w.message)) for w in said if issubclass(w.category, HsisrWarning)]
    return Report(done=done, error=error, said=tuple(ours))


@contextmanager
def _kept_for_a_while() -> Iterator[None]:
    while _TIMERS:
        _TIMERS.pop().cancel()
    try:
        yield
    finally:
        timer = threading.Timer(_IDLE_S, _KEPT.clear)
        timer.daemon = True
        _TIMERS.append(timer)
        timer.start()


def dask_setup(worker: Any) -> None:  # noqa: ARG001 - Dask calls it so where this is preloaded
    """Prepare a worker process that a command started, and leave Ctrl-C to that command."""
    from hsisr.engine.machine import tune_allocator

    tune_allocator()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _here(number: int) -> WorkerContext:
    from distributed import get_worker

    worker: Any = get_worker()
    key = worker.get_current_task()

    tasks = getattr(getattr(worker, "state", None), "tasks", None)  # no public part of Dask

    def require_wanted() -> None:
        if tasks is not None and getattr(tasks.get(key), "state", None) != "executing":
            raise ResourceError("nobody waits for this any more")

    return WorkerContext(f"{socket.gethostname()} ({worker.address})", number, require_wanted)


def unseen(path: object, here: WorkerContext) -> ResourceError:
    """The error of a worker without the shared file system."""
    return ResourceError(
        f"worker {here.name} does not see {path}; workers need the same file system under the same "
        "path, so mount it there, or run without --scheduler"
    )

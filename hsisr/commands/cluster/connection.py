"""The workers of a Dask scheduler: found, checked, given one task each at a time."""

import asyncio
import importlib.metadata
import logging
import os
import pickle
import threading
import time
import warnings
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hsisr.commands.cluster.tasks import Doing, Report, carry_out
from hsisr.errors import ResourceError, UsageError

if TYPE_CHECKING:
    from distributed import Client, Future

_Task = TypeVar("_Task")
_Done = TypeVar("_Done")

CONNECT_S: Final = 5.0
"""How long a scheduler may take to answer."""
WORKER_S: Final = 15.0
"""How long there may be no worker at all; one that was killed is often started anew.

It counts from when none was seen, because nobody looks while what came last is put to use.
"""
_LOOK_S: Final = 0.25
_COUNT_S: Final = 1.0
_ALIKE: Final = ("hsisr", "torch")
"""Packages that decide numbers: all workers need the command's versions."""


class Workers:
    """What a scheduler has to offer; see `connected`."""

    def __init__(self, client: "Client", scheduler: str) -> None:
        self._client, self._scheduler = client, scheduler
        self._numbers: dict[str, int] = {}
        self._known: list[str] = []
        self._counted = 0.0
        self._lacking_since: float | None = None

    def count(self) -> int:
        """How many workers there are, once there is one."""
        while not self._there():
            time.sleep(_LOOK_S)
        return len(self._known)

    def results(
        self, do: Doing[_Task, _Done], tasks: Sequence[_Task]
    ) -> Iterator[tuple[_Task, Report[_Done]]]:
        """Do tasks, one at a time on each worker; gives them in the order in which they finish.

        A task whose worker dies is done by another. Leaving early cancels what is not finished.
        """
        waiting = deque(tasks)
        running: dict[Future[Any], tuple[_Task, str]] = {}
        woken = threading.Event()
        try:
            while waiting or running:
                busy = {address for _, address in running.values()}
                for address in [a for a in self._there() if a not in busy][: len(waiting)]:
                    task = waiting.popleft()
                    future = self._submit(do, task, address)
                    running[future] = task, address
                    future.add_done_callback(lambda _: woken.set())
                finished = [future for future in running if future.done()]
                for future in finished:
                    task, _ = running.pop(future)
                    yield task, self._report(future)
                if not finished:
                    woken.wait(_COUNT_S)
                    woken.clear()
        finally:
            if running and self._client.status == "running":
                with suppress(OSError, ValueError):  # a scheduler that is gone has forgotten them
                    self._client.cancel(list(running), force=True)

    def _there(self) -> list[str]:
        """Addresses of the workers, each checked once; counted anew after a while."""
        if time.monotonic() < self._counted + _COUNT_S:
            return self._known
        try:
            found = self._client.nthreads() if self._client.status == "running" else None
        except (OSError, ValueError):
            found = None
        if found is None:
            raise self._gone()
        self._counted = now = time.monotonic()
        self._known = [a for a in sorted(found) if a in self._known or self._is_fit(a)]
        if self._known:
            self._lacking_since = None
        elif self._lacking_since is None:
            self._lacking_since = now
        elif now > self._lacking_since + WORKER_S:
            raise ResourceError(
                f"the scheduler {self._scheduler} has no workers; start some (dask worker "
                f"ADDRESS), or run without --scheduler"
            )
        return self._known

    def _is_fit(self, address: str) -> bool:
        """True for a worker of our versions; False for one that is gone already."""
        for package in _ALIKE:
            # a function of the standard library: it arrives whatever the worker has installed
            answers = self._client.run(
                importlib.metadata.version, package, workers=[address], on_error="return"
            )
            found, ours = answers.get(address), importlib.metadata.version(package)
            if isinstance(found, importlib.metadata.PackageNotFoundError):
                found = "none"
            if not isinstance(found, str):
                return False
            if found != ours:
                raise ResourceError(
                    f"worker {address} has {package} {found}, the command {package} {ours}; "
                    f"install {package} {ours} on all workers and start them again"
                )
        return True

    def _submit(self, do: Doing[_Task, _Done], task: _Task, address: str) -> "Future[Any]":
        host = _host(address)
        if address not in self._numbers:
            taken = Counter(_host(other) for other in self._numbers if other in self._known)
            self._numbers[address] = taken[host]
        return self._client.submit(
            carry_out,
            pickle.dumps((do, task)),  # closed to the scheduler
            os.getcwd(),  # noqa: PTH109 - as text, which any worker understands
            self._numbers[address],
            workers=[address],
            allow_other_workers=True,
            pure=False,
        )

    def _report(self, future: "Future[Any]") -> Report[Any]:
        from distributed import KilledWorker

        if future.status not in ("finished", "error"):
            raise self._gone()
        try:
            report: Report[Any] = future.result()
        except KilledWorker as error:
            return Report(
                error=ResourceError(
                    "the workers that had this task died, one after the other; it may need more "
                    f"memory than they have ({' '.join(str(error).split())[:200]})"
                )
            )
        except RuntimeError as error:
            if not isinstance(error.__cause__, ImportError):
                raise
            raise ResourceError(
                f"the scheduler {self._scheduler} cannot load hsisr ({error.__cause__}); start it "
                "where hsisr is installed"
            ) from error
        for category, text in report.said:
            warnings.warn(text, category, stacklevel=4)
        return report

    def _gone(self) -> ResourceError:
        return ResourceError(
            f"the scheduler {self._scheduler} does not answer any more; start one, or run without "
            "--scheduler"
        )


@contextmanager
def connected(scheduler: str) -> Iterator[Workers]:
    """The workers of a scheduler, `tcp://host:port` or `tls://...`; of `local:N` so many processes.

    Raises:
        ResourceError: Nothing answers there, or processes cannot be started.
        UsageError: Dask is not installed.
    """
    try:
        import distributed
    except ImportError as error:
        raise UsageError(
            "--scheduler needs Dask, which is not installed; pip install 'hsisr[dask]'"
        ) from error
    with _silent(), ExitStack() as stack:
        try:
            if scheduler.startswith("local:"):
                address: Any = stack.enter_context(_local_cluster(int(scheduler[6:])))
            else:
                _require_answer(scheduler)
                address = scheduler
            client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except ResourceError:
            raise
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            raise ResourceError(
                f"no Dask scheduler at {scheduler} ({error}); start one (dask scheduler), or run "
                "without --scheduler"
            ) from error
        stack.callback(client.close, timeout=CONNECT_S)
        yield Workers(client, scheduler)


@contextmanager
def _local_cluster(count: int) -> Iterator[Any]:
    """Worker processes of this machine, one thread each; memory is the plan's business.

    Dask writes `OMP_NUM_THREADS=1` and the like into this process' environment for them and leaves
    it there; it is put back, or whatever this process starts later would have one thread.
    """
    from distributed import LocalCluster

    before = dict(os.environ)
    try:
        with LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            memory_limit=None,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
            preload=["hsisr.commands.cluster.tasks"],
        ) as cluster:
            yield cluster
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _require_answer(scheduler: str) -> None:
    """Shake hands once; Dask's client would wait for ever where something else listens."""
    from distributed.comm.core import connect
    from distributed.security import Security

    keys = Security().get_connection_args("client")
    if scheduler.startswith("tls:") and keys.get("ssl_context") is None:
        raise ResourceError(
            f"{scheduler} needs TLS keys, and Dask's configuration names none; set "
            "distributed.comm.tls (docs.dask.org, TLS), or use tcp://"
        )

    async def shake_hands() -> None:
        waiting = connect(scheduler, timeout=CONNECT_S, **keys)
        await (await asyncio.wait_for(waiting, CONNECT_S)).close()

    try:
        with ThreadPoolExecutor(1) as thread:  # this one may have an event loop already
            thread.submit(asyncio.run, shake_hands()).result()
    except TimeoutError as error:
        raise TimeoutError(f"no answer within {CONNECT_S:g} s") from error


def _host(address: str) -> str:
    return address.rpartition(":")[0]


@contextmanager
def _silent() -> Iterator[None]:
    """Keep Dask's own complaints to itself; those that matter become errors of ours."""
    names = [n for n in logging.root.manager.loggerDict if n.partition(".")[0] == "distributed"]
    handlers = [handler for name in names for handler in logging.getLogger(name).handlers]
    before = [handler.level for handler in handlers]
    for handler in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in zip(handlers, before, strict=True):
            handler.setLevel(level)

"""One piece of work ahead: the next result is made while the last one is used."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


def one_ahead(tasks: Iterable[Callable[[], _Result]]) -> Iterator[_Result]:
    """Results in order; one task at a time runs in a thread of its own.

    An error of a task is raised where its result would have come. Whoever stops early waits for
    the task under way.

    >>> list(one_ahead([lambda: 1, lambda: 2]))
    [1, 2]
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    before: Future[_Result] | None = None
    try:
        for task in tasks:
            coming = thread.submit(task)
            if before is not None:
                yield before.result()
            before = coming
        if before is not None:
            yield before.result()
    finally:
        thread.shutdown(wait=True, cancel_futures=True)

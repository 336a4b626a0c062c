"""One piece of work ahead: the next result is made while the last one is used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


def prefetch(
    tasks: Iterable[Callable[[], _Result]], thread: ThreadPoolExecutor
) -> Iterator[_Result]:
    """Results in order; one task at a time runs in a thread of its own.

    An error of a task is raised where its result would have come.

    Args:
        tasks: What to do.
        thread: A pool of one thread, which may serve many calls; whoever leaves it waits for the
            task under way.

    >>> with ThreadPoolExecutor(1) as thread:
    ...     list(prefetch([lambda: 1, lambda: 2], thread))
    [1, 2]
    """
    before: Future[_Result] | None = None
    for task in tasks:
        coming = thread.submit(task)
        if before is not None:
            yield before.result()
        before = coming
    if before is not None:
        yield before.result()


def under_way(begun: Iterable[Callable[[], _Result]], most: int) -> Iterator[_Result]:
    """Results in order, of work that goes on by itself once it is begun.

    Args:
        begun: Begins the next piece when asked for it; what it gives waits for the result.
        most: Pieces under way at once; with 1 the next is begun when the last result was used.

    >>> list(under_way([lambda: 1, lambda: 2], most=2))
    [1, 2]
    """
    waiting: deque[Callable[[], _Result]] = deque()
    for wait in begun:
        waiting.append(wait)
        if len(waiting) >= most:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()

"""Progress of a call from Python: a bar in a notebook or on a terminal, or a function called."""

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, int], None]
"""Called with what is done and what there is in all."""
Progress = bool | Advance | None
"""True: a bar; a function: it is called; False or None: nothing."""

_EVERY_S = 0.1


@contextmanager
def shown(progress: Progress, what: str) -> Iterator[Advance | None]:
    """What to call as work gets done, or None.

    With True a notebook gets a bar under its cell and a terminal one on stderr; elsewhere (a batch
    job, a pipe) nothing is shown.
    """
    if progress is None or progress is False:
        yield None
    elif progress is not True:
        yield progress
    elif _in_notebook():
        yield _notebook_bar(what)
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress as Bars

        with Bars(console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(what, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)
    else:
        yield None


def _in_notebook() -> bool:
    """True inside a Jupyter kernel, which has IPython loaded."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def _notebook_bar(what: str) -> Advance:
    from IPython.display import HTML, display

    handle = display(HTML(_bar(what, 0, 1, 0.0)), display_id=True)  # type: ignore[no-untyped-call]
    started, drawn = time.monotonic(), 0.0

    def advance(done: int, total: int) -> None:
        nonlocal drawn
        now = time.monotonic()
        if done == total or now - drawn > _EVERY_S:
            drawn = now
            handle.update(HTML(_bar(what, done, total, now - started)))  # type: ignore[no-untyped-call]

    return advance


def _bar(what: str, done: int, total: int, seconds: float) -> str:
    left = f", {seconds / done * (total - done):.0f} s left" if 0 < done < total else ""
    return (
        f"<progress value='{done}' max='{total}' aria-label='{html.escape(what, quote=True)}'>"
        f"</progress> {html.escape(what)}: {done} of {total}, {seconds:.0f} s{left}"
    )

"""Progress on stderr: a bar with rate and time left, on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Advance = Callable[[int, int], None]


@contextmanager
def progress_bars(*, enabled: bool) -> Iterator[Callable[[Path], Advance | None]]:
    """A function that opens the bar of one scene and returns its callback (done, total)."""
    if not enabled or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tiles"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def open_bar(scene: Path) -> Advance:
            task = progress.add_task(scene.name, total=None, rate="")

            def advance(done: int, total: int) -> None:
                speed = progress.tasks[task].speed
                rate = f"{speed:.1f}/s" if speed else ""
                progress.update(task, completed=done, total=total, rate=rate)

            return advance

        yield open_bar

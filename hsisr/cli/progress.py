"""Progress on stderr: a bar with rate and time left, on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hsisr.cli.console import progress_on_stderr

Advance = Callable[[int, int], None]


@contextmanager
def progress_bars(*, enabled: bool) -> Iterator[Callable[[Path], Advance | None]]:
    """A function that opens the bar of one scene and returns its callback (done, total)."""
    if not enabled or not sys.stderr.isatty():
        yield lambda _: None
        return
    with progress_on_stderr() as progress:

        def open_bar(scene: Path) -> Advance:
            task = progress.add_task(scene.name, total=None, talk="tiles")

            def advance(done: int, total: int) -> None:
                speed = progress.tasks[task].speed
                talk = f"tiles {speed:.1f}/s" if speed else "tiles"
                progress.update(task, completed=done, total=total, talk=talk)

            return advance

        yield open_bar

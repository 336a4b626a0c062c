"""The share of an archive that one of several runs does."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from hsisr.errors import UsageError

_Entry = TypeVar("_Entry")
_FORM: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_EXPECTED: Final = "expected I/N with I from 1 to N, such as 1/4"
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Shard:
    """Every `of`-th entry of a list, beginning with the `number`-th; both count from 1.

    Raises:
        UsageError: There is no such shard.

    >>> Shard(2, 3).of_all("abcdefgh")
    ('b', 'e', 'h')
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise UsageError(f"shard {self.number}/{self.of}: {_EXPECTED}")

    def of_all(self, entries: Sequence[_Entry]) -> tuple[_Entry, ...]:
        """The entries of this shard; every entry is in one of the shards and in no other."""
        return tuple(entries[self.number - 1 :: self.of])


def shard_named(text: str) -> Shard:
    """The shard that `--shard I/N` means.

    Raises:
        UsageError: The text is not of that form, or there is no such shard.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"--shard {text}: {_EXPECTED}")
    return Shard(int(found[1]), int(found[2]))


def shard_of_job(environment: Mapping[str, str]) -> Shard | None:
    """The shard of a task in a SLURM job array; None outside of one.

    Arrays may begin anywhere and have steps (`--array=0-7`, `1-8`, `0-28:4`).

    Args:
        environment: SLURM_ARRAY_TASK_ID and _COUNT; _MIN, _MAX and _STEP where they are set.

    Raises:
        UsageError: A value is no number, or the tasks' numbers have gaps, so that shards would be
            left out.
    """
    task, count, first, last, step = (
        _whole(environment, f"SLURM_ARRAY_TASK_{name}")
        for name in ("ID", "COUNT", "MIN", "MAX", "STEP")
    )
    if task is None or count is None:
        return None
    first, step = 1 if first is None else first, step or 1
    gaps = last is not None and last != first + (count - 1) * step
    place, off_grid = divmod(task - first, step)
    if gaps or off_grid or not 0 <= place < count:
        raise UsageError(
            f"SLURM_ARRAY_TASK_ID is {task} in an array of {count} tasks whose numbers are not "
            f"{first}, {first + step}, ...; name the share with --shard I/N (1/1 for all)"
        )
    return Shard(place + 1, count)


def _whole(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name, "").strip()
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"{name} is {text!r}, expected a whole number; or give --shard I/N")
    return int(text)

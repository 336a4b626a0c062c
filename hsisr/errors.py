"""Every deliberate error and warning; each error class carries its exit code.

A message says what was found, what was expected and what to do. The command line prints that
line and nothing else.
"""

from typing import ClassVar


class HsisrError(Exception):
    """Base of all deliberate errors; the command line prints its message and nothing else."""

    exit_code: ClassVar[int] = 1


class OutputExistsError(HsisrError, FileExistsError):
    """The output is there already and `--overwrite` was not given."""


class UsageError(HsisrError, ValueError):
    """The options contradict each other or ask for something that does not exist."""

    exit_code = 2


class TilingError(UsageError):
    """Windows cannot cover an axis as asked."""


class InputDataError(HsisrError, ValueError):
    """The data given cannot be used as it is."""

    exit_code = 3


class WeightsError(HsisrError, ValueError):
    """A weights file or model name cannot be used."""

    exit_code = 4


class ResourceError(HsisrError, OSError):
    """The machine lacks something: space, memory, a device, the permission to write."""

    exit_code = 5


class HsisrWarning(UserWarning):
    """Something the user may want to know but need not act on."""


class MovedValuesWarning(HsisrWarning):
    """Values had to be changed to fit the output's data type or to stay apart from nodata."""

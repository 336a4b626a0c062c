"""How the files that are compared are opened: with which variable, order of axes and nodata."""

import warnings
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from hsisr.commands.options import EvaluateOptions
from hsisr.errors import HsisrError, InputDataError, UsageError
from hsisr.io.base import Scene
from hsisr.io.open import open_scene, options_of_kind, part_of
from hsisr.io.views import warn_of_fill, watched_for_digits
from hsisr.resume.record import provenance_of


def axes_of(files: Mapping[Path, str | None], axes: str | None) -> dict[Path, str | None]:
    """The order of axes to open each file with; of each, the variable to be opened is given.

    It is for all whose kind takes one; of several, not for those that hsisr wrote, whose order
    their reader finds. Where none takes one, it is for all, and they refuse it.
    """
    takers = [file for file in files if options_of_kind(file, None, axes)[1]]
    if len(takers) > 1:
        own = [file for file in takers if _is_own(file, files[file])]
        return {file: axes if file in takers and file not in own else None for file in files}
    return {file: axes if file in (takers or files) else None for file in files}


def _is_own(file: Path, variable: str | None) -> bool:
    variable = options_of_kind(file, variable, None)[0]
    with (
        warnings.catch_warnings(action="ignore"),
        suppress(HsisrError),
        open_scene(file, variable=variable) as scene,
    ):
        return bool(provenance_of(scene.metadata))
    return False


def opened(
    stack: ExitStack,
    path: Path | None,
    options: EvaluateOptions,
    axes: Mapping[Path, str | None],
    *,
    alone: bool,
) -> Scene | None:
    """Open a known file; of two, only those whose kind takes `variable` get it."""
    if path is None:
        return None
    variable = options.variable if alone else options_of_kind(path, options.variable, None)[0]
    scene = open_scene(path, variable=variable, axes=axes[path], nodata=options.nodata)
    scene = stack.enter_context(closing(part_of(watched_for_digits(scene), options)))
    return warn_of_fill(scene) if options.nodata is None else scene


def opened_estimate(path: Path, options: EvaluateOptions, axes: str | None) -> Scene:
    """The estimate, to which `nodata` applies where its file names no such number."""
    how = {"variable": options.estimate_variable, "axes": axes}
    try:
        scene = open_scene(path, **how)
    except (InputDataError, UsageError) as error:  # the estimate has an option of its own
        raise type(error)(str(error).replace("--variable", "--estimate-variable")) from error
    if options.nodata is not None and scene.metadata.stored.nodata is None:
        scene.close()
        scene = open_scene(path, **how, nodata=options.nodata)
    part = part_of(watched_for_digits(scene), options)
    return warn_of_fill(part) if options.nodata is None else part

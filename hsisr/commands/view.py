"""Make a page on which a scene and its results can be looked at."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from hsisr.commands.evaluation.agreement import other_place
from hsisr.commands.evaluation.evaluate import axes_of
from hsisr.commands.options import ViewOptions
from hsisr.errors import warn
from hsisr.io.base import Scene
from hsisr.io.open import open_scene, options_of_kind, part_of
from hsisr.io.paths import folder_of, scene_path
from hsisr.io.views import warn_of_fill
from hsisr.option import Result
from hsisr.view.figure import check_picture
from hsisr.view.maps import require_finer
from hsisr.view.page import PageScenes, page_content, write_page

SUFFIXES = (".html", ".htm")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewResult(Result):
    """The page that was made."""

    output: Path
    bytes: int
    windows: tuple[str, ...]
    """Which full-size windows it has, in words."""


def view(
    observed: str | Path,
    results: Sequence[str | Path] = (),
    output: str | Path | None = None,
    options: ViewOptions | None = None,
    *,
    look_for_fill: bool = True,
    part: object = None,
) -> ViewResult:
    """Write a self-contained page of at most 25 MB; without a name NAME_view.html beside the scene.

    `results` are made from the observed scene, on grids a whole number of times finer, or from the
    `part` of it that options name (`part_of`). Undeclared fill is warned of, unless the caller has
    done so already and switches `look_for_fill` off.

    A result that does not fit the observed scene is refused, and so is a window outside it.
    """
    how, path = options or ViewOptions(), scene_path(observed)
    page = folder_of(path) / f"{path.stem}_view.html"
    output = page if output is None else Path(output)
    check_picture(output, overwrite=how.overwrite, suffixes=SUFFIXES)
    named = [name for name in (observed, *results, how.uncertainty) if name is not None]
    axes = axes_of(dict.fromkeys(map(scene_path, named), how.variable), how.axes)
    with ExitStack() as stack:

        def opened(name: str | Path, nodata: str | None = None) -> Scene:
            path = scene_path(name)
            variable = options_of_kind(path, how.variable, None)[0]
            scene = open_scene(path, variable=variable, axes=axes[path], nodata=nodata)
            return stack.enter_context(closing(scene))

        scenes = PageScenes(
            observed=part_of(opened(observed, how.nodata), part),
            results=tuple(opened(result) for result in results),
            uncertainty=None if how.uncertainty is None else opened(how.uncertainty),
        )
        if look_for_fill and how.nodata is None:
            warn_of_fill(scenes.observed)
        for result in scenes.results:
            grid = scenes.observed.metadata.finer(require_finer(scenes.observed, result))
            for what in other_place(grid, result.metadata):
                warn(
                    f"{result.path.name} has another {what} than {scenes.observed.path.name}; they "
                    "are shown pixel on pixel all the same"
                )
        content = page_content(scenes, how.windows)
        title = f"hsisr view: {scenes.observed.path.name}"
        size = write_page(output, title, content, overwrite=how.overwrite)
    return ViewResult(output=output, bytes=size, windows=tuple(content.windows))

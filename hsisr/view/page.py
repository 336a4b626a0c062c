"""The page of a scene: one file that asks the network for nothing."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from hsisr.errors import ResourceError
from hsisr.io.atomic import write_new
from hsisr.view.colours import map_picture, scale_picture, top_of
from hsisr.view.content import PageContent

MOST_BYTES = 25_000_000


def write_page(path: Path, title: str, content: PageContent, *, overwrite: bool) -> int:
    """Write the page, whole or not at all.

    Args:
        path: The file to make.
        title: Of the page.
        content: What it shows.
        overwrite: Replace an existing file.

    Returns:
        Its size in bytes.

    Raises:
        OutputExistsError: The file exists and `overwrite` is off.
        ResourceError: It cannot be written, or would be larger than 25 MB.
    """
    text = page_text(title, content).encode()
    if len(text) > MOST_BYTES:
        raise ResourceError(
            f"{path}: the page would take {len(text) / 1e6:.1f} MB, more than 25; name fewer "
            "results or windows"
        )
    write_new(path, text, overwrite=overwrite)
    return len(text)


def page_text(title: str, content: PageContent) -> str:
    """The page as text."""
    from hsisr import __version__

    top = 1.0 if content.maps is None else top_of([content.maps.detail])
    return (
        _template()
        .render(
            title=title,
            content=content,
            maps=_maps(content, top),
            top=f"{top:.3g}",
            scale=scale_picture(),
            shaded=content.data["good"] is not None,
            version=__version__,
            data=_in_script(json.dumps(content.data, allow_nan=False)),
            plot_js=_file("uPlot.iife.min.js"),
            plot_css=_file("uPlot.min.css"),
            js=_file("page.js"),
            css=_file("page.css"),
        )
        .strip()
        + "\n"
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return environment.from_string(_file("page.html.j2"))


def _file(name: str) -> str:
    return (files("hsisr.view") / name).read_text(encoding="utf-8")


def _in_script(text: str) -> str:
    """JSON that cannot end the script element it stands in."""
    return text.replace("<", "\\u003c")


def _maps(content: PageContent, top: float) -> list[dict[str, Any]]:
    if content.maps is None:
        return []
    maps = content.maps
    largest = float(np.nanmax(maps.agreement, initial=0.0))
    row, col = maps.most_detail()
    return [
        {
            "picture": map_picture(maps.detail, top),
            "words": "Added detail: RMS of result minus bicubic over good bands.",
            "alt": f"Map of added detail; most of it near row {row + 1}, column {col + 1}.",
        },
        {
            "picture": map_picture(maps.agreement, top),
            "words": "Agreement: RMS of the result's block averages minus the observed pixels, "
            f"in the same colours; at most {largest:.2g}.",
            "alt": f"Map of disagreement with the observed scene, at most {largest:.2g}.",
        },
    ]

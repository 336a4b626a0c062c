"""The page of a scene, one file that asks the network for nothing, and what it shows."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np
import numpy.typing as npt

from hsisr.errors import ResourceError, UsageError
from hsisr.io.atomic import write_new
from hsisr.io.base import Scene
from hsisr.models.interpolation import KERNELS, phase_weights
from hsisr.resume.record import provenance_of
from hsisr.scene.metadata import SceneMetadata
from hsisr.scene.rendering import colour_bands
from hsisr.tiling import Window
from hsisr.view.encoding import PackedCube, map_picture, pack, scale_picture, top_of
from hsisr.view.figure import CONTEXT_PX, describe_colours, same_numbers, values_in
from hsisr.view.maps import (
    DetailMaps,
    band_pairs,
    detail_maps,
    overview_cube,
    overview_step,
    require_finer,
)

Float32 = npt.NDArray[np.float32]

CUBES_BYTES: Final = 18_000_000
"""Of all compressed cubes; with base64, pictures and the library a page stays below 25 MB."""
_OVERVIEW_BYTES: Final = CUBES_BYTES // 2
_OVERVIEW_BITS: Final = (12, 10, 8, 7, 6)
_WINDOW_BITS: Final = 12
_LARGEST_WINDOW_HR_PX: Final = 512
_SMALLEST_WINDOW_LR_PX: Final = 4


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PageScenes:
    """What is opened for a page."""

    observed: Scene
    results: tuple[Scene, ...] = ()
    """Each on a grid a whole number of times finer than the observed scene's."""
    uncertainty: Scene | None = None
    """On the grid of the first result, in its unit."""

    @property
    def physical(self) -> bool:
        """Whether numbers are shown in physical units because files scale them differently."""
        return not all(same_numbers(self.observed, one) for one in self._finer)

    @property
    def _finer(self) -> tuple[Scene, ...]:
        return (*self.results, *([self.uncertainty] if self.uncertainty else []))

    def finer(self) -> Iterator[tuple[str, Scene, int, list[int]]]:
        """(kind, scene, scale, its bands by those of the observed scene), -1 where dropped."""
        for scene in self._finer:
            pairs = band_pairs(self.observed, scene)
            own = [-1] * self.observed.metadata.bands
            for number, band in enumerate(pairs):
                own[band] = number
            kind = "uncertainty" if scene is self.uncertainty else "result"
            yield kind, scene, require_finer(self.observed, scene), own


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PageContent:
    """Everything that the page's template needs."""

    data: dict[str, Any]
    """For `page.js`: cubes, bands, windows; plain values for JSON."""
    observed: str
    """Name of the observed scene's file."""
    meta: SceneMetadata
    """Of the observed scene."""
    physical: bool
    """See `PageScenes`."""
    overview: tuple[int, int, int, int]
    """LR pixels of an overview pixel along a side, its rows and columns, and bits of a value."""
    maps: DetailMaps | None
    """Of the first result."""
    provenance: list[tuple[str, dict[str, str]]]
    """Name and tags of each result."""
    windows: list[str]
    """Which full-size windows there are, and why, in words."""


def page_content(scenes: PageScenes, centres: Sequence[tuple[int, int]] = ()) -> PageContent:
    """Read what a page shows.

    `centres` are row and column, in the observed scene, of the middle of each full-size window;
    without them there is one where the first result adds most detail.
    """
    observed, meta = scenes.observed, scenes.observed.metadata
    for row, col in centres:
        if not (0 <= row < meta.rows and 0 <= col < meta.cols):
            raise UsageError(
                f"--window {row},{col}: {observed.path.name} has {meta.rows} rows and "
                f"{meta.cols} columns, counted from 0"
            )
    finer = list(scenes.finer())  # refuses what does not fit before anything is read
    maps = detail_maps(observed, scenes.results[0]) if scenes.results else None
    step = overview_step(observed)
    cube = overview_cube(observed, step, physical=scenes.physical)
    overview, bits, step = _overview(cube, step)
    chosen = list(centres) or [maps.most_detail() if maps else (meta.rows // 2, meta.cols // 2)]
    room = (CUBES_BYTES - len(overview.content)) // len(chosen)
    windows = [_window(scenes, finer, centre, room) for centre in chosen]
    why = "where most detail was added" if maps else "the middle of the scene"
    why = "chosen by --window" if centres else why
    axis = meta.spectral_axis
    data = {
        "wavelengths": axis.wavelengths_nm,
        "good": axis.good,
        "natural": colour_bands(axis),
        "colours": describe_colours(axis),
        "names": [name for name, *_ in _named(finer)],
        "kernels": {
            scale: phase_weights(KERNELS["bicubic"], scale) for *_, scale, _ in finer if scale > 1
        },
        "overview": {"step": step, "observed": overview.as_json()},
        "windows": windows,
    }
    return PageContent(
        data=data,
        observed=observed.path.name,
        meta=meta,
        physical=scenes.physical,
        overview=(step, *overview.shape[1:], bits),
        maps=maps,
        provenance=[(one.path.name, provenance_of(one.metadata)) for one in scenes.results],
        windows=[_where(w, meta.rows, meta.cols, why) for w in windows],
    )


def _named(finer: Sequence[tuple[str, Scene, int, list[int]]]) -> Iterator[tuple[str, Scene]]:
    """What the page calls each finer scene: what made it, or its file's name where that is taken.

    Bicubic interpolation is always on the page.
    """
    makers = [
        provenance_of(one.metadata).get("MODEL") for kind, one, *_ in finer if kind == "result"
    ]
    for kind, scene, scale, _ in finer:
        maker, name = provenance_of(scene.metadata).get("MODEL"), scene.path.name
        own = maker if maker and [*makers, "bicubic"].count(maker) == 1 else name
        known = f"{own}, x{scale}" if scale > 1 else own
        yield f"uncertainty ({name})" if kind == "uncertainty" else known, scene


def _overview(cube: Float32, step: int) -> tuple[PackedCube, int, int]:
    """The overview, packed with as many bits as fit, these, and its step; at worst thinned."""
    for bits in _OVERVIEW_BITS:
        packed = pack(cube, bits)
        if len(packed.content) <= _OVERVIEW_BYTES:
            return packed, bits, step
    return _overview(cube[:, ::2, ::2], step * 2)


def _window(
    scenes: PageScenes,
    finer: Sequence[tuple[str, Scene, int, list[int]]],
    centre: tuple[int, int],
    room: int,
) -> dict[str, Any]:
    """One full-size window, as large as fits `room` bytes, around a place."""
    meta = scenes.observed.metadata
    largest = max([scale for *_, scale, _ in finer], default=1)
    side = min(max(meta.rows, meta.cols), max(_LARGEST_WINDOW_HR_PX // largest, 8))
    while True:
        window = _around(centre, side, meta.rows, meta.cols)
        cubes = _window_cubes(scenes, finer, window)
        taken = sum(len(cube.content) for cube in cubes)
        if taken <= room or side <= _SMALLEST_WINDOW_LR_PX:
            break
        side = max(_SMALLEST_WINDOW_LR_PX, min(side - 1, int(side * (room / taken) ** 0.5 * 0.97)))
    grown = window.grown(CONTEXT_PX, meta.rows, meta.cols)
    first, *others = (cube.as_json() for cube in cubes)
    return {
        "row": window.row,
        "col": window.col,
        "rows": window.rows,
        "cols": window.cols,
        "context": [window.row - grown.row, window.col - grown.col],
        "observed": first,
        "finer": [
            {"kind": kind, "scale": scale, "cube": cube}
            for (kind, _, scale, _), cube in zip(finer, others, strict=True)
        ],
    }


def _window_cubes(
    scenes: PageScenes, finer: Sequence[tuple[str, Scene, int, list[int]]], window: Window
) -> list[PackedCube]:
    """The observed window with the context of the interpolation, and each finer one."""
    meta, physical = scenes.observed.metadata, scenes.physical
    grown = window.grown(CONTEXT_PX, meta.rows, meta.cols)
    every = range(meta.bands)
    cubes = [pack(values_in(scenes.observed, grown, every, physical=physical), _WINDOW_BITS)]
    for _, scene, scale, own in finer:
        there = [band for band in own if band >= 0]
        read = values_in(scene, window.scaled(scale), there, physical=physical)
        cube = np.full((meta.bands, *read.shape[1:]), np.nan, np.float32)
        cube[np.array(own) >= 0] = read
        cubes.append(pack(cube, _WINDOW_BITS))
    return cubes


def _around(centre: tuple[int, int], side: int, rows: int, cols: int) -> Window:
    """A window of at most `side` pixels a side inside the scene, around a place."""
    high, wide = min(side, rows), min(side, cols)
    row = min(max(0, centre[0] - high // 2), rows - high)
    col = min(max(0, centre[1] - wide // 2), cols - wide)
    return Window(row, col, high, wide)


def _where(window: dict[str, Any], rows: int, cols: int, why: str) -> str:
    if (window["rows"], window["cols"]) == (rows, cols):
        return "the whole scene"
    top, left = window["row"], window["col"]
    bottom, right = top + window["rows"] - 1, left + window["cols"] - 1
    return f"rows {top} to {bottom}, columns {left} to {right}, {why}"


MOST_BYTES = 25_000_000


def write_page(path: Path, title: str, content: PageContent, *, overwrite: bool) -> int:
    """Write the page, whole or not at all; gives its size in bytes."""
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

    top, pictures, largest = 1.0, list[str](), 0.0
    if (maps := content.maps) is not None:
        top = top_of([maps.detail])
        pictures = [map_picture(one, top) for one in (maps.detail, maps.agreement)]
        largest = float(np.nanmax(maps.agreement, initial=0.0))
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    page = environment.from_string(_file("page.html.j2")).render(
        title=title,
        content=content,
        maps=maps,
        window_bits=_WINDOW_BITS,
        pictures=pictures,
        largest=largest,
        top=f"{top:.3g}",
        scale=scale_picture(),
        shaded=content.data["good"] is not None,
        version=__version__,
        # nothing may end the script element that it stands in
        data=json.dumps(content.data, allow_nan=False).replace("<", "\\u003c"),
        plot_js=_file("uPlot.iife.min.js"),
        plot_css=_file("uPlot.min.css"),
        js=_file("page.js"),
        css=_file("page.css"),
    )
    return f"{page.strip()}\n"


def _file(name: str) -> str:
    return (files("hsisr.view") / name).read_text(encoding="utf-8")

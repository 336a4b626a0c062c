"""Make a coarser scene file from a scene file: the LR scene that a sensor would have seen."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsisr.commands.options import DegradeOptions
from hsisr.commands.python.calls import chosen_options, keywords_of
from hsisr.degradation import Degradation, degradation_named, whole_blocks
from hsisr.errors import InputDataError
from hsisr.io import views, write
from hsisr.io.base import Scene, SceneWriter, TargetOptions
from hsisr.io.formats import output_format
from hsisr.io.open import cropped_to_multiple, open_with
from hsisr.io.paths import scene_path
from hsisr.option import Result
from hsisr.resume.record import PREFIX, decisive_options, with_provenance
from hsisr.scene.metadata import SceneMetadata
from hsisr.tiling import Window

Bool = npt.NDArray[np.bool_]

CHUNK_BYTES = 64 * 2**20
"""Size of the HR values, in float32, that are held at a time; bands are taken in chunks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DegradeResult(Result):
    """What was made."""

    source: Path
    output: Path
    method: str
    definition: str
    """The method in words."""
    scale: int
    input_shape: tuple[int, int, int]
    """(bands, rows, cols), before any cropping."""
    output_shape: tuple[int, int, int]
    cropped: tuple[int, int]
    """Rows and columns of the input that were left out."""
    dtype: str
    moved_values: int
    """Valid numbers that did not fit the data type, or met nodata, and were moved."""

    def __repr__(self) -> str:
        bands, rows, cols = self.input_shape
        return (
            f"DegradeResult({self.output.name!r}: {bands} bands, {rows} x {cols} -> "
            f"{self.output_shape[1]} x {self.output_shape[2]}, {self.method})"
        )


@keywords_of(DegradeOptions)
def degrade(
    source: str | Path, output: str | Path, options: DegradeOptions | None = None, **keywords: Any
) -> DegradeResult:
    """Make a scene with `scale` times larger pixels, as a coarser sensor would have seen it.

    The ground stays where it is, and wavelengths and every other field are carried over; the output
    appears whole or not at all. An LR pixel is valid where all HR pixels of its block are.

    Args:
        source: A scene in any supported format.
        output: The file to make; its suffix names the format.
        options: How; keywords change it.
        keywords: Fields of `DegradeOptions`, such as scale, method or crop.

    Raises:
        InputDataError: The scene cannot be read, or its sides do not divide by the scale.
        OutputExistsError: The output exists and `overwrite` is off.
        ResourceError: The output cannot be written.
        UsageError: The options are unknown, impossible or contradict the scene.
    """
    source, output = scene_path(source), scene_path(output)
    options = chosen_options(DegradeOptions, options, keywords)
    target = TargetOptions(
        format=options.format,
        creation_options=options.creation_options,
        overwrite=options.overwrite,
        threads=2,
    )
    write.refuse_same_file(source, output)
    write.check_target(output, target)
    with closing(views.watched_for_digits(open_with(source, options))) as opened:
        scene = views.warn_of_fill(opened) if options.nodata is None else opened
        part = _dividing_part(scene, options)
        metadata, masked = _output_metadata(part, output, options)
        with write.create_writer(output, metadata, replace(target, masked=masked)) as writer:
            moved = _run(part, writer, options)
    write.warn_of_moved(output, moved, metadata.stored)
    whole = scene.metadata
    return DegradeResult(
        source=source,
        output=output,
        method=options.method,
        definition=degradation_named(options.method, options.gain).definition,
        scale=options.scale,
        input_shape=whole.shape,
        output_shape=metadata.shape,
        cropped=(whole.rows - part.metadata.rows, whole.cols - part.metadata.cols),
        dtype=str(metadata.stored.dtype),
        moved_values=moved,
    )


def _dividing_part(scene: Scene, options: DegradeOptions) -> Scene:
    """The scene, or the upper left part of it whose sides divide by the scale."""
    rows, cols, scale = scene.metadata.rows, scene.metadata.cols, options.scale
    if rows < scale or cols < scale:
        raise InputDataError(
            f"{scene.path}: found {rows} x {cols} pixels, expected at least {scale} x {scale}; "
            "choose a smaller --scale"
        )
    part = cropped_to_multiple(scene, scale)
    if part is scene or options.crop:
        return part
    kept = part.metadata
    raise InputDataError(
        f"{scene.path}: found {rows} x {cols} pixels, expected sides that divide by {scale}; "
        f"--crop keeps the first {kept.rows} x {kept.cols}"
    )


def _output_metadata(
    scene: Scene, output: Path, options: DegradeOptions
) -> tuple[SceneMetadata, bool]:
    """Metadata of the output, and whether it needs a mask of its own."""
    from hsisr import __version__

    stored, masked = write.output_numbers(
        scene,
        scene.metadata.stored,
        dtype=options.dtype,
        mask_possible=output_format(output, options.format).maskable,
    )
    tags = {
        f"{PREFIX}VERSION": __version__,
        f"{PREFIX}SOURCE": scene.path.name,
        f"{PREFIX}DEGRADATION": json.dumps(decisive_options(options)),
    }
    coarser = scene.metadata.coarser(options.scale)
    return replace(with_provenance(coarser, tags), stored=stored), masked


def _run(scene: Scene, writer: SceneWriter, options: DegradeOptions) -> int:
    """Degrade strip by strip, in chunks of bands; returns how many values had to be moved."""
    model, scale, moved = degradation_named(options.method, options.gain), options.scale, 0
    lr, infinite = writer.metadata, 0
    block_bytes = writer.block_rows * lr.cols * lr.bands * scale**2 * 4
    step = writer.block_rows * max(1, CHUNK_BYTES // block_bytes)
    for row in range(0, lr.rows, step):
        strip = Window(row, 0, min(step, lr.rows - row), lr.cols)
        mask = _mask(scene, strip, scale) if lr.stored.nodata is None else None
        for bands in _chunks(scene, strip, scale):
            values, valid, odd = _degraded(scene, strip, bands, model, scale)
            infinite += odd
            try:
                stored = write.quantise(values, valid, lr.stored)
            except FloatingPointError as error:
                raise InputDataError(
                    f"{scene.path}: bands {bands.start + 1} to {bands.stop} hold numbers whose "
                    "means leave float32; if they mean no data, let the file name them as nodata, "
                    "else scale the numbers"
                ) from error
            moved += stored.moved
            writer.write(
                stored.numbers,
                row=row,
                col=0,
                band=bands.start,
                mask=mask if bands.start == 0 else None,
            )
    views.warn_of_infinite(scene, infinite)
    return moved


def _chunks(scene: Scene, strip: Window, scale: int) -> Iterator[range]:
    """Runs of bands whose HR values of this strip fit the budget."""
    count = scene.metadata.bands
    size = max(1, CHUNK_BYTES // (strip.rows * strip.cols * scale**2 * 4))
    for first in range(0, count, size):
        yield range(first, min(count, first + size))


def _degraded(
    scene: Scene, strip: Window, bands: range, model: Degradation, scale: int
) -> tuple[npt.NDArray[np.float32], Bool, int]:
    """LR values and their mask in one strip, seen with the context that the model needs.

    Also how many of the strip's HR values are infinite.
    """
    meta, margin, hr = scene.metadata, model.margin(scale), strip.scaled(scale)
    above, below = min(margin, hr.row), min(margin, meta.rows - hr.row_end)
    window = Window(hr.row - above, 0, hr.rows + above + below, hr.cols)
    cube = scene.read(window, bands)
    own = cube.values[:, above : above + hr.rows]
    infinite = views.infinite_numbers(own, meta.stored.nodata)
    return *model.strip(cube.values, cube.valid, scale, above=above, below=below), infinite


def _mask(scene: Scene, strip: Window, scale: int) -> Bool | None:
    """The file's own mask on the LR grid: True where the whole block is."""
    mask = scene.read_mask(strip.scaled(scale))
    return None if mask is None else whole_blocks(mask, scale)

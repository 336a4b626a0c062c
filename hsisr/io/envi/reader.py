"""ENVI scenes: a header beside a file of plain numbers, in BSQ, BIL or BIP.

The numbers are read by plain reads of the windows asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError, warn_of_scene
from hsisr.io.arrays.axes import cut
from hsisr.io.arrays.raw import PlainNumbers
from hsisr.io.base import Scene
from hsisr.io.envi.files import (
    TYPES,
    carried_fields,
    data_beside,
    header_beside,
    is_envi_header,
    is_own_header,
    listed,
    promised_bytes,
    read_header,
    rival_data,
    spectral_source,
)
from hsisr.io.envi.georeference import envi_georeference, sidecar_sources
from hsisr.io.geotiff.reader import RasterScene, is_other_raster, open_raster
from hsisr.io.spectral import (
    SpectralSource,
    merged_axis,
    numbers_from_text,
    per_band,
    source_from_names,
    usable,
)
from hsisr.scene.metadata import SceneMetadata
from hsisr.scene.quantisation import StoredNumbers
from hsisr.tiling import Window

_AXES: Final = {"bsq": "brc", "bil": "rbc", "bip": "rcb"}
_OTHER_KINDS: Final = ("classification", "library", "mosaic", "meta", "tiff", "hdf", "jpeg", "nitf")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the numbers lie in the data file."""

    bands: int
    rows: int
    cols: int
    dtype: np.dtype[Any]
    """In the file's byte order."""
    axes: str
    """Order of the axes, see `hsisr.io.arrays.axes`."""
    offset: int
    """Bytes before the first number."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes in the order of the axes."""
        size = {"b": self.bands, "r": self.rows, "c": self.cols}
        return tuple(size[axis] for axis in self.axes)

    @property
    def end(self) -> int:
        """Bytes up to the last number."""
        return self.offset + self.bands * self.rows * self.cols * self.dtype.itemsize


class EnviScene(Scene):
    """An ENVI pair, opened."""

    format = "ENVI"

    def __init__(self, path: Path, data: Path, layout: Layout, metadata: SceneMetadata) -> None:
        self.path, self.metadata = path, metadata
        self._data, self._layout = data, layout
        self._mask = _mask_beside(data)

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`."""
        at = self._layout
        numbers = PlainNumbers(self._data, at.dtype, at.shape, at.offset)
        return cut(numbers, at.axes, window, bands)

    def read_mask(self, window: Window) -> npt.NDArray[np.bool_] | None:
        """See `Scene.read_mask`; a `.msk` beside the data file is GDAL's external mask."""
        if self._mask is None:
            return None
        return np.asarray(self._mask.read_stored(window, [0])[0] != 0)

    def close(self) -> None:
        """See `Scene.close`."""
        if self._mask is not None:
            self._mask.close()


def open_envi(path: Path) -> EnviScene:
    """Open an ENVI scene by its header or by its data file.

    Raises:
        InputDataError: One of the two is missing, the header is incomplete or describes something
            else than an image, or promises more numbers than the data file holds.
    """
    header = path if path.suffix.lower() == ".hdr" else header_beside(path)
    if header is None:
        raise InputDataError(
            f"found no header beside the data file, expected {path.name}.hdr or {path.stem}.hdr"
        )
    if path != header and (rival := rival_data(header, path)) is not None:
        raise InputDataError(
            f"{header.name} beside it describes {rival.name}, byte by byte, and {path.name} holds "
            f"{path.stat().st_size} bytes; name {rival.name}, or write {path.name}.hdr"
        )
    fields = read_header(header)
    layout = _layout(fields)
    data = path if path != header else data_beside(header, layout.end)
    beside = data.with_name(data.name + ".aux.xml")
    sidecar = beside if beside.is_file() else None
    more = sidecar_sources(sidecar, layout.bands) if sidecar else []
    metadata = _metadata(fields, layout, more)
    _require_size(layout, data, fields["data type"])
    place = envi_georeference(fields, sidecar)
    scene = EnviScene(path, data, layout, replace(metadata, georeference=place))
    _warn_of_type(scene, fields["data type"])
    return scene


def is_envi(path: Path, start: bytes) -> bool:
    """True for an ENVI header, and for a data file that one beside it describes.

    A header that has only the stem of the file's name counts if its size is the file's, or if
    neither it fits another file, nor GDAL knows this one.
    """
    if path.suffix.lower() == ".hdr":
        return start.removeprefix(b"\xef\xbb\xbf").startswith(b"ENVI")
    header = header_beside(path)
    if header is None or not is_envi_header(header):
        return False
    if is_own_header(header, path) or promised_bytes(header) == path.stat().st_size:
        return True
    return rival_data(header, path) is None and not is_other_raster(path)


def _require_size(layout: Layout, data: Path, code: str) -> None:
    """Hold the size of the data file against the header.

    Raises:
        InputDataError: The file is shorter, or so much longer that its numbers are of another
            type.
    """
    size, number = data.stat().st_size, layout.dtype.itemsize
    promised = (
        f"the header promises {layout.end} bytes ({layout.bands} bands x {layout.rows} lines x "
        f"{layout.cols} samples of {number} bytes after {layout.offset}), but {data.name} holds "
        f"{size}"
    )
    if size < layout.end:
        raise InputDataError(f"{promised}; the file is truncated or the header is wrong")
    each, rest = divmod(size - layout.offset, (layout.end - layout.offset) // number)
    others = [c for c, t in TYPES.items() if np.dtype(t).itemsize == each and t[0] in "iuf"]
    if size > layout.end and rest == 0 and others:
        names = " or ".join(f"{c} ({np.dtype(TYPES[c]).name})" for c in others)
        raise InputDataError(
            f"{promised}, {each} bytes for every number; data type = {code} is probably wrong, "
            f"expected {names}; correct it, or the sizes"
        )
    if size > layout.end:
        warn_of_scene(
            f"{promised}; what follows is not read, check that the header belongs to this file"
        )


_USUAL_SIZES: Final = (1e-6, 1e9)
"""Floats of scenes lie between, almost all; the bits of whole numbers below 2^23 mean far less."""


def _warn_of_type(scene: EnviScene, code: str) -> None:
    """Warn of floats under a type of whole numbers as long, or the other way round."""
    bands, rows, cols = scene.metadata.shape
    dtype = scene.metadata.stored.dtype
    others = [c for c, t in TYPES.items() if int(t[1:]) == dtype.itemsize and t[0] in "iuf"]
    others = [c for c in others if (TYPES[c][0] == "f") != (dtype.kind == "f")]
    if dtype.itemsize < 4 or dtype.kind not in "iuf" or not others:
        return
    few = sorted({0, bands // 2, bands - 1})
    lines = [scene.read_stored(Window(r, 0, 1, cols), few) for r in {rows // 4, rows // 2}]
    floats = np.abs(np.concatenate(lines).view(f"f{dtype.itemsize}"))
    floats = floats[(floats > 0) & (floats < 1e30)]
    least, most = _USUAL_SIZES if dtype.kind != "f" else (0, np.finfo(floats.dtype).tiny)
    if floats.size and ((floats > least) & (floats < most)).mean() > 0.9:
        names = " or ".join(f"{c} ({np.dtype(TYPES[c]).name})" for c in others)
        warn_of_scene(
            f"data type = {code} ({dtype.name}) is probably wrong: the numbers look like those of "
            f"{names}; correct the header"
        )


def _mask_beside(data: Path) -> RasterScene | None:
    mask = data.with_name(data.name + ".msk")
    if not mask.is_file():
        return None
    try:
        return open_raster(mask)
    except InputDataError as error:
        raise InputDataError(f"the mask {mask.name} beside the data: {error}") from error


def _layout(fields: Mapping[str, str]) -> Layout:
    _refuse_other_kinds(fields)
    code, interleave = fields.get("data type", ""), fields.get("interleave", "bsq").lower()
    order = fields.get("byte order", "0")
    if code not in TYPES:
        raise InputDataError(f"data type = {code or 'nothing'}; expected one of {', '.join(TYPES)}")
    if interleave not in _AXES:
        raise InputDataError(f"interleave = {interleave}; expected bsq, bil or bip")
    if order not in ("0", "1"):
        raise InputDataError(f"byte order = {order}; expected 0 (little) or 1 (big)")
    return Layout(
        bands=_whole(fields, "bands"),
        rows=_whole(fields, "lines"),
        cols=_whole(fields, "samples"),
        dtype=np.dtype(TYPES[code]).newbyteorder("<" if order == "0" else ">"),
        axes=_AXES[interleave],
        offset=_whole({"header offset": "0", **fields}, "header offset", least=0),
    )


def _refuse_other_kinds(fields: Mapping[str, str]) -> None:
    kind = fields.get("file type", "").lower()
    if any(word in kind for word in _OTHER_KINDS):
        raise InputDataError(
            f"file type = {fields['file type']}; expected an image (ENVI Standard) of plain numbers"
        )
    if fields.get("file compression", "0") not in ("0", ""):
        raise InputDataError("the data file is compressed; save it without compression in ENVI")
    for key in ("major frame offsets", "minor frame offsets"):
        if any(item.strip("0") for item in listed(fields.get(key, ""))):
            raise InputDataError(
                f"{key} = {fields[key]}; frames with gaps cannot be read, save the scene as plain "
                "ENVI Standard"
            )


def _whole(fields: Mapping[str, str], key: str, least: int = 1) -> int:
    text = fields.get(key, "nothing")
    try:
        number = int(text)
    except ValueError as error:
        raise InputDataError(f"the header says {key} = {text}; expected a whole number") from error
    if number < least:
        raise InputDataError(f"the header says {key} = {text}; expected at least {least}")
    return number


def _metadata(
    fields: Mapping[str, str], layout: Layout, more: Sequence[SpectralSource]
) -> SceneMetadata:
    """What the header says, and `more` of what lies beside it."""
    names = listed(fields.get("band names", ""))
    sources = [spectral_source(fields), *more, source_from_names(names)]
    return SceneMetadata(
        rows=layout.rows,
        cols=layout.cols,
        stored=StoredNumbers(
            dtype=layout.dtype.newbyteorder("="),
            nodata=_ignored(fields),
            scales=_per_band(fields, "data gain values", layout.bands),
            offsets=_per_band(fields, "data offset values", layout.bands),
            units=_units(fields, layout.bands),
        ),
        spectral_axis=merged_axis(layout.bands, sources, names or None),
        header=carried_fields(fields),
    )


def _units(fields: Mapping[str, str], bands: int) -> tuple[str, ...] | None:
    """`data units`: one text for all bands, as ENVI has it, or a list."""
    units = listed(fields.get("data units", "")) or None
    return usable("data units", lambda: per_band(bands, units))


def _ignored(fields: Mapping[str, str]) -> float | None:
    """`data ignore value`; words such as None name no number."""
    text = fields.get("data ignore value", "")
    if text.strip(" {}").lower() in ("", "none", "n/a", "null"):
        return None
    found = usable("data ignore value", lambda: numbers_from_text(listed(text))[0])
    return found[0] if found else None


def _per_band(fields: Mapping[str, str], key: str, bands: int) -> tuple[float, ...] | None:
    """A list of numbers, or one for all bands."""
    texts = listed(fields.get(key, ""))
    return usable(key, lambda: per_band(bands, numbers_from_text(texts)[0]))

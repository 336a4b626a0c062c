"""ENVI scenes: a header beside a file of plain numbers, in BSQ, BIL or BIP.

The numbers are read by plain reads of the windows asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError
from hsisr.io.arrays.axis_order import cut
from hsisr.io.arrays.raw_reader import PlainNumbers
from hsisr.io.base import Scene
from hsisr.io.envi.georeference import envi_georeference
from hsisr.io.envi.header import carried_fields, listed, read_header, spectral_source
from hsisr.io.geotiff.reader import RasterScene, open_raster
from hsisr.io.spectral_fields import merged_axis, numbers_from_text, per_band, usable
from hsisr.scene.metadata import SceneMetadata
from hsisr.scene.quantisation import StoredNumbers
from hsisr.tiling.windows import Window

DATA_SUFFIXES: Final = ("", ".img", ".dat", ".raw", ".bsq", ".bil", ".bip", ".bin", ".hyspex")
"""What data files beside `x.hdr` add to `x`, in the order in which they are looked for."""
_AXES: Final = {"bsq": "brc", "bil": "rbc", "bip": "rcb"}
_CODES: Final = "1=u1 2=i2 3=i4 4=f4 5=f8 6=c8 9=c16 12=u2 13=u4 14=i8 15=u8"
_TYPES: Final = dict(pair.split("=") for pair in _CODES.split())
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
    """Order of the axes, see `hsisr.io.arrays.axis_order`."""
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
    fields = read_header(header)
    layout = _layout(fields)
    data = path if path != header else _data_beside(header, layout)
    size = data.stat().st_size
    if size < layout.end:
        raise InputDataError(
            f"the header promises {layout.end} bytes ({layout.bands} bands x {layout.rows} lines "
            f"x {layout.cols} samples of {layout.dtype.itemsize} bytes after {layout.offset}), "
            f"but {data.name} holds {size}; the file is truncated or the header is wrong"
        )
    sidecar = data.with_name(data.name + ".aux.xml")
    place = envi_georeference(fields, sidecar if sidecar.is_file() else None)
    return EnviScene(path, data, layout, replace(_metadata(fields, layout), georeference=place))


def _mask_beside(data: Path) -> RasterScene | None:
    mask = data.with_name(data.name + ".msk")
    if not mask.is_file():
        return None
    try:
        return open_raster(mask)
    except InputDataError as error:
        raise InputDataError(f"the mask {mask.name} beside the data: {error}") from error


def header_beside(data: Path) -> Path | None:
    """The ENVI header of a data file: `x.img.hdr`, or `x.hdr` for `x.img`, in any case."""
    names = (f"{data.name}.hdr", f"{data.stem}.hdr")
    return _first_file(data.parent, names)


def _data_beside(header: Path, layout: Layout) -> Path:
    """The data file of a header; one that is long enough is preferred."""
    names = [header.stem + suffix for suffix in DATA_SUFFIXES]
    found = [file for name in names if (file := _first_file(header.parent, [name]))]
    whole = [file for file in found if file.stat().st_size >= layout.end]
    if whole or found:
        return (whole or found)[0]
    same_stem = [
        file
        for file in header.parent.iterdir()
        if file.stem == header.stem and file.is_file() and file.stat().st_size == layout.end
    ]
    if len(same_stem) == 1:
        return same_stem[0]
    raise InputDataError(
        f"found no data file beside the header, expected {header.stem} with one of the suffixes "
        f"(none) {' '.join(DATA_SUFFIXES[1:])}; if it is named otherwise, name it instead"
    )


def _first_file(folder: Path, names: Iterable[str]) -> Path | None:
    """The first of the names that is a file; spelling may differ by case."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    wanted = {name.lower() for name in names}
    return next((f for f in folder.iterdir() if f.name.lower() in wanted and f.is_file()), None)


def _layout(fields: Mapping[str, str]) -> Layout:
    _refuse_other_kinds(fields)
    code, interleave = fields.get("data type", ""), fields.get("interleave", "bsq").lower()
    order = fields.get("byte order", "0")
    if code not in _TYPES:
        raise InputDataError(
            f"data type = {code or 'nothing'}; expected one of {', '.join(_TYPES)}"
        )
    if interleave not in _AXES:
        raise InputDataError(f"interleave = {interleave}; expected bsq, bil or bip")
    if order not in ("0", "1"):
        raise InputDataError(f"byte order = {order}; expected 0 (little) or 1 (big)")
    return Layout(
        bands=_whole(fields, "bands"),
        rows=_whole(fields, "lines"),
        cols=_whole(fields, "samples"),
        dtype=np.dtype(_TYPES[code]).newbyteorder("<" if order == "0" else ">"),
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


def _metadata(fields: Mapping[str, str], layout: Layout) -> SceneMetadata:
    names = listed(fields.get("band names", ""))
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
        spectral_axis=merged_axis(layout.bands, [spectral_source(fields)], names or None),
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

"""ENVI scenes: a header beside a file of plain numbers, in BSQ, BIL or BIP.

The numbers are read by plain reads of the windows asked for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from rasterio.errors import RasterioError

from hsisr.errors import InputDataError, warn_of_scene
from hsisr.io.arrays.axes import ArrayScene, sizes, whole
from hsisr.io.arrays.raw import PlainNumbers
from hsisr.io.base import Scene
from hsisr.io.envi.files import (
    TYPES,
    data_beside,
    is_own_header,
    promised_bytes,
    read_header,
    rival_data,
)
from hsisr.io.envi.georeference import envi_georeference, one_pixel
from hsisr.io.formats import first_bytes
from hsisr.io.geotiff.gdal import free_tags, spectral_sources, stored_numbers
from hsisr.io.geotiff.reader import RasterScene, is_other_raster, open_raster
from hsisr.io.paths import header_beside, is_envi_header
from hsisr.io.spectral import (
    SpectralSource,
    carried_fields,
    listed,
    merged_axis,
    number_text,
    numbers_from_text,
    per_band,
    source_from_fields,
    source_from_names,
    usable,
)
from hsisr.scene.metadata import SceneMetadata, SpectralAxis, StoredNumbers
from hsisr.tiling import Window

_AXES: Final = {"bsq": "brc", "bil": "rbc", "bip": "rcb"}
_OTHER_KINDS: Final = ("classification", "library", "mosaic", "meta", "tiff", "hdf", "jpeg", "nitf")
_PACKED: Final = (b"\x1f\x8b\x08", b"PK\3\4", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
"""First bytes of gzip, zip, bzip2, xz and Zstandard."""


def open_envi(path: Path) -> ArrayScene:
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
    numbers, axes = _numbers(fields, path)
    if path == header:
        numbers = replace(numbers, path=data_beside(header, numbers.end))
    beside = _with(numbers.path, ".aux.xml")
    sidecar = beside if beside.is_file() else None
    bands, rows, cols = sizes(numbers.shape, axes)
    told = sidecar and _read_sidecar(sidecar, bands, fields["data type"])
    told = told or _Sidecar(StoredNumbers(dtype=numbers.dtype))
    metadata = SceneMetadata(
        rows=rows,
        cols=cols,
        stored=_stored(fields, numbers.dtype, bands, told.stored),
        spectral_axis=_spectral_axis(fields, bands, told),
        header=carried_fields(fields),
        tags=told.tags,
    )
    _require_size(numbers, metadata.shape, fields["data type"])
    metadata = replace(metadata, georeference=envi_georeference(fields, sidecar))
    mask = _mask_beside(numbers.path)
    valid = None if mask is None else partial(_valid, mask)
    scene = ArrayScene(path, "ENVI", metadata, whole(numbers, axes), mask=valid, file=mask)
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


def _require_size(numbers: PlainNumbers, shape: tuple[int, int, int], code: str) -> None:
    """Refuse a file that is shorter, or so much longer that its numbers are of another type."""
    size, itemsize = numbers.path.stat().st_size, numbers.dtype.itemsize
    promised = (
        f"the header promises {numbers.end} bytes "
        f"({'{} bands x {} lines x {} samples'.format(*shape)} of {itemsize} bytes after "
        f"{numbers.offset}), but {numbers.path.name} holds {size}"
    )
    if size != numbers.end and first_bytes(numbers.path).startswith(_PACKED):
        raise InputDataError(f"{promised} and is compressed; unpack it first")
    if size < numbers.end:
        raise InputDataError(f"{promised}; the file is truncated or the header is wrong")
    if size == numbers.end:
        return
    each, rest = divmod(size - numbers.offset, math.prod(shape))
    if rest == 0 and (names := _named_types(each, "iuf")):
        raise InputDataError(
            f"{promised}, {each} bytes for every number; data type = {code} is probably wrong, "
            f"expected {names}; correct it, or the sizes"
        )
    warn_of_scene(
        f"{promised}; what follows is not read, check that the header belongs to this file"
    )


def _named_types(itemsize: int, kinds: str) -> str:
    """ENVI's numbers for the types of so many bytes, with their names."""
    found = [code for code, kind in TYPES.items() if kind in {f"{k}{itemsize}" for k in kinds}]
    return " or ".join(f"{code} ({np.dtype(TYPES[code]).name})" for code in found)


_USUAL_SIZES: Final = (1e-6, 1e9)
"""Floats of scenes lie between, almost all; the bits of whole numbers below 2^23 mean far less."""


def _warn_of_type(scene: Scene, code: str) -> None:
    """Warn of floats under a type of whole numbers as long, or the other way round."""
    bands, rows, cols = scene.metadata.shape
    dtype = scene.metadata.stored.dtype
    others = _named_types(dtype.itemsize, "iu" if dtype.kind == "f" else "f")
    if dtype.itemsize < 4 or not others:
        return
    few = sorted({0, bands // 2, bands - 1})
    lines = [scene.read_stored(Window(r, 0, 1, cols), few) for r in {rows // 4, rows // 2}]
    floats = np.abs(np.concatenate(lines).view(f"f{dtype.itemsize}"))
    floats = floats[(floats > 0) & (floats < 1e30)]
    least, most = _USUAL_SIZES if dtype.kind != "f" else (0, np.finfo(floats.dtype).tiny)
    if floats.size and ((floats > least) & (floats < most)).mean() > 0.9:
        warn_of_scene(
            f"data type = {code} ({dtype.name}) is probably wrong: the numbers look like those of "
            f"{others}; correct the header"
        )


def _mask_beside(data: Path) -> RasterScene | None:
    """GDAL's external mask."""
    mask = _with(data, ".msk")
    try:
        return open_raster(mask) if mask.is_file() else None
    except InputDataError as error:
        raise InputDataError(f"the mask {mask.name} beside the data: {error}") from error


def _valid(mask: RasterScene, place: tuple[slice, slice]) -> npt.NDArray[np.bool_]:
    rows, cols = place
    window = Window(rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start)
    return np.asarray(mask.read_stored(window, [0])[0] != 0)


def _with(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _numbers(fields: Mapping[str, str], path: Path) -> tuple[PlainNumbers, str]:
    """What a header says of the numbers in a file, and the order of their axes."""
    _refuse_other_kinds(fields)
    code, interleave = fields.get("data type", ""), fields.get("interleave", "bsq").lower()
    order = fields.get("byte order", "0")
    if code not in TYPES:
        raise InputDataError(f"data type = {code or 'nothing'}; expected one of {', '.join(TYPES)}")
    if interleave not in _AXES:
        raise InputDataError(f"interleave = {interleave}; expected bsq, bil or bip")
    if order not in ("0", "1"):
        raise InputDataError(f"byte order = {order}; expected 0 (little) or 1 (big)")
    sides = {"b": "bands", "r": "lines", "c": "samples"}
    size = {axis: _whole(fields, name) for axis, name in sides.items()}
    shape = tuple(size[axis] for axis in _AXES[interleave])
    dtype = np.dtype(TYPES[code]).newbyteorder("<" if order == "0" else ">")
    offset = _whole({"header offset": "0", **fields}, "header offset", least=0)
    return PlainNumbers(path, dtype, shape, offset), _AXES[interleave]


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
    found = f"the header says {key} = {fields.get(key, 'nothing')}"
    try:
        number = int(fields.get(key, "nothing"))
    except ValueError as error:
        raise InputDataError(f"{found}; expected a whole number") from error
    if number < least:
        raise InputDataError(f"{found}; expected at least {least}")
    return number


class _Sidecar(NamedTuple):
    """What GDAL keeps in `.aux.xml` beside an ENVI file."""

    stored: StoredNumbers
    sources: Sequence[SpectralSource] = ()
    names: Sequence[str] = ()
    tags: Mapping[str, str] = MappingProxyType({})


def _read_sidecar(sidecar: Path, bands: int, code: str) -> _Sidecar | None:
    """The sidecar of so many bands of that type; None, and a warning, if it cannot be read."""
    try:
        with one_pixel({}, sidecar, bands, code) as dataset:
            names = [name or "" for name in dataset.descriptions]
            return _Sidecar(
                stored_numbers(dataset, dataset.indexes),
                spectral_sources(dataset, dataset.indexes),
                names if any(names) else (),
                free_tags(dataset),
            )
    except (RasterioError, OSError) as error:
        warn_of_scene(f"{sidecar.name} left out: {error}")
        return None


def _spectral_axis(fields: Mapping[str, str], bands: int, beside: _Sidecar) -> SpectralAxis:
    """What the header says of the bands, then what GDAL's sidecar and the names say."""
    names = listed(fields.get("band names", "")) or beside.names
    if len(names) == bands + 1 and not names[-1]:  # a comma at the end adds none
        names = names[:-1]
    sources = [source_from_fields(fields), *beside.sources, source_from_names(names)]
    return merged_axis(bands, sources, names or None)


def _stored(
    fields: Mapping[str, str], dtype: np.dtype[Any], bands: int, beside: StoredNumbers
) -> StoredNumbers:
    """How the header, else what lies beside it, says that values are stored."""

    def numbers(key: str) -> tuple[float, ...] | None:
        return numbers_from_text(listed(fields.get(key, "")))[0]

    def each(key: str) -> tuple[float, ...] | None:
        return usable(key, lambda: per_band(bands, numbers(key)))

    def same(key: str) -> float | None:
        found = numbers(key) or ()
        if len(texts := {number_text(number) for number in found}) > 1:
            raise InputDataError(f"found {' and '.join(sorted(texts))}, expected one number")
        return found[0] if found else None

    key, units = "data ignore value", listed(fields.get("data units", "")) or None
    none_said = fields.get(key, "").strip(" {}").lower() in ("", "none", "n/a", "null")
    nodata = None if none_said else usable(key, lambda: same(key))
    return StoredNumbers(
        dtype=dtype.newbyteorder("="),
        nodata=beside.nodata if nodata is None else nodata,
        scales=each("data gain values") or beside.scales,
        offsets=each("data offset values") or beside.offsets,
        units=usable("data units", lambda: per_band(bands, units)) or beside.units,
    )

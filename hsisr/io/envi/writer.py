"""Scenes written as an ENVI pair: bare numbers, and a header that says everything else."""

import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
import numpy.typing as npt

from hsisr.errors import ResourceError, UsageError
from hsisr.io.arrays.raw import Interleave, RawFile
from hsisr.io.base import FileWriter, asked_options
from hsisr.io.envi.files import TYPES, envi_pair, refuse_existing_pair
from hsisr.io.envi.place_fields import place_fields, write_sidecar
from hsisr.io.spectral import (
    SPECTRAL_FIELDS,
    dataset_tags,
    free_fields,
    number_list,
    number_text,
    one_line,
    spectral_fields,
    text_list,
)
from hsisr.scene.metadata import SceneMetadata, StoredNumbers

DATA_TYPES: Final = {np.dtype(kind).name: code for code, kind in TYPES.items() if kind[0] != "c"}
"""ENVI's numbers for the data types that can be written."""

_A_LINE = 96
"""Characters after which a list goes on in the next line."""


class EnviWriter(FileWriter):
    """An ENVI pair; the data appears before the header, so no header stands alone.

    Pixels without data need a nodata number: a header knows no masks, so the caller sees to it.

    `INTERLEAVE` is the one creation option (else by the suffix, else bsq); the path names the
    header or the data file, see `envi_pair`.
    """

    def _prepare(self) -> None:
        named = self.path
        self.path, self._data = envi_pair(named)
        self._interleave = _interleave(named, self._co)
        self._text = _header_text(self.metadata, self._interleave, self._data)
        refuse_existing_pair(named, overwrite=self._options.overwrite)

    def _sidecars(self) -> list[Path]:
        beside = (_with(self._data, suffix) for suffix in (".aux.xml", ".msk", ".ovr", ".hdr"))
        return [sidecar for sidecar in beside if sidecar != self.path]

    def _open(self) -> None:
        data, dtype = self._place.file("data"), self.metadata.stored.dtype
        file = RawFile(data, self.metadata.shape, dtype, self._interleave)
        self._file = self._held.enter_context(closing(file))

    def _put(self, numbers: npt.NDArray[Any], band: int, row: int, col: int) -> None:
        self._file.write(numbers, row=row, col=col, band=band)

    def _finish(self) -> list[tuple[Path, Path]]:
        data, sidecar = self._place.file("data"), self._place.file("sidecar")
        self._file.close()
        self._grown.write_text(self._text, encoding="utf-8")
        if data.stat().st_size != self._file.numbers.end:
            raise ResourceError(f"cannot write {self._data}: the file was cut off")
        files = [(data, self._data)]
        if write_sidecar(self.metadata.georeference, sidecar):
            files.append((sidecar, _with(self._data, ".aux.xml")))
        return [*files, (self._grown, self.path)]


def _header_text(metadata: SceneMetadata, interleave: Interleave, data: Path) -> str:
    """A whole header: the fields of the grid and the numbers, the place, the spectrum, the others.

    Names are in lower case because readers differ about capitals.
    """
    fields = _layout_fields(metadata, interleave, data)
    fields |= place_fields(metadata, data) | spectral_fields(metadata)
    fields |= _number_fields(metadata.stored)
    others = _tag_fields(metadata) | free_fields(metadata)
    fields |= {key: text for key, text in others.items() if key not in fields}
    return "ENVI\n" + "".join(f"{key} = {_wrapped(text)}\n" for key, text in fields.items())


def _layout_fields(metadata: SceneMetadata, interleave: Interleave, data: Path) -> dict[str, str]:
    dtype = metadata.stored.dtype.name
    if dtype not in DATA_TYPES:
        raise UsageError(
            f"{data.name}: ENVI cannot store {dtype}, expected one of {', '.join(DATA_TYPES)}; "
            "choose a --dtype, or another format"
        )
    bands, rows, cols = metadata.shape
    return {
        "description": "{" + one_line(f"{data.name}, written by hsisr") + "}",
        "samples": str(cols),
        "lines": str(rows),
        "bands": str(bands),
        "header offset": "0",
        "file type": "ENVI Standard",
        "data type": DATA_TYPES[dtype],
        "interleave": interleave,
        "byte order": "0" if sys.byteorder == "little" else "1",
    }


def _number_fields(stored: StoredNumbers) -> dict[str, str]:
    fields = {
        "data ignore value": None if stored.nodata is None else number_text(stored.nodata),
        "data gain values": stored.scales and number_list(stored.scales),
        "data offset values": stored.offsets and number_list(stored.offsets),
        "data units": stored.units and text_list(stored.units),
    }
    return {key: text for key, text in fields.items() if isinstance(text, str)}


def _tag_fields(metadata: SceneMetadata) -> dict[str, str]:
    """Tags of the dataset, and of the bands as lists, as fields of their own."""
    tags = {key: one_line(value) for key, value in dataset_tags(metadata).items()}
    tags.pop("start_time", None)  # acquisition time in ENVI
    tags.pop("AREA_OR_POINT", None)  # GDAL's own word for the grid; ENVI's grid is areas
    for key in dict.fromkeys(key for band in metadata.band_tags for key in band):
        if _field_name(key) not in SPECTRAL_FIELDS:  # else they could not be used
            tags.setdefault(key, text_list(band.get(key, "") for band in metadata.band_tags))
    return {_field_name(key): value for key, value in tags.items() if value}


def _field_name(tag: str) -> str:
    """A tag's name as a header's reader can take it.

    >>> _field_name("HSISR_VERSION"), _field_name("a=b")
    ('hsisr version', 'a-b')
    """
    return " ".join(tag.lower().replace("_", " ").replace("=", "-").split())


def _wrapped(text: str) -> str:
    """A list over several lines, for readers that cannot take a long one."""
    if not text.startswith("{") or len(text) <= _A_LINE or ", " not in text:
        return text
    lines = [""]
    for item in text[1:-1].split(", "):
        if lines[-1] and len(lines[-1]) + len(item) > _A_LINE:
            lines.append("")
        lines[-1] += f"{item}, "
    return "{\n" + "\n".join(lines).removesuffix(", ") + "}"


def _interleave(path: Path, creation_options: Mapping[str, str]) -> Interleave:
    """As asked for, which the suffix may forbid."""
    every: tuple[Interleave, ...] = get_args(Interleave)
    named = [name for name in every if path.suffix.lower() == f".{name}"] or every
    asked = asked_options(path, creation_options, INTERLEAVE=[name.upper() for name in named])
    return next(name for name in named if name.upper() == asked["INTERLEAVE"])


def _with(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)

"""MATLAB files as a table of variables, and what those beside a cube say of it.

Read are the usual names of wavelengths, widths and bad bands, and everything that this tool
writes itself: one variable per field, by plain names.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, NoReturn

import numpy as np
import numpy.typing as npt
from affine import Affine

from hsisr.errors import InputDataError, warn_of_scene
from hsisr.io.products.hdf import reading_errors
from hsisr.io.spectral import (
    SpectralSource,
    dataset_tags,
    free_fields,
    merged_axis,
    per_band,
    usable,
)
from hsisr.scene.georeference import Georeference, GroundControlPoint
from hsisr.scene.metadata import SceneMetadata, StoredNumbers

Kind = Literal["numbers", "flags", "text", "other"]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable by its outside."""

    shape: tuple[int, ...]
    """As MATLAB's `size` gives it."""
    kind: Kind


def refuse_complex(name: str) -> NoReturn:
    """Refuse a variable of complex numbers by an InputDataError."""
    raise InputDataError(
        f"found complex numbers in {name}, expected integers or floats; save abs({name}), or its "
        "real part"
    )


class MatFile(ABC):
    """An open MATLAB file."""

    format: str
    variables: Mapping[str, Variable]

    @abstractmethod
    def array(self, name: str) -> tuple[Any, bool]:
        """A variable of numbers to slice, and whether its axes are in reverse of MATLAB's."""

    @abstractmethod
    def texts(self, name: str) -> list[str]:
        """The strings of a text: one a row of a char array, one a cell of a cell array."""

    @abstractmethod
    def close(self) -> None:
        """Release the file."""


reading = partial(reading_errors, "MATLAB file")
"""Context in which what happens on damaged files becomes one error; see `reading_errors`."""


_WAVELENGTHS: Final = (
    *("wavelengths", "wavelength", "wl", "wvl", "lambda"),
    *("wavelengths_nm", "bands"),
)
"""The last is what the data sets ICVL and ARAD call them."""
_SHORTEST_NM: Final = 100.0
"""Smaller numbers under the name `bands` count the bands."""
_FWHM: Final = ("fwhm", "fwhms", "fwhm_nm")
_BBL: Final = ("bbl", "good_wavelengths")
_UNIT: Final = ("wavelength_units", "wavelength_unit")
_MOST_NUMBERS: Final = 10**6
"""A field has one number per band, or five per ground control point."""
_NAMES: Final = ("band_names", "bandnames")


MatValue = npt.NDArray[np.float64] | str | list[str]
"""Numbers (rows, cols), a char row, or a cell row of chars."""


class MatFields:
    """The fields of a file; names are found in upper and lower case, in the cube's `struct` first.

    A field that cannot be read or does not fit is left out with a warning.
    """

    def __init__(self, file: MatFile, struct: str = "") -> None:
        self._file = file
        self._names = {name.lower(): name for name in file.variables}
        for name in file.variables if struct else ():
            if name.startswith(f"{struct}."):
                self._names[name.removeprefix(f"{struct}.").lower()] = name
        sides = {side for v in file.variables.values() if len(v.shape) == 3 for side in v.shape}
        inside = [name for name in file.variables if "." in name and not struct]
        ends = [name.rpartition(".")[2].lower() for name in inside]
        for name, end in zip(inside, ends, strict=True):
            # the only ones, of as many numbers as bands
            fits = math.prod(file.variables[name].shape) in sides
            if ends.count(end) == 1 and fits and end in (*_WAVELENGTHS, *_FWHM, *_BBL):
                self._names.setdefault(end, name)
        flags, units = self._vector(_BBL), self._texts(*_UNIT)
        self.spectral = SpectralSource(
            wavelengths=self._vector(_WAVELENGTHS),
            fwhm=self._vector(_FWHM),
            good=None if flags is None else tuple(flag != 0 for flag in flags),
            unit=units[0] if units else None,
        )

    def metadata(self, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> SceneMetadata:
        """Metadata of a cube of this (bands, rows, cols); InputDataError: it is empty."""
        bands, rows, cols = shape
        if min(shape) < 1:
            raise InputDataError(
                f"found a cube of {bands} bands, {rows} rows and {cols} columns, expected at least "
                "1 of each"
            )
        nodata, units = self._row("nodata"), self._texts("units") or None
        return SceneMetadata(
            rows=rows,
            cols=cols,
            stored=StoredNumbers(
                dtype=dtype,
                nodata=nodata[0] if nodata else None,
                scales=usable("scales", lambda: per_band(bands, self._row("scales"))),
                offsets=usable("offsets", lambda: per_band(bands, self._row("offsets"))),
                units=usable("units", lambda: per_band(bands, units)),
            ),
            spectral_axis=merged_axis(bands, [self.spectral], self._texts(*_NAMES)),
            georeference=self._georeference(),
            header=self._lines("envi_header"),
            tags=self._lines("provenance"),
            band_tags=self._band_tags(bands),
        )

    def mask_name(self, rows: int, cols: int) -> str | None:
        """Name of the logical matrix `valid`, which says where pixels are data."""
        name = self._names.get("valid")
        if name is None:
            return None
        found = self._file.variables[name]
        return name if found.kind == "flags" and found.shape == (rows, cols) else None

    def _georeference(self) -> Georeference:
        transform, points = self._row("transform"), self._numbers("gcps")
        if points is not None and (points.ndim != 2 or points.shape[1] != 5):
            warn_of_scene(f"gcps left out: found {points.shape}, expected row col x y z each")
            points = None
        if transform is not None and (count := len(transform)) != 6:
            warn_of_scene(f"transform left out: found {count} numbers, expected a b c d e f")
            transform = None
        return Georeference(
            crs_wkt=self._text("crs_wkt"),
            transform=None if transform is None else Affine(*transform),
            gcps=tuple(
                GroundControlPoint(row=row, col=col, x=x, y=y, z=z)
                for row, col, x, y, z in (() if points is None else points.tolist())
            ),
            gcps_crs_wkt=self._text("gcps_crs_wkt"),
            rpcs=self._lines("rpcs"),
        )

    def _band_tags(self, bands: int) -> tuple[dict[str, str], ...]:
        """Cell arrays called `band_KEY`, one text per band."""
        tags: list[dict[str, str]] = []
        for lower, name in self._names.items():
            if lower.startswith("band_") and lower not in _NAMES:
                texts = self._texts(lower) or ()
                if len(texts) == bands:
                    tags = tags or [{} for _ in texts]
                    for band, text in zip(tags, texts, strict=True):
                        band.update({name[len("band_") :]: text} if text else {})
        return tuple(tags) if any(tags) else ()

    def _vector(self, names: Sequence[str]) -> tuple[float, ...] | None:
        """The first variable of these names that is a vector."""
        for name in names:
            row = self._row(name) or ()
            if name == "bands" and min(row, default=0) < _SHORTEST_NM:
                continue
            # a single number is something else under other names, such as the weight called lambda
            if len(row) > 1 or (row and name == names[0]):
                return row
        return None

    def _row(self, name: str) -> tuple[float, ...] | None:
        """All numbers of a variable that is no matrix."""
        found = self._numbers(name, row=True)
        return tuple(map(float, found.ravel())) if found is not None and found.size else None

    def _numbers(self, name: str, *, row: bool = False) -> npt.NDArray[np.float64] | None:
        return usable(name, lambda: self._read_numbers(name, row=row))

    def _read_numbers(self, name: str, *, row: bool) -> npt.NDArray[np.float64] | None:
        known = self._names.get(name)
        if known is None or self._file.variables[known].kind not in ("numbers", "flags"):
            if known is not None and self._file.variables[known].kind == "text":
                raise InputDataError("found a text, expected numbers")
            return None
        shape = self._file.variables[known].shape
        if len(shape) > 2 or (row and sum(side != 1 for side in shape) > 1):
            return None
        if math.prod(shape) > _MOST_NUMBERS:
            raise InputDataError(f"{known} has the shape {shape}, expected one number per band")
        array, reverse = self._file.array(known)
        with reading():
            numbers = np.asarray(array[()], np.float64)
        return numbers.T if reverse else numbers

    def _text(self, name: str) -> str | None:
        return next(iter(self._texts(name) or ()), None) or None

    def _lines(self, name: str) -> dict[str, str]:
        """Fields kept as lines of "key = value"."""
        pairs = (line.partition(" = ") for line in (self._text(name) or "").splitlines())
        return {key: value for key, equals, value in pairs if equals}

    def _texts(self, *names: str) -> list[str] | None:
        for name in names:
            known = self._names.get(name)
            if known is not None and self._file.variables[known].kind == "text":
                texts = usable(known, partial(self._file.texts, known))
                return [text.rstrip() for text in texts or ()] or None
        return None


def mat_variables(metadata: SceneMetadata) -> dict[str, MatValue]:
    """Variables beside `data`; a field that is unknown is absent.

    `wavelengths` and `fwhm` are in `wavelength_units`; `bbl` is 1 for good bands; `transform` is
    the six numbers a b c d e f of x = a col + b row + c, y = d col + e row + f; `gcps` has rows of
    (row, col, x, y, z) counted from the outer corner; `provenance` and `envi_header` have lines of
    "key = value".
    """
    stored = metadata.stored
    found: dict[str, MatValue | None] = {
        **_spectrum(metadata),
        **_place(metadata.georeference),
        "nodata": None if stored.nodata is None else _row([stored.nodata]),
        "scales": _row(stored.scales),
        "offsets": _row(stored.offsets),
        "units": list(stored.units) if stored.units else None,
        "provenance": _lines(dataset_tags(metadata)),
        "envi_header": _lines(free_fields(metadata)),
    }
    for key in sorted({key for band in metadata.band_tags for key in band}):
        name = "band_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in key)[:50]
        found[name] = [band.get(key, "") for band in metadata.band_tags]
    return {key: value for key, value in found.items() if value is not None}


def _spectrum(metadata: SceneMetadata) -> dict[str, MatValue | None]:
    axis = metadata.spectral_axis
    waves, widths = axis.wavelengths_nm, axis.fwhm_nm
    return {
        "wavelengths": _row(axis.in_file_unit(waves) if waves else None),
        "fwhm": _row(axis.in_file_unit(widths) if widths else None),
        "wavelength_units": axis.unit if waves or widths else None,
        "bbl": _row(axis.good),
        "band_names": list(axis.names) if axis.names else None,
    }


def _place(place: Georeference) -> dict[str, MatValue | None]:
    points = [(p.row, p.col, p.x, p.y, p.z) for p in place.gcps]
    return {
        "crs_wkt": place.crs_wkt,
        "transform": _row(tuple(place.transform)[:6] if place.transform is not None else None),
        "gcps": np.array(points, np.float64) if points else None,
        "gcps_crs_wkt": place.gcps_crs_wkt,
        "rpcs": _lines(dict(place.rpcs)),
    }


def _row(numbers: Any) -> npt.NDArray[np.float64] | None:
    return None if numbers is None else np.array([numbers], np.float64)


def _lines(fields: dict[str, str]) -> str | None:
    return "\n".join(f"{key} = {' '.join(v.split())}" for key, v in fields.items()) or None

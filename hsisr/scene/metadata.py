"""A cube and what a file says about it: size, numbers, spectral axis, place, free-text fields."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError
from hsisr.scene.georeference import Geolocation, Georeference

NM_PER_UNIT: Final = {
    name: size
    for size, names in (
        (1.0, "nanometers nanometer nanometres nanometre nm"),
        (1e3, "micrometers micrometer micrometres micrometre micron microns um \u00b5m \u03bcm"),
        (1e6, "millimeters millimeter millimetres millimetre mm"),
        (1e7, "centimeters centimeter centimetres centimetre cm"),
        (1e9, "meters meter metres metre m"),
        (0.1, "angstrom angstroms \u00e5"),
    )
    for name in names.split()
}
"""Nanometres in one unit of length, by the names (lower case) that headers use."""


MOST_BANDS: Final = 2**20 - 1
"""Formats and sensors have some thousands; what claims more is damaged or wants the memory."""
_TRUE_COLOUR_NM: Final = (660.0, 550.0, 480.0)
"""Red, green and blue."""
_FAR_NM: Final = 40.0
"""A band farther than this from a colour does not show it."""
_FEWEST_LISTED: Final = 7
"""Lists of fewer items may be of something else than bands: the sun's angles, a region, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralAxis:
    """What is known about the bands of a cube, in file order.

    Raises:
        InputDataError: A field has another length than `count`, or a wavelength or width is not
            a finite number from 0.
    """

    count: int
    """Number of bands."""
    wavelengths_nm: tuple[float, ...] | None = None
    """Band centres in nanometres, in band order (not always rising), or None if unknown; 0 for a
    band that is not there."""
    fwhm_nm: tuple[float, ...] | None = None
    """Full widths at half maximum in nanometres, or None if unknown."""
    good: tuple[bool, ...] | None = None
    """ENVI's bad-band list: True where the band is good; None if the file has none."""
    names: tuple[str, ...] | None = None
    """Band names as the file gives them, or None."""
    unit: str = "Nanometers"
    """The unit that the file wrote wavelengths in, kept for writing it back."""

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_BANDS:
            raise InputDataError(
                f"found {self.count} bands, expected at least 1 and fewer than 2^20"
            )
        for name, what in _PLAIN.items():
            values = getattr(self, name)
            if values is not None and len(values) != self.count:
                raise InputDataError(
                    f"found {len(values)} {what} for {self.count} bands; "
                    "correct the header so that there is one per band"
                )
        for what in ("wavelengths_nm", "fwhm_nm"):
            _require_positive(getattr(self, what) or (), _PLAIN[what])
        if self.unit.lower() not in NM_PER_UNIT:
            raise InputDataError(
                f"unknown wavelength unit {self.unit!r}; expected Nanometers or Micrometers"
            )

    @classmethod
    def from_unit(  # the one place where other units become nanometres
        cls,
        count: int,
        *,
        unit: str,
        wavelengths: Sequence[float] | None,
        fwhm: Sequence[float] | None = None,
    ) -> "SpectralAxis":
        """Build an axis from wavelengths and widths given in `unit`.

        Raises:
            InputDataError: The unit is not one of length, or a field is refused by the axis.

        >>> SpectralAxis.from_unit(1, unit="Micrometers", wavelengths=[0.40942]).wavelengths_nm
        (409.42,)
        """
        factor = NM_PER_UNIT.get(unit.lower())
        if factor is None:
            raise InputDataError(
                f"unknown wavelength unit {unit!r}; expected Nanometers or Micrometers"
            )
        return cls(
            count=count,
            wavelengths_nm=None if wavelengths is None else _times(wavelengths, factor),
            fwhm_nm=None if fwhm is None else _times(fwhm, factor),
            unit=unit,
        )

    def in_file_unit(self, values_nm: Sequence[float]) -> tuple[float, ...]:
        """Nanometres turned back into the unit the file used.

        >>> SpectralAxis(count=1, unit="Micrometers").in_file_unit([409.42])
        (0.40942,)
        """
        return _times(values_nm, 1 / NM_PER_UNIT[self.unit.lower()])

    def subset(self, bands: Sequence[int]) -> "SpectralAxis":
        """The axis of the bands named by their 0-based indices, in that order.

        >>> SpectralAxis(count=3, names=("a", "b", "c")).subset([2, 0]).names
        ('c', 'a')
        """
        return replace(self, count=len(bands), **_picked(self, _PLAIN, bands))

    @property
    def natural_colour(self) -> tuple[int, int, int] | None:
        """0-based good bands of red, green and blue light; None where there are none.

        >>> SpectralAxis(count=3).natural_colour is None
        True
        """
        if self.wavelengths_nm is None:
            return None
        distance = np.abs(np.array(self.wavelengths_nm) - np.array(_TRUE_COLOUR_NM)[:, None])
        if self.good is not None:
            distance[:, ~np.array(self.good)] = np.inf
        red, green, blue = distance.argmin(axis=1).tolist()
        return (red, green, blue) if distance.min(axis=1).max() <= _FAR_NM else None


_PLAIN: Final = {
    "wavelengths_nm": "wavelengths",
    "fwhm_nm": "FWHM values",
    "good": "bad-band flags",
    "names": "band names",
}


def _picked(owner: object, names: Iterable[str], bands: Sequence[int]) -> dict[str, Any]:
    """Fields with an entry per band, if they have any, for these bands."""
    found = {name: getattr(owner, name) for name in names}
    return {name: of and tuple(of[b] for b in bands) for name, of in found.items()}


def _times(values: Sequence[float], factor: float) -> tuple[float, ...]:
    """Products with 12 significant digits, so that unit changes leave no binary dust."""
    if factor == 1.0:
        return tuple(float(v) for v in values)
    return tuple(float(f"{float(v) * factor:.12g}") for v in values)


def _require_positive(values: Sequence[float], what: str) -> None:
    for number, value in enumerate(values, start=1):
        if not math.isfinite(value) or value < 0:
            raise InputDataError(
                f"{what}: band {number} has {value:g}, expected a positive number; "
                "correct the header, or remove the field if the values are unknown"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNumbers:
    """How a file stores the values of a cube.

    Raises:
        InputDataError: The data type is not a real number.
    """

    dtype: np.dtype[Any]
    """Data type in the file (native byte order; the reader swaps)."""
    nodata: float | None = None
    """The stored number that means "no data", NaN allowed; None if the file names none."""
    limits: tuple[float, float] | None = None
    """Smallest and largest stored number that is data, as the file says; None: any may be."""
    scales: tuple[float, ...] | None = None
    """Per band: physical value = stored number * scale + offset; None if the file has none."""
    offsets: tuple[float, ...] | None = None
    """Per band, see `scales`."""
    units: tuple[str, ...] | None = None
    """Per band: physical unit of the value, as the file gives it."""

    def __post_init__(self) -> None:
        if self.dtype.kind not in "iuf":
            raise InputDataError(
                f"found numbers of type {self.dtype}, expected integers or floats; "
                "complex and text data cannot be upscaled"
            )

    @property
    def exact_in_float32(self) -> bool:
        """True if float32, which all computation uses, holds every number of this type."""
        return bool(np.can_cast(self.dtype, np.float32))


def holds(dtype: np.dtype[Any], number: float) -> bool:
    """True if a data type has that number, rounded if need be, so that a pixel may have it.

    >>> holds(np.dtype("uint16"), -9999), holds(np.dtype("float32"), -9999)
    (False, True)
    >>> holds(np.dtype("float32"), -1.7976931348623157e308), holds(np.dtype("uint64"), 2.0**64)
    (False, True)
    """
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return bool(np.isfinite(dtype.type(number)) or not np.isfinite(number))
    low, high = (float(end) for end in (np.iinfo(dtype).min, np.iinfo(dtype).max))
    return bool(np.isfinite(number)) and number == int(number) and low <= number <= high


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneMetadata:
    """Size, numbers, spectrum, place and free-text fields of a scene.

    Raises:
        InputDataError: The scene has no pixels, or a per-band field has another length.
    """

    rows: int
    cols: int
    stored: StoredNumbers
    spectral_axis: SpectralAxis
    georeference: Georeference = field(default_factory=Georeference)
    geolocation: Geolocation | None = None
    """Where each pixel lies, for a scene in sensor geometry whose file says so."""
    header: Mapping[str, str] = field(default_factory=_nothing)
    """ENVI header fields that have no field of their own here (acquisition time, sensor type,
    default bands, ...), keys in lower case with spaces; braces around lists are kept."""
    tags: Mapping[str, str] = field(default_factory=_nothing)
    """Dataset tags of GDAL's default domain."""
    band_tags: tuple[Mapping[str, str], ...] = ()
    """Per band: tags of GDAL's default domain other than wavelength, fwhm, units and bbl."""

    def __post_init__(self) -> None:
        if self.rows < 1 or self.cols < 1:
            raise InputDataError(
                f"found {self.rows} rows and {self.cols} columns, expected at least one pixel"
            )
        per_band = (self.stored.scales, self.stored.offsets, self.stored.units)
        for values in (*per_band, self.band_tags or None):
            if values is not None and len(values) != self.bands:
                raise InputDataError(f"found {len(values)} per-band fields for {self.bands} bands")
        if self.geolocation is not None and self.geolocation.shape != (self.rows, self.cols):
            raise InputDataError(
                f"found the places of {self.geolocation.shape} pixels, expected those of "
                f"{(self.rows, self.cols)}"
            )

    def __repr__(self) -> str:
        seen = self.spectral_axis.wavelengths_nm
        span = f", {min(seen):g} to {max(seen):g} nm" if seen else ""
        return f"{self.bands} bands, {self.rows} x {self.cols}, {self.stored.dtype}{span}"

    @property
    def bands(self) -> int:
        """Number of spectral bands."""
        return self.spectral_axis.count

    @property
    def shape(self) -> tuple[int, int, int]:
        """(bands, rows, cols)."""
        return self.bands, self.rows, self.cols

    def finer(self, scale: int) -> "SceneMetadata":
        """The same scene on a grid with `scale` times smaller pixels."""
        return replace(
            self,
            rows=self.rows * scale,
            cols=self.cols * scale,
            georeference=self.georeference.finer(scale),
            geolocation=self.geolocation and self.geolocation.finer(scale),
        )

    def coarser(self, scale: int) -> "SceneMetadata":
        """The same scene on a grid with `scale` times larger pixels; sides must divide.

        Raises:
            InputDataError: A side is not a multiple of `scale`.
        """
        if self.rows % scale or self.cols % scale:
            raise InputDataError(
                f"{self.rows} x {self.cols} pixels do not divide by scale {scale}; crop first"
            )
        return replace(
            self,
            rows=self.rows // scale,
            cols=self.cols // scale,
            georeference=self.georeference.coarser(scale),
            geolocation=self.geolocation and self.geolocation.coarser(scale),
        )

    def with_bands(self, bands: Sequence[int]) -> "SceneMetadata":
        """The same scene with only the bands named by their 0-based indices.

        ENVI's `default bands` count bands, so they go when bands do; lists in free fields that
        have an item for each band (solar irradiance, wavenumbers) keep those of these bands.
        """
        if list(bands) == list(range(self.bands)):
            return self
        stored = _picked(self.stored, ("scales", "offsets", "units"), bands)
        free = {key: text for key, text in self.header.items() if key != "default bands"}
        return replace(
            self,
            stored=replace(self.stored, **stored),
            spectral_axis=self.spectral_axis.subset(bands),
            header={key: self._items_of(key, text, bands) for key, text in free.items()},
            tags={key: self._items_of(key, text, bands) for key, text in self.tags.items()},
            **_picked(self, ("band_tags",), bands),
        )

    def _items_of(self, key: str, text: str, bands: Sequence[int]) -> str:
        is_list = text.startswith("{") and '"' not in text  # else JSON
        items = text[1:-1].split(",") if is_list else []
        of_bands = self.bands >= _FEWEST_LISTED or key in ("wavelength", "fwhm")
        if len(items) != self.bands or not of_bands:
            return text
        return "{" + ", ".join(items[band].strip() for band in bands) + "}"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Cube:
    """A hyperspectral image in memory.

    Raises:
        InputDataError: The shapes do not fit together.
    """

    values: npt.NDArray[np.float32]
    """Stored numbers as float32, shape (bands, rows, cols); scale and offset are not applied."""
    valid: npt.NDArray[np.bool_]
    """True where a number is data, shape (bands, rows, cols); may be a read-only broadcast."""
    spectral_axis: SpectralAxis
    georeference: Georeference = field(default_factory=Georeference)

    def __post_init__(self) -> None:
        if self.values.ndim != 3:
            raise InputDataError(f"expected (bands, rows, cols), got shape {self.values.shape}")
        if self.valid.shape != self.values.shape:
            raise InputDataError(f"mask {self.valid.shape} does not fit {self.values.shape}")
        if self.spectral_axis.count != self.bands:
            raise InputDataError(f"{self.spectral_axis.count} bands named, {self.bands} given")

    def __repr__(self) -> str:
        _, rows, cols = self.values.shape
        return f"Cube({self.bands} bands, {rows} x {cols}, {self.valid.mean():.1%} valid)"

    @property
    def bands(self) -> int:
        """Number of spectral bands."""
        return int(self.values.shape[0])


def all_valid(valid: npt.NDArray[np.bool_]) -> bool:
    """`valid.all()`, in no time where the mask is a broadcast of one value.

    >>> all_valid(np.broadcast_to(np.True_, (200, 4000, 4000)))
    True
    """
    one = valid[(slice(0, 1),) * valid.ndim] if not any(valid.strides) else valid
    return bool(one.all())

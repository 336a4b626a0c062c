"""Scenes in Zarr stores: what is said of a cube.

Read of it are CF attributes, coordinates over its dimensions and the grid mapping, as this tool
writes them, and xarray, rioxarray and GDAL.
"""

import base64
import itertools
import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from affine import Affine

from hsisr.errors import InputDataError, warn_of_scene
from hsisr.io.arrays.axes import ArrayScene, is_wavelength, whole
from hsisr.io.geotiff.gdal import is_in_km
from hsisr.io.spectral import (
    SpectralSource,
    merged_axis,
    source_from_fields,
    source_from_names,
    usable,
)
from hsisr.io.zarr.layout import MASK, MASK_MEANINGS, OWN_ATTRIBUTES, PLACE
from hsisr.io.zarr.place import (
    crs_by_conventions,
    crs_of_mapping,
    decoded,
    even_steps,
    is_same_place,
    points_in,
    transform_by_conventions,
    transform_in,
)
from hsisr.io.zarr.store import (
    WHOLE,
    OpenStore,
    axis_order,
    cube_name,
    dimension_names,
    zarr_errors,
)
from hsisr.scene.georeference import Georeference
from hsisr.scene.metadata import SceneMetadata, SpectralAxis, StoredNumbers

_Fits = Callable[[str, Mapping[str, Any]], bool]
"""What knows an array by its name and attributes."""


def _named(*names: str) -> _Fits:
    return lambda name, _attributes: name.rpartition("/")[2] in names


_FWHM: Final = _named("fwhm", "fwhms")
_GOOD: Final = _named("good_bands", "good_wavelengths", "bbl")
_BAND_NAMES: Final = _named("band_name", "band_names")
_LISTS: Final = {
    **{name: name for name in ("wavelength", "fwhm", "bbl")},
    "wavelengths": "wavelength",
    "long_name": "band names",
}
"""Attributes of a cube or file that are lists, and ENVI's word for each."""
_LIMITS: Final = {"valid_min": -math.inf, "valid_max": math.inf}
_CRS_WORDS: Final = ("crs_wkt", "spatial_ref", "epsg_code", "spatial_epsg", "proj4", "proj4_string")
_TRUE: Final = ("true", "True", "1")
_OF_FILE: Final = re.compile(
    r"proj:|spatial:|(zarr_conventions|multiscales|transform|res|nodata|nodatavals)$"
)
"""Attributes that hold for the grid and numbers of the file, by GeoZarr, STAC and xarray."""
_MOST_BANDS: Final = 100_000


class ZarrFields:
    """The fields of a cube in an open store."""

    def __init__(self, store: Any, cube: str, axes: str) -> None:
        self._store, self._cube = store, store.arrays[cube]
        self._folder = cube.rpartition("/")[0]
        self._attributes = dict(self._cube.attrs)
        names = dimension_names(self._cube)
        self._dims = {axis: names[axes.index(axis)] for axis in "brc"}
        self.dimensions = self._dims["r"], self._dims["c"]
        """Names of those of rows and columns."""
        self.shape = tuple(int(self._cube.shape[axes.index(axis)]) for axis in "brc")

    def metadata(self) -> SceneMetadata:
        """All that is known of the cube; InputDataError: a field cannot be read."""
        bands, rows, cols = self.shape
        if bands > _MOST_BANDS:
            raise InputDataError(f"found {bands} bands, expected at most {_MOST_BANDS}")
        return SceneMetadata(
            rows=rows,
            cols=cols,
            stored=self._stored(bands),
            spectral_axis=self._axis(bands),
            georeference=self._georeference(),
            header=_texts(self._attributes.get("envi_header")),
            tags=self._tags(),
            band_tags=self._band_tags(bands),
        )

    def mask_name(self) -> str | None:
        """Name of the array `mask` beside the cube, of its rows and columns."""
        name = self._beside(MASK)
        array = None if name is None else self._store.arrays[name]
        if array is None or tuple(array.shape) != self.shape[1:] or array.dtype.kind not in "iub":
            return None
        if array.attrs.get("flag_meanings") == MASK_MEANINGS:
            return name
        warn_of_scene(  # 1 is no data for numpy, and a class for others
            f"{name} left out: it does not say which numbers in it mean data; if it is to count, "
            f"give it the attribute flag_meanings = {MASK_MEANINGS!r} for 0 and 1"
        )
        return None

    def _stored(self, bands: int) -> StoredNumbers:
        units = self._attributes.get("band_units")
        same = self._attributes.get("units")
        if self._cube.dtype.kind == "i" and str(self._attributes.get("_Unsigned")) in _TRUE:
            raise InputDataError(
                f"its numbers are unsigned (_Unsigned) and stored as {self._cube.dtype}; save them "
                "as unsigned integers, as xarray does when it decodes and writes the file"
            )
        if isinstance(units, list) and len(units) == bands:
            known: tuple[str, ...] | None = tuple(map(str, units))
        else:
            known = (str(same),) * bands if same else None
        stored = StoredNumbers(
            dtype=np.dtype(self._cube.dtype).newbyteorder("="),
            nodata=self._nodata(),
            scales=self._scaling("scale_factor", "band_scale", bands),
            offsets=self._scaling("add_offset", "band_offset", bands),
            units=known,
        )
        return replace(stored, limits=usable("valid_range", lambda: self._limits(stored)))

    def _limits(self, stored: StoredNumbers) -> tuple[float, float] | None:
        """Which numbers are data by `valid_range`, else by `valid_min` and `valid_max`.

        They are numbers as stored, unless floats stand for packed integers: those are values.
        Source: CF conventions 1.10, 2.5.1; netCDF Users Guide, attribute conventions.
        """
        said = self._attributes.get("valid_range") or [
            self._attributes.get(name, end) for name, end in _LIMITS.items()
        ]
        ends = list(map(_number, said)) if isinstance(said, list) else []
        low, high = ends if len(ends) == 2 else (None, None)
        if low is None or high is None or not low <= high:
            raise InputDataError(f"found {str(said)[:40]!r}, expected two rising numbers")
        if low == -math.inf and high == math.inf:
            return None
        gain, offset = (of_all and of_all[0] for of_all in (stored.scales, stored.offsets))
        values = any(isinstance(end, float) and math.isfinite(end) for end in said)
        if values and (gain or offset) and stored.dtype.kind in "iu":
            low, high = sorted(round((end - (offset or 0)) / (gain or 1), 3) for end in (low, high))
        return low, high

    def _nodata(self) -> float | None:
        """`_FillValue`, else nodata by another name, else the fill value of version 2.

        That of version 3 is always there.
        """
        said = [self._said(name) for name in ("_FillValue", "missing_value")]
        known = [n for n in said if n is not None]
        numbers = [n for n in known if not math.isnan(n)] or known  # NaN is no data anyway
        if numbers:
            if len({f"{n:g}" for n in numbers}) > 1:
                warn_of_scene(f"missing_value {numbers[1]:g} left out beside _FillValue")
            return numbers[0]
        others = [np.ravel(self._attributes.get(name, ())) for name in ("nodata", "nodatavals")]
        found = [n for value in itertools.chain(*others) if (n := _number(value)) is not None]
        if len({str(number) for number in found}) == 1:
            return found[0]
        if self._cube.metadata.zarr_format == 2 and self._cube.fill_value is not None:
            return _number(self._cube.fill_value)
        return None

    def _said(self, name: str) -> float | None:
        """An attribute of one number, alone or in a list; None, with a warning, for another."""
        value = self._attributes.get(name)
        number = _number(value)
        if number is None and value not in (None, "", []):
            warn_of_scene(f"{name} left out: found {str(value)[:40]!r}, expected a number")
        return number

    def _scaling(self, attribute: str, array: str, bands: int) -> tuple[float, ...] | None:
        shared = self._said(attribute)
        return self._over_bands(_named(array), bands)[0] if shared is None else (shared,) * bands

    def _axis(self, bands: int) -> SpectralAxis:
        good, _ = self._over_bands(_GOOD, bands)
        wavelengths, about = self._over_bands(is_wavelength, bands)
        fwhm, about_fwhm = self._over_bands(_FWHM, bands)
        flags = None if good is None else tuple(flag != 0 for flag in good)
        names, unit = self._names(bands), about.get("units")
        centres = SpectralSource(wavelengths=wavelengths, unit=unit, good=flags)
        widths = SpectralSource(fwhm=fwhm, unit=about_fwhm.get("units") or unit)
        said = {**self._store.attributes, **self._attributes}
        lists = {_LISTS[key.lower()]: str(said[key]) for key in said if _is_list(key, said[key])}
        units = str(said.get("wavelength_units", ""))
        own = source_from_fields({**lists, "wavelength units": units})
        axis = merged_axis(bands, [centres, widths, own, source_from_names(names)], names)
        source = about.get("source_units") or about_fwhm.get("source_units")
        return axis if source is None else replace(axis, unit=source)

    def _names(self, bands: int) -> list[str] | None:
        """Texts of a coordinate, else of the list that rioxarray keeps descriptions in."""
        for wanted in (_BAND_NAMES, _named(self._dims["b"])):
            name = self._first(wanted, bands)
            if name is not None and self._store.arrays[name].dtype.kind in "UST":
                return [str(text) for text in self._store.read(name)]
        said = self._attributes.get("long_name")
        return list(map(str, said)) if isinstance(said, list) and len(said) == bands else None

    def _first(self, fits: _Fits, bands: int) -> str | None:
        """An array that fits, with an entry for each band: beside the cube, else along it."""
        shapes = ((bands,), (), (1,)) if fits is _FWHM else ((bands,),)
        arrays, own = self._store.arrays, self._dims["b"]
        found = [n for n, array in arrays.items() if array.shape in shapes and fits(n, array.attrs)]
        beside = [name for name in found if name.rpartition("/")[0] == self._folder]
        along = [name for name in found if own and dimension_names(arrays[name]) == (own,)]
        return next(iter(beside or along), None)

    def _over_bands(
        self, fits: _Fits, bands: int
    ) -> tuple[tuple[float, ...] | None, dict[str, str]]:
        """A number for each band from the first array that fits, and its attributes as texts."""
        name = self._first(fits, bands)
        if name is None:
            return None, {}
        array = self._store.arrays[name]
        if array.dtype.kind in "iufb":
            said = {key: str(value) for key, value in array.attrs.items() if value is not None}
            return tuple(np.broadcast_to(self._unpacked(name).ravel(), bands).tolist()), said
        if fits is not is_wavelength or array.dtype.kind not in "UST":  # texts: names of bands
            warn_of_scene(f"{name} left out: found no numbers in it, expected one per band")
        return None, {}

    def _unpacked(self, name: str, place: Any = ...) -> npt.NDArray[np.float64]:
        """Values of a small array, by its own scale and offset."""
        attributes = self._store.arrays[name].attrs
        gain, offset = (_number(attributes.get(key)) for key in ("scale_factor", "add_offset"))
        numbers = np.asarray(self._store.read(name, place), np.float64)
        if gain is None and offset is None:
            return numbers
        return np.round(numbers * (1 if gain is None else gain) + (offset or 0), 9)

    def _georeference(self) -> Georeference:
        named = str(self._attributes.get("grid_mapping", PLACE)).split(":")[0]
        name = self._beside(named) or self._beside(PLACE) or self._beside("crs")
        said = dict(self._store.arrays[name].attrs) if name else {}
        own = {**self._store.groups.get(self._folder, {}), **self._attributes}
        above = (self._store.groups.get(name, {}) for name in _groups_of(self._folder))
        gdals = self._attributes.get("_CRS")  # GDAL, Zarr driver, "SRS encoding"
        alone = str({**self._store.attributes, **self._attributes}.get("crs", ""))
        words = [
            *map(said.get, _CRS_WORDS),
            gdals.get("wkt") if isinstance(gdals, Mapping) else None,
            alone if re.search(r"[:+\[]", alone) else None,  # else the name of an array
            *map(crs_by_conventions, (self._attributes, *above)),
        ]
        wkt = next((str(word) for word in words if word), None)
        unit = 1000 if self._coordinate_unit("c").startswith("k") else 1
        wkt = wkt or usable("reference system", lambda: crs_of_mapping(said, unit))
        wkt = f"EPSG:{wkt}" if wkt and wkt.isdecimal() else wkt
        told = usable("GeoTransform", lambda: transform_in(said.get("GeoTransform")))
        told = told or usable("place", lambda: transform_by_conventions(own, *self.shape[1:]))
        transform = self._grid(told, in_km=unit > 1 and is_in_km(wkt))
        if not wkt and transform is not None and self._in_degrees():
            warn_of_scene("longitudes and latitudes name no datum; taken as WGS 84")
            wkt = "EPSG:4326"
        return Georeference(
            crs_wkt=wkt,
            transform=transform,
            gcps=usable("gcps", lambda: points_in(said.get("gcps"))) or (),
            gcps_crs_wkt=said.get("gcps_crs_wkt"),
            rpcs=_texts(usable("rpcs", lambda: decoded(said.get("rpcs")))),
        )

    def _grid(self, told: Affine | None, *, in_km: bool) -> Affine | None:
        """The transform told, unless coordinates say another place, as those of a part do.

        Programs that cut or coarsen a cube keep the `GeoTransform` of the whole.
        """
        km = not in_km and self._coordinate_unit("c").startswith("k")
        grid = Affine.scale(1000 if km else 1)
        within = told and ~grid @ told
        along = None if within and (within.b or within.d) else self._even_grid(within)
        if told is None or along is None or not told.determinant:
            return told or (along and grid @ along)
        if is_same_place(told, grid @ along, *self.shape[1:]):
            return told
        warn_of_scene("GeoTransform left out: the coordinates of the pixels say another place")
        return grid @ along

    def _in_degrees(self) -> bool:
        """True if rows and columns lie along latitudes and longitudes."""
        pairs = zip("ne", map(self._coordinate_unit, "rc"), strict=True)
        return all(re.match(f"degrees?_?{to}", unit) for to, unit in pairs)

    def _coordinate_unit(self, axis: str) -> str:
        name = self._beside(self._dims[axis])
        return str(self._store.arrays[name].attrs.get("units")).lower() if name else ""

    def _even_grid(self, told: Affine | None) -> Affine | None:
        """The transform behind coordinates of pixel centres, if they lie on an even grid.

        A single coordinate has no step; that of `told` is taken for it.
        """
        if (found := self._even_steps("c", None if told is None else told.a)) is None:
            return None
        x, across = found
        if (found := self._even_steps("r", None if told is None else told.e)) is None:
            return None
        y, down = found
        return Affine(across, 0.0, x - across / 2, 0.0, down, y - down / 2)

    def _even_steps(self, axis: str, told: float | None) -> tuple[float, float] | None:
        """First centre and step along an axis, from a few of its numbers."""
        name, size = self._beside(self._dims[axis]), self.shape["brc".index(axis)]
        if name is None:
            return None
        array = self._store.arrays[name]
        if array.shape != (size,) or array.dtype.kind not in "iuf":
            return None
        if size == 1:
            if told is not None:
                return float(self._unpacked(name)[0]), told
            warn_of_scene(f"{name} has a single number: no place is taken from coordinates")
            return None
        at = sorted({0, 1, size // 2, size - 2, size - 1})
        found = [float(self._unpacked(name, slice(n, n + 1))[0]) for n in at]
        steps = even_steps(dict(zip(at, found, strict=True)), array.dtype)
        if steps is None:
            warn_of_scene(f"{name} is not evenly spaced: no place is taken from coordinates")
        return steps

    def _beside(self, name: str) -> str | None:
        """Full name of an array in the folder of the cube, or above it as netCDF's groups have."""
        folder = self._folder
        while folder and f"{folder}/{name}" not in self._store.arrays:
            folder = folder.rpartition("/")[0]
        full = f"{folder}/{name}" if folder else name
        return full if full in self._store.arrays else None

    def _tags(self) -> dict[str, str]:
        said = {**self._store.attributes, **self._attributes}
        own = OWN_ATTRIBUTES | {"Conventions", WHOLE}
        flat = {
            k: value
            for k, value in said.items()
            if k not in own and not _is_list(k, value) and not _OF_FILE.match(k)
        }
        return {**_texts(flat), **_texts(self._attributes.get("tags"))}

    def _band_tags(self, bands: int) -> tuple[dict[str, str], ...]:
        found = self._attributes.get("band_tags")
        if not isinstance(found, list) or len(found) != bands:
            return ()
        return tuple(_texts(band) for band in found)


def _groups_of(folder: str) -> list[str]:
    """A group and those around it, the root last.

    >>> _groups_of("a/b"), _groups_of("")
    (['a/b', 'a', ''], [''])
    """
    return [folder, *_groups_of(folder.rpartition("/")[0])] if folder else [""]


def _is_list(key: str, value: Any) -> bool:
    """True for an attribute that has a number for each band."""
    return key.lower() in _LISTS and isinstance(value, list)


def _number(value: Any) -> float | None:
    """A number, or None for anything else; JSON has to write NaN as a text.

    xarray writes floats in version 3 as eight bytes in base 64; a list may hold one number.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str) and len(value) == 12 and value.endswith("="):
        with suppress(ValueError):
            return float(np.frombuffer(base64.b64decode(value, validate=True), "<f8")[0])
    if isinstance(value, str) and value not in ("NaN", "Infinity", "-Infinity"):
        return None
    if isinstance(value, (bool, list, dict)) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _texts(fields: Any) -> dict[str, str]:
    """A mapping with its values as text."""
    if not isinstance(fields, Mapping):
        return {}
    return {
        str(key): value if isinstance(value, str) else json.dumps(value)
        for key, value in fields.items()
    }


class _Array:
    """An array of a store that slices like numpy, and reads with care."""

    def __init__(self, store: OpenStore, name: str) -> None:
        self._store, self._name = store, name
        self.shape, self.chunks = store.arrays[name].shape, store.arrays[name].chunks

    def __getitem__(self, place: Any) -> npt.NDArray[Any]:
        return self._store.read(self._name, place)


def open_zarr(
    path: Path, *, variable: str | None = None, axes: str | None = None, source: Any = None
) -> ArrayScene:
    """Open a cube in a Zarr store of version 2 or 3.

    Args:
        path: What the user named.
        variable: Name of the cube, with / in groups; None: by the rule of `hsisr.io.zarr.store`.
        axes: Order of its axes, such as "brc"; None: by that rule.
        source: A store of zarr's to read from; None: the folder `path`.

    Raises:
        InputDataError: No array, or more than one, can be the cube, or the store is damaged.
        UsageError: There is no such array, `axes` is no order, or zarr is not installed.
    """
    store = OpenStore(path if source is None else source)
    try:
        name = cube_name(store.arrays, variable)
        order = axis_order(store.arrays, name, axes)
        with zarr_errors("what it says of its cube cannot be understood"):
            fields = ZarrFields(store, name, order)
            metadata, flags = fields.metadata(), fields.mask_name()
        if not metadata.georeference.exists:
            _warn_of_positions(store, metadata)
        mask = None if flags is None else _Array(store, flags)
        return ArrayScene(
            path,
            "Zarr",
            metadata,
            whole(_Array(store, name), order),
            mask=None if mask is None else lambda place: mask[place] != 0,
            file=store,
        )
    except BaseException:
        store.close()
        raise


def _warn_of_positions(store: OpenStore, metadata: SceneMetadata) -> None:
    """Say that longitudes and latitudes of each pixel are not read of a Zarr store."""
    size = sorted((metadata.rows, metadata.cols))
    planes = {n.rpartition("/")[2] for n, a in store.arrays.items() if sorted(a.shape) == size}
    if planes >= {"longitude", "latitude"} or planes >= {"lon", "lat"}:
        warn_of_scene(
            "longitudes and latitudes of the pixels are left out, as of every Zarr store; to keep "
            "them save it as netCDF, in xarray by to_netcdf"
        )

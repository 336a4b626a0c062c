"""What a .mat file says beside its cube: one variable per field, by plain names."""

from typing import Any

import numpy as np

from hsisr.io.spectral import dataset_tags, free_fields
from hsisr.scene.georeference import Georeference
from hsisr.scene.metadata import SceneMetadata

MatValue = np.ndarray[Any, np.dtype[np.float64]] | str | list[str]
"""Numbers (rows, cols), a char row, or a cell row of chars."""


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


def _row(numbers: Any) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    return None if numbers is None else np.array([numbers], np.float64)


def _lines(fields: dict[str, str]) -> str | None:
    return "\n".join(f"{key} = {' '.join(v.split())}" for key, v in fields.items()) or None

"""What a STAC Item says of the bands of its asset, for scenes whose file does not say it.

Source: STAC 1.1 (`bands`), and its extensions eo 1 and 2 and raster 1 and 2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from hsisr.errors import about_scene, warn_of_scene
from hsisr.io.base import Scene
from hsisr.io.spectral import SpectralSource, merged_axis
from hsisr.io.views import DescribedScene, usable_numbers
from hsisr.scene.metadata import holds

_KEYS: Final = {
    "wavelength_um": ("center_wavelength", "eo:center_wavelength"),
    "fwhm_um": ("full_width_half_max", "eo:full_width_half_max"),
    "scale": ("scale", "raster:scale"),
    "offset": ("offset", "raster:offset"),
    "nodata": ("nodata",),
}
_OF_ALL: Final = ("scale", "offset", "nodata")
"""What an asset may say of all its bands at once."""


def bands_of(
    asset: Mapping[str, Any], properties: Mapping[str, Any]
) -> tuple[dict[str, float], ...]:
    """Numbers that an item has for each band: wavelength_um, fwhm_um, scale, offset, nodata.

    Fields of the asset go before the item's properties. One mapping a band; without lists of bands,
    one for all of them if the asset has any of these numbers itself.

    Warns:
        HsisrWarning: Something that should be a number is none.
    """
    merged: list[dict[str, Any]] = []
    for key in ("bands", "eo:bands", "raster:bands"):
        listed = asset.get(key) or properties.get(key)
        if not isinstance(listed, list) or not all(isinstance(band, Mapping) for band in listed):
            if listed:
                warn_of_scene(f"{key} of the item left out: found no list of bands")
            continue
        if merged and len(merged) != len(listed):
            warn_of_scene(f"{key} of the item left out: found {len(listed)} for {len(merged)}")
            continue
        known = merged or [{}] * len(listed)
        merged = [{**old, **new} for old, new in zip(known, listed, strict=True)]
    own = [name for key in _OF_ALL for name in _KEYS[key] if name in asset]
    shared = {name: asset[name] for name in own}
    told = merged or ([{}] if shared else [])
    unreadable: dict[str, Any] = {}
    found = tuple(_numbers({**shared, **band}, unreadable) for band in told)
    for name, value in unreadable.items():
        warn_of_scene(f"{name} of the item left out: found {str(value)[:40]!r}, expected a number")
    return found


def with_bands_of_item(
    scene: Scene, bands: Sequence[Mapping[str, float]], *, nodata: bool
) -> Scene:
    """The scene, described by an item where its file says nothing; closing it closes `scene`.

    Warns:
        HsisrWarning: The item has another number of bands, several nodata, or numbers that nobody
            could use.
    """
    meta, count = scene.metadata, scene.metadata.bands
    with about_scene(scene.path):
        bands = _for_each(bands, count)
        axis, stored = meta.spectral_axis, meta.stored
        centres, widths = _all(bands, "wavelength_um"), _all(bands, "fwhm_um")
        told = SpectralSource(wavelengths=centres, fwhm=widths, unit="Micrometers")
        found = merged_axis(count, [told])
        axis = replace(
            axis,
            wavelengths_nm=axis.wavelengths_nm or found.wavelengths_nm,
            fwhm_nm=axis.fwhm_nm or found.fwhm_nm,
        )
        if stored.scales is None and stored.offsets is None:
            scales, offsets = _all(bands, "scale"), _all(bands, "offset")
            stored = replace(stored, scales=scales, offsets=offsets)
        own = _nodata(bands, stored.dtype) if nodata and scene.nodata_of(0) is None else ()
        first = next((number for number in own if number is not None), None)
        stored = usable_numbers(replace(stored, nodata=stored.nodata if first is None else first))
    meta = replace(meta, spectral_axis=axis, stored=stored)
    return DescribedScene(scene, meta, None if first is None else own)


def _nodata(bands: Sequence[Mapping[str, float]], dtype: np.dtype[Any]) -> tuple[float | None, ...]:
    """The number of each band that means no data; None: the item names none that can occur."""
    said = dict.fromkeys(f"{band['nodata']:g}" for band in bands if "nodata" in band)
    known = [text for text in said if holds(dtype, float(text))]
    if left := ", ".join(text for text in said if text not in known):
        warn_of_scene(f"the item's nodata {left} cannot occur: left out")
    if len(known) > 1:
        warn_of_scene(
            f"the item names several nodata ({', '.join(known)}): each is used in its own bands, "
            f"and an output names {known[0]}"
        )
    return tuple(
        band["nodata"] if "nodata" in band and f"{band['nodata']:g}" in known else None
        for band in bands
    )


def _for_each(bands: Sequence[Mapping[str, float]], count: int) -> Sequence[Mapping[str, float]]:
    """As many mappings as the scene has bands: of other bands, only what holds for all."""
    if len(bands) == count:
        return bands
    if len(bands) > 1 or not {*bands[0]} <= {*_OF_ALL}:
        warn_of_scene(
            f"the item tells of {len(bands)} bands, the scene has {count}: left out, save a nodata "
            "of all"
        )
        named = {str(band.get("nodata")) for band in bands}
        common = "nodata" in bands[0] and len(named) == 1
        bands = [{"nodata": bands[0]["nodata"]} if common else {}]
    return [bands[0]] * count


def _all(bands: Sequence[Mapping[str, float]], key: str) -> tuple[float, ...] | None:
    found = tuple(band[key] for band in bands if key in band)
    if 0 < len(found) < len(bands):
        warn_of_scene(f"{key} of the item left out: found {len(found)} for {len(bands)} bands")
    return found if len(found) == len(bands) else None


def _numbers(band: Mapping[str, Any], unreadable: dict[str, Any]) -> dict[str, float]:
    """The numbers among what an item says of a band; JSON writes nan and inf as texts."""
    found = {}
    for key, names in _KEYS.items():
        name = next((name for name in names if name in band), None)
        if name is None or band[name] is None:
            continue
        try:
            found[key] = float("no" if isinstance(band[name], bool) else band[name])
        except (TypeError, ValueError, OverflowError):
            unreadable.setdefault(name, band[name])
    return found

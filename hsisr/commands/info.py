"""What hsisr sees in a scene."""

import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hsisr.commands.options import PartOptions
from hsisr.commands.python.calls import chosen_options, keywords_of
from hsisr.io.geotiff.gdal import crs_name, pixel_size_m
from hsisr.io.open import open_with
from hsisr.io.paths import scene_path
from hsisr.io.views import warn_of_fill
from hsisr.scene.metadata import SceneMetadata
from hsisr.tiling import Window

if TYPE_CHECKING:
    from hsisr.commands.upscale import UpscaleResult

PRODUCT_FIELDS: Final = {
    "name": "product",
    "level": "processing level",
    "sensor": "sensor type",
    "acquired": "acquisition time",
    "sun_azimuth": "sun azimuth",
    "sun_elevation": "sun elevation",
}
"""What is told of the product a scene is delivered as, and the header field or tag it is in."""


@dataclass(frozen=True, slots=True)
class SceneInfo:
    """A scene's metadata, and what upscaling it by 4 would take."""

    path: Path
    format: str
    metadata: SceneMetadata
    masked: bool = False
    """The file has a mask or alpha band that says where it holds data."""

    def __repr__(self) -> str:
        return f"SceneInfo({self.path.name!r}: {self.format}, {self.metadata!r})"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; unknown ones are null."""
        meta, axis, stored = self.metadata, self.metadata.spectral_axis, self.metadata.stored
        good, shown = axis.good, axis.natural_colour
        told = {name.replace("_", " "): text for name, text in meta.tags.items()} | {**meta.header}
        return {
            "path": str(self.path),
            "format": self.format,
            "bands": meta.bands,
            "rows": meta.rows,
            "cols": meta.cols,
            "dtype": str(stored.dtype),
            "nodata": _plain(stored.nodata),
            "valid_range": stored.limits and [_plain(end) for end in stored.limits],
            "mask": self.masked,
            "scales": stored.scales,
            "offsets": stored.offsets,
            "unit": " or ".join(sorted({unit for unit in stored.units or () if unit})) or None,
            "wavelengths_nm": axis.wavelengths_nm,
            "fwhm_nm": axis.fwhm_nm,
            "band_names": axis.names,
            "product": {key: told.get(name) for key, name in PRODUCT_FIELDS.items()},
            "bad_bands": None if good is None else [b + 1 for b, ok in enumerate(good) if not ok],
            "georeference": _place(meta),
            "header": dict(meta.header),
            "upscaled_x4": self.cost(4),
            "pixel_m": pixel_size_m(meta),
            "crs_name": None if self.crs is None else _crs_in_words(self.crs),
            "natural_colour_bands": shown and [band + 1 for band in shown],
        }

    @property
    def crs(self) -> str | None:
        """Coordinate reference system as WKT."""
        place = self.metadata.georeference
        return place.crs_wkt or place.gcps_crs_wkt

    def cost(self, scale: int) -> dict[str, Any]:
        """Size of the output at a scale, before compression."""
        bands, rows, cols = self.metadata.finer(scale).shape
        itemsize = self.metadata.stored.dtype.itemsize
        return {"shape": [bands, rows, cols], "bytes": bands * rows * cols * itemsize}


@keywords_of(PartOptions)
def info(source: str | Path, options: PartOptions | None = None, **keywords: Any) -> SceneInfo:
    """What is in a scene: size, numbers, wavelengths, nodata, place; pixels are only sampled.

    Args:
        source: A scene in any supported format.
        options: How it is read, and what of it; keywords change it.
        keywords: Fields of `PartOptions`, such as variable, axes, nodata, window or bands.

    Raises:
        InputDataError: It cannot be read.
        UsageError: The options are unknown, impossible or contradict the scene.
    """
    path, options = scene_path(source), chosen_options(PartOptions, options, keywords)
    with closing(open_with(path, options)) as scene:
        if options.nodata is None:
            warn_of_fill(scene)
        masked = scene.read_mask(Window(0, 0, 1, 1)) is not None
        return SceneInfo(path, scene.format, scene.metadata, masked)


def _crs_in_words(wkt: str) -> str:
    """Authority's code and name, as far as they are known.

    >>> _crs_in_words('LOCAL_CS["unnamed"]')
    'unnamed'
    """
    code, name = crs_name(wkt), wkt.split('"')[1] if wkt.count('"') > 1 else "unnamed"
    return code if name in code or name in ("unnamed", "unknown") else f"{code} ({name})"


def time_x4(path: Path, options: PartOptions) -> "UpscaleResult":
    """Plan the default network at x4 on a scene, timing one tile; reads the scene once."""
    from hsisr.commands.upscale import plan_upscale
    from hsisr.engine.options import UpscaleOptions

    with tempfile.TemporaryDirectory(prefix="hsisr-info-") as folder:
        how = UpscaleOptions(scale=4, **asdict(options))
        return plan_upscale(path, Path(folder) / "x4.tif", how)


def _plain(number: float | None) -> float | str | None:
    if number is None or np.isfinite(number):
        return number
    return "NaN" if np.isnan(number) else str(number)


def _place(meta: SceneMetadata) -> dict[str, Any] | None:
    place, pixels = meta.georeference, meta.geolocation
    if not place.exists:
        return None
    affine = place.transform
    return {
        "crs": place.crs_wkt or place.gcps_crs_wkt,
        "transform": affine and list(affine)[:6],
        "gcps": len(place.gcps),
        "rpcs": bool(place.rpcs),
        "pixel_positions": pixels is not None,
        "lookup_table": pixels and pixels.table and list(pixels.table.rows.shape),
    }

"""The STAC Item of an output, derived from that of its input."""

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hsisr.errors import UsageError, warn
from hsisr.io.atomic import refuse_existing, write_new
from hsisr.io.envi.files import envi_pair
from hsisr.io.formats import output_format
from hsisr.io.geotiff.gdal import GdalError, crs_name, gdal_env, parsed_crs
from hsisr.io.open import open_scene
from hsisr.io.paths import RemotePath
from hsisr.io.stac.item import SourceItem
from hsisr.resume.record import Work, item_path
from hsisr.scene.metadata import SceneMetadata

if TYPE_CHECKING:
    import pystac

    from hsisr.commands.upscale import UpscaleResult

PROCESSING: Final = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
_PER_BAND: Final = ("bands", "eo:bands", "raster:bands")
_OF_OLD_FILE: Final = ("file:", "checksum:", "created", "updated", "proj:")
"""What begins like this speaks of the input's file or grid."""
_OF_OLD_NUMBERS: Final = ("statistics", "histogram")
_CRS_NAMES: Final = {"proj:code", "proj:epsg", "proj:wkt2", "proj:projjson"}
_WGS84: Final = "EPSG:4326"
_SIZES: Final = ("gsd", "spatial_resolution", "raster:spatial_resolution")
"""Ground sampling distances in metres."""


def check_item(work: Work, *, overwrite: bool) -> None:
    """Say early whether the item of an output could be written."""
    if work.item is None:
        return
    path = item_path(work.output)
    if isinstance(path, RemotePath):
        raise UsageError(
            f"{path}: STAC Items are written to this machine only; --no-stac leaves it out"
        )
    if path.exists() and path.samefile(work.item.path):
        raise UsageError(f"{path} is the input's own STAC Item; name another output")
    refuse_existing((path,), overwrite=overwrite)


def write_item(
    source: SourceItem, output: Path, result: "UpscaleResult", *, part: bool, overwrite: bool
) -> None:
    """Write the item of an output, or of an output of a part of the input, beside it.

    Geometry and bbox of a part are its own. Those of a whole input, times and all other properties
    are the source's; the id is new, the ground sampling distance divided by the scale, shape and
    transform are the output's, the one asset is the output (for an ENVI pair its header as well),
    and `derived_from` leads to the source. Returns its path.
    """
    with closing(open_scene(output)) as scene:
        metadata = scene.metadata
    text = item_text(source, output, result, metadata, part=part)
    write_new(item_path(output), text, overwrite=overwrite)


def item_text(
    source: SourceItem,
    output: Path,
    result: "UpscaleResult",
    metadata: SceneMetadata,
    *,
    part: bool = False,
) -> bytes:
    """The file of an output's item; see `write_item`."""
    from hsisr import __version__

    item = source.item.clone()
    item.id = f"{item.id}_x{result.scale}"
    item.collection_id = None  # the output is no member of the input's collection
    item.links = [_derived_from(source, output)]
    item.properties = _fields_of_output(item.properties, result, metadata)
    item.properties["created"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    software = item.properties.get("processing:software")
    earlier = software if isinstance(software, dict) else {}
    item.properties["processing:software"] = {**earlier, "hsisr": __version__}
    if PROCESSING not in item.stac_extensions:
        own = [one for one in item.stac_extensions if "/processing/" not in one]
        item.stac_extensions = [*own, PROCESSING]
    item.assets = _assets(source, output, result, metadata)
    _project(item, source, metadata)
    if part:
        _place_part(item, output, metadata)
    plain = item.to_dict(include_self_link=False, transform_hrefs=False)
    text = json.dumps(plain, indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")  # half a pair of surrogates, as JSON writes it


def _derived_from(source: SourceItem, output: Path) -> "pystac.Link":
    import pystac

    here = output.parent.resolve()
    try:
        target = Path(os.path.relpath(source.path.resolve(), here)).as_posix()
    except ValueError:  # another drive
        target = source.path.resolve().as_uri()
    return pystac.Link(pystac.RelType.DERIVED_FROM, target, pystac.MediaType.JSON, source.item.id)


def _assets(
    source: SourceItem, output: Path, result: "UpscaleResult", metadata: SceneMetadata
) -> dict[str, "pystac.Asset"]:
    """The output under the key of the input, and the header of a pair."""
    import pystac

    old = source.item.assets[source.key]
    header, data = envi_pair(output) if result.format == "ENVI" else (None, output)
    assets = {
        source.key: pystac.Asset(
            f"./{data.name}",
            title=old.title,
            description=old.description,
            media_type=output_format(output, result.format).media_type or None,
            roles=old.roles or ["data"],
            extra_fields=_fields_of_output(old.extra_fields, result, metadata),
        )
    }
    if header is not None:
        assets[f"{source.key}-header"] = pystac.Asset(
            f"./{header.name}", media_type=pystac.MediaType.TEXT, roles=["metadata"]
        )
    return assets


def _fields_of_output(
    fields: Mapping[str, Any], result: "UpscaleResult", metadata: SceneMetadata
) -> dict[str, Any]:
    """Fields of the input's file that hold for the output; per band, of its bands."""
    kept, all_bands = result.written_bands, result.input_shape[0]

    def of_output(bands: Sequence[Any]) -> list[Any]:
        if kept is not None and len(bands) == all_bands:
            bands = [bands[number - 1] for number in kept]
        return [_finer(band, result, metadata) for band in bands]

    return {
        key: of_output(value) if key in _PER_BAND and isinstance(value, list) else value
        for key, value in _finer(fields, result, metadata).items()
        if not key.startswith(_OF_OLD_FILE)
    }


def _finer(fields: Any, result: "UpscaleResult", metadata: SceneMetadata) -> Any:
    """Fields of an asset or a band with the output's pixel sizes, data type and nodata."""
    if not isinstance(fields, dict):
        return fields
    kept = {
        key: _part(value, result.scale) if key in _SIZES else value
        for key, value in fields.items()
        if key not in _OF_OLD_NUMBERS
    }
    nodata = metadata.stored.nodata
    known: dict[str, Any] = {"data_type": result.dtype}
    if nodata is None:
        kept.pop("nodata", None)
    else:
        known["nodata"] = nodata if math.isfinite(nodata) else str(nodata)  # JSON has no NaN
    return kept | {key: value for key, value in known.items() if key in kept}


def _part(value: Any, scale: int) -> Any:
    """A size divided by the scale; what is none, or beyond all numbers, as it is."""
    is_size = isinstance(value, (int, float)) and abs(value) < sys.float_info.max
    return value / scale if is_size else value


def _project(item: "pystac.Item", source: SourceItem, metadata: SceneMetadata) -> None:
    """Shape and transform of the output; the rest of the projection as the source says."""
    from pystac.extensions.projection import ProjectionExtension

    old = {**source.item.properties, **source.item.assets[source.key].extra_fields}
    kept = {key: value for key, value in old.items() if key.startswith("proj:")}
    item.properties.update(kept)
    place = metadata.georeference
    if not kept and place.transform is None:
        return
    projection = ProjectionExtension.ext(item, add_if_missing=True)
    projection.shape = [metadata.rows, metadata.cols]
    code = crs_name(place.crs_wkt) if place.crs_wkt else ""
    if code.startswith("EPSG:") and not _CRS_NAMES & kept.keys():
        projection.code = code
    grid = place.transform
    projection.transform = None if grid is None else [float(v) + 0.0 for v in grid[:6]]


def _place_part(item: "pystac.Item", output: Path, metadata: SceneMetadata) -> None:
    """Give an item the outline of an output that shows a part of the input."""
    from rasterio.errors import RasterioError
    from rasterio.warp import transform_bounds, transform_geom

    for key in ("proj:bbox", "proj:geometry", "proj:centroid"):
        item.properties.pop(key, None)
    place, rows, cols = metadata.georeference, metadata.rows, metadata.cols
    if place.transform is not None and place.crs_wkt:
        crs, corners = parsed_crs(place.crs_wkt), ((0, 0), (0, rows), (cols, rows), (cols, 0))
        ring = [place.transform @ corner for corner in (*corners, corners[0])]
        x, y = zip(*ring, strict=True)
        outline = {"type": "Polygon", "coordinates": [ring]}
        with suppress(GdalError, RasterioError), gdal_env():  # off the Earth, or of no place on it
            geometry = transform_geom(crs, _WGS84, outline, antimeridian_cutting=True)
            bbox = list(transform_bounds(crs, _WGS84, min(x), min(y), max(x), max(y)))
            item.geometry, item.bbox = geometry, bbox
            return
    warn(f"{item_path(output).name}: geometry and bbox are those of the whole input")

"""Small STAC Items, each with its scene."""

import json
from pathlib import Path
from typing import Any

from tests.scenes import counts, write_tif

GEOTIFF = "image/tiff; application=geotiff"
PROPERTIES = {
    "datetime": "2022-07-01T10:00:00Z",
    "gsd": 30,
    "eo:cloud_cover": 7,
    "created": "2022-08-01T00:00:00Z",
    "proj:epsg": 32633,
    "proj:shape": [6, 5],
    "proj:bbox": [364095, 5809785, 364245, 5809965],
    "processing:software": {"sensor-chain": "1.2"},
}
BANDS = [
    {"name": f"b{n}", "center_wavelength": 0.4 + n / 100, "full_width_half_max": 0.0085}
    for n in range(3)
]
RASTER = [
    {"data_type": "uint16", "spatial_resolution": 30, "nodata": 0, "statistics": {"mean": 2000.0}}
    for _ in range(3)
]


def data_asset(href: str = "./cube.tif", **fields: Any) -> dict[str, Any]:
    return {"href": href, "type": GEOTIFF, "roles": ["data"], **fields}


THUMBNAIL = {"href": "./look.png", "type": "image/png", "roles": ["thumbnail"]}


def write_item(folder: Path, assets: dict[str, Any] | None = None, **fields: Any) -> Path:
    """An item in STAC 1.0.0, and its scene, in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tif(folder / "cube.tif", counts(3, 6, 5), nodata=0)
    cube = data_asset(title="Reflectance")
    cube |= {"eo:bands": BANDS, "raster:bands": RASTER, "file:size": 12}
    ring = [[12.99, 52.4], [13.0, 52.4], [13.0, 52.41], [12.99, 52.41], [12.99, 52.4]]
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
            "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
            "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
        ],
        "id": "flight 7/line 3",
        "collection": "flights",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [12.99, 52.4, 13.0, 52.41],
        "properties": PROPERTIES,
        "links": [{"rel": "collection", "href": "../collection.json"}],
        "assets": {"cube": cube, "thumbnail": THUMBNAIL} if assets is None else assets,
        **fields,
    }
    path = folder / "item.json"
    path.write_text(json.dumps(item))
    return path

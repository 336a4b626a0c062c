"""A folder of single-band images as one scene, the way the CAVE set comes.

The images of one kind, PNG or TIFF, are the bands, in natural order of their names (2 before 10).
Everything else in the folder, such as a preview in BMP or JPEG, is left alone, and so are images
that are called masks, labels or pictures, with a warning.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hsisr.errors import InputDataError, warn_of_scene
from hsisr.io.arrays.axes import ArrayScene, whole
from hsisr.io.arrays.stack import BandImages
from hsisr.io.base import Scene
from hsisr.io.geotiff.gdal import crs_name, gdal_env
from hsisr.io.geotiff.reader import is_tiff_stack, open_dataset, refuse_unusable
from hsisr.io.geotiff.tags import band_tag_source, metadata_of
from hsisr.io.spectral import merged_axis, source_from_names
from hsisr.io.views import DescribedScene
from hsisr.scene.metadata import SceneMetadata, StoredNumbers

_NO_BAND: Final = re.compile(
    r"(?<![a-z])((f|cloud|pixel|cloud_)?masks?|b?qa\d*|quality|cloud|clouds|clm|cld|scl|udm2?|flags?"
    r"|labels?|groundtruth|gt|aot|wvp|s[az]a|v[az]a|tci|rgb|preview|quicklook|thumb(nail)?)(?![a-z])",
    re.IGNORECASE,
)
"""Words of names of masks, labels and pictures that products and data sets keep beside bands."""
_KINDS: Final = {"PNG": (".png",), "TIFF": (".tif", ".tiff")}


def open_folder(folder: Path) -> Scene:
    """Open a folder of single-band images, each of which may name its own nodata.

    Raises:
        InputDataError: It holds no images, or images of both kinds, or they differ in size, type
            or place, or one has several bands.
    """
    found, others = _bands_in(folder)
    if len(found) > 1:
        counts = " and ".join(f"{len(files)} {kind}" for kind, files in found.items())
        raise InputDataError(f"found {counts} files; expected the bands as images of one kind")
    if not found:
        raise InputDataError(
            "found a folder without PNG or TIFF images, expected one single-band image per band; "
            "for another kind of scene, name its file"
        )
    (files,) = found.values()
    images, tags, nodata = _checked(files)
    names, first = [file.stem for file in files], images[0]
    metadata = SceneMetadata(
        rows=first.rows,
        cols=first.cols,
        stored=_of_all([image.stored for image in images]),
        spectral_axis=merged_axis(
            len(files), [band_tag_source(tags), source_from_names(names)], names
        ),
        georeference=first.georeference,
        tags=first.tags,
    )
    array = BandImages(list(map(str, files)), metadata.shape, metadata.stored.dtype)
    scene = ArrayScene(folder, "image folder", metadata, whole(array, "brc"), file=array)
    if others:
        few = ", ".join(others[:4]) + (", ..." if len(others) > 4 else "")
        warn_of_scene(f"{few} left out: no band by its name; rename it if it is one")
    return DescribedScene(scene, metadata, nodata)


def is_band_folder(folder: Path, _start: bytes = b"") -> bool:
    """True if a folder looks like one scene: several images, the first two with one band each."""
    found, _ = _bands_in(folder)
    files = next(iter(found.values()), [])
    try:
        return len(found) == 1 < len(files) and all(map(_is_one_band, files[:2]))
    except InputDataError:
        return False


def _bands_in(folder: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """Images that are bands by their names, by kind in natural order, and the names of all others.

    Hidden files are not seen.
    """
    try:
        files = [f for f in folder.iterdir() if f.is_file() and not f.name.startswith(".")]
    except OSError as error:
        raise InputDataError(f"the folder cannot be listed ({error.strerror})") from error
    files.sort(key=lambda file: natural_key(file.name))
    found = {kind: [f for f in files if f.suffix.lower() in ends] for kind, ends in _KINDS.items()}
    bands = {kind: [f for f in fs if not _NO_BAND.search(f.stem)] for kind, fs in found.items()}
    chosen = bands if any(bands.values()) else found
    kept = {file for files in chosen.values() for file in files}
    others = [file.name for files in found.values() for file in files if file not in kept]
    return {kind: files for kind, files in chosen.items() if files}, others


_NUMBER: Final = re.compile(r"([0-9]+(?:\.[0-9]+(?=[\s_]*(?:nm|[uµ]m|nano|micro)))?)")
"""A whole number; a decimal one only before a unit, for 1.10 may be behind 1.9."""


def natural_key(name: str) -> list[tuple[float, str]]:
    """Sort key under which numbers inside names count as numbers.

    >>> sorted(["b10.png", "b9.png", "b9.75nm.png", "b9.5nm.png", "b9.625nm.png"], key=natural_key)
    ['b9.png', 'b9.5nm.png', 'b9.625nm.png', 'b9.75nm.png', 'b10.png']
    """
    parts = enumerate(_NUMBER.split(name.lower()))
    return [(float(p) if "." in p else int(p), "") if n % 2 else (-1, p) for n, p in parts]


def _checked(
    files: Sequence[Path],
) -> tuple[list[SceneMetadata], list[dict[str, str]], list[float | None]]:
    """Every image's metadata, tags and nodata."""
    found, tags, nodata = list[SceneMetadata](), [], []
    for file in files:
        with _opened(file) as dataset, gdal_env():
            found.append(metadata_of(dataset, [1]))
            tags.append(dict(dataset.tags(1)))
            nodata.append(dataset.nodatavals[0])
        if _layout(found[-1]) != _layout(found[0]):
            raise InputDataError(
                f"{file.name} is {_said(found[-1])}, but {files[0].name} is {_said(found[0])}; "
                "expected images of one size, type and place, take the others out of the folder"
            )
    return found, tags, nodata


def _of_all(stored: Sequence[StoredNumbers]) -> StoredNumbers:
    """How the images store their numbers together; fields that only some have are filled up."""

    def each(name: str, default: Any) -> tuple[Any, ...] | None:
        found = [getattr(one, name) for one in stored]
        return tuple(own[0] if own else default for own in found) if any(found) else None

    return replace(
        stored[0], scales=each("scales", 1.0), offsets=each("offsets", 0.0), units=each("units", "")
    )


def _opened(file: Path) -> Any:
    try:
        dataset = open_dataset(str(file))
        refuse_unusable(dataset)
    except InputDataError as error:
        raise InputDataError(f"{file.name}: {error}") from error
    if dataset.count != 1 or dataset.subdatasets:
        what = f"{dataset.count} bands" if dataset.count != 1 else "several pages"
        raise InputDataError(
            f"{file.name} has {what}, expected one; name {file.name} if it is the scene and the "
            "others its masks, else take it out of the folder"
        )
    return dataset


def _is_one_band(file: Path) -> bool:
    with open_dataset(str(file)) as dataset:
        return int(dataset.count) == 1 and not (
            file.suffix.lower() in _KINDS["TIFF"] and is_tiff_stack(file)
        )


def _layout(of: SceneMetadata) -> tuple[Any, ...]:
    place = of.georeference
    return of.rows, of.cols, of.stored.dtype, place.transform, place.crs_wkt


def _said(of: SceneMetadata) -> str:
    corner = of.georeference.transform
    place = f" from {corner.c:.10g}, {corner.f:.10g}" if corner else ""
    crs = f" in {crs_name(of.georeference.crs_wkt)}" if of.georeference.crs_wkt else ""
    return f"{of.rows} x {of.cols} pixels of {of.stored.dtype}{place}{crs}"

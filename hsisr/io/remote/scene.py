"""Scenes that are not on this machine: read where they lie if GDAL or zarr can, else fetched."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsisr.errors import HsisrError, InputDataError, UsageError
from hsisr.io.base import Scene
from hsisr.io.envi.pair import DATA_SUFFIXES
from hsisr.io.formats import format_by_suffix
from hsisr.io.geotiff.reader import RasterScene, open_raster
from hsisr.io.paths import RemotePath
from hsisr.io.remote.transport import (
    fetch_first,
    fetched,
    gdal_name,
    gdal_options,
    temporary_copy,
    zarr_store_of,
)
from hsisr.io.views import DelegatingScene
from hsisr.tiling.windows import Window


class FetchedScene(DelegatingScene):
    """A scene read from a copy that goes when the scene is closed."""

    def __init__(self, path: RemotePath, scene: Scene, folder: Path) -> None:
        super().__init__(scene)
        self.path, self._remote, self._folder = path, path, folder

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`."""
        with named_as(self._remote, self._folder):
            return self._scene.read_stored(window, bands)

    def read_mask(self, window: Window) -> npt.NDArray[np.bool_] | None:
        """See `Scene.read_mask`."""
        with named_as(self._remote, self._folder):
            return self._scene.read_mask(window)

    def close(self) -> None:
        """See `Scene.close`."""
        super().close()
        shutil.rmtree(self._folder, ignore_errors=True)


def open_remote(
    path: RemotePath,
    open_local: Callable[[Path, str | None, str | None], Scene],
    *,
    variable: str | None,
    axes: str | None,
) -> Scene:
    """Open a remote scene.

    Args:
        path: Its name.
        open_local: Opens a file of this machine, with variable and axes.
        variable: As for `open_scene`.
        axes: As for `open_scene`.

    Raises:
        InputDataError: It is not there, cannot be reached, or is no scene.
        UsageError: `variable` or `axes` does not fit, or a package is not installed.
    """
    row = format_by_suffix(path)
    kind = row.name if row else ""
    if kind == "Zarr":
        from hsisr.io.zarr.reader import open_zarr

        return open_zarr(path, variable=variable, axes=axes, source=zarr_store_of(path))
    name = gdal_name(path)
    read_in_place = row is None or row.drivers or kind == "ENVI"
    if name is not None and read_in_place and path.suffix.lower() != ".hdr":
        raster = _raster(path, name, kind, variable or axes)
        if raster is not None:
            return raster
    with temporary_copy() as folder, named_as(path, folder):
        local = _copy(path, folder)
        return FetchedScene(path, open_local(local, variable, axes), folder)


def _raster(path: RemotePath, name: str, kind: str, array_option: str | None) -> RasterScene | None:
    """What GDAL reads where it lies; None for what may be a TIFF stack, or belongs to a header.

    One band may be the first page of many; GDAL cannot tell.
    """
    if path.suffix.lower() in DATA_SUFFIXES and not path.url.startswith("/vsi"):
        return None
    if array_option is not None:
        raise UsageError(f"{array_option} names a variable or axes, which this kind of file lacks")
    scene = open_raster(path, name, gdal_options(path))
    if scene.metadata.bands > 1 or kind != "GTiff" or _only_gdal(path):
        return scene
    scene.close()
    return None


def _only_gdal(path: RemotePath) -> bool:
    """True for names inside of archives, which nothing else can reach."""
    return path.url.startswith("/vsi") and not path.url.startswith(
        ("/vsicurl/", "/vsis3/", "/vsigs/", "/vsiaz/")
    )


def other_halves(path: RemotePath) -> list[str]:
    """Names beside a file that its other half may have; none where it needs no other.

    >>> other_halves(RemotePath("https://h/a.img"))
    ['a.img.hdr', 'a.hdr']
    """
    suffix = path.suffix.lower()
    if suffix == ".hdr":
        names = [path.stem + end for end in DATA_SUFFIXES]
        # x.img.hdr
        return [path.stem, *names] if path.stem.lower().endswith(DATA_SUFFIXES[1:]) else names
    return [f"{path.name}.hdr", f"{path.stem}.hdr"] if suffix in DATA_SUFFIXES else []


def _copy(path: RemotePath, folder: Path) -> Path:
    """Fetch all files of a scene; returns the one named."""
    local = fetched(path, folder)
    names = other_halves(path)
    found = fetch_first(path, names, folder) if names else None
    if path.suffix.lower() == ".hdr" and found is None:
        raise InputDataError(
            f"found no data file beside the header, expected {path.stem} with one of the "
            f"suffixes (none) {' '.join(DATA_SUFFIXES[1:])}"
        )
    return local


@contextmanager
def named_as(path: RemotePath, folder: Path) -> Iterator[None]:
    """Let errors speak of the remote name, not of the copy.

    Raises:
        HsisrError: As it came, with the name exchanged.
    """
    try:
        yield
    except HsisrError as error:
        words = str(error).replace(str(folder / path.name), str(path))
        raise type(error)(words.replace(f"{folder}/", "")) from error

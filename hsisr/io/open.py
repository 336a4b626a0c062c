"""The door for reading: which reader a path belongs to.

Contents decide before names do, for a GeoTIFF may have an ENVI header beside it, and a `.mat` may
be either of two formats.
"""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hsisr.errors import InputDataError, ResourceError, UsageError, about_scene
from hsisr.io.arrays.folder import is_band_folder, open_folder
from hsisr.io.arrays.npy import NpyScene
from hsisr.io.arrays.stack import is_tiff_stack, open_stack
from hsisr.io.base import Scene
from hsisr.io.envi.reader import DATA_SUFFIXES, header_beside, open_envi
from hsisr.io.geotiff.reader import open_raster
from hsisr.io.paths import RemotePath, scene_path
from hsisr.io.remote.scene import open_remote
from hsisr.io.zarr.store import is_zarr_store

_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_PRODUCTS: Final = (".nc", ".nc4", ".h5", ".he5", ".hdf", ".hdf5")
SCENE_SUFFIXES: Final = (".tif", ".tiff", ".hdr", ".mat", ".npy")
"""What scenes in a folder are recognised by; ENVI scenes are found by their headers."""


def open_scene(path: str | Path, *, variable: str | None = None, axes: str | None = None) -> Scene:
    """Open a scene for reading by windows.

    Formats: GeoTIFF, COG and BigTIFF; ENVI, by header or data file; TIFF stacks; folders of
    single-band images; MATLAB 5 and 7.3; NumPy `.npy`; Zarr stores; and what else GDAL shows as
    bands.

    Args:
        path: A name: of a file, a folder of single-band images, or a Zarr store; or the
            URL of a file or a Zarr store; or a name in one of GDAL's virtual file systems.
        variable: For MATLAB files and Zarr stores, the name of the cube.
        axes: For MATLAB and NumPy files, Zarr stores and TIFF stacks, the order of the cube's
            axes: the letters r, c and b, for example "rcb" for (rows, cols, bands).

    Raises:
        InputDataError: The scene cannot be read as it is; the message names the path.
        UsageError: `variable` or `axes` does not fit the file.
        ResourceError: A scene that is read as a whole does not fit into memory.

    Example:
        >>> from hsisr import open_scene
        >>> with open_scene("scene.hdr") as scene:  # doctest: +SKIP
        ...     spectrum = scene.read(Window(10, 20, 1, 1)).values[:, 0, 0]
    """
    path = scene_path(path)
    try:
        with about_scene(path):
            if isinstance(path, RemotePath):
                return open_remote(path, _open_local, variable=variable, axes=axes)
            return _open_local(path, variable, axes)
    except InputDataError as error:
        raise InputDataError(_named(path, error)) from error
    except UsageError as error:
        raise UsageError(_named(path, error)) from error
    except ResourceError as error:
        raise ResourceError(_named(path, error)) from error


def _open_local(path: Path, variable: str | None, axes: str | None) -> Scene:
    return _opener(path, variable, axes)()


def _named(path: Path, error: Exception) -> str:
    """The message, with the name of the scene once."""
    text = str(error)
    return text if text.startswith(f"{path}: ") else f"{path}: {text}"


def options_of_kind(
    path: Path, variable: str | None, axes: str | None
) -> tuple[str | None, str | None]:
    """Variable and axes, each only if files of this kind take one: for scenes among several.

    >>> options_of_kind(Path("a.npy"), "cube", "rcb"), options_of_kind(Path("a.tif"), None, "rcb")
    ((None, 'rcb'), (None, None))
    """
    kind = path.suffix.lower()
    named, ordered = kind in (".mat", ".zarr"), kind in (".mat", ".npy", ".zarr")
    if axes is not None and kind in (".tif", ".tiff") and path.is_file():
        ordered = is_tiff_stack(path)
    return variable if named else None, axes if ordered else None


def find_scenes(path: Path) -> list[Path]:
    """The scenes that a path given by the user stands for.

    A file, a folder of single-band images and a Zarr store stand for themselves; any other folder
    stands for the scenes in it, by name. An ENVI scene in a folder counts once, by its header.

    Raises:
        InputDataError: The folder cannot be listed.
    """
    if isinstance(path, RemotePath) or not path.is_dir():
        return [path]
    try:
        if is_zarr_store(path) or is_band_folder(path):
            return [path]
        inside = sorted(path.iterdir())
    except OSError as error:
        raise InputDataError(f"{path}: cannot be listed ({error.strerror})") from error
    return [entry for entry in inside if _is_scene(entry)]


def _is_scene(entry: Path) -> bool:
    if entry.name.startswith("."):
        return False
    if entry.is_dir():
        return is_zarr_store(entry) or is_band_folder(entry)
    return entry.suffix.lower() in SCENE_SUFFIXES and _begins_envi(entry)


def _begins_envi(entry: Path) -> bool:
    """True unless this is a header that is none of ENVI's, or one that belongs to a TIFF."""
    if entry.suffix.lower() != ".hdr":
        return True
    own, tiff = (
        any(entry.with_suffix(end).is_file() for end in ends)
        for ends in (DATA_SUFFIXES, (".tif", ".tiff"))
    )
    try:
        with entry.open("rb") as file:
            return file.read(4) == b"ENVI" and (own or not tiff)
    except OSError:
        return True


def _opener(path: Path, variable: str | None, axes: str | None) -> Callable[[], Scene]:
    """The reader of a path, ready to be called."""
    if _is_folder(path):
        return _opener_of_folder(path, variable, axes)
    start = _start(path)
    if start.startswith(b"MATLAB ") or path.suffix.lower() == ".mat":
        hdf5 = start.startswith((b"MATLAB 7.3", _HDF5))
        from hsisr.io.matlab.reader import open_mat  # loads h5py

        return lambda: open_mat(path, hdf5=hdf5, variable=variable, axes=axes)
    if start.startswith(b"\x93NUMPY"):
        _no_array_options("a .npy file", variable, None)
        return lambda: NpyScene(path, axes)
    if start.startswith(_HDF5) or path.suffix.lower() in _PRODUCTS:
        from hsisr.io.products.open import open_hdf  # loads h5py

        return lambda: open_hdf(path, variable=variable, axes=axes)
    stack = start.startswith(_TIFF) and is_tiff_stack(path)
    _no_array_options("this kind of file", variable, None if stack else axes)
    if start.startswith(_TIFF):
        return lambda: open_stack(path, axes) if stack else open_raster(path)
    _refuse_xml(path)
    envi = path.suffix.lower() == ".hdr" or header_beside(path) is not None
    return (lambda: open_envi(path)) if envi else (lambda: open_raster(path))


def _opener_of_folder(path: Path, variable: str | None, axes: str | None) -> Callable[[], Scene]:
    if is_zarr_store(path) or path.suffix.lower() == ".zarr":
        from hsisr.io.zarr.reader import open_zarr

        return lambda: open_zarr(path, variable=variable, axes=axes)
    _no_array_options("a folder of images", variable, axes)
    return lambda: open_folder(path)


def _is_folder(path: Path) -> bool:
    """True for a folder; what is none is refused if it is no file either.

    Raises:
        InputDataError: It is a pipe or a device, or its name is none that a file can have.
    """
    try:
        kind = path.stat().st_mode
    except FileNotFoundError as error:
        raise InputDataError("there is no such file or folder; check the name") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no name that a file can have"
        raise InputDataError(f"the file cannot be opened ({reason})") from error
    if not (stat.S_ISDIR(kind) or stat.S_ISREG(kind)):
        raise InputDataError("found a pipe or a device, expected a file; copy it into one")
    return stat.S_ISDIR(kind)


def _start(path: Path) -> bytes:
    """The first bytes of a file that must be there and hold something."""
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise InputDataError(f"the file cannot be opened ({error.strerror})") from error
    if not start:
        raise InputDataError("the file is empty; expected a scene")
    return start


def _refuse_xml(path: Path) -> None:
    if path.suffix.lower() == ".xml":
        raise InputDataError(
            "product metadata (EnMAP's METADATA.XML) is not supported yet; name the .TIF with the "
            "spectral image instead"
        )


def _no_array_options(what: str, variable: str | None, axes: str | None) -> None:
    for option, value in (("--variable", variable), ("--axes", axes)):
        if value is not None:
            raise UsageError(f"{option} {value} has no meaning for {what}; leave it out")

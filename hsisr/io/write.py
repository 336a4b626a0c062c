"""Choosing how to write a scene: the one door to all writers."""

from pathlib import Path
from typing import Final

from hsisr.errors import UsageError
from hsisr.io.atomic import refuse_existing
from hsisr.io.base import SceneWriter, TargetOptions
from hsisr.io.chunking import block_size
from hsisr.io.paths import RemotePath
from hsisr.scene.metadata import SceneMetadata

__all__ = ["FORMATS", "MASKABLE", "block_size", "check_target", "create_writer", "guess_format"]

FORMATS: Final = ("GTiff", "COG", "ENVI", "MAT", "Zarr")
"""Every format that can be written, by the names that `--format` takes."""

MASKABLE: Final = ("GTiff", "COG", "MAT", "Zarr")
"""Those of them whose files can hold a mask of their own."""

_BY_SUFFIX: Final = {
    ".tif": "GTiff",
    ".tiff": "GTiff",
    ".gtif": "GTiff",
    ".gtiff": "GTiff",
    ".hdr": "ENVI",
    ".img": "ENVI",
    ".dat": "ENVI",
    ".raw": "ENVI",
    ".bsq": "ENVI",
    ".bil": "ENVI",
    ".bip": "ENVI",
    ".mat": "MAT",
    ".zarr": "Zarr",
}


def guess_format(path: Path, file_format: str | None = None) -> str:
    """Name of the format that a path will be written in.

    Args:
        path: The target.
        file_format: A name of the format, in any case; None: by the suffix.

    Raises:
        UsageError: The name is unknown, or the suffix says nothing or something else.

    >>> guess_format(Path("scene.TIF")), guess_format(Path("scene"), "envi")
    ('GTiff', 'ENVI')
    """
    found = _BY_SUFFIX.get(path.suffix.lower())
    if file_format is not None:
        return _named(file_format, path, found)
    if found is None:
        raise UsageError(
            f"{path.name}: found the suffix {path.suffix!r}, expected .tif, .hdr, .img, .dat, "
            f".bsq, .bil, .bip, .mat or .zarr; change it, or name one of {', '.join(FORMATS)} as "
            "format"
        )
    return found


def _named(file_format: str, path: Path, by_suffix: str | None) -> str:
    """The format of that name, unless the path's suffix is that of another one."""
    known = {name.lower(): name for name in FORMATS}
    if (found := known.get(file_format.lower())) is None:
        raise UsageError(f"unknown format {file_format!r}; expected one of {', '.join(FORMATS)}")
    if by_suffix is not None and by_suffix != ("GTiff" if found == "COG" else found):
        raise UsageError(
            f"{path.name}: found the suffix {path.suffix!r}, which is {by_suffix}'s, and the "
            f"format {found}; change one of them"
        )
    return found


def main_file(path: Path, file_format: str | None = None) -> Path:
    """The one file that stands for an output, however it was named: of an ENVI pair the header.

    Raises:
        UsageError: See `guess_format`.
    """
    if guess_format(path, file_format) != "ENVI":
        return path
    from hsisr.io.envi.writer import envi_pair

    return envi_pair(path)[0]


def check_target(path: Path, options: TargetOptions) -> None:
    """Say early whether a scene could be written there; writes nothing.

    Raises:
        UsageError: The format is unknown, or the path is a folder (other than a Zarr store, for
            Zarr).
        OutputExistsError: The file (either file of an ENVI pair) exists without `overwrite`.
        ResourceError: The folder does not exist, or cannot be written.
    """
    file_format = guess_format(path, options.format)
    if isinstance(path, RemotePath):
        from hsisr.io.remote.transport import require_writable

        require_writable(path, overwrite=options.overwrite)
    elif file_format == "ENVI":
        from hsisr.io.envi.writer import refuse_existing_pair

        refuse_existing_pair(path, overwrite=options.overwrite)
    elif file_format == "Zarr":
        from hsisr.io.zarr.store import is_zarr_store, zarr_package

        zarr_package()
        refuse_existing((path,), overwrite=options.overwrite, replaceable=is_zarr_store)
    else:
        refuse_existing((path,), overwrite=options.overwrite)


def create_writer(path: Path, metadata: SceneMetadata, options: TargetOptions) -> SceneWriter:
    """Begin to write a scene, in the format that the suffix or `options.format` names.

    Raises:
        UsageError: The format, a creation option or the data type cannot be written.
        OutputExistsError: The target exists and `options.overwrite` is off.
        ResourceError: There is no room, or no permission.
    """
    file_format = guess_format(path, options.format)
    if isinstance(path, RemotePath):
        from hsisr.io.remote.writer import RemoteWriter

        return RemoteWriter(
            path,
            lambda local: create_writer(local, metadata, options),
            overwrite=options.overwrite,
        )
    blocks = block_size(metadata, file_format, options.creation_options)
    if file_format == "ENVI":
        from hsisr.io.envi.writer import EnviWriter

        return EnviWriter(path, metadata, options)
    if file_format == "MAT":
        from hsisr.io.matlab.writer import create_mat_writer

        return create_mat_writer(path, metadata, options, blocks)
    if file_format == "Zarr":
        from hsisr.io.zarr.writer import ZarrWriter

        return ZarrWriter(path, metadata, options, blocks)
    from hsisr.io.geotiff.writer import GeoTiffWriter

    return GeoTiffWriter(path, metadata, options, blocks, cog=file_format == "COG")

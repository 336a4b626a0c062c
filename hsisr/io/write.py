"""Writing a scene: the table of formats says which writer its path belongs to."""

from dataclasses import replace
from pathlib import Path

from hsisr.io.atomic import refuse_existing
from hsisr.io.base import SceneWriter, TargetOptions
from hsisr.io.chunking import block_size
from hsisr.io.formats import loaded, output_format
from hsisr.io.paths import RemotePath
from hsisr.scene.metadata import SceneMetadata

__all__ = ["block_size", "check_target", "create_writer", "guess_format", "main_file"]


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
    return output_format(path, file_format).name


def main_file(path: Path, file_format: str | None = None) -> Path:
    """The one file that stands for an output, however it was named: of an ENVI pair the header.

    Raises:
        UsageError: See `guess_format`.
    """
    if guess_format(path, file_format) != "ENVI":
        return path
    from hsisr.io.envi.pair import envi_pair

    return envi_pair(path)[0]


def check_target(path: Path, options: TargetOptions) -> None:
    """Say early whether a scene could be written there; writes nothing.

    Raises:
        UsageError: The format is unknown, or the path is a folder (other than a Zarr store, for
            Zarr).
        OutputExistsError: The file (either file of an ENVI pair) exists without `overwrite`.
        ResourceError: The folder does not exist, or cannot be written.
    """
    row = output_format(path, options.format)
    if isinstance(path, RemotePath):
        from hsisr.io.remote.transport import require_writable

        require_writable(path, overwrite=options.overwrite)
    elif row.check_target:
        loaded(row.check_target)(path, overwrite=options.overwrite)
    else:
        refuse_existing((path,), overwrite=options.overwrite)


def create_writer(path: Path, metadata: SceneMetadata, options: TargetOptions) -> SceneWriter:
    """Begin to write a scene, in the format that the suffix or `options.format` names.

    Raises:
        UsageError: The format, a creation option or the data type cannot be written.
        OutputExistsError: The target exists and `options.overwrite` is off.
        ResourceError: There is no room, or no permission.
    """
    row = output_format(path, options.format)
    if metadata.geolocation is not None and not options.ortho and row.name != "netCDF":
        from hsisr.io.products.positions import WriterWithPositions

        return WriterWithPositions(path, metadata, create_writer, options)
    if isinstance(path, RemotePath):
        from hsisr.io.remote.writer import RemoteWriter

        return RemoteWriter(
            path,
            lambda local: create_writer(local, metadata, options),
            overwrite=options.overwrite,
        )
    if options.ortho:
        from hsisr.io.products.ortho import OrthoWriter

        plain = replace(options, ortho=False)
        return OrthoWriter(
            path, metadata, lambda m: create_writer(path, m, plain), overwrite=options.overwrite
        )
    blocks = block_size(metadata, row.name, options.creation_options)
    writer: SceneWriter = loaded(row.write)(path, metadata, options, blocks)
    return writer

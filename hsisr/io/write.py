"""Writing a scene: how numbers are stored, the writer of a format, its blocks, a writing thread.

Numbers never change silently: they are rounded to the nearest stored number, kept inside the
data type, kept apart from nodata, and every one that had to be moved is counted.
"""

import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import HsisrWarning, MovedValuesWarning, UsageError
from hsisr.io.atomic import refuse_existing
from hsisr.io.base import Scene, SceneWriter, TargetOptions
from hsisr.io.formats import loaded, output_format
from hsisr.io.paths import RemotePath, sibling
from hsisr.io.views import number_text, warn_of_digits
from hsisr.scene.metadata import SceneMetadata, StoredNumbers, all_valid, holds
from hsisr.tiling import Window


def output_numbers(
    scene: Scene, stored: StoredNumbers, *, dtype: str | None, mask_possible: bool
) -> tuple[StoredNumbers, bool]:
    """The output's numbers, and whether it needs a mask of its own.

    Invalid pixels stay invalid by the means at hand, in this order: the input's nodata, NaN in
    floats, a mask in the file, a nodata value chosen here and announced by a warning. Floats that
    lose digits are a warning too.

    `stored` is how the input stores the bands that go out, `dtype` another type, if wanted, and
    `mask_possible` whether the output's format can hold a mask.
    """
    target = replace(stored, dtype=np.dtype(dtype or stored.dtype).newbyteorder("="), limits=None)
    if stored.dtype.kind == "f":
        warn_of_digits(scene, lost=not stored.exact_in_float32)
        if target.dtype.kind != "f":
            _warn_of_small(scene, target.dtype)
    nodata, name = target.nodata, scene.path.name
    if nodata is not None:
        fits = holds(target.dtype, nodata)
        if fits and (target.dtype.kind == "f" or abs(nodata) <= _EXACT):
            return target, False
        if fits:
            why = f"{name}: nodata {number_text(nodata, target.dtype)} is rounded by many programs"
        else:
            why = f"{name}: nodata {nodata:g} does not fit {target.dtype}"
    else:
        if target.dtype.kind == "f":
            return target, False
        why = f"{name} names no nodata"
        # NaN and limits are those of a band, a mask is that of all
        if stored.dtype.kind != "f" and stored.limits is None:
            masked = scene.read_mask(Window(0, 0, 1, 1)) is not None
            if mask_possible or not masked:
                return target, masked
    chosen = _spare_number(target.dtype)
    if nodata is None or not np.isnan(nodata):
        warnings.warn(
            f"{why}; {number_text(chosen, target.dtype)} marks invalid pixels in the output",
            HsisrWarning,
            stacklevel=2,
        )
    return replace(target, nodata=chosen), False


_EXACT: Final = 2.0**53
"""Larger whole numbers are no nodata of an output: MATLAB and rasterio have floats for it, and GDAL
3.10 reads the -9.2e+18 that rasterio writes as -9."""
_SMALL: Final = 10
"""Half a unit, which rounding takes at most, is 5 % of this."""


def _warn_of_small(scene: Scene, dtype: np.dtype[Any]) -> None:
    """Say that whole numbers hardly tell the values of a scene apart, by a few rows of nine bands.

    Reflectances from 0 to 1 would be zeros and ones. Counts lose nothing as whole numbers.
    """
    bands, rows, cols = scene.metadata.shape
    some = np.unique(np.linspace(0, bands - 1, 9).astype(int)).tolist()
    cube = scene.read(Window(rows // 2, 0, min(9, rows - rows // 2), cols), some)
    sizes = np.abs(cube.values[cube.valid & (cube.values != 0)])
    whole = bool((sizes == np.rint(sizes)).all())
    if not whole and (typical := float(np.median(sizes))) < _SMALL:
        warnings.warn(
            f"{scene.path.name}: numbers like {typical:.2g} are rounded to whole ones in {dtype}; "
            "give a float --dtype, or multiply them first",
            HsisrWarning,
            stacklevel=3,
        )


def refuse_same_file(source: Path, output: Path) -> None:
    """An input is never its own output, overwrite or not; an ENVI pair counts as one file.

    Raises:
        UsageError: They are the same.
    """
    if isinstance(source, RemotePath) or isinstance(output, RemotePath):
        same = source == output
    else:
        same = source.exists() and output.exists() and source.samefile(output)
    pair = {".hdr", ".img", ".dat", ".raw", ".bsq", ".bil", ".bip", ""}
    if not same and {source.suffix.lower(), output.suffix.lower()} <= pair:
        one, other = (
            sibling(p, p.stem) if isinstance(p, RemotePath) else p.with_suffix("").resolve()
            for p in (source, output)
        )
        same = one == other
    if same:
        raise UsageError(f"{output} is an input of this run; name another output")


def warn_of_moved(output: Path, count: int, stored: StoredNumbers) -> None:
    """Say how many numbers of an output had to be changed to be storable, if any."""
    if count:
        met = "" if stored.nodata is None else f", or met nodata {stored.nodata:g},"
        warnings.warn(
            f"{output.name}: {count} values did not fit {stored.dtype}{met} and were moved to the "
            "nearest storable number; --dtype float32 keeps them",
            MovedValuesWarning,
            stacklevel=3,
        )


def _spare_number(dtype: np.dtype[Any]) -> float:
    """The number least likely to be data: NaN, the lowest of signed types, else the highest."""
    if dtype.kind == "f":
        return np.nan
    info = np.iinfo(dtype)
    return max(-_EXACT, float(info.min)) if dtype.kind == "i" else min(_EXACT, float(info.max))


@dataclass(frozen=True, slots=True, eq=False)
class Quantised:
    """Numbers ready to be stored."""

    numbers: npt.NDArray[Any]
    """In the target's data type, nodata where the values were invalid."""
    moved: int
    """Valid values that had to be changed by more than rounding."""


def storable_range(stored: StoredNumbers) -> tuple[float, float]:
    """Smallest and largest number that means data in this type.

    >>> storable_range(StoredNumbers(dtype=np.dtype("uint8"), nodata=0))
    (1.0, 255.0)
    >>> storable_range(StoredNumbers(dtype=np.dtype("float32")))
    (-inf, inf)
    """
    if stored.dtype.kind == "f":
        return -np.inf, np.inf
    info = np.iinfo(stored.dtype)
    low, high = float(info.min), float(info.max)
    if stored.nodata == low:
        low += 1
    if stored.nodata == high:
        high -= 1
    return low, high


def quantise(
    values: npt.NDArray[Any], valid: npt.NDArray[np.bool_], stored: StoredNumbers
) -> Quantised:
    """Round to the nearest stored number that means data; write nodata elsewhere.

    Values are floats, or numbers of the target's type and `storable_range`, which are changed in
    place. Where the target names no nodata, invalid floats become NaN and invalid integers 0, to be
    told apart by the file's mask.

    Raises:
        FloatingPointError: A valid value is not finite.

    >>> target = StoredNumbers(dtype=np.dtype("int16"), nodata=-1)
    >>> quantise(np.float32([1.6, -1.2, 4e4]), np.array([True, True, False]), target)
    Quantised(numbers=array([ 2, -2, -1], dtype=int16), moved=1)
    """
    if stored.dtype.kind == "f":
        return _quantise_float(values, valid, stored)
    low, high = storable_range(stored)
    rounded, moved = values, 0
    if values.dtype != stored.dtype:
        rounded, moved = _rounded(values, valid, low, high, stored.dtype)
    if stored.nodata is not None and low < stored.nodata < high:
        hits = (rounded == stored.nodata) & valid
        moved += int(np.count_nonzero(hits))
        rounded[hits] += np.where(values[hits] < stored.nodata, -1, 1).astype(rounded.dtype)
    if not all_valid(valid):
        rounded[~np.broadcast_to(valid, rounded.shape)] = stored.nodata or 0
    return Quantised(_as_integers(rounded, stored.dtype), moved)


def _rounded(
    values: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_],
    low: float,
    high: float,
    dtype: np.dtype[Any],
) -> tuple[npt.NDArray[np.floating[Any]], int]:
    """Whole numbers inside the limits, and how many valid ones had to be moved there."""
    rounded = np.rint(values, dtype=np.float64 if dtype.itemsize > 2 else np.float32)
    if not rounded.size or (rounded.min() >= low and rounded.max() <= high):
        return rounded, 0
    _require_finite(rounded, valid)
    outside = (rounded < low) | (rounded > high)
    moved = np.count_nonzero(outside if all_valid(valid) else outside & valid)
    return np.clip(rounded, low, high, out=rounded), int(moved)


def _quantise_float(
    values: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], stored: StoredNumbers
) -> Quantised:
    with np.errstate(over="ignore"):  # float16 overflow is counted below, not warned about
        numbers = values.astype(stored.dtype, copy=True)
    moved = 0
    if not _all_finite(numbers):
        _require_finite(values, valid)
        moved = int(np.count_nonzero(np.isinf(numbers) & valid))
        limit = np.finfo(stored.dtype).max
        np.clip(numbers, -limit, limit, out=numbers)
    if stored.nodata is not None and np.isfinite(stored.nodata):
        nodata = stored.dtype.type(stored.nodata)
        hits = (numbers == nodata) & valid
        moved += int(np.count_nonzero(hits))
        numbers[hits] = np.nextafter(nodata, stored.dtype.type(np.inf))
    if not all_valid(valid):
        empty = np.nan if stored.nodata is None else stored.nodata
        numbers[~np.broadcast_to(valid, numbers.shape)] = empty
    return Quantised(numbers, moved)


def _all_finite(numbers: npt.NDArray[Any]) -> bool:
    """True if all numbers are finite; two passes that make nothing."""
    return not numbers.size or bool(np.isfinite(numbers.min()) and np.isfinite(numbers.max()))


def _require_finite(values: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> None:
    if not _all_finite(values) and not (np.isfinite(values) | ~valid).all():
        raise FloatingPointError("a valid value is not finite")


def _as_integers(rounded: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Cast whole numbers; the type's largest number is not a float in 64 bits, so guard it."""
    if dtype.itemsize < 8 or rounded.dtype == dtype:
        return rounded.astype(dtype, copy=False)
    info = np.iinfo(dtype)
    top = rounded >= float(info.max)
    whole = np.where(top, 0, rounded).astype(dtype)
    whole[top] = info.max
    return whole


_SIDE = 256
_SMALLEST = 64
_GRAIN = 16
"""TIFF tiles have sides that are multiples of this."""
_STRIP_BYTES = 128 * 2**20
"""A row of blocks through all bands should stay below this."""
_WAITING_BYTES = 64 * 2**20
"""Numbers that may wait to be written; one block more than that is never held up."""


def main_file(path: Path, file_format: str | None = None) -> Path:
    """The one file that stands for an output, however it was named: of an ENVI pair the header.

    Raises:
        UsageError: See `output_format`.
    """
    if output_format(path, file_format).name != "ENVI":
        return path
    from hsisr.io.envi.files import envi_pair

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
    if isinstance(path, RemotePath):
        from hsisr.io.remote.scene import RemoteWriter

        return RemoteWriter(
            path,
            lambda local: create_writer(local, metadata, options),
            overwrite=options.overwrite,
        )
    if options.ortho:
        from hsisr.io.products.ortho import OrthoWriter

        plain = replace(options, ortho=False)
        return OrthoWriter(path, metadata, plain, lambda m: create_writer(path, m, plain))
    blocks = block_size(metadata, row.name, options.creation_options)
    if metadata.geolocation is None or row.name == "netCDF":  # which has a place for positions
        writer: SceneWriter = loaded(row.write)(path, metadata, options, blocks)
        return writer
    from hsisr.io.products.ortho import writer_with_positions

    return writer_with_positions(
        path, metadata, options, lambda m: loaded(row.write)(path, m, options, blocks)
    )


def check_writer(path: Path, metadata: SceneMetadata, options: TargetOptions) -> None:
    """Raise early what `create_writer` raises of numbers and options; writes nothing."""
    local = Path(path.name) if isinstance(path, RemotePath) else path
    create_writer(local, metadata, replace(options, dry=True, overwrite=True))


def block_size(
    metadata: SceneMetadata, file_format: str, creation_options: Mapping[str, str] | None = None
) -> tuple[int, int]:
    """Rows and columns of a block, the unit in which a file is best written.

    Blocks are 256 pixels square, less where a row of them through all bands would not fit into
    128 MiB or where the scene is smaller. An ENVI file has no blocks: any row will do. Creation
    options obeyed are `BLOCKXSIZE`, `BLOCKYSIZE` and `TILED` for GTiff, `CHUNKS` for Zarr.

    Raises:
        UsageError: A block size asked for is not a positive multiple of 16, or chunks are not
            three numbers.
    """
    if file_format == "ENVI":
        return 1, 1
    side, bands = _SIDE, metadata.bands
    row_bytes = metadata.cols * bands * metadata.stored.dtype.itemsize
    while side > _SMALLEST and side * row_bytes > _STRIP_BYTES:
        side //= 2
    options = {key.upper(): value for key, value in (creation_options or {}).items()}
    rows, cols = _fitting(side, metadata.rows), _fitting(side, metadata.cols)
    if file_format == "Zarr":
        from hsisr.io.zarr.writer import asked_chunks

        if asked := asked_chunks(options):
            return asked[1:]
    if file_format == "GTiff":
        rows = _asked(options, "BLOCKYSIZE", rows)
        cols = _asked(options, "BLOCKXSIZE", cols)
        if options.get("TILED", "YES").upper() in ("NO", "FALSE", "OFF"):
            cols = metadata.cols
    return rows, cols


def _fitting(side: int, length: int) -> int:
    """A block no larger than the scene needs."""
    return min(side, -(-length // _GRAIN) * _GRAIN)


def _asked(options: Mapping[str, str], key: str, default: int) -> int:
    text = options.get(key)
    if text is None:
        return default
    if not text.isdecimal() or int(text) % _GRAIN or int(text) == 0:
        raise UsageError(f"{key}={text}: expected a multiple of {_GRAIN}, for example {key}=256")
    return int(text)


class AsyncWriter(SceneWriter):
    """Hands every write to a pool of one thread, in order; see `writing_async`.

    Arrays belong to the writer once they are given to it. An error of a write is raised by one of
    the next writes, or at the end.
    """

    def __init__(self, writer: SceneWriter, thread: ThreadPoolExecutor) -> None:
        self._writer, self._thread = writer, thread
        self.path, self.metadata = writer.path, writer.metadata
        self.block_rows, self.block_cols = writer.block_rows, writer.block_cols
        self._waiting: deque[tuple[int, Future[None]]] = deque()
        self._bytes = 0

    def write(self, numbers: npt.NDArray[Any], **place: Any) -> None:
        """See `SceneWriter.write`; waits while too much is waiting."""
        while self._waiting and self._bytes + numbers.nbytes > _WAITING_BYTES:
            self._await_first()
        coming = self._thread.submit(self._writer.write, numbers, **place)
        self._waiting.append((numbers.nbytes, coming))
        self._bytes += numbers.nbytes

    def finish(self) -> None:
        """Wait until everything is written; raises what a write raised."""
        while self._waiting:
            self._await_first()

    def commit(self) -> Path:
        """Commit the writer behind."""
        return self._writer.commit()

    def discard(self) -> None:
        """Discard what the writer behind wrote."""
        self._writer.discard()

    def _await_first(self) -> None:
        size, coming = self._waiting.popleft()
        self._bytes -= size
        coming.result()


@contextmanager
def writing_async(writer: SceneWriter) -> Iterator[AsyncWriter]:
    """A writer that works in a thread of its own.

    Leaving normally commits; leaving by an exception waits for the write that is under way, drops
    the others and discards.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
    behind = AsyncWriter(writer, thread)
    try:
        yield behind
        behind.finish()
    except BaseException:
        thread.shutdown(wait=True, cancel_futures=True)
        behind.discard()
        raise
    thread.shutdown()
    behind.commit()

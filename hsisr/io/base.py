"""What every reader and every writer offers.

A reader turns a file, whatever its layout, into windows of (bands, rows, cols) float32 with a
mask; a writer takes finished numbers, block by block, and makes the file appear whole or not at
all. Both speak of a file through `SceneMetadata`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError, UsageError
from hsisr.io.atomic import TemporaryPlace, no_folder, resource_errors
from hsisr.scene.metadata import Cube, SceneMetadata
from hsisr.tiling import Window


class Scene(ABC):
    """A file as delivered, opened for reading by windows; close it, or use it in `with`."""

    path: Path
    """What the user named."""
    format: str
    """Short name of the layout: GTiff, ENVI, MAT5, MAT73, TIFF stack, image folder, ..."""
    metadata: SceneMetadata
    block_rows: int = 1
    """Rows that the file keeps packed together, so that one of them costs as much as all."""

    @abstractmethod
    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """Numbers as stored, native byte order, shape (bands, rows, cols).

        The window lies inside the scene; the bands are 0-based, in any order.

        Raises:
            InputDataError: The file cannot be read there.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the file; a second call does nothing."""

    def read_mask(self, window: Window) -> npt.NDArray[np.bool_] | None:  # noqa: ARG002
        """True where the file's own mask or alpha says data, shape (rows, cols); None: no mask."""
        return None

    def nodata_of(self, band: int) -> float | None:  # noqa: ARG002
        """The number that means "no data" in one band; differs from band to band in few formats."""
        return self.metadata.stored.nodata

    @property
    def whole(self) -> "Scene":
        """The scene that this one is a window of, for its statistics; else this one."""
        return self

    def grown(self, window: Window, margin: int) -> Window:
        """A window with `margin` pixels around it, as far as there are any to read.

        For a window of a scene they may lie beyond its sides, and rows and columns be negative.
        """
        return window.grown(margin, self.metadata.rows, self.metadata.cols)

    def read(self, window: Window | None = None, bands: Sequence[int] | None = None) -> Cube:
        """The values and the mask of a window, all of the scene by default.

        A number is invalid where it equals nodata, is not finite, lies beyond the limits of data,
        or outside the file's own mask.

        Raises:
            InputDataError: The file cannot be read there, or float32 cannot hold a valid number.
        """
        meta = self.metadata
        window = window or Window(0, 0, meta.rows, meta.cols)
        bands = range(meta.bands) if bands is None else bands
        numbers = self.read_stored(window, bands)
        valid = self._valid(numbers, window, bands)
        with np.errstate(over="ignore"):  # told apart from nodata below
            values = numbers.astype(np.float32, copy=False)
        if numbers.dtype.kind == "f" and numbers.dtype.itemsize > values.dtype.itemsize:
            beyond = np.argwhere(~np.isfinite(values) & valid)
            if len(beyond):
                band, row, col = beyond[0]
                raise InputDataError(
                    f"{self.path}: band {bands[band] + 1} holds {numbers[band, row, col]:g}, "
                    f"expected numbers up to {np.finfo(np.float32).max:.4g}, which float32 can "
                    "hold; if it means no data, let the file name it as nodata, else scale the "
                    "numbers"
                )
        return Cube(
            values=values,
            valid=valid,
            spectral_axis=meta.spectral_axis.subset(bands),
            georeference=meta.georeference.shifted(window.row, window.col),
        )

    def _valid(
        self, numbers: npt.NDArray[Any], window: Window, bands: Sequence[int]
    ) -> npt.NDArray[np.bool_]:
        """Mask of the numbers; a broadcast of one True where all is data."""
        is_float = numbers.dtype.kind == "f"
        valid: npt.NDArray[np.bool_] = np.broadcast_to(np.True_, numbers.shape)
        if is_float:
            valid = np.isfinite(numbers)
        nodata = np.array([self.nodata_of(band) for band in bands], np.float64)  # None becomes NaN
        if not np.isnan(nodata).all():
            # nodata is text or float64 in headers
            wall = nodata.astype(numbers.dtype) if is_float else nodata
            valid = valid & (numbers != wall[:, None, None])
        if (limits := self.metadata.stored.limits) is not None:
            valid = valid & (numbers >= limits[0]) & (numbers <= limits[1])
        if (mask := self.read_mask(window)) is not None:
            valid = valid & mask
        return valid

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path.name!r}: {self.metadata!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def same_unit(one: Scene, other: Scene) -> bool:
    """True if both files turn stored numbers into values alike."""
    return np.array_equal(_scaling(one), _scaling(other))


def comparable_as_stored(one: Scene, other: Scene) -> bool:
    """True if values of both files are their stored numbers times one factor.

    An offset, or bands with factors of their own, would change the angles between spectra.
    """
    scales, offsets = _scaling(one)
    return same_unit(one, other) and bool((scales == scales[0]).all() and not offsets.any())


def in_one_unit(
    one: tuple[npt.NDArray[np.floating], Scene],
    other: tuple[npt.NDArray[np.floating], Scene],
    bands: Sequence[int] | None = None,
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Values of two scenes: as stored where both have one factor for them, else physical ones."""
    if comparable_as_stored(one[1], other[1]):
        return one[0], other[0]
    return in_physical_unit(*one, bands), in_physical_unit(*other, bands)


def in_physical_unit(
    values: npt.NDArray[np.floating], scene: Scene, bands: Sequence[int] | None = None
) -> npt.NDArray[np.floating]:
    """Stored number * scale + offset, in float64; `values` are of all bands, or of `bands`."""
    scales, offsets = _scaling(scene)[:, slice(None) if bands is None else list(bands)]
    physical: npt.NDArray[np.floating] = values * scales[:, None, None] + offsets[:, None, None]
    return physical


def _scaling(scene: Scene) -> npt.NDArray[np.float64]:
    """Scale and offset per band, shape (2, bands)."""
    stored, bands = scene.metadata.stored, scene.metadata.bands
    scales = stored.scales or (1.0,) * bands
    offsets = stored.offsets or (0.0,) * bands
    return np.array([scales, offsets], np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """How to write a scene; what to write is its metadata."""

    format: str | None = None
    """GTiff, COG, ENVI, MAT or Zarr; None: by the suffix of the path."""
    creation_options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """GDAL creation options (or `INTERLEAVE` for ENVI) that override the defaults."""
    overviews: bool = False
    """Add reduced-resolution copies for quick display; a COG always has them."""
    overwrite: bool = False
    """Replace an existing file."""
    masked: bool = False
    """Pixels may be invalid although no nodata is named: the file gets a mask of its own."""
    threads: int = 1
    """Threads that compress."""
    ortho: bool = False
    """Write on the map grid of the scene's lookup table, not in sensor geometry."""
    dry: bool = False
    """Refuse what the format cannot hold, and begin nothing."""


def asked_options(path: Path, options: Mapping[str, str], **known: Sequence[str]) -> dict[str, str]:
    """Creation options in capitals, by what each may be; the first is the default.

    An option that may be anything has no choices, and is there only if it is asked for.

    Raises:
        UsageError: An option, or what is asked of it, is not known.

    >>> asked_options(Path("a.nc"), {"zlevel": "9"}, COMPRESS=("DEFLATE", "NONE"), ZLEVEL=())
    {'COMPRESS': 'DEFLATE', 'ZLEVEL': '9'}
    """
    asked = {key.upper(): value.upper() for key, value in options.items()}
    for key, value in asked.items():
        choices = known.get(key, [*known])
        if key not in known or (choices and value not in choices):
            raise UsageError(
                f"{path.name}: found the creation option {key}={value}, expected one of "
                f"{', '.join(choices)}"
            )
    return {key: choices[0] for key, choices in known.items() if choices} | asked


class SceneWriter(ABC):
    """A scene being written to a temporary place beside its target.

    Use it in `with`: leaving normally commits (the file appears, complete, in one rename), leaving
    by an exception discards and nothing is left behind.
    """

    path: Path
    """The target; for ENVI the header, which stands for the pair."""
    metadata: SceneMetadata
    block_rows: int
    """Writes should begin at multiples of this and cover whole multiples, save at the end."""
    block_cols: int
    """The same for columns."""

    @abstractmethod
    def write(
        self,
        numbers: npt.NDArray[Any],
        *,
        row: int,
        col: int,
        band: int,
        mask: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Write stored numbers, shape (bands, rows, cols), nodata filled in, at a 0-based place.

        The mask, shape (rows, cols), is True where pixels are data; it is used only with `masked`,
        and to be given once per place (with band 0).

        Raises:
            ResourceError: The target cannot take it (no space, no permission, ...).
        """

    def companion(self, target: Path) -> Path:
        """Where a single file may grow that appears together with this one, in the same folder.

        Raises:
            UsageError: This output does not grow in a folder beside its target.
            OutputExistsError: The file is there, and is not to be replaced.
        """
        raise UsageError(f"{self.path}: {target.name} cannot appear together with this output")

    def commit(self) -> Path:
        """Finish, check and rename into place; returns the path the user should open."""
        return self.path

    def discard(self) -> None:  # noqa: B027 - of writers that keep nothing on disk
        """Remove everything written so far."""

    def require_fit(self, numbers: npt.NDArray[Any], *, row: int, col: int, band: int) -> None:
        """Raise UsageError for numbers that would be cast, or fall outside the scene."""
        dtype, sizes = self.metadata.stored.dtype, self.metadata.shape
        if numbers.dtype != dtype:
            raise UsageError(f"found numbers of type {numbers.dtype}, expected {dtype}")
        starts = band, row, col
        ends = tuple(start + size for start, size in zip(starts, numbers.shape, strict=True))
        if min(starts) < 0 or any(end > size for end, size in zip(ends, sizes, strict=True)):
            raise UsageError(
                f"found numbers for (band, row, col) {starts} to {ends}, expected a place inside "
                f"{sizes}"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.commit()
        else:
            self.discard()


class FileWriter(SceneWriter):
    """A writer whose files grow in a hidden folder beside the target.

    A format refuses what it cannot hold in `_prepare`, begins its file in `_open`, where `_held`
    takes what is to be closed in the end, takes blocks in `_put` and `_put_mask`, and ends in
    `_finish`. What the system refuses in any of them is one line. Callers should write `blocks`
    (rows, cols) at a time.

    Raises:
        UsageError: A creation option, the data type or the place is none that the format knows.
        OutputExistsError: The target exists.
        ResourceError: There is no room, or no permission.
    """

    replaceable = staticmethod(no_folder)
    """True for a folder that may be replaced; the target is a folder then."""

    def __init__(
        self,
        path: Path,
        metadata: SceneMetadata,
        options: TargetOptions,
        blocks: tuple[int, int] = (1, 1),
    ) -> None:
        self.path, self.metadata, self._options = path, metadata, options
        self.block_rows, self.block_cols = blocks
        self._co = {key.upper(): value for key, value in options.creation_options.items()}
        self._prepare()
        if options.dry:
            return
        self._place = TemporaryPlace(
            self.path,
            overwrite=options.overwrite,
            sidecars=self._sidecars(),
            replaceable=self.replaceable,
        )
        self._grown, self._held = self._place.file(self.path.name), ExitStack()
        try:
            with self._writing():
                self._open()
        except BaseException:
            self.discard()
            raise

    def write(
        self,
        numbers: npt.NDArray[Any],
        *,
        row: int,
        col: int,
        band: int,
        mask: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """See `SceneWriter.write`."""
        self.require_fit(numbers, row=row, col=col, band=band)
        with self._writing():
            self._put(numbers, band, row, col)
            if self._options.masked and band == 0:
                every = np.ones(numbers.shape[1:], np.bool_)
                self._put_mask(every if mask is None else mask, row, col)

    def companion(self, target: Path) -> Path:
        """See `SceneWriter.companion`."""
        return self._place.companion(target)

    def commit(self) -> Path:
        """See `SceneWriter.commit`."""
        try:
            with self._writing():
                files = self._finish()
            self._place.commit(files)
        finally:
            self.discard()
        return self.path

    def discard(self) -> None:
        """See `SceneWriter.discard`; after `commit` it does nothing."""
        try:
            self._held.close()
        finally:
            self._place.discard()

    def _prepare(self) -> None:
        """Refuse what the format cannot hold, before anything is made; may rename the target."""

    def _sidecars(self) -> Sequence[Path]:
        """Files that readers would take for a part of the target."""
        return ()

    @abstractmethod
    def _open(self) -> None:
        """Begin the file that grows."""

    @abstractmethod
    def _put(self, numbers: npt.NDArray[Any], band: int, row: int, col: int) -> None:
        """Write numbers, shape (bands, rows, cols)."""

    def _put_mask(self, mask: npt.NDArray[np.bool_], row: int, col: int) -> None:
        """Write a mask, shape (rows, cols); never called of formats that have none."""

    @abstractmethod
    def _finish(self) -> Sequence[tuple[Path, Path]]:
        """Close and check; returns grown files and their targets, the main one last."""

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with resource_errors(self.path):
            yield

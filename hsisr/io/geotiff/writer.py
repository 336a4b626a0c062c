"""Scenes written as tiled GeoTIFF or as cloud-optimised GeoTIFF (COG)."""

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
import tifffile
from rasterio.dtypes import check_dtype
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.windows import Window as GdalWindow

from hsisr.errors import HsisrError, HsisrWarning, ResourceError, UsageError
from hsisr.io.atomic import require_room, resource_errors
from hsisr.io.base import FileWriter
from hsisr.io.formats import SIDECARS
from hsisr.io.geotiff.gdal import (
    GdalError,
    Listener,
    gdal_env,
    listening,
    parsed_crs,
    plain,
    silence_libtiff,
    write_tags,
)
from hsisr.scene.metadata import SceneMetadata

_ZSTD_LEVEL = "3"
"""GDAL's own default, 9, takes three times as long for one percent."""
_FLOAT_ZSTD_LEVEL = "1"
"""Behind the predictor for floats, 3 takes nearly twice as long for three percent."""
_SMALLEST_OVERVIEW = 256
_COG_BLOCK = 512
_COG_BLOCK_BYTES = 32 * 2**20


class GeoTiffWriter(FileWriter):
    """A GeoTIFF that grows block by block, each block compressed once.

    Creation options are those of GDAL's GTiff driver.
    """

    _cog = False

    def _prepare(self) -> None:
        self._heard = Listener()
        silence_libtiff()
        name = self.metadata.stored.dtype.name
        if name == "float16" or not check_dtype(name):  # before 3.11 GDAL does not read float16
            raise UsageError(
                f"{self.path.name}: GDAL cannot store {name}; choose another --dtype, such as "
                "float32"
            )
        packed = "COMPRESS" in self._co  # maybe in a way that such numbers cannot be
        if self._cog:
            count = self.metadata.bands if packed else 1
            _try_cog(self.path, count, self.metadata.stored.dtype, self._cog_options())
        elif self._options.dry or packed:  # else GDAL says it of the file itself
            profile = _creation_profile(self.metadata) | self._gtiff_options()
            profile |= {"SPARSE_OK": "YES", "width": 1, "height": 1}
            with gdal_env(), MemoryFile() as file, _strict_options(self.path):
                with file.open(driver="GTiff", **profile) as dataset:
                    if packed:
                        _fill(dataset)
                if packed:
                    _require_filled(file)

    def _sidecars(self) -> list[Path]:
        place, suffix = self.metadata.georeference, self.path.suffix
        if place.transform is not None or place.gcps:
            return _beside(self.path)
        # world files, as GDAL calls them, would place what has no place
        world = (f".{suffix[1:2]}{suffix[-1:]}w", f"{suffix}w", ".wld")
        ends = dict.fromkeys(end for name in world for end in (name, name.lower(), name.upper()))
        return [*_beside(self.path), *(self.path.with_suffix(end) for end in ends)]

    def _open(self) -> None:
        profile = _creation_profile(self.metadata) | self._gtiff_options()
        with _strict_options(self.path):
            self._dataset = rasterio.open(self._grown, "w", driver="GTiff", **profile)
        self._held.callback(self._close)
        write_tags(self._dataset, self.metadata, envi_domain_kept=not self._cog)
        self.block_rows, self.block_cols = self._dataset.block_shapes[0]

    def _put(self, numbers: npt.NDArray[Any], band: int, row: int, col: int) -> None:
        bands, rows, cols = numbers.shape
        size = self._grown.stat().st_size
        require_room(self._place.folder, self.path, numbers.nbytes, size)
        indexes = list(range(band + 1, band + 1 + bands))
        self._dataset.write(numbers, indexes=indexes, window=GdalWindow(col, row, cols, rows))

    def _put_mask(self, mask: npt.NDArray[np.bool_], row: int, col: int) -> None:
        window = GdalWindow(col, row, mask.shape[1], mask.shape[0])
        self._dataset.write_mask(mask.astype(np.uint8) * 255, window=window)

    def _finish(self) -> list[tuple[Path, Path]]:
        with self._writing():
            if self._options.overviews and not self._cog:
                factors = _overview_factors(self.metadata)
                self._dataset.build_overviews(factors, Resampling.average)
            self._dataset.close()
        if self._cog:
            copied = self._place.file(f"cog.{self.path.name}")
            require_room(self._place.folder, self.path, self._grown.stat().st_size)
            with self._writing():
                rasterio.shutil.copy(self._grown, copied, driver="COG", **self._cog_options())
            self._grown = copied
        self._check()
        for words in dict.fromkeys(self._heard.warnings):
            warnings.warn(f"{self.path.name}: GDAL says {words!r}", HsisrWarning, stacklevel=4)
        # the file, after what GDAL had to put beside it
        pairs = zip(_beside(self._grown), _beside(self.path), strict=True)
        beside = [(grown, path) for grown, path in pairs if grown.exists()]
        return [*beside, (self._grown, self.path)]

    def _close(self) -> None:
        if not self._dataset.closed:
            # what cannot be written now is not wanted any more
            with gdal_env(), listening(), suppress(RasterioError, GdalError):
                self._dataset.close()

    def _gtiff_options(self) -> dict[str, str]:
        """Creation options of the file that grows; for a COG it is only passing."""
        merged = {
            "TILED": "YES",
            "BLOCKXSIZE": str(self.block_cols),
            "BLOCKYSIZE": str(self.block_rows),
            "INTERLEAVE": "BAND",
            "PHOTOMETRIC": "MINISBLACK",  # or three bands of bytes become red, green and blue
            # GDAL's threads look at the file while the mask, a directory of its own, is written
            **self._common_options(1 if self._options.masked else self._options.threads),
            **({} if self._cog else self._co),
        }
        if merged["TILED"].upper() in ("NO", "FALSE", "OFF"):
            del merged["BLOCKXSIZE"]
        is_float = self.metadata.stored.dtype.kind == "f"
        level = {"ZSTD_LEVEL": _FLOAT_ZSTD_LEVEL if self._cog or is_float else _ZSTD_LEVEL}
        return _with_details(merged, level, {"PREDICTOR": "3" if is_float else "2"})

    def _cog_options(self) -> dict[str, str]:
        block = _COG_BLOCK
        pixel_bytes = self.metadata.bands * self.metadata.stored.dtype.itemsize
        while block > 128 and block * block * pixel_bytes > _COG_BLOCK_BYTES:
            block //= 2
        own = {"BLOCKSIZE": str(block), "OVERVIEW_RESAMPLING": "AVERAGE"}
        merged = own | self._common_options(self._options.threads) | self._co
        return _with_details(merged, {"LEVEL": _ZSTD_LEVEL}, {"PREDICTOR": "YES"})

    def _common_options(self, threads: int) -> dict[str, str]:
        compressing = {"NUM_THREADS": str(threads)} if threads > 1 else {}
        return {"BIGTIFF": "IF_SAFER", "COMPRESS": _compression(), **compressing}

    def _check(self) -> None:
        """GDAL can fail late and say nothing, so look at what is on disk."""
        with self._writing(), rasterio.open(self._grown) as found:
            shape = (found.count, found.height, found.width)
            complete = shape == self.metadata.shape and {*found.dtypes} == {
                self.metadata.stored.dtype.name
            }
        if not complete or not self._has_all_blocks():
            raise ResourceError(
                f"cannot write {self.path}: some of its blocks did not reach the disk; check the "
                "space left and the limits, or write elsewhere"
            )

    def _has_all_blocks(self) -> bool:
        size = self._grown.stat().st_size
        sparse = self._co.get("SPARSE_OK", "NO").upper() not in ("NO", "FALSE", "OFF")
        # tifffile would say that it cannot cast the lowest float32, a usual nodata
        with listening(to="tifffile"), tifffile.TiffFile(self._grown) as tiff:
            page = tiff.pages[0]
            places = zip(page.dataoffsets, page.databytecounts, strict=True)
            return all((count or sparse) and start + count <= size for start, count in places)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with (
            gdal_env(GDAL_TIFF_INTERNAL_MASK="YES"),
            resource_errors(self.path),
            _write_errors(self.path, self._heard),
        ):
            yield


class CogWriter(GeoTiffWriter):
    """A cloud-optimised GeoTIFF: first a plain one, then copied by GDAL's COG driver.

    Creation options are those of the latter.
    """

    _cog = True


def _creation_profile(metadata: SceneMetadata) -> dict[str, Any]:
    """What `rasterio.open` must know when it creates a file; absent where nothing is known."""
    stored, place = metadata.stored, metadata.georeference
    nodata = stored.nodata
    if nodata is not None and stored.dtype.kind in "iu" and nodata == nodata // 1:
        nodata = int(nodata)
    profile = {
        "width": metadata.cols,
        "height": metadata.rows,
        "count": metadata.bands,
        "dtype": stored.dtype.name,
        "nodata": nodata,
        "transform": place.transform,
        "crs": parsed_crs(place.crs_wkt) if place.crs_wkt else None,
    }
    return {key: value for key, value in profile.items() if value is not None}


@contextmanager
def _strict_options(target: Path) -> Iterator[None]:
    """Create a file such that an option GDAL rejects, or would ignore, is an error.

    Raises:
        UsageError: GDAL complained.
    """
    failure: Exception | None = None
    with listening() as heard:
        try:
            yield
        except HsisrError:
            raise
        except (RasterioError, GdalError, ValueError, TypeError) as error:
            failure, heard.errors = error, [plain(str(error))]
    if words := heard.warnings + heard.errors:
        raise UsageError(
            f"cannot create {target}: {words[0]}; correct the creation option or the data type, "
            "see the GDAL documentation of the format"
        ) from failure


@contextmanager
def _write_errors(target: Path, heard: Listener) -> Iterator[None]:
    """Write such that a failure GDAL reports, or only logs, is an error.

    Raises:
        ResourceError: GDAL could not write.
    """
    failure: Exception | None = None
    with listening(heard):
        try:
            yield
        except HsisrError:
            raise
        except (RasterioError, GdalError) as error:
            failure = error
            heard.errors.append(plain(str(error.__cause__ or error)))
    if heard.errors:
        raise ResourceError(
            f"cannot write {target}: GDAL says {heard.errors[0]!r}; check the space left, limits "
            "and permissions, or write elsewhere"
        ) from failure


def _with_details(
    options: dict[str, str], level: dict[str, str], predictor: dict[str, str]
) -> dict[str, str]:
    """Creation options with those that go with their compression."""
    compression = options["COMPRESS"].upper()
    level = level if compression == "ZSTD" else {}
    predictor = predictor if compression in ("ZSTD", "DEFLATE", "LZW") else {}
    return level | predictor | options


def _beside(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in (*SIDECARS, ".msk.ovr")]


def _overview_factors(metadata: SceneMetadata) -> list[int]:
    """Halvings until the longer side is no longer than a screen tile."""
    halvings = math.ceil(math.log2(max(metadata.rows, metadata.cols) / _SMALLEST_OVERVIEW))
    return [2**n for n in range(1, halvings + 1)]


@cache
def _compression() -> str:
    """ZSTD where this GDAL was built with it, else DEFLATE, which every GDAL has."""
    with gdal_env(), listening() as heard, MemoryFile() as file:
        profile = {"width": 16, "height": 16, "count": 1, "dtype": "uint8"}
        with file.open(driver="GTiff", COMPRESS="ZSTD", **profile):
            pass
    return "DEFLATE" if heard.warnings or heard.errors else "ZSTD"


def _try_cog(path: Path, count: int, dtype: np.dtype[Any], options: Mapping[str, str]) -> None:
    """Make a COG of one pixel in memory, so that a bad option is found before any work."""
    profile = {"width": 1, "height": 1, "count": count, "dtype": dtype.name}
    with gdal_env(), MemoryFile() as source, MemoryFile() as target, _strict_options(path):
        with source.open(driver="GTiff", **profile) as dataset:
            _fill(dataset)
        rasterio.shutil.copy(source.name, target.name, driver="COG", **options)
        _require_filled(target)


def _fill(dataset: Any) -> None:
    dataset.write(np.full((dataset.count, 1, 1), 100, dataset.dtypes[0]))


def _require_filled(file: MemoryFile) -> None:
    """Raise where a block of `_fill` did not come to the file, of which GDAL may say nothing."""
    with file.open() as dataset:
        if not dataset.read().all():
            raise ValueError(f"COMPRESS cannot hold {dataset.count} bands of {dataset.dtypes[0]}")

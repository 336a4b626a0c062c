"""GDAL: the one place that sets its options, its complaints as errors, coordinate systems.

Nothing outside a `with gdal_env():` feels the options. GDAL reports much in passing only: an option
it does not know, a block it could not write when the file was closed. rasterio logs these; here
they are heard.
"""

import ctypes
import logging
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError

from hsisr.errors import HsisrError, ResourceError, UsageError
from hsisr.scene.metadata import SceneMetadata

try:  # GDAL's errors have no public name in rasterio
    from rasterio import _err

    GdalError: type[Exception] = _err.CPLE_BaseError
except (ImportError, AttributeError):
    _err, GdalError = None, RasterioError

CACHE_MB = 64
"""GDAL's block cache. Its own default, a twentieth of the machine's memory, would make peak memory
depend on the machine."""

_NETWORK = {
    "GDAL_HTTP_CONNECTTIMEOUT": "20",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
    "GDAL_HTTP_LOW_SPEED_TIME": "60",
    "GDAL_HTTP_MAX_RETRY": "2",
    "GDAL_HTTP_RETRY_DELAY": "1",
}
"""How long GDAL waits for a server, in seconds, where the user's environment does not say."""


@contextmanager
def gdal_env(**options: str | int) -> Iterator[None]:
    """GDAL with a bounded block cache, quiet about scenes without georeferencing, and `options`."""
    network = {key: value for key, value in _NETWORK.items() if key not in os.environ}
    settings = {**network, **_other_s3_server(), **options}
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB, **settings), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _other_s3_server() -> dict[str, str]:
    """GDAL's options for the S3 server that s3fs and Amazon's own tools are told of."""
    url = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    scheme, _, host = url.rstrip("/").partition("://")
    if not host or "AWS_S3_ENDPOINT" in os.environ:
        return {}
    https = "YES" if scheme == "https" else "NO"
    return {"AWS_S3_ENDPOINT": host, "AWS_HTTPS": https, "AWS_VIRTUAL_HOSTING": "FALSE"}


def same_crs(one_wkt: str, other_wkt: str) -> bool:
    """Compare by text, then as GDAL understands both, then by their projection parameters.

    ENVI and GeoTIFF spell the same system differently, and each loses other names on the way.
    """
    if one_wkt.strip() == other_wkt.strip():
        return True
    try:
        one, other = CRS.from_wkt(one_wkt), CRS.from_wkt(other_wkt)
        return bool(one == other or (one.to_dict() and one.to_dict() == other.to_dict()))
    except CRSError:
        return False


def crs_name(wkt: str) -> str:
    """A short name for messages: the authority's code, else the name inside the text."""
    with suppress(CRSError):
        if authority := CRS.from_wkt(wkt).to_authority():
            return ":".join(authority)
    return wkt.split('"')[1] if wkt.count('"') > 1 else wkt[:40]


def is_in_km(crs: str | None) -> bool:
    """True for a reference system that counts in kilometres."""
    with suppress(CRSError, ValueError):
        return bool(crs and CRS.from_string(crs).linear_units_factor[1] == 1000)
    return False


def pixel_size_m(meta: SceneMetadata) -> tuple[float, float] | None:
    """Ground sampling distance along columns and rows, in metres; None where it is unknown.

    Degrees become metres on a sphere of 6371 km radius, at the middle of the scene. In sensor
    geometry it is the median over the scene.
    """
    place, north = meta.georeference, math.radians(1) * 6_371_000
    if (places := meta.geolocation) is not None:
        east = north * math.cos(math.radians(np.nanmean(places.latitude)))
        apart = [
            [np.nanmedian(np.diff(degrees, axis=axis)) / places.scale for axis in (1, 0)]
            for degrees in (places.longitude, places.latitude)
        ]
        width, height = (math.hypot(x * east, y * north) for x, y in zip(*apart, strict=True))
        return (width, height) if width > 0 and height > 0 else None
    if place.transform is None or not place.crs_wkt:
        return None
    t = place.transform
    try:
        crs = CRS.from_wkt(place.crs_wkt)
        if crs.is_geographic:
            east = north * math.cos(math.radians((t @ (meta.cols / 2, meta.rows / 2))[1]))
        elif crs.is_projected:
            east = north = float(crs.linear_units_factor[1])
        else:
            return None
    except CRSError:
        return None
    width, height = (math.hypot(x * east, y * north) for x, y in ((t.a, t.d), (t.b, t.e)))
    return (width, height) if width > 0 and height > 0 else None


class Listener(logging.Handler):
    """Keeps what a library said, in order, warnings and errors apart."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.warnings: list[str] = []
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take one message."""
        heard = self.errors if record.levelno >= logging.ERROR else self.warnings
        heard.append(_plain(record.getMessage()))


@contextmanager
def listening(listener: Listener | None = None, to: str = "rasterio") -> Iterator[Listener]:
    """Hear what GDAL, or another library, says meanwhile."""
    heard = listener or Listener()
    logger = logging.getLogger(to)
    logger.addHandler(heard)
    try:
        yield heard
    finally:
        logger.removeHandler(heard)


@contextmanager
def strict_options(target: Path) -> Iterator[None]:
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
            failure, heard.errors = error, [_plain(str(error))]
    if words := heard.warnings + heard.errors:
        raise UsageError(
            f"cannot create {target}: {words[0]}; correct the creation option or the data type, "
            "see the GDAL documentation of the format"
        ) from failure


@contextmanager
def write_errors(target: Path, heard: Listener) -> Iterator[None]:
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
            heard.errors.append(_plain(str(error.__cause__ or error)))
    if heard.errors:
        raise ResourceError(
            f"cannot write {target}: GDAL says {heard.errors[0]!r}; check the space left, limits "
            "and permissions, or write elsewhere"
        ) from failure


@cache
def silence_libtiff() -> None:
    """Keep libtiff from printing by itself; the same failures reach GDAL, and are heard here.

    GDAL opens TIFFs with an error handler of their own, but tells of a write that failed through
    libtiff's common one, which prints to stderr. It is taken away where the libtiff that GDAL uses
    can be found, and can have handlers of each file's own (4.5 and later). Source: libtiff,
    TIFFSetErrorHandler; GDAL, frmts/gtiff/tifvsi.cpp.
    """
    # a GDAL that has its libtiff inside, or another system, may still print
    with suppress(OSError, AttributeError):
        libtiff = ctypes.CDLL(_err.__file__)  # with all that it is linked to
        if hasattr(libtiff, "TIFFOpenOptionsSetErrorHandlerExtR"):
            libtiff.TIFFSetErrorHandler(None)


def _plain(message: str) -> str:
    """The message without rasterio's prefix, on one line.

    >>> _plain("CPLE_NotSupported in driver COG does not support creation option FOO")
    'driver COG does not support creation option FOO'
    """
    line = " ".join(message.split())
    if line.startswith("CPLE_") and " in " in line:
        line = line.split(" in ", 1)[1]
    return line.rstrip(".")

"""The one place that sets GDAL's options; nothing outside a `with gdal_env():` feels them."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import rasterio
from rasterio.errors import NotGeoreferencedWarning

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

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Where s3fs and Amazon's own tools look for another S3 server; GDAL has names of its own."""


@contextmanager
def gdal_env(**options: str | int) -> Iterator[None]:
    """Bound GDAL's block cache, and stay quiet about scenes without georeferencing.

    Args:
        options: Further GDAL configuration options, for example `GDAL_NUM_THREADS=2`.
    """
    network = {key: value for key, value in _NETWORK.items() if key not in os.environ}
    settings = {**network, **_other_s3_server(), **options}
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB, **settings), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _other_s3_server() -> dict[str, str]:
    """GDAL's options for it; none where the user has set them."""
    url = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    scheme, _, host = url.rstrip("/").partition("://")
    if not host or "AWS_S3_ENDPOINT" in os.environ:
        return {}
    https = "YES" if scheme == "https" else "NO"
    return {"AWS_S3_ENDPOINT": host, "AWS_HTTPS": https, "AWS_VIRTUAL_HOSTING": "FALSE"}

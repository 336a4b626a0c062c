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


@contextmanager
def gdal_env(**options: str | int) -> Iterator[None]:
    """Bound GDAL's block cache, and stay quiet about scenes without georeferencing.

    Args:
        options: Further GDAL configuration options, for example `GDAL_NUM_THREADS=2`.
    """
    network = {key: value for key, value in _NETWORK.items() if key not in os.environ}
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB, **network, **options), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield

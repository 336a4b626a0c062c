"""The one place that sets GDAL's options; nothing outside a `with gdal_env():` feels them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import rasterio
from rasterio.errors import NotGeoreferencedWarning

CACHE_MB = 64
"""GDAL's block cache. Its own default, a twentieth of the machine's memory, would make peak memory
depend on the machine."""


@contextmanager
def gdal_env(**options: str | int) -> Iterator[None]:
    """Bound GDAL's block cache, and stay quiet about scenes without georeferencing.

    Args:
        options: Further GDAL configuration options, for example `GDAL_NUM_THREADS=2`.
    """
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB, **options), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield

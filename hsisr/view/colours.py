"""Maps of numbers as coloured PNGs inside a page."""

import base64
import io
from collections.abc import Sequence
from typing import Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.image import imsave

COLOURS: Final = "magma"
"""Of maps: small numbers are dark."""


def data_address(png: bytes) -> str:
    """A PNG inside a page."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def colour_picture(rgb: npt.NDArray[np.uint8]) -> str:
    """Bytes of shape (rows, cols, 3), one pixel each."""
    content = io.BytesIO()
    imsave(content, rgb, format="png")
    return data_address(content.getvalue())


def map_picture(values: npt.NDArray[np.float32], top: float) -> str:
    """A map from 0 to `top`; not a number is grey."""
    content = io.BytesIO()
    colours = mpl.colormaps[COLOURS].with_extremes(bad="#808080")
    imsave(content, np.ma.masked_invalid(values), vmin=0, vmax=top, cmap=colours, format="png")
    return data_address(content.getvalue())


def scale_picture() -> str:
    """The colours of maps from 0 to their top, left to right."""
    return map_picture(np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(8, 0), 1.0)


def top_of(maps: Sequence[npt.NDArray[np.floating]]) -> float:
    """The 99th percentile over all of them, so that one bad pixel hides nothing."""
    finite = np.concatenate([m[np.isfinite(m)] for m in maps])
    return float(np.percentile(finite, 99)) or 1.0 if finite.size else 1.0

"""What a page holds as text: cubes, and maps of numbers as coloured PNGs.

Cubes are whole numbers, as differences between bands, deflated, in base64.
"""

import base64
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.image import imsave

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PackedCube:
    """A cube as a page carries it; `page.js` turns it back into numbers."""

    shape: tuple[int, int, int]
    """(bands, rows, cols)."""
    low: list[float]
    """The number that level 1 means, per band; level 0 is an invalid value."""
    step: list[float]
    """Between two levels, per band."""
    content: bytes
    """Deflated: low bytes, then high bytes, of zigzag differences along the bands."""

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        data = base64.b64encode(self.content).decode()
        return {"shape": self.shape, "low": self.low, "step": self.step, "data": data}


def pack(cube: Float32, bits: int) -> PackedCube:
    """Quantise each band, NaN where invalid, between its own extremes and compress.

    A value is off by at most 1 / 2^(bits + 1) of its band's range.
    """
    levels = 2**bits - 2
    finite = np.isfinite(cube)
    low = np.where(finite, cube, np.inf).min(axis=(1, 2))
    high = np.where(finite, cube, -np.inf).max(axis=(1, 2))
    low, high = (np.where(np.isfinite(edge), edge, 0).astype(np.float64) for edge in (low, high))
    step = np.where(high > low, (high - low) / levels, 1.0)
    scaled = (cube - low[:, None, None]) / step[:, None, None]
    level = np.where(finite, np.rint(scaled) + 1, 0).astype(np.int32)
    difference = np.diff(level, axis=0, prepend=0)
    zigzag = ((difference << 1) ^ (difference >> 31)).astype(np.uint32)
    planes = (zigzag & 0xFF).astype(np.uint8), (zigzag >> 8).astype(np.uint8)
    content = zlib.compress(b"".join(plane.tobytes() for plane in planes), 6)
    bands, rows, cols = cube.shape
    return PackedCube((bands, rows, cols), low.tolist(), step.tolist(), content)


COLOURS: Final = "magma"
"""Of maps: small numbers are dark."""


def data_address(png: bytes) -> str:
    """A PNG inside a page."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def colour_picture(rgb: npt.NDArray[Any], **drawn: Any) -> str:
    """Colours as bytes of shape (rows, cols, 3), or numbers to be drawn as `imsave` is told."""
    content = io.BytesIO()
    imsave(content, rgb, format="png", **drawn)
    return data_address(content.getvalue())


def map_picture(values: npt.NDArray[np.float32], top: float) -> str:
    """A map from 0 to `top`; not a number is grey."""
    colours = mpl.colormaps[COLOURS].with_extremes(bad="#808080")
    return colour_picture(np.ma.masked_invalid(values), vmin=0, vmax=top, cmap=colours)


def scale_picture() -> str:
    """The colours of maps from 0 to their top, left to right."""
    return map_picture(np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(8, 0), 1.0)


def top_of(maps: Sequence[npt.NDArray[np.floating]]) -> float:
    """The 99th percentile over all of them, so that one bad pixel hides nothing."""
    finite = np.concatenate([m[np.isfinite(m)] for m in maps])
    return float(np.percentile(finite, 99)) or 1.0 if finite.size else 1.0

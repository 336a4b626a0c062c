"""Cubes inside a page: whole numbers, differences between bands, deflate, base64."""

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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
    """Quantise each band between its own extremes and compress.

    Args:
        cube: Shape (bands, rows, cols), NaN where invalid.
        bits: Of a level; a value is off by at most 1 / 2^(bits + 1) of its band's range.
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

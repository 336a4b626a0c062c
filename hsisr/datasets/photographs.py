"""Spatial detail of the ground from aerial photographs, under spectra drawn at random.

Hyperspectral scenes are few and small; photographs show far more ground. Red, green and blue are
mixed with smooth random curves into as many bands as a network sees, or tell materials with random
spectra apart; with random offsets, gains and gammas, so that bands differ as they do in a spectrum
while edges stay where they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from PIL import Image

from hsisr.datasets.training_scenes import area_average
from hsisr.errors import InputDataError

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]

_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
_WHITE = 4000.0
"""Stored number of the brightest pixel, about that of reflectance times 10,000."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Photographs:
    """Equally large colour photographs in memory."""

    name: str
    images: UInt8
    """Shape (n, 3, rows, cols): red, green, blue."""

    @property
    def side(self) -> int:
        """The shorter side in pixels."""
        return int(min(self.images.shape[2:]))

    def cube(self, bands: int, rng: np.random.Generator) -> Float32:
        """A random photograph under random spectra, stored numbers, shape (bands, rows, cols)."""
        rgb = self.images[int(rng.integers(len(self.images)))].astype(np.float32) / 255
        return coloured(rgb, bands, rng)


def coloured(rgb: Float32, bands: int, rng: np.random.Generator) -> Float32:
    """Bands as smooth random mixtures of three, shape (3, rows, cols), from 0 to 1.

    They are stored numbers of 0 and more, shape (bands, rows, cols).
    """
    cube = (_mixed if rng.integers(2) else _of_materials)(rgb, bands, rng).astype(np.float32)
    cube -= cube.min((1, 2), keepdims=True) * np.float32(rng.uniform(0.6, 1.0))
    cube = np.maximum(cube, 0) / (cube.max((1, 2), keepdims=True) + np.float32(1e-6))
    gamma = np.exp(_smooth(bands, rng.normal(0, 0.25, 4))).astype(np.float32)
    gain = _WHITE * np.exp(_smooth(bands, rng.normal(0, 0.6, 5))).astype(np.float32)
    return np.asarray(cube ** gamma[:, None, None] * gain[:, None, None], np.float32)


def _mixed(rgb: Float32, bands: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Sums of the three colours: ground of three spectra."""
    leading = int(rng.integers(3))
    curves = [
        _smooth(bands, rng.normal(1.2 if colour == leading else 0.3, 1.0, 6)) for colour in range(3)
    ]
    return np.asarray(np.tensordot(np.stack(curves, axis=1), rgb, 1), np.float64)


def _of_materials(rgb: Float32, bands: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Materials told by their colour, each with a spectrum; light and shade are the photograph's.

    So bands differ by more than three colours can tell, as those of a whole spectrum do.
    """
    count, (_, rows, cols) = int(rng.integers(5, 13)), rgb.shape
    colours = rgb[:, rng.integers(rows, size=count), rng.integers(cols, size=count)]
    apart = ((rgb[:, None] - colours[..., None, None]) ** 2).sum(0) / rng.uniform(0.1, 0.3) ** 2
    shares = np.exp(apart.min(0) - apart)
    shares /= shares.sum(0)
    common = rng.normal(0, 0.4, 6)
    spectra = [np.exp(_smooth(bands, common + rng.normal(0, 0.5, 6))) for _ in range(count)]
    light = (rgb.mean(0) + 0.05) / (np.tensordot(colours.mean(0), shares, 1) + 0.05)
    return np.asarray(np.tensordot(np.stack(spectra, axis=1), shares, 1) * light, np.float64)


def _smooth(count: int, knots: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A polyline through evenly spaced knots, at `count` places."""
    return np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(knots)), knots)


def read_photographs(paths: Sequence[Path], side: int = 0) -> Photographs:
    """Read colour photographs.

    Args:
        paths: Image files (8-bit colour), or one `.npz` file with `images`, shape (n, 3, rows,
            cols), uint8. Images of another size than most are left out.
        side: Average by the largest whole factor that leaves so many pixels along a side; 0: not.

    Raises:
        InputDataError: A file cannot be read.
    """
    if paths[0].suffix == ".npz":
        images, name = _from_npz(paths[0]), paths[0].name
    else:
        images, name = _from_files(paths), paths[0].parent.name
    if side and (factor := min(images.shape[2:]) // side) > 1:
        images = np.asarray(area_average(images, factor).round(), np.uint8)
    return Photographs(name=name, images=images)


def photograph_files(path: Path) -> list[Path]:
    """The images in a folder and those below it, in order; a file stands for itself."""
    if not path.is_dir():
        return [path]
    return sorted(p for p in path.rglob("*") if p.suffix.lower() in _SUFFIXES)


def _from_npz(path: Path) -> UInt8:
    try:
        with np.load(path, allow_pickle=False) as table:
            images = table["images"]
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise InputDataError(f"{path}: no photographs can be read from it ({error})") from error
    if images.ndim != 4 or images.shape[1] != 3 or images.dtype != np.uint8 or not len(images):
        raise InputDataError(
            f"{path}: found images of shape {images.shape} and type {images.dtype}, expected "
            "(n, 3, rows, cols) of uint8"
        )
    return np.asarray(images)


def _from_files(paths: Sequence[Path]) -> UInt8:
    by_size: dict[tuple[int, ...], list[UInt8]] = {}
    for path in paths:
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"), np.uint8).transpose(2, 0, 1)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise InputDataError(f"{path}: cannot be read as a photograph ({error})") from error
        by_size.setdefault(pixels.shape, []).append(pixels)
    return np.stack(max(by_size.values(), key=len))

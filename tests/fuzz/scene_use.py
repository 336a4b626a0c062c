"""What is done with a hostile scene."""

from pathlib import Path

from hsisr.io.open import open_scene
from hsisr.tiling import Window


def use_scene(path: Path) -> None:
    """Open a scene and read two small windows, at its first and at its last corner."""
    with open_scene(path) as scene:
        bands, rows, cols = scene.metadata.shape
        scene.read(Window(0, 0, min(rows, 4), min(cols, 4)), sorted({0, bands - 1}))
        scene.read(Window(rows - 1, cols - 1, 1, 1), [bands // 2])

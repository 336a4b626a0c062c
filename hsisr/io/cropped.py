"""A scene without its last rows and columns, read through the scene itself."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from hsisr.errors import InputDataError
from hsisr.io.base import Scene
from hsisr.io.delegating import DelegatingScene
from hsisr.tiling.windows import Window


class CroppedScene(DelegatingScene):
    """The upper left part of a scene; its georeference stays as it is.

    Raises:
        InputDataError: The part is larger than the scene, or empty.
    """

    def __init__(self, scene: Scene, rows: int, cols: int) -> None:
        """Keep `rows` x `cols` pixels; closing this closes `scene`."""
        whole = scene.metadata
        if not (0 < rows <= whole.rows and 0 < cols <= whole.cols):
            raise InputDataError(
                f"{scene.path}: found {whole.rows} x {whole.cols} pixels, too few to keep "
                f"{rows} x {cols}"
            )
        super().__init__(scene)
        places = whole.geolocation and whole.geolocation.cropped(rows, cols)
        self.metadata = replace(whole, rows=rows, cols=cols, geolocation=places)

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`."""
        return self._scene.read_stored(window, bands)


def cropped_to_multiple(scene: Scene, scale: int) -> Scene:
    """The scene itself if its sides divide by `scale`, else the part whose sides do.

    Raises:
        InputDataError: A side is shorter than `scale`.
    """
    rows, cols = scene.metadata.rows, scene.metadata.cols
    if rows % scale == 0 and cols % scale == 0:
        return scene
    return CroppedScene(scene, rows - rows % scale, cols - cols % scale)

"""A scene seen through another one."""

import numpy as np
import numpy.typing as npt

from hsisr.io.base import Scene
from hsisr.tiling.windows import Window


class DelegatingScene(Scene):
    """Passes everything on to a scene but `read_stored`; closing this closes it."""

    def __init__(self, scene: Scene) -> None:
        """Look like `scene`."""
        self.path, self.format, self.metadata = scene.path, scene.format, scene.metadata
        self.block_rows = scene.block_rows
        self._scene = scene

    def read_mask(self, window: Window) -> npt.NDArray[np.bool_] | None:
        """See `Scene.read_mask`."""
        return self._scene.read_mask(window)

    def nodata_of(self, band: int) -> float | None:
        """See `Scene.nodata_of`."""
        return self._scene.nodata_of(band)

    def close(self) -> None:
        """Close the scene behind it."""
        self._scene.close()

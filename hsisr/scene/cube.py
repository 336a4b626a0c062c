"""A cube: the array of a scene or of a window of it, with its metadata."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError
from hsisr.scene.georeference import Georeference
from hsisr.scene.spectral_axis import SpectralAxis


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Cube:
    """A hyperspectral image in memory.

    Raises:
        InputDataError: The shapes do not fit together.
    """

    values: npt.NDArray[np.float32]
    """Stored numbers as float32, shape (bands, rows, cols); scale and offset are not applied."""
    valid: npt.NDArray[np.bool_]
    """True where a number is data, shape (bands, rows, cols); may be a read-only broadcast."""
    spectral_axis: SpectralAxis
    georeference: Georeference = field(default_factory=Georeference)

    def __post_init__(self) -> None:
        if self.values.ndim != 3:
            raise InputDataError(f"expected (bands, rows, cols), got shape {self.values.shape}")
        if self.valid.shape != self.values.shape:
            raise InputDataError(f"mask {self.valid.shape} does not fit {self.values.shape}")
        if self.spectral_axis.count != self.bands:
            raise InputDataError(f"{self.spectral_axis.count} bands named, {self.bands} given")

    def __repr__(self) -> str:
        _, rows, cols = self.values.shape
        return f"Cube({self.bands} bands, {rows} x {cols}, {self.valid.mean():.1%} valid)"

    @property
    def bands(self) -> int:
        """Number of spectral bands."""
        return int(self.values.shape[0])


def all_valid(valid: npt.NDArray[np.bool_]) -> bool:
    """`valid.all()`, in no time where the mask is a broadcast of one value.

    >>> all_valid(np.broadcast_to(np.True_, (200, 4000, 4000)))
    True
    """
    one = valid[(slice(0, 1),) * valid.ndim] if not any(valid.strides) else valid
    return bool(one.all())

"""Whose fault it is that finished numbers are not finite: the scene's, or the network's."""

from typing import Final

import numpy as np
import numpy.typing as npt

from hsisr.engine.observed import Observed
from hsisr.engine.plan import Plan
from hsisr.engine.upscaler import NetworkUpscaler
from hsisr.errors import HsisrError, InputDataError, WeightsError
from hsisr.io.base import Scene

_LARGEST: Final = 1e36
"""Sums over a block of 8 x 8 pixels, however interpolation overshoots, then stay in float32."""
_NAMED: Final = 5


def overflow_error(
    scene: Scene, bands: tuple[int, ...], plan: Plan, positions: tuple[int, ...], observed: Observed
) -> HsisrError:
    """The error to raise for numbers that are not finite.

    Args:
        scene: What is upscaled.
        bands: 0-based bands of the scene, in output order.
        plan: The work.
        positions: Where among `bands` these numbers lie.
        observed: What was read for them.

    Returns:
        InputDataError where numbers of the scene are too large, or no network is used; else
        WeightsError.
    """
    peaks = [_peak(observed.values[p], observed.valid[p]) for p in positions]
    large = [b for b, peak in zip(positions, peaks, strict=True) if peak > _LARGEST]
    if large or not any(isinstance(g.upscaler, NetworkUpscaler) for g in plan.groups):
        return InputDataError(
            f"{scene.path}: {_named(bands, large or positions)} numbers up to {max(peaks):.3g}, "
            f"expected at most {_LARGEST:g}, so that sums of them stay in float32; if they mean no "
            "data, let the file name them as nodata, else scale the numbers"
        )
    return WeightsError(
        f"{scene.path}: {_named(bands, positions)} numbers up to {max(peaks):.3g}, for which the "
        "network returned values that are too large for float32; these weights cannot be used on "
        "this scene (are its numbers scaled as the model card says?)"
    )


def _peak(values: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]) -> float:
    return float(np.abs(values).max(where=valid, initial=0))


def _named(bands: tuple[int, ...], positions: list[int] | tuple[int, ...]) -> str:
    """Bands by their 1-based numbers, and a verb.

    >>> _named((4, 5, 6), [0, 2])
    'bands 5, 7 hold'
    """
    numbers = [str(bands[position] + 1) for position in positions]
    if len(numbers) == 1:
        return f"band {numbers[0]} holds"
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"bands {', '.join(numbers[:_NAMED])}{more} hold"

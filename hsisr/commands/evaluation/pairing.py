"""Two scenes that are to be compared: the same grid, the same unit, read strip by strip."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from affine import Affine

from hsisr.errors import HsisrWarning, InputDataError
from hsisr.io.base import Scene
from hsisr.scene.metadata import SceneMetadata
from hsisr.tiling.windows import Window

Float = npt.NDArray[np.floating]
Bool = npt.NDArray[np.bool_]

STRIP_BYTES = 32 * 2**20
"""Size of one image's strip in float32; several copies of it are held at a time."""
MISPLACED_PX = 0.01
"""Corners of equal grids may differ by this much: headers round their numbers."""
WAVELENGTH_NM = 1.0
"""Band centres may differ by this much before a warning."""


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """The same rows of two scenes, in the same unit; all of shape (bands, rows, cols)."""

    reference: Float
    predicted: Float
    reference_valid: Bool
    predicted_valid: Bool

    @property
    def valid(self) -> Bool:
        """True where both are data."""
        both: Bool = self.reference_valid & self.predicted_valid
        return both


def strip_rows(metadata: SceneMetadata, *, bytes_: int = STRIP_BYTES) -> int:
    """Rows that fit the budget, at least 1."""
    return max(1, min(metadata.rows, bytes_ // (metadata.bands * metadata.cols * 4)))


def paired_strips(reference: Scene, estimate: Scene) -> Iterator[Strip]:
    """Both scenes from top to bottom, full width, all bands.

    Stored numbers are compared as they are where both files scale them alike; otherwise both are
    turned into physical values by their own scale and offset.
    """
    meta = reference.metadata
    physical = not same_unit(reference, estimate)
    step = strip_rows(meta)
    for row in range(0, meta.rows, step):
        window = Window(row, 0, min(step, meta.rows - row), meta.cols)
        truth, guess = reference.read(window), estimate.read(window)
        x: Float = truth.values
        y: Float = guess.values
        if physical:
            x, y = in_physical_unit(x, reference), in_physical_unit(y, estimate)
        yield Strip(x, y, truth.valid, guess.valid)


def same_unit(one: Scene, other: Scene) -> bool:
    """True if both files turn stored numbers into values alike."""
    return np.array_equal(_scaling(one), _scaling(other))


def in_physical_unit(values: Float, scene: Scene) -> Float:
    """Stored number * scale + offset, band by band, in float64."""
    scales, offsets = _scaling(scene)
    physical: Float = values * scales[:, None, None] + offsets[:, None, None]
    return physical


def _scaling(scene: Scene) -> npt.NDArray[np.float64]:
    """Scale and offset per band, shape (2, bands)."""
    stored, bands = scene.metadata.stored, scene.metadata.bands
    scales = stored.scales or (1.0,) * bands
    offsets = stored.offsets or (0.0,) * bands
    return np.array([scales, offsets], np.float64)


def require_same_grid(reference: Scene, estimate: Scene, *, finer: int = 1) -> None:
    """Refuse scenes that do not lie on each other, band on band and pixel on pixel.

    Places are compared where both files have one.

    Args:
        reference: One scene.
        estimate: The other.
        finer: Pixels of the estimate per pixel of the reference along a side.

    Raises:
        InputDataError: They differ in size, in CRS or in place; both grids are named.
    """
    one, other = reference.metadata.finer(finer), estimate.metadata
    what = []
    if one.bands != other.bands:
        what.append("bands")
    if (one.rows, one.cols) != (other.rows, other.cols):
        what.append("size")
    a, b = one.georeference, other.georeference
    if a.crs_wkt and b.crs_wkt:
        from hsisr.io.geotiff.crs import same_crs

        if not same_crs(a.crs_wkt, b.crs_wkt):
            what.append("CRS")
    if a.transform and b.transform and not what and not _same_place(a.transform, b.transform, one):
        what.append("place")
    if what:
        raise InputDataError(
            f"the grids differ in {' and '.join(what)}: {_grid(reference)}; {_grid(estimate)}; "
            f"expected the same bands and {_pixels(finer)} on the same ground, resample or crop "
            "one of them"
        )
    _warn_about_wavelengths(reference, estimate)


def _pixels(finer: int) -> str:
    return "pixels" if finer == 1 else f"{finer} x {finer} pixels for each of the first"


def _same_place(one: Affine, other: Affine, grid: SceneMetadata) -> bool:
    """True if the corners of the grid fall on the same pixels under both transforms."""
    if one.is_degenerate:
        return bool(one == other)
    between = ~one @ other
    corners = ((0, 0), (grid.cols, 0), (0, grid.rows))
    return all(
        abs(x - col) <= MISPLACED_PX and abs(y - row) <= MISPLACED_PX
        for col, row in corners
        for x, y in [between @ (col, row)]
    )


def _grid(scene: Scene) -> str:
    """A grid in words."""
    meta = scene.metadata
    words = [f"{meta.bands} bands of {meta.rows} x {meta.cols} pixels"]
    place = meta.georeference
    if place.crs_wkt:
        from hsisr.io.geotiff.crs import crs_name

        words.append(crs_name(place.crs_wkt))
    if place.transform:
        t = place.transform
        words.append(f"origin {t.c:.12g}, {t.f:.12g}, pixel {t.a:.12g} x {t.e:.12g}")
    return f"{scene.path} has {', '.join(words)}"


def _warn_about_wavelengths(reference: Scene, estimate: Scene) -> None:
    one = reference.metadata.spectral_axis.wavelengths_nm
    other = estimate.metadata.spectral_axis.wavelengths_nm
    if one is None or other is None:
        return
    apart = np.abs(np.array(one) - np.array(other))
    band = int(apart.argmax())
    if apart[band] > WAVELENGTH_NM:
        warnings.warn(
            f"band {band + 1} lies at {one[band]:g} nm in {reference.path.name} but at "
            f"{other[band]:g} nm in {estimate.path.name}; bands are compared by position",
            HsisrWarning,
            stacklevel=2,
        )

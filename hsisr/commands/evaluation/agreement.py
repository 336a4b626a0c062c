"""Whether an estimate agrees with the scene it was made from: its area average is that scene.

This needs no reference, so it is the one honest figure at full resolution; it says nothing about
the detail an estimate adds within a pixel.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from affine import Affine

from hsisr.degradation import DEGRADATIONS
from hsisr.errors import InputDataError, warn
from hsisr.io.base import Scene, in_one_unit
from hsisr.metrics.figures import AngleSum
from hsisr.metrics.report import jsonable
from hsisr.scene.metadata import SceneMetadata
from hsisr.tiling import Window

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


def strip_windows(
    metadata: SceneMetadata, *, bytes_: int | None = None, step: int = 1
) -> Iterator[Window]:
    """Strips from top to bottom, full width, that fit the budget; of whole steps, at least one."""
    row_bytes = metadata.bands * metadata.cols * 4
    rows = max(1, (bytes_ or STRIP_BYTES) // row_bytes // step) * step
    for row in range(0, metadata.rows, rows):
        yield Window(row, 0, min(rows, metadata.rows - row), metadata.cols)


def paired_strips(reference: Scene, estimate: Scene) -> Iterator[Strip]:
    """Both scenes from top to bottom, full width, all bands.

    Stored numbers are compared as they are where both files have one factor for all of them;
    otherwise both are turned into physical values by their own scale and offset.
    """
    for window in strip_windows(reference.metadata):
        truth, guess = reference.read(window), estimate.read(window)
        x, y = in_one_unit((truth.values, reference), (guess.values, estimate))
        yield Strip(x, y, truth.valid, guess.valid)


def require_same_grid(reference: Scene, estimate: Scene, *, finer: int = 1) -> None:
    """Refuse scenes that do not lie on each other, band on band and pixel on pixel.

    Places are compared where both files have one. The estimate has `finer` pixels along a side for
    each of the reference.
    """
    one, other = reference.metadata.finer(finer), estimate.metadata
    what = []
    if one.bands != other.bands:
        what.append("bands")
    if (one.rows, one.cols) != (other.rows, other.cols):
        what.append("size")
    what += [of for of in other_place(one, other) if of == "CRS" or not what]
    if what:
        pixels = "pixels" if finer == 1 else f"{finer} x {finer} pixels for each of the first"
        made = what == ["size"] and not (other.rows % one.rows or other.cols % one.cols)
        advice = "an observed scene goes with --lr" if made else "resample or crop one of them"
        raise InputDataError(
            f"the grids differ in {' and '.join(what)}: {_grid(reference)}; {_grid(estimate)}; "
            f"expected the same bands and {pixels} on the same ground; {advice}"
        )
    _warn_about_wavelengths(reference, estimate)


def other_place(one: SceneMetadata, other: SceneMetadata) -> list[str]:
    """In what of CRS and place grids of one size differ, as far as both files name them."""
    a, b = one.georeference, other.georeference
    if a.crs_wkt and b.crs_wkt:
        from hsisr.io.geotiff.gdal import same_crs

        if not same_crs(a.crs_wkt, b.crs_wkt):
            return ["CRS"]
    if a.transform and b.transform and not _same_place(a.transform, b.transform, one):
        return ["place"]
    return []


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
    meta = scene.metadata
    words = [f"{meta.bands} bands of {meta.rows} x {meta.cols} pixels"]
    place = meta.georeference
    if place.crs_wkt:
        from hsisr.io.geotiff.gdal import crs_name

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
        warn(
            f"band {band + 1} lies at {one[band]:g} nm in {reference.path.name} but at "
            f"{other[band]:g} nm in {estimate.path.name}; bands are compared by position"
        )


FIGURES: Final = ("lr_rmse", "lr_max", "lr_sam")
"""Names of the figures of agreement."""

DEFINITIONS: Final = {
    "lr_rmse": "root mean squared difference of the estimate's area average and the observed "
    "scene, over all values valid in both",
    "lr_max": "largest absolute difference of the same",
    "lr_sam": "mean angle between their spectra in degrees, over the bands valid in both; "
    "zero spectra left out and counted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far the area average of an estimate is from the observed scene."""

    scale: int
    rmse: float
    maximum: float
    sam_deg: float
    values: int
    """Values that were compared: valid in the observed scene and in the whole block above."""
    zero_spectra: int

    @property
    def figures(self) -> dict[str, float]:
        """The three figures by name."""
        return dict(zip(FIGURES, (self.rmse, self.maximum, self.sam_deg), strict=True))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "scale": self.scale,
            "scores": {name: jsonable(value) for name, value in self.figures.items()},
            "definitions": DEFINITIONS,
            "values": self.values,
            "zero_spectra": self.zero_spectra,
        }


def scale_between(observed: Scene, estimate: Scene) -> int:
    """HR pixels per LR pixel along a side."""
    lr, hr = observed.metadata, estimate.metadata
    scale = hr.rows // lr.rows
    if lr.bands != hr.bands or scale < 2 or lr.finer(scale).shape != hr.shape:
        part = observed.whole is not observed and estimate.whole is not estimate
        advice = "lay a --bbox along the borders of its pixels, and " if part else ""
        if lr.bands != hr.bands:
            advice = "give --wavelengths that both have, or "
        raise InputDataError(
            f"{estimate.path} has {hr.bands} bands of {hr.rows} x {hr.cols} pixels, "
            f"{observed.path} {lr.bands} of {lr.rows} x {lr.cols}; expected the same bands and "
            f"sides that are 2, 3, 4... times as long: {advice}name the scene the estimate was "
            "made from"
        )
    return scale


def measure_agreement(observed: Scene, estimate: Scene) -> Agreement:
    """Average the estimate over each LR pixel and compare with the observed scene."""
    scale = scale_between(observed, estimate)
    require_same_grid(observed, estimate, finer=scale)
    angles, count, squares, largest = AngleSum(), 0, 0.0, 0.0
    for window in strip_windows(observed.metadata, bytes_=STRIP_BYTES // scale**2):
        truth, guess = observed.read(window), estimate.read(window.scaled(scale))
        averaged, whole = DEGRADATIONS["area"].strip(guess.values, guess.valid, scale)
        x, y = in_one_unit((truth.values, observed), (averaged, estimate))
        strip = Strip(x, y, truth.valid, whole)
        valid = strip.valid
        apart = np.abs(strip.predicted[valid] - strip.reference[valid].astype(np.float64))
        count += apart.size
        squares += float(np.square(apart).sum())
        largest = max(largest, float(apart.max(initial=0.0)))
        seen = valid.any(axis=0)
        angles.add(
            np.where(valid, strip.reference, 0)[:, seen],
            np.where(valid, strip.predicted, 0)[:, seen],
            np.broadcast_to(np.True_, (len(valid), int(seen.sum()))),
        )
    if not count:
        raise InputDataError(
            f"{estimate.path} and {observed.path} have no valid value in common; "
            "check the nodata values and masks of both"
        )
    return Agreement(
        scale=scale,
        rmse=math.sqrt(squares / count),
        maximum=largest,
        sam_deg=angles.mean_deg,
        values=count,
        zero_spectra=angles.zero_spectra,
    )

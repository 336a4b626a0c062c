"""Scenes in MATLAB files: which variable is the cube, how its axes lie, what lies beside it.

The cube is the only 3-D variable of numbers, or the one that is named. Its axes are (rows, cols,
bands), MATLAB's habit, unless the wavelengths beside it are as many as exactly one other axis is
long; `axes` overrules both. Wavelengths, widths and bad bands are taken from variables beside the
cube that have one of their usual names.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from affine import Affine

from hsisr.errors import InputDataError, UsageError
from hsisr.io.boxes import checked_axes, cut, sizes
from hsisr.io.mat_file import Mat5, Mat73, MatFile, Variable, reading
from hsisr.io.protocol import Scene
from hsisr.io.spectral_fields import SpectralSource, merged_axis
from hsisr.scene.georeference import Georeference
from hsisr.scene.metadata import SceneMetadata
from hsisr.scene.quantisation import StoredNumbers
from hsisr.scene.spectral_axis import SpectralAxis
from hsisr.tiling.windows import Window

_NAMES: Final = {
    "wavelengths": ("wavelengths", "wavelength", "wl", "wvl", "lambda", "wavelengths_nm"),
    "fwhm": ("fwhm", "fwhms", "fwhm_nm"),
    "bbl": ("bbl", "bad_bands_list", "good_wavelengths"),
    "unit": ("wavelength_units", "wavelength_unit"),
    "names": ("band_names", "bandnames"),
}
"""Names, in lower case, that variables beside a cube go by."""


class MatScene(Scene):
    """A cube in a MATLAB file."""

    def __init__(self, path: Path, file: MatFile, name: str, axes: str | None) -> None:
        self.path, self.format, self._file = path, file.format, file
        beside = _Beside(file)
        shape = file.variables[name].shape
        order = checked_axes(axes) if axes else _axes(shape, beside.spectral.wavelengths)
        self._array, reverse = file.array(name)
        self._axes = order[::-1] if reverse else order
        bands, rows, cols = sizes(shape, order)
        if not (bands and rows and cols):
            raise InputDataError(f"variable {name} is empty: {shape}; expected pixels")
        self.metadata = SceneMetadata(
            rows=rows,
            cols=cols,
            stored=StoredNumbers(
                dtype=np.dtype(self._array.dtype).newbyteorder("="), nodata=beside.nodata()
            ),
            spectral_axis=beside.spectral_axis(bands),
            georeference=beside.georeference(),
        )

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`; only version 7.3 leaves the rest of the cube on disk."""
        try:
            with reading():
                return cut(self._array, self._axes, window, bands)
        except InputDataError as error:
            raise InputDataError(f"{self.path}: {error}") from error

    def close(self) -> None:
        """See `Scene.close`."""
        self._array = None
        self._file.close()


def open_mat(path: Path, *, hdf5: bool, variable: str | None, axes: str | None) -> MatScene:
    """Open a cube in a MATLAB file.

    Args:
        path: The file.
        hdf5: It is a version 7.3 file.
        variable: Name of the cube; None: the only 3-D variable of numbers.
        axes: Order of its axes in MATLAB, such as "rcb"; None: by the rule above.

    Raises:
        InputDataError: No variable, or more than one, can be the cube, or the file is damaged.
        UsageError: There is no variable of that name, or `axes` is no order of r, c and b.
        ResourceError: A version 5 cube does not fit into memory.
    """
    file: MatFile = Mat73(path) if hdf5 else Mat5(path)
    try:
        name = _cube(file.variables, variable)
        return MatScene(path, file, name, axes)
    except BaseException:
        file.close()
        raise


def _cube(variables: Mapping[str, Variable], wanted: str | None) -> str:
    """Name of the cube."""
    if wanted is not None:
        return _wanted_cube(variables, wanted)
    cubes = [n for n, v in variables.items() if v.kind == "numbers" and len(v.shape) == 3]
    if len(cubes) > 1:
        raise InputDataError(
            f"found {len(cubes)} cubes: {_table(variables, cubes)}; choose one with --variable NAME"
        )
    if not cubes:
        raise InputDataError(
            f"found no 3-D variable of numbers among {_table(variables, variables) or 'nothing'}; "
            f"expected (rows, cols, bands). {_ADVICE}"
        )
    if matrix := _unmixing_matrix(variables, cubes[0]):
        raise InputDataError(
            f"found an unmixing matrix {_table(variables, [matrix])}, and {cubes[0]} beside it "
            f"looks like its abundance maps. {_ADVICE}; or insist with --variable {cubes[0]}"
        )
    return cubes[0]


_ADVICE: Final = (
    "Pixels by bands, as unmixing files keep them, must become a cube first, in MATLAB: "
    "cube = reshape(Y', rows, cols, bands)"
)


def _wanted_cube(variables: Mapping[str, Variable], wanted: str) -> str:
    if wanted not in variables:
        raise UsageError(
            f"--variable {wanted}: no such variable; there are {_table(variables, variables)}"
        )
    found = variables[wanted]
    if found.kind != "numbers":
        raise InputDataError(
            f"variable {wanted} holds no plain numbers (text, cells, structs, logicals and sparse "
            "matrices cannot be upscaled); choose another with --variable NAME"
        )
    if len(found.shape) != 3:
        raise InputDataError(
            f"variable {wanted} has the shape {found.shape}, expected 3 axes. {_ADVICE}"
        )
    return wanted


def _unmixing_matrix(variables: Mapping[str, Variable], cube: str) -> str | None:
    """A matrix with one spectrum per pixel of the cube, and more bands than it has."""
    rows, cols, maps = variables[cube].shape
    for name, found in variables.items():
        if found.kind == "numbers" and len(found.shape) == 2 and rows * cols in found.shape:
            bands = found.shape[0] if found.shape[1] == rows * cols else found.shape[1]
            if bands > maps:
                return name
    return None


def _table(variables: Mapping[str, Variable], names: Sequence[str] | Mapping[str, Variable]) -> str:
    return ", ".join(f"{n} {variables[n].shape}" for n in names)


def _axes(shape: tuple[int, ...], wavelengths: Sequence[float] | None) -> str:
    """MATLAB's order, unless the wavelengths point to one other axis."""
    as_long = [size == len(wavelengths or ()) for size in shape]
    if as_long.count(True) != 1:
        return "rcb"
    return ("brc", "rbc", "rcb")[as_long.index(True)]


class _Beside:
    """The variables beside the cube that speak of it."""

    def __init__(self, file: MatFile) -> None:
        self._file = file
        self._names = {name.lower(): name for name in file.variables}
        flags = self._vector(*_NAMES["bbl"])
        units = self._texts(*_NAMES["unit"])
        self.spectral = SpectralSource(
            wavelengths=self._vector(*_NAMES["wavelengths"]),
            fwhm=self._vector(*_NAMES["fwhm"]),
            good=None if flags is None else tuple(flag != 0 for flag in flags),
            unit=units[0] if units else None,
        )

    def spectral_axis(self, bands: int) -> SpectralAxis:
        return merged_axis(bands, [self.spectral], self._texts(*_NAMES["names"]))

    def nodata(self) -> float | None:
        found = self._numbers("nodata")
        return float(found[0]) if found is not None and found.size == 1 else None

    def georeference(self) -> Georeference:
        numbers, wkt = self._numbers("transform"), self._texts("crs_wkt")
        known = numbers is not None and numbers.size == 6
        return Georeference(
            crs_wkt=wkt[0] if wkt and wkt[0] else None,
            transform=Affine(*map(float, numbers)) if numbers is not None and known else None,
        )

    def _vector(self, *names: str) -> tuple[float, ...] | None:
        """The first variable of these names that is a vector; scalars are other things."""
        for name in names:
            found = self._numbers(name)
            if found is not None and found.size > 1:
                return tuple(map(float, found))
        return None

    def _numbers(self, name: str) -> npt.NDArray[Any] | None:
        known = self._names.get(name)
        if known is None or self._file.variables[known].kind != "numbers":
            return None
        shape = self._file.variables[known].shape
        if sum(side != 1 for side in shape) > 1:
            return None
        with reading():
            return np.ravel(np.asarray(self._file.array(known)[0]))

    def _texts(self, *names: str) -> list[str] | None:
        for name in names:
            known = self._names.get(name)
            if known is not None and self._file.variables[known].kind == "text":
                return [text.rstrip() for text in self._file.texts(known)] or None
        return None

"""Scenes in MATLAB files: which variable is the cube, how its axes lie, what lies beside it.

The cube is the only 3-D variable of numbers, or the only one that has a band for each of the
wavelengths beside it, or the one that is named. Its axes are (rows, cols, bands), MATLAB's habit,
unless the wavelengths beside it are as many as exactly one other axis is long, with a warning
where nothing tells and the shape is unlikely; `axes` overrules
all. Wavelengths, widths and bad bands are taken from variables beside the
cube that have one of their usual names.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError, UsageError
from hsisr.io.arrays.axes import ArrayScene, checked_axes, sizes, warn_if_unlikely, whole
from hsisr.io.matlab.fields import MatFields, MatFile, Variable, reading
from hsisr.io.matlab.v5 import Mat5
from hsisr.io.matlab.v73 import Mat73

_ADVICE: Final = (
    "Pixels by bands, as unmixing files keep them, must become a cube first, in MATLAB: "
    "cube = reshape(Y', rows, cols, bands)"
)


def open_mat(path: Path, *, variable: str | None, axes: str | None) -> ArrayScene:
    """Open a cube in a MATLAB file: the one named, axes in MATLAB's order, or by the rule above.

    Raises:
        InputDataError: No variable, or more than one, can be the cube, or the file is damaged.
        UsageError: There is no variable of that name, or `axes` is no order of r, c and b.
        ResourceError: A version 5 cube does not fit into memory.
    """
    with path.open("rb") as start:
        hdf5 = start.read(10).startswith((b"MATLAB 7.3", b"\x89HDF\r\n\x1a\n"))
    file: MatFile = Mat73(path) if hdf5 else Mat5(path)
    try:
        fields = MatFields(file, (variable or "").rpartition(".")[0])
        wavelengths = len(fields.spectral.wavelengths or ())
        name = _cube(file.variables, variable, wavelengths)
        shape = file.variables[name].shape
        order = _axes(path, shape, wavelengths) if axes is None else checked_axes(axes)
        return _scene(path, file, fields, name, order)
    except BaseException:
        file.close()
        raise


def _scene(path: Path, file: MatFile, fields: MatFields, name: str, axes: str) -> ArrayScene:
    """The cube `name`, whose axes lie so in MATLAB; only version 7.3 leaves it on disk."""
    shape = sizes(file.variables[name].shape, axes)
    array, is_reversed = file.array(name)
    metadata = fields.metadata(shape, np.dtype(array.dtype).newbyteorder("="))
    mask = fields.mask_name(*shape[1:])
    flags: Any
    flags, turned = file.array(mask) if mask else (None, False)

    def valid(place: tuple[slice, slice]) -> npt.NDArray[np.bool_]:
        found = np.asarray(flags[place[::-1]]).T if turned else np.asarray(flags[place])
        return np.asarray(found != 0)

    return ArrayScene(
        path,
        file.format,
        metadata,
        whole(array, axes[::-1] if is_reversed else axes),
        mask=None if flags is None else valid,
        file=file,
        errors=reading,
    )


def _cube(variables: Mapping[str, Variable], wanted: str | None, wavelengths: int) -> str:
    """Name of the cube; `wavelengths` is their number, 0 if unknown."""
    if wanted is not None:
        return _wanted_cube(variables, wanted)
    every = [n for n, v in variables.items() if v.kind == "numbers" and len(v.shape) == 3]
    cubes = [name for name in every if "." not in name]
    fitting = [name for name in cubes if wavelengths > 1 and wavelengths in variables[name].shape]
    if len(cubes) > 1 and len(fitting) != 1:
        raise InputDataError(
            f"found {len(cubes)} cubes: {_table(variables, cubes)}; choose one with --variable NAME"
        )
    if not cubes and every:
        raise InputDataError(
            f"found no cube but in structs: {_table(variables, every)}; name it, for example "
            f"--variable {every[0]}"
        )
    if not cubes:
        raise InputDataError(
            f"found no 3-D variable of numbers among {_table(variables, variables) or 'nothing'}; "
            f"expected (rows, cols, bands). {_ADVICE}"
        )
    cube = fitting[0] if fitting else cubes[0]
    if matrix := _unmixing_matrix(variables, cube):
        raise InputDataError(
            f"found an unmixing matrix {_table(variables, [matrix])}, and {cube} beside it looks "
            f"like its abundance maps. {_ADVICE}; or, if {cube} is the image, name it with "
            f"--variable {cube}"
        )
    return cube


def _wanted_cube(variables: Mapping[str, Variable], wanted: str) -> str:
    if wanted not in variables:
        raise UsageError(
            f"--variable {wanted}: no such variable; there are {_table(variables, variables)}"
        )
    found = variables[wanted]
    if inside := [name for name in variables if name.startswith(f"{wanted}.")]:
        raise InputDataError(
            f"variable {wanted} is a struct of {_table(variables, inside)}; name one of them, for "
            f"example --variable {inside[0]}"
        )
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


def _axes(path: Path, shape: tuple[int, ...], wavelengths: int) -> str:
    """MATLAB's order, unless the wavelengths point to one other axis."""
    as_long = [size == wavelengths for size in shape]
    if as_long.count(True) != 1:
        warn_if_unlikely(path, "rcb", shape)
        return "rcb"
    return ("brc", "rbc", "rcb")[as_long.index(True)]

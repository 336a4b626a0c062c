"""Which array of a store is the cube, and how its axes lie.

The cube is the only 3-D array of numbers (axes of length 1 beyond do not count), else the only one
that wavelengths lie along, or the one that is named. The names of its dimensions, and the dimension
of the wavelengths, tell its axes (`hsisr.io.arrays.axes`); `axes` overrules them.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from hsisr.errors import InputDataError, UsageError, warn_of_scene
from hsisr.io.arrays.axes import checked_axes, given_order, is_wavelength, named_order
from hsisr.io.zarr.layout import DIMENSIONS
from hsisr.io.zarr.store import zarr_errors


def dimension_names(array: Any) -> tuple[str, ...]:
    """Names of an array's dimensions; empty texts where it does not say."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get(DIMENSIONS)
    if not isinstance(names, (list, tuple)) or len(names) != len(array.shape):
        return ("",) * len(array.shape)
    return tuple(str(name or "") for name in names)


def spectral_dimension(arrays: Mapping[str, Any], cube: str) -> str | None:
    """Name of the cube's dimension that an array of wavelengths lies on, if there is one."""
    sizes = dict(zip(dimension_names(arrays[cube]), arrays[cube].shape, strict=True))
    for name, array in arrays.items():
        if len(array.shape) == 1 and is_wavelength(name, array.attrs):
            dimension = dimension_names(array)[0]
            if dimension and sizes.get(dimension) == array.shape[0]:
                return dimension
    return None


def cube_name(arrays: Mapping[str, Any], wanted: str | None) -> str:
    """Name of the cube among arrays, or the wanted one.

    InputDataError: none, or more than one, can be the cube; UsageError: it is not there.
    """
    if wanted is not None:
        name = wanted.strip("/")
        if name not in arrays:
            raise UsageError(f"--variable {wanted}: no such array; there are {_table(arrays)}")
        if not _is_cube(arrays[name]):
            raise InputDataError(
                f"array {name} has the shape {arrays[name].shape}, expected 3 axes; choose another "
                "with --variable NAME"
            )
        return name
    cubes = [n for n, a in arrays.items() if _is_cube(a) and a.dtype.kind in "iufc"]
    if len(cubes) > 1:
        spectral = [name for name in cubes if spectral_dimension(arrays, name)]
        cubes = spectral if len(spectral) == 1 else cubes
    if len(cubes) > 1:
        listed = _table({name: arrays[name] for name in cubes})
        raise InputDataError(f"found {len(cubes)} cubes: {listed}; choose one with --variable NAME")
    if not cubes:
        flat = [array.shape for array in arrays.values() if len(array.shape) == 2]
        many = "; if these are the bands, in xarray: ds.to_array('band') makes one of them"
        raise InputDataError(
            f"found no 3-D array of numbers among {_table(arrays)}; expected (band, y, x)"
            f"{many if len(flat) > len({*flat}) else ''}"
        )
    return cubes[0]


def _is_cube(array: Any) -> bool:
    """True for three axes, and for more where those beyond have length 1."""
    longer = sum(side != 1 for side in array.shape)
    return len(array.shape) == 3 or (len(array.shape) > 3 and longer <= 3)


def _table(arrays: Mapping[str, Any]) -> str:
    few = [f"{name or '/'} {tuple(array.shape)}" for name, array in list(arrays.items())[:12]]
    return ", ".join(few) + (", ..." if len(arrays) > 12 else "") or "nothing"


def axis_order(arrays: Mapping[str, Any], cube: str, axes: str | None) -> str:
    """The order of the cube's axes, a letter each; raises as `named_order` and `given_order` do."""
    shape = arrays[cube].shape
    with zarr_errors("what it says of its cube cannot be understood"):
        names = dimension_names(arrays[cube])
        spectral = spectral_dimension(arrays, cube)
    if axes is None:
        return named_order(names, shape, spectral)
    order = given_order(checked_axes(axes), names, shape)
    with suppress(InputDataError):  # most names tell nothing, or the same
        if (told := named_order(names, shape, spectral)) != order:
            warn_of_scene(
                f"--axes {axes} counts, although the dimensions of {cube} are called "
                f"{', '.join(names)}, which is {told.replace('1', '')}; leave it out if they are "
                "right"
            )
    return order

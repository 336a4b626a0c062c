"""Scenes in Zarr stores: which array is the cube, how its axes lie.

The cube is the only 3-D array of numbers (axes of length 1 beyond do not count), else the only one
that wavelengths lie along, or the one that is named. The names of its dimensions, and the dimension
of the wavelengths, tell its axes (`hsisr.io.arrays.axis_names`); `axes` overrules them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from hsisr.errors import InputDataError, UsageError
from hsisr.io.arrays.axis_names import given_order, named_order
from hsisr.io.arrays.axis_order import ArrayScene, checked_axes, whole
from hsisr.io.zarr.fields import ZarrFields, dimension_names, spectral_dimension
from hsisr.io.zarr.store import OpenStore, zarr_errors


class _Array:
    """An array of a store that slices like numpy, and reads with care."""

    def __init__(self, store: OpenStore, name: str) -> None:
        self._store, self._name = store, name
        self.shape, self.chunks = store.arrays[name].shape, store.arrays[name].chunks

    def __getitem__(self, place: Any) -> npt.NDArray[Any]:
        return self._store.read(self._name, place)


def open_zarr(
    path: Path, *, variable: str | None = None, axes: str | None = None, source: Any = None
) -> ArrayScene:
    """Open a cube in a Zarr store of version 2 or 3.

    Args:
        path: What the user named.
        variable: Name of the cube; None: by the rule above. Arrays in groups have names with /.
        axes: Order of its axes, such as "brc"; None: by the rule above.
        source: A store of zarr's to read from; None: the folder `path`.

    Raises:
        InputDataError: No array, or more than one, can be the cube, or the store is damaged.
        UsageError: There is no array of that name, `axes` is no order of r, c and b, or the
            package zarr is not installed.
    """
    store = OpenStore(path if source is None else source)
    try:
        name = cube_name(store.arrays, variable)
        order = axis_order(store.arrays, name, axes)
        with zarr_errors("what it says of its cube cannot be understood"):
            fields = ZarrFields(store, name, order)
            metadata, flags = fields.metadata(), fields.mask_name()
        mask = None if flags is None else _Array(store, flags)
        return ArrayScene(
            path,
            "Zarr",
            metadata,
            whole(_Array(store, name), order),
            mask=None if mask is None else lambda place: mask[place] != 0,
            file=store,
        )
    except BaseException:
        store.close()
        raise


def cube_name(arrays: Mapping[str, Any], wanted: str | None) -> str:
    """Name of the cube among arrays, or the wanted one.

    Raises:
        InputDataError: None, or more than one, can be the cube.
        UsageError: There is no array of the wanted name.
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
        raise InputDataError(
            f"found no 3-D array of numbers among {_table(arrays)}; expected (band, y, x)"
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
    """The order of the cube's axes, a letter each.

    Raises:
        InputDataError: Neither the dimensions' names nor `axes` tell.
        UsageError: `axes` is no order.
    """
    shape = arrays[cube].shape
    with zarr_errors("what it says of its cube cannot be understood"):
        names = dimension_names(arrays[cube])
        spectral = spectral_dimension(arrays, cube)
    if axes is not None:
        return given_order(checked_axes(axes), names, shape)
    return named_order(names, shape, spectral)

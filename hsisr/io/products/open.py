"""Which product an HDF5 or netCDF-4 file is."""

from pathlib import Path
from typing import Final

from hsisr.errors import InputDataError, UsageError
from hsisr.io.base import Scene
from hsisr.io.products.cf import is_aviris, is_pace, open_aviris, open_cf, open_pace
from hsisr.io.products.emit import is_emit, open_emit
from hsisr.io.products.hdf import HdfFile
from hsisr.io.products.neon import is_neon, open_neon
from hsisr.io.products.netcdf_writer import SOURCE
from hsisr.io.products.prisma import is_prisma, open_prisma
from hsisr.io.products.tanager import is_tanager, open_tanager


def open_hdf(path: Path, *, variable: str | None, axes: str | None) -> Scene:
    """Open a product by what its file says of itself.

    The products' own functions take the open file, which the scene closes, and raise alike.

    Args:
        path: What the user named.
        variable: Name of the cube, for products that have several and for files of no known one.
        axes: Order of the cube's axes, such as "brc", for files of no known product.

    Raises:
        InputDataError: The file is damaged, or nothing in it is known to be the cube.
        UsageError: `variable` or `axes` does not fit the file.
    """
    _refuse_older(path)
    file = HdfFile(path)
    try:
        return _open(path, file, variable, axes)
    except BaseException:
        file.close()
        raise


def _refuse_older(path: Path) -> None:
    """Refuse the formats that netCDF-4 and HDF5 took the place of."""
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(b"CDF"):
        raise InputDataError(
            "found a classic netCDF file, expected netCDF-4; convert it: nccopy -k nc4 OLD NEW"
        )
    if start == b"\x0e\x03\x13\x01":
        raise InputDataError("found an HDF4 file, expected HDF5; convert it: h4toh5 OLD NEW")


def _open(path: Path, file: HdfFile, variable: str | None, axes: str | None) -> Scene:
    own = file.text("source") == SOURCE
    for is_product, open_product in () if own else _PRODUCTS:
        if is_product(file):
            if axes is not None:
                raise UsageError(f"--axes {axes} has no meaning for a product; leave it out")
            return open_product(path, file, variable)
    return open_cf(path, file, variable, axes)


_PRODUCTS: Final = (
    (is_emit, open_emit),
    (is_prisma, open_prisma),
    (is_tanager, open_tanager),
    (is_neon, open_neon),
    (is_aviris, open_aviris),
    (is_pace, open_pace),
)
"""How each product is recognised, and what opens it."""

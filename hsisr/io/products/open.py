"""Which product an HDF5 or netCDF-4 file is."""

from contextlib import ExitStack
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

    `variable` names the cube, in products that have several and in files of no known one; `axes` is
    the order of its axes, such as "brc", in files of no known product.

    Raises:
        InputDataError: The file is damaged, or nothing in it is known to be the cube.
        UsageError: `variable` or `axes` does not fit the file.
    """
    _refuse_older(path)
    file = HdfFile(path)
    with ExitStack() as unless_opened, file.errors():
        unless_opened.callback(file.close)
        products = () if file.text("source") == SOURCE else _PRODUCTS
        open_product = next((opens for fits, opens in products if fits(file)), None)
        if open_product is None:
            scene = open_cf(path, file, variable, axes)
        elif axes is not None:
            raise UsageError(f"--axes {axes} has no meaning for a product; leave it out")
        else:
            scene = open_product(path, file, variable)
        unless_opened.pop_all()
    return scene


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


_PRODUCTS: Final = (
    (is_emit, open_emit),
    (is_prisma, open_prisma),
    (is_tanager, open_tanager),
    (is_neon, open_neon),
    (is_aviris, open_aviris),
    (is_pace, open_pace),
)
"""How each product is recognised, and what opens it."""

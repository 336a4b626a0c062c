"""Fixtures of products as HyperCoast reads them (`pip install hypercoast`, which brings a lot)."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsisr.io.open import open_scene
from tests.products import fixtures

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]
pytest.importorskip("hypercoast.emit")


def basic_tanager(path: Path) -> None:
    fixtures.write_tanager(path, ortho=False)


@pytest.mark.parametrize(
    ("sensor", "write", "options"),
    [
        ("emit", lambda path: fixtures.write_emit(path, every=24), {"ortho": False}),
        ("prisma", fixtures.write_prisma, {}),
        ("enmap", lambda path: fixtures.write_dlr(path.parent), {}),
        ("neon", fixtures.write_neon, {}),
        ("aviris", fixtures.write_aviris, {"chunks": None}),
        ("tanager", basic_tanager, {}),
        ("pace", fixtures.write_pace, {}),
    ],
)
def test_numbers_and_wavelengths_are_hypercoasts(
    sensor: str, write: Callable[[Path], Any], options: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / {"prisma": "PRS.he5", "neon": "NEON.h5"}.get(sensor, "product.nc")
    write(path)
    if sensor == "enmap":
        path = next(tmp_path.glob("*SPECTRAL_IMAGE*"))
    theirs = getattr(import_module(f"hypercoast.{sensor}"), f"read_{sensor}")(str(path), **options)
    name = next(n for n in theirs.data_vars if "wavelength" in theirs[n].dims and n != "fwhm")
    cube = theirs[name].transpose("wavelength", ...).to_numpy()
    with open_scene(path) as scene:
        values, valid = scene.read().values, scene.read().valid
        stored = scene.metadata.stored
        waves = np.array(scene.metadata.spectral_axis.wavelengths_nm)
    if stored.scales is not None and sensor != "enmap":  # of which stored numbers are given
        offsets = np.array(stored.offsets or np.zeros(len(values)))
        values = values * np.array(stored.scales)[:, None, None] + offsets[:, None, None]
    bands = [int(np.abs(theirs["wavelength"].to_numpy() - w).argmin()) for w in waves]
    np.testing.assert_allclose(theirs["wavelength"].to_numpy()[bands], waves, atol=0.01)
    both = valid & np.isfinite(cube[bands])
    assert both.mean() > 0.5
    np.testing.assert_allclose(cube[bands][both], values[both], rtol=1e-4, atol=1e-5)

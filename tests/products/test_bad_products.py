"""Products that are damaged, of another level, or changed: one clear line each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.products import fixtures
from tests.program import hsisr, refusal, succeed

Spoil = Callable[[Path], None]


def changed(change: Callable[[Any], None]) -> Spoil:
    """Of the open HDF5 file."""

    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return spoil


def without(name: str) -> Spoil:
    return changed(lambda file: file.__delitem__(name))


def backwards(name: str, attribute: str = "") -> Spoil:
    """The numbers of an array, or of an attribute, in reverse."""

    def change(file: Any) -> None:
        if attribute:
            file[name].attrs[attribute] = file[name].attrs[attribute][::-1]
        else:
            file[name][...] = file[name][()][::-1]

    return changed(change)


def filled(value: float, *names: str) -> Spoil:
    def change(file: Any) -> None:
        for name in names:
            file[name][...] = value

    return changed(change)


def with_attribute(name: str, value: Any, *, at: str = "/") -> Spoil:
    return changed(lambda file: file[at].attrs.__setitem__(name, value))


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def replaced(old: str, new: str) -> Spoil:
    """In the XML of a product in a folder."""

    def spoil(xml: Path) -> None:
        text = xml.read_text()
        assert old in text
        xml.write_text(text.replace(old, new))

    return spoil


def image_of(xml: Path) -> Path:
    return next(p for p in xml.parent.iterdir() if "SPECTRAL_IMAGE" in p.name)


def empty_image(xml: Path) -> None:
    import rasterio

    with rasterio.open(image_of(xml), "r+") as image:
        image.write(np.zeros((image.count, *image.shape), image.dtypes[0]))


def written(kind: str, folder: Path) -> Path:
    """A fixture by the name of its product; of a folder the XML."""
    path = folder / f"{kind}.nc"
    if kind in ("enmap", "desis"):
        sensor = {"enmap": "EnMAP", "desis": "DESIS"}[kind]
        return fixtures.write_dlr(folder / kind, sensor=sensor)
    if kind == "emit":
        fixtures.write_emit(path, every=24)
    elif kind == "tanager-basic":
        fixtures.write_tanager(path, ortho=False)
    else:
        getattr(fixtures, f"write_{kind}")(path)
    return path


PRISMA = "HDFEOS/SWATHS/PRS_L2D_HCO"
CUBE = "Data Fields/surface_reflectance"
GRID, SWATH = "HDFEOS/GRIDS/HYP", "HDFEOS/SWATHS/HYP"
NEON = "SJER/Reflectance"
BANDS = "sensor_band_parameters"
RISING, DAMAGED = "expected rising wavelengths", "it is truncated or damaged"
FILL = "are fill values"
HDF5: dict[str, tuple[tuple[str, ...], tuple[str, ...], float, str, str]] = {
    "emit": ((f"{BANDS}/wavelengths",), ("reflectance",), -9999, BANDS, f"array {BANDS}/wave"),
    "prisma": (
        ("/", "List_Cw_Swir"),
        tuple(f"{PRISMA}/Data Fields/{n}_Cube" for n in ("VNIR", "SWIR")),
        *(0, f"{PRISMA}/Data Fields/SWIR_Cube", "found no array HDFEOS/SWATHS/PRS_L2D"),
    ),
    "neon": (
        (f"{NEON}/Metadata/Spectral_Data/Wavelength",),
        (f"{NEON}/Reflectance_Data",),
        *(-9999, f"{NEON}/Metadata/Spectral_Data", "Spectral_Data/Wavelength, expected one"),
    ),
    "tanager": (
        (f"{GRID}/{CUBE}", "wavelengths"),
        (f"{GRID}/{CUBE}",),
        *(-9999, f"{GRID}/{CUBE}", "found no array"),
    ),
    "aviris": (
        ("reflectance/wavelength",),
        ("reflectance/reflectance",),
        *(-9999, "reflectance/wavelength", "no wavelengths of reflectance/reflectance"),
    ),
    "pace": (
        (f"{BANDS}/wavelength_3d",),
        ("geophysical_data/rhos",),
        *(-32767, BANDS, "found no wavelengths of geophysical_data/rhos"),
    ),
}
"""By product: where wavelengths are, the cubes, their fill; what to take away, and what is said."""
BAD = [
    row
    for kind, (waves, cubes, fill, gone, words) in HDF5.items()
    for row in (
        (kind, without(gone), words),
        (kind, cut_off, DAMAGED),
        (kind, backwards(*waves), "which falls" if kind == "prisma" else RISING),
        (kind, filled(fill, *cubes), FILL),
    )
]
BAD += [
    row
    for kind, name, gain in (("enmap", "EnMAP", "GainOfBand"), ("desis", "DESIS", "gainOfBand"))
    for row in (
        (kind, replaced("L2A", "L0"), f"{name} of level L0 holds raw counts"),
        (kind, replaced("423.03", "923.03"), RISING),
        (kind, replaced(f"<{gain}>0.0001</{gain}>", ""), "lacks wavelength, gain or offset"),
        (kind, lambda xml: image_of(xml).unlink(), "found no SPECTRAL_IMAGE beside"),
        (kind, lambda xml: cut_off(image_of(xml)), "truncated"),
        (kind, empty_image, FILL),
    )
]
BAD += [
    ("emit", filled(-9999, "location/lat"), "no pixel has a longitude and a latitude"),
    ("emit", filled(10_000, "location/glt_x"), "the lookup table names column 10000"),
    ("emit", with_attribute("title", "EMIT L1A Raw V001"), "EMIT of level L1A holds raw counts"),
    (
        *("prisma", with_attribute("Product_LRcorner_easting", np.float32(601_234))),
        "expected 11 x 14 pixels of 30 m between them",
    ),
    (
        *("prisma", changed(lambda file: file.move(PRISMA, "HDFEOS/SWATHS/PRS_L0_HCO"))),
        "PRISMA of level L0 holds raw counts",
    ),
    (
        *("neon", changed(lambda file: file.move(NEON, "SJER/Radiance"))),
        "found NEON's radiance, in two parts; expected its",
    ),
    (
        *("tanager", changed(lambda file: file[GRID].attrs.__delitem__("Planet_Ortho_Framing"))),
        "found no array HDFEOS INFORMATION/StructMetadata.0, expected one",
    ),
    ("tanager-basic", without(f"{SWATH}/Geolocation Fields"), "Longitude, expected one"),
    ("pace", with_attribute("processing_level", "L1A"), "PACE OCI of level L1A holds raw counts"),
    ("enmap", replaced("</level_X>", ""), "is no whole XML"),
]


@pytest.mark.parametrize(
    ("kind", "spoil", "words"), BAD, ids=[f"{kind}-{n}" for n, (kind, _, _) in enumerate(BAD)]
)
def test_bad_products_are_one_line(kind: str, spoil: Spoil, words: str, tmp_path: Path) -> None:
    path = written(kind, tmp_path)
    spoil(path)
    done = hsisr("upscale", path, "-o", tmp_path / "out.tif", "-m", "bicubic")
    assert words in refusal(done, 3)
    assert not (tmp_path / "out.tif").exists()


def test_a_folder_of_several_products_is_a_folder_of_scenes(tmp_path: Path) -> None:
    xml = fixtures.write_dlr(tmp_path / "two")
    for file in (xml, image_of(xml)):
        file.with_name(file.name.replace("_001_", "_002_")).write_bytes(file.read_bytes())
    succeed("upscale", xml.parent, "-o", tmp_path / "finer", "-m", "bicubic", "-s", "2")
    names = sorted(path.name for path in (tmp_path / "finer").glob("*.tif"))
    assert [name.rpartition("_V000204-")[0][-3:] for name in names] == ["001", "002"]
    succeed("info", xml)

"""What SNAP's reader makes of a real PRISMA scene, and hsisr of the same numbers in its layout.

SNAP's tests list of a scene of Hamburg (2 April 2024; L1, L2C and L2D) its size and time, the place
of some pixels, and of each band the wavelength, the width and the values of two pixels. The scene
itself was not at hand: the listed numbers are put where they were seen, into a file of the real
size, and what is not listed is zero.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import pytest
from rasterio.warp import transform as warp_points

from hsisr.io.open import open_scene
from hsisr.tiling import Window
from tests.program import hsisr, metadata_at, succeed

pytestmark = pytest.mark.shared
LEVELS = pytest.mark.parametrize("level", ["L1", "L2C", "L2D"], scope="module")
BANDS: Final = {"Vnir": 66, "Swir": 173}
"""In the cubes; SNAP lists 63 and 171 of them, those with a wavelength."""
SCALE: Final = {"L1": 100.0, "L2C": 65535.0, "L2D": 65535.0}
"""Stored numbers in one of the unit. SNAP multiplies L1 by its `ScaleFactor` 100 where the
specification divides, so what it lists there is 10,000 times the radiance."""
LISTED: Final = {"L1": 1e4, "L2C": 1.0, "L2D": 1.0}
SIDE: Final = 30
UTM: Final = "EPSG:32632"


class Listed:
    """The list of one level."""

    def __init__(self, shared_data: Path, level: str) -> None:
        folder = shared_data / "formats/products/prisma"
        text = next(folder.glob(f"PRS_{level}_*.json")).read_text(encoding="utf-8")
        self.level, self.said = level, json.loads(text)["expectedContent"]
        self.rows, self.cols = self.said["sceneHeight"], self.said["sceneWidth"]
        self.rasters = {band["name"]: band for band in self.said["bands"]}
        self.places = self.said["geoCoding"]["coordinates"]
        start = datetime.strptime(self.said["startTime"].title(), "%d-%b-%Y %H:%M:%S.%f")  # noqa: DTZ007
        self.start = start.isoformat()

    def bands(self, detector: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Place in the detector's cube, and what is listed of each band."""
        for name, band in self.rasters.items():
            if found := re.fullmatch(rf"HCO_{detector}_(Ltoa|Rrs)_(\d+)", name):
                yield int(found[2]) - 1, band

    def attribute(self, name: str) -> list[float] | None:
        """A list of numbers of the file itself, where it is among the samples."""
        for item in self.said["metadata"]:
            if item["path"] == f"GlobalAttributes/{name}/{name}":
                return [float(number) for number in item["value"].split(",")]
        return None

    def first_centre(self) -> tuple[float, float]:
        """Easting and northing of the first pixel's centre, where SNAP has it."""
        (place, *_) = self.places  # a place of SNAP counts from the corner of the scene
        (east,), (north,) = warp_points("EPSG:4326", UTM, [place["lon"]], [place["lat"]])
        return east - SIDE * (place["x"] - 0.5), north + SIDE * (place["y"] - 0.5)

    def write(self, path: Path) -> None:
        with h5py.File(path, "w") as file:
            swath = file.create_group(f"HDFEOS/SWATHS/PRS_{self.level}_HCO")
            for detector in BANDS:
                self._write_cube(file, swath, detector)
            self._write_place(file, swath.create_group("Geolocation Fields"))
            file.attrs["Product_StartTime"] = np.bytes_(self.start)

    def _write_cube(self, file: Any, swath: Any, detector: str) -> None:
        count = BANDS[detector]
        cube = swath.create_dataset(
            f"Data Fields/{detector.upper()}_Cube",
            (self.rows, count, self.cols),
            "u2",
            chunks=(1, count, self.cols),
        )
        centres, widths = np.zeros((2, count), np.float32)
        for place, band in self.bands(detector):
            centres[place] = float(band["spectralWavelength"])
            widths[place] = float(band["spectralBandwidth"])
            for pixel in band["expectedPixels"]:
                stored = pixel["value"] / LISTED[self.level] * SCALE[self.level]
                assert stored == pytest.approx(round(stored), abs=4e-3)  # as the file had it
                cube[pixel["y"], place, pixel["x"]] = round(stored)
        file.attrs[f"List_Cw_{detector}"] = centres
        file.attrs[f"List_Fwhm_{detector}"] = widths
        file.attrs[f"List_Cw_{detector}_Flags"] = np.uint8(centres > 0)
        if self.level == "L1":
            file.attrs[f"ScaleFactor_{detector}"] = np.float32(100)
            file.attrs[f"Offset_{detector}"] = np.float32(0)
        else:
            file.attrs[f"L2Scale{detector}Min"] = np.float32(0)
            file.attrs[f"L2Scale{detector}Max"] = np.float32(1)

    def _write_place(self, file: Any, fields: Any) -> None:
        if self.level == "L2D":
            east, north = self.first_centre()
            right, down = SIDE * (self.cols - 1), SIDE * (self.rows - 1)
            file.attrs["Epsg_Code"] = np.uint32(32632)
            for corner, x, y in (("UL", 0, 0), ("LR", right, down)):
                file.attrs[f"Product_{corner}corner_easting"] = np.float32(east + x)
                file.attrs[f"Product_{corner}corner_northing"] = np.float32(north - y)
            return
        for name, end in ((n, e) for n in ("Latitude", "Longitude") for e in self._ends()):
            degrees = np.full((self.rows, self.cols), 53.5, np.float32)
            for pixel in self.rasters[f"HCO_{name}{end}"]["expectedPixels"]:
                degrees[pixel["y"], pixel["x"]] = pixel["value"]
            fields[f"{name}{end}"] = degrees

    def _ends(self) -> tuple[str, ...]:
        return ("_VNIR", "_SWIR") if self.level == "L1" else ("",)


@pytest.fixture(scope="module")
def listed(level: str, shared_data: Path) -> Listed:
    return Listed(shared_data, level)


@pytest.fixture(scope="module")
def path(listed: Listed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(listed.level) / "PRS.he5"
    listed.write(path)
    return path


def kept(listed: Listed) -> list[dict[str, Any]]:
    """By the rule for the overlap: SWIR, and VNIR below it, wavelengths rising."""
    vnir, swir = ([band for _, band in listed.bands(detector)] for detector in BANDS)
    first = min(wavelength(band) for band in swir)
    return sorted([*swir, *(b for b in vnir if wavelength(b) < first)], key=wavelength)


def wavelength(band: dict[str, Any]) -> float:
    return float(band["spectralWavelength"])


@LEVELS
def test_facts_are_those_that_snap_lists(listed: Listed, path: Path) -> None:
    told, bands = json.loads(hsisr("info", path, "--json").stdout), kept(listed)
    assert told["product"]["level"] == listed.level
    assert told["product"]["acquired"] == f"{listed.start}Z"
    assert [told["bands"], told["rows"], told["cols"]] == [len(bands), listed.rows, listed.cols]
    assert len(bands) == 230
    np.testing.assert_allclose(told["wavelengths_nm"], [wavelength(b) for b in bands], rtol=1e-6)
    widths = [float(band["spectralBandwidth"]) for band in bands]
    np.testing.assert_allclose(told["fwhm_nm"], widths, rtol=1e-6)
    assert told["bad_bands"] is None
    for detector, count in BANDS.items():
        places = [place for place, _ in listed.bands(detector)]
        read_out = np.arange(3, 66) if detector == "Vnir" else np.arange(171)
        np.testing.assert_array_equal(places, read_out)
        for name in ("List_Fwhm", "List_Cw"):
            if (numbers := listed.attribute(f"{name}_{detector}")) is not None:
                assert len(numbers) == count
                np.testing.assert_array_equal(np.flatnonzero(numbers), read_out)
        if (flags := listed.attribute(f"List_Cw_{detector}_Flags")) is not None:
            np.testing.assert_array_equal(np.flatnonzero(flags), read_out)


@LEVELS
def test_values_are_those_that_snap_lists(listed: Listed, path: Path) -> None:
    with open_scene(path) as scene:
        stored = scene.metadata.stored
        assert stored.scales is not None
        assert stored.offsets is not None
        for place, band in enumerate(kept(listed)):
            for pixel in band["expectedPixels"]:
                window = Window(pixel["y"], pixel["x"], 1, 1)
                number = float(scene.read_stored(window, [place])[0, 0, 0])
                value = number * stored.scales[place] + stored.offsets[place]
                assert value == pytest.approx(pixel["value"] / LISTED[listed.level], abs=1e-7)
    with open_scene(path, variable="VNIR") as vnir, open_scene(path, variable="SWIR") as swir:
        assert (vnir.metadata.bands, swir.metadata.bands) == (63, 171)


@pytest.mark.parametrize("level", ["L2D"], scope="module")
def test_pixels_of_l2d_lie_where_the_scene_says(listed: Listed, path: Path) -> None:
    """Arrays of latitudes and longitudes in the real file, and SNAP's own grid, say the same."""
    transform = metadata_at(path).georeference.transform
    assert transform is not None
    assert (transform.c, transform.f) == (547_452.5, 5_953_067.5)
    for axis, name in enumerate(("Longitude", "Latitude")):
        for pixel in listed.rasters[f"HCO_{name}"]["expectedPixels"]:
            x, y = transform @ (pixel["x"] + 0.5, pixel["y"] + 0.5)
            (found,) = warp_points(UTM, "EPSG:4326", [x], [y])[axis]
            assert found == pytest.approx(pixel["value"], abs=2e-6)
    for place in listed.places:
        x, y = transform @ (place["x"], place["y"])
        (longitude,), (latitude,) = warp_points(UTM, "EPSG:4326", [x], [y])
        assert (longitude, latitude) == pytest.approx((place["lon"], place["lat"]), abs=1e-9)


@pytest.mark.parametrize("level", ["L1", "L2C"], scope="module")
def test_pixels_of_a_swath_lie_where_the_scene_says(listed: Listed, path: Path) -> None:
    places = metadata_at(path).geolocation
    assert places is not None
    end = "_VNIR" if listed.level == "L1" else ""
    for name, degrees in (("Latitude", places.latitude), ("Longitude", places.longitude)):
        for pixel in listed.rasters[f"HCO_{name}{end}"]["expectedPixels"]:
            assert degrees[pixel["y"], pixel["x"]] == pytest.approx(pixel["value"], abs=1e-5)


@pytest.mark.parametrize("level", ["L2D"], scope="module")
def test_a_part_of_l2d_stays_on_the_real_grid(path: Path, tmp_path: Path) -> None:
    part = ("--window", "571,639,4,4", "-s", 4, "-m", "bicubic", "-o", tmp_path / "o.tif")
    succeed("upscale", path, *part)
    place = metadata_at(tmp_path / "o.tif").georeference.transform
    assert place is not None
    assert (place.a, place.e) == (7.5, -7.5)
    assert (place.c, place.f) == (547_452.5 + 639 * 30, 5_953_067.5 - 571 * 30)

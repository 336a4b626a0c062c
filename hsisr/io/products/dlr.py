"""EnMAP and DESIS as DLR delivers them: a METADATA.XML beside GeoTIFFs, in a folder or a ZIP.

The XML file, the folder, the ZIP and the spectral image all open the same scene. Sources: EnMAP
Product Specification (EN-PCV-ICD-2009-2, schema metadata_Lx 00.02.00 and later); DESIS product
specification (PGS-DESIS), whose XML names the same facts a little differently.
"""

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Final
from xml.etree import ElementTree as ET

from hsisr.errors import InputDataError, UsageError
from hsisr.io.geotiff.reader import RasterScene, open_dataset, refuse_unusable
from hsisr.io.products.fields import product_header, refuse_level, rising_axis
from hsisr.io.views import DescribedScene
from hsisr.scene.georeference import Georeference
from hsisr.scene.metadata import SceneMetadata, StoredNumbers

_METADATA: Final = re.compile(r"(?i)(^|[-_/\\])METADATA\.XML$")
_IMAGE: Final = re.compile(r"(?i)-SPECTRAL_IMAGE(_(?P<detector>VNIR|SWIR))?\.TIFF?$")
_LEVEL: Final = re.compile(r"L[0-2][A-D]?(?=-DT|-|_)")
_BANDS: Final = "specific/bandCharacterisation"
_SUN: Final = "specific/sun"
_CHANNELS: Final = ("missing", "expected")
_MOST_XML: Final = 2**26
_RPC: Final = {"ROW": "LINE", "COL": "SAMP", "LAT": "LAT", "LONG": "LONG", "HEIGHT": "HEIGHT"}
"""EnMAP's names in rational polynomials, and GDAL's."""


@dataclass(frozen=True, slots=True)
class _Package:
    """A delivered product: its XML, and its images by the names that GDAL opens them by."""

    sensor: str
    root: ET.Element
    images: dict[str, tuple[str, int]]
    """By detector (VNIR, SWIR; "" for both in one): GDAL's name, and bytes of the file."""
    name: str
    """Of the XML file."""

    def text(self, *paths: str) -> str | None:
        """The text of the first of these elements that has one."""
        texts = ((self.root.findtext(path) or "").strip() for path in paths)
        return next((text for text in texts if text), None)

    def number(self, *paths: str) -> float | None:
        """The same as a number."""
        text = self.text(*paths)
        return None if text is None else self._number(paths[0], text)

    def _number(self, what: str, text: str) -> float:
        try:
            return float(text)
        except ValueError as error:
            raise InputDataError(f"{self.name}: {what} is {text!r}, expected a number") from error

    def each(self, *names: str) -> tuple[float, ...] | None:
        """A number for each band, under the first of the names that the XML has."""
        bands = self.root.findall(f"{_BANDS}/*")
        for name in names:
            texts = [text for band in bands if (text := band.findtext(name))]
            if texts and len(texts) == len(bands):
                return tuple(self._number(name, text) for text in texts)
        return None


def is_dlr(path: Path, start: bytes) -> bool:
    """True for the XML, the spectral image beside one, or a folder or ZIP with both."""
    if path.is_dir():  # one of several products is a folder of scenes
        return len(_metadata_files(path, _files(path))) == 1
    zipped = start.startswith(b"PK\3\4") and path.suffix.lower() == ".zip"
    if zipped or _IMAGE.search(path.name):
        return bool(_metadata_files(path, _files(path)))
    return bool(_METADATA.search(path.name))


def open_dlr(path: Path, *, variable: str | None = None) -> DescribedScene:
    """Open an EnMAP or DESIS product by its XML, spectral image, folder or ZIP.

    `variable` is VNIR or SWIR, for products that keep them apart (EnMAP L1B).

    Raises:
        InputDataError: A part is missing or empty, or the XML does not fit the image.
        UsageError: There is no such detector.
    """
    package = _package(path)
    level = _level(package)
    refuse_level(level, product=package.sensor, expected="L1B, L1C or L2A")
    detector = _detector(path, package, variable)
    name, size = package.images[detector]
    if not size:
        raise InputDataError(f"the image {PurePath(name).name} is empty; copy it again")
    dataset = open_dataset(name, drivers=["GTiff"])
    try:
        refuse_unusable(dataset)
        image = RasterScene(path, dataset)
        scene = DescribedScene(image, _metadata(package, image.metadata, level, detector))
    except BaseException:
        dataset.close()
        raise
    scene.format = package.sensor
    return scene


def _files(path: Path) -> dict[str, int]:
    """Bytes of the files in a ZIP or folder, or beside a file, by GDAL's names."""
    if not _is_zip(path):
        folder = path if path.is_dir() else path.parent
        return {str(file): file.stat().st_size for file in folder.iterdir() if file.is_file()}
    try:
        with zipfile.ZipFile(path) as archive:
            inside = f"/vsizip/{{{path.resolve()}}}/"
            return {inside + entry.filename: entry.file_size for entry in archive.infolist()}
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise InputDataError(f"not a whole ZIP file ({error})") from error


def _is_zip(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() == ".zip"


def _metadata_files(path: Path, names: Iterable[str]) -> list[str]:
    """The XML named, or that belongs to an image of the same name, or all that there are."""
    if path.is_dir() or _is_zip(path):
        return [name for name in names if _METADATA.search(name)]
    stem = path.name if _METADATA.search(path.name) else _IMAGE.sub("", path.name)
    found = (name for name in names if PurePath(name).name.startswith(stem))
    return [name for name in found if _METADATA.search(name)]


def _package(path: Path) -> _Package:
    files = _files(path)
    found = _metadata_files(path, files)
    if len(found) != 1:
        raise InputDataError(
            f"found {len(found)} files ...-METADATA.XML of a product at {path.name}, expected 1; "
            "name the unpacked product's folder, or its ...-METADATA.XML"
        )
    xml = PurePath(found[0]).name
    root = _parsed(_content(path, found[0]) if files[found[0]] <= _MOST_XML else b"", xml)
    stem = found[0].removesuffix(xml) + _METADATA.sub("", xml)
    images = {
        (match["detector"] or "").upper(): (name, size)
        for name, size in files.items()
        if (match := _IMAGE.search(name)) and name.startswith(stem)
    }
    if not images:
        raise InputDataError(f"found no SPECTRAL_IMAGE beside {xml}, expected its GeoTIFF")
    sensor = "DESIS" if "DESIS" in xml.upper() else "EnMAP"
    return _Package(sensor, root, images, xml)


def _content(path: Path, name: str) -> bytes:
    if not _is_zip(path):
        return Path(name).read_bytes()
    with zipfile.ZipFile(path) as archive:
        return archive.read(name.partition("}/")[2])


def _parsed(text: bytes, name: str) -> ET.Element:
    if not text or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise InputDataError(f"{name} is empty, too large, or defines entities; expected plain XML")
    try:
        return ET.fromstring(text)  # noqa: S314 - entities were refused
    except (ET.ParseError, ValueError) as error:
        raise InputDataError(f"{name} is no whole XML ({error}); copy it again") from error


def _level(package: _Package) -> str:
    said = package.text("metadata/schema/processingLevel", "base/level")
    level = said or next(iter(_LEVEL.findall(package.name)), None)
    if level is None:
        raise InputDataError(f"{package.name} names no processing level, expected L1B, L1C or L2A")
    return level


def _detector(path: Path, package: _Package, variable: str | None) -> str:
    """Which image is meant: by name, by the image that the user named, or the only one."""
    match = _IMAGE.search(path.name)
    wanted = (variable or (match["detector"] if match else None) or "").upper()
    if wanted in package.images:
        return wanted
    there = ", ".join(sorted(package.images))
    if wanted:
        raise UsageError(f"--variable {wanted}: no such image; there are {there or 'one alone'}")
    if len(package.images) == 1:
        return next(iter(package.images))
    raise InputDataError(
        f"found the images {there} in sensor geometry, which do not show the same pixels; choose "
        "one with --variable VNIR or SWIR"
    )


def _metadata(package: _Package, image: SceneMetadata, level: str, detector: str) -> SceneMetadata:
    """What is known of the image, the XML's words first."""
    part = _part(package, detector, image.bands)
    own = slice(part.start, part.stop)
    wavelengths = package.each("wavelengthCenterOfBand")
    fwhm = package.each("FWHMOfBand", "wavelengthWidthOfBand")
    gains = package.each("GainOfBand", "gainOfBand")
    offsets = package.each("OffsetOfBand", "offsetOfBand")
    if wavelengths is None or gains is None or offsets is None:
        raise InputDataError(
            f"{package.name} lacks wavelength, gain or offset of a band in {_BANDS}, expected them "
            "for each"
        )
    background, radiance = package.number("specific/backgroundValue"), level.startswith("L1")
    place = image.georeference
    if level == "L1B":  # maps have their grid; the XML's place is that of the sensor's geometry
        place = _place(package, place, part)
    units = "W m-2 sr-1 nm-1" if package.sensor == "EnMAP" else "mW cm-2 sr-1 um-1"
    return replace(
        image,
        stored=StoredNumbers(
            dtype=image.stored.dtype,
            nodata=background if image.stored.nodata is None else image.stored.nodata,
            scales=gains[own],
            offsets=offsets[own],
            units=(units,) * image.bands if radiance else None,
        ),
        spectral_axis=rising_axis(
            wavelengths[own],
            where=package.name,
            fwhm=None if fwhm is None else fwhm[own],
            good=_good(package, detector, image.bands),
        ),
        georeference=place,
        header={
            **image.header,
            **product_header(
                package.sensor,
                level,
                "radiance" if radiance else "reflectance",
                acquired=package.text("base/temporalCoverage/startTime"),
                sun_azimuth=package.number(f"{_SUN}AzimuthAngle/center", f"{_SUN}AzimuthAngle"),
                sun_elevation=package.number(f"{_SUN}ElevationAngle/center"),
                sun_zenith=package.number(f"{_SUN}ZenithAngle"),
            ),
        },
        band_tags=(),
    )


def _part(package: _Package, detector: str, bands: int) -> range:
    """Which of the bands in the XML are those of the image."""
    count = len(package.root.findall(f"{_BANDS}/*"))
    vnir = int(package.number("product/image/vnir/channels") or 0)
    part = {"VNIR": range(vnir), "SWIR": range(vnir, count)}.get(detector, range(count))
    if len(part) != bands:
        raise InputDataError(
            f"the image has {bands} bands and {package.name} describes {len(part)}; they do not "
            "belong together"
        )
    return part


def _good(package: _Package, detector: str, bands: int) -> tuple[bool, ...]:
    """False for the channels that the XML calls missing; it numbers the bands of both detectors."""
    bad: set[int] = set()
    for side in ("VNIR", "SWIR"):
        lists = (f"specific/{side.lower()}ProductQuality/{n}ChannelsList" for n in _CHANNELS)
        missing, expected = (_numbers(package.text(path)) for path in lists)
        if not detector:
            bad |= {n - 1 for n in missing}
        elif detector == side:
            bad |= {expected.index(n) for n in missing if n in expected}
    return tuple(band not in bad for band in range(bands))


def _numbers(text: str | None) -> list[int]:
    return [int(part) for part in (text or "").split(",") if part.strip().isdecimal()]


def _place(package: _Package, own: Georeference, part: range) -> Georeference:
    """The image's own place, else the rational polynomials of the band in the middle."""
    middle, found = part[len(part) // 2], package.root.findall("product/navigation/RPC/bandID")
    if own.transform is not None or own.gcps or own.rpcs or len(found) <= middle:
        return own
    said = {item.tag: (item.text or "").strip() for item in found[middle]}
    rpcs: dict[str, str] = {}
    for theirs, gdal in _RPC.items():
        for what in ("OFF", "SCALE"):
            rpcs[f"{gdal}_{what}"] = said.get(f"{theirs}_{what}", "")
        for what in ("NUM", "DEN") if theirs in ("ROW", "COL") else ():
            terms = [said.get(f"{theirs}_{what}_{n:02}", "") for n in range(1, 21)]
            rpcs[f"{gdal}_{what}_COEFF"] = " ".join(terms) if all(terms) else ""
    return replace(own, rpcs=rpcs) if all(rpcs.values()) else own

"""The one table of file formats: how a scene is recognised, read, searched for and written.

Opening (`hsisr.io.open`), writing (`hsisr.io.write`), the search in folders, remote scenes, the
choice of a STAC asset, GDAL's allow-list of drivers and the help of `--format` derive from `ROWS`.

To add a format, write its reader (and writer) in a folder `hsisr/io/NAME/` and add one row:

    Format(
        name="Sensor L2",
        suffixes=(".h5",),
        recognise=late("hsisr.io.sensor.reader:is_sensor"),  # (path, first bytes) -> bool
        read="hsisr.io.sensor.reader:open_sensor",  # (path, **options named in `takes`) -> Scene
        searched=(".h5",),
    )

The first row whose recogniser says yes is taken, so special rows stand before general ones.
Readers and writers are named as "module:function" and imported only when they are used; this
module itself imports no format.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from hsisr.errors import InputDataError, UsageError
from hsisr.io.paths import RemotePath

START_BYTES: Final = 512
"""How many first bytes of a file its recognisers are given."""
ZARR_MARKS: Final = ("zarr.json", ".zgroup", ".zarray")
"""A folder with one of these in it is a Zarr store."""
SIDECARS: Final = (".aux.xml", ".msk", ".ovr")
"""What GDAL keeps beside a file, by adding to its name."""

Recogniser = Callable[[Path, bytes], bool]
"""Says if a local path is of a format, from its name and first bytes (none for a folder)."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One row of the table."""

    name: str
    """What messages and, for formats that can be written, `--format` call it."""
    suffixes: tuple[str, ...] = ()
    """Usual suffixes, lower case; they decide where no recogniser does."""
    recognise: Recogniser = lambda _path, _start: False
    folder: bool = False
    """A scene of this format is a folder."""
    read: str = ""
    """The reader, "module:function", called as `function(path, **{name: value for takes})`."""
    takes: tuple[str, ...] = ()
    """Which of `variable` and `axes` the reader takes."""
    refusal: str = ""
    """Said instead of reading: a format that is known but not supported."""
    searched: tuple[str, ...] = ()
    """Suffixes by which scenes of this format are found in a folder."""
    drivers: tuple[str, ...] = ()
    """GDAL drivers that may open such a file; remote files of these are read where they lie."""
    media_type: str = ""
    """Of a STAC asset."""
    write: str = ""
    """The writer, "module:function", called as `function(path, metadata, options, blocks)`."""
    write_suffixes: tuple[str, ...] | None = None
    """Suffixes that choose this format for an output; None: `suffixes`."""
    check_target: str = ""
    """Checks early that a target can be made, "module:function", called as
    `function(path, overwrite=bool)`; for targets that are more than one plain file."""
    maskable: bool = False
    """An output can hold a mask of its own."""
    creation_options: str = ""
    """Help on `--co` for this format."""

    @property
    def output_suffixes(self) -> tuple[str, ...]:
        """Suffixes that choose this format for an output, the default one first."""
        return self.suffixes if self.write_suffixes is None else self.write_suffixes

    def open(self, path: Path, options: Mapping[str, str | None]) -> Any:
        """The scene at `path`.

        Raises:
            InputDataError: It cannot be read, or formats of this kind are not supported.
            UsageError: An option is given that the format does not take.
        """
        for option, value in options.items():
            if value is not None and option not in self.takes:
                raise UsageError(f"--{option} {value} has no meaning for {self.name}; leave it out")
        if self.refusal:
            raise InputDataError(self.refusal)
        return loaded(self.read)(path, **{name: options.get(name) for name in self.takes})


def loaded(name: str) -> Any:
    """The object that "module:name" stands for."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def package(name: str, needed_by: str, extra: str) -> Any:
    """A package that an extra of hsisr brings; `needed_by` is a plural.

    Raises:
        UsageError: It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(
            f"{needed_by} need the package {name}, which is not installed; "
            f"pip install 'hsisr[{extra}]'"
        ) from error


def zarr_package() -> Any:
    """The package zarr; see `package`."""
    return package("zarr", "Zarr stores", "zarr")


def late(name: str) -> Recogniser:
    """A recogniser that is imported when it is first asked."""
    return lambda path, start: bool(loaded(name)(path, start))


def _begins(*magic: bytes) -> Recogniser:
    return lambda _path, start: start.startswith(magic)


def is_zarr_store(path: Path, _start: bytes = b"") -> bool:
    """True if a path is a folder that says it is a Zarr store."""
    return any((path / mark).is_file() for mark in ZARR_MARKS)


def _is_dlr_file(path: Path, start: bytes) -> bool:
    """True for a file of an EnMAP or DESIS product; only such names, and ZIP, are looked into."""
    named = re.search(r"SPECTRAL_IMAGE|METADATA\.XML", path.name.upper())
    return bool(named or start.startswith(b"PK\3\4")) and _is_dlr(path, start)


def _text(pattern: bytes) -> Recogniser:
    """A recogniser of texts that begin so; numbers whose first bytes happen to are none."""
    return lambda _path, start: (
        re.match(rb"(\xef\xbb\xbf)?\s*" + pattern, start) is not None
        and not re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", start)
    )


_is_dlr: Final = late("hsisr.io.products.dlr:is_dlr")
_HDF: Final = (b"\x89HDF\r\n\x1a\n", b"CDF", b"\x0e\x03\x13\x01")
_JP2: Final = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
_RASTER: Final = "hsisr.io.geotiff.reader:open_raster"
OTHER_RASTERS: Final = (
    *("AAIGrid", "BMP", "BSB", "BT", "BYN", "DTED", "FITS", "GIF", "GRIB", "GS7BG", "GSAG"),
    *("GSBG", "GTX", "ISG", "KRO", "LAN", "NTv2", "NWT_GRC", "NWT_GRD", "PCRaster", "PNM"),
    *("RMF", "RRASTER", "RST", "SAGA", "SGI", "SIGDEM", "SRTMHGT", "Terragen", "USGSDEM", "XYZ"),
)
"""Further GDAL drivers that read the named file, and at most files with the same stem. Drivers
whose texts name other files or servers (ERS, ISIS3, PDS, PDS4, STACIT, VICAR, WMS, ...) are left
out: a .vrt that the user makes and names reads those."""

ROWS: Final[tuple[Format, ...]] = (
    Format(
        name="Zarr",
        suffixes=(".zarr",),
        recognise=is_zarr_store,
        folder=True,
        read="hsisr.io.zarr.reader:open_zarr",
        takes=("variable", "axes"),
        write="hsisr.io.zarr.writer:ZarrWriter",
        check_target="hsisr.io.zarr.store:refuse_existing_store",
        maskable=True,
        creation_options="CHUNKS=bands,rows,cols, COMPRESSION=ZSTD, GZIP or NONE, LEVEL",
    ),
    Format(
        name="EnMAP or DESIS folder",
        recognise=_is_dlr,
        folder=True,
        read="hsisr.io.products.dlr:open_dlr",
        takes=("variable",),
    ),
    Format(
        name="image folder",
        recognise=late("hsisr.io.arrays.stack:is_band_folder"),
        folder=True,
        read="hsisr.io.arrays.stack:open_folder",
    ),  # the last row of folders stands for every other folder, to say what is expected
    Format(
        name="MAT",
        suffixes=(".mat",),
        recognise=_begins(b"MATLAB ", b"# Created by Octave", b"Octave-1-"),
        read="hsisr.io.matlab.reader:open_mat",
        takes=("variable", "axes"),
        searched=(".mat",),
        write="hsisr.io.matlab.writer:create_mat_writer",
        maskable=True,
        creation_options="VERSION=5 or 7.3",
    ),
    Format(
        name="NumPy .npy",
        suffixes=(".npy",),
        recognise=_begins(b"\x93NUMPY"),
        read="hsisr.io.arrays.raw:open_npy",
        takes=("axes",),
        searched=(".npy",),
    ),
    Format(
        name="EnMAP or DESIS product",
        recognise=_is_dlr_file,
        read="hsisr.io.products.dlr:open_dlr",
        takes=("variable",),
        searched=(".zip",),
        drivers=("GTiff",),
    ),
    Format(
        name="GTiff",
        suffixes=(".tif", ".tiff", ".gtif", ".gtiff"),
        recognise=_begins(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        read="hsisr.io.geotiff.reader:open_tiff",
        takes=("axes",),
        searched=(".tif", ".tiff"),
        drivers=("GTiff",),
        media_type="image/tiff; application=geotiff",
        write="hsisr.io.geotiff.writer:GeoTiffWriter",
        maskable=True,
        creation_options="those of GDAL's GTiff driver",
    ),
    Format(
        name="COG",
        suffixes=(".tif", ".tiff", ".gtif", ".gtiff"),
        media_type="image/tiff; application=geotiff; profile=cloud-optimized",
        write="hsisr.io.geotiff.writer:CogWriter",
        maskable=True,
        creation_options="those of GDAL's COG driver",
    ),
    Format(
        name="netCDF",
        suffixes=(".nc", ".nc4", ".h5", ".he5", ".hdf", ".hdf5"),
        recognise=lambda path, start: start.startswith(_HDF) and path.suffix.lower() != ".mat",
        read="hsisr.io.products.open:open_hdf",
        takes=("variable", "axes"),
        searched=(".nc", ".h5", ".he5"),
        media_type="application/x-netcdf",
        write="hsisr.io.products.netcdf_writer:create_netcdf",
        write_suffixes=(".nc",),
        check_target="hsisr.io.products.netcdf_writer:refuse_existing_netcdf",
        maskable=True,
        creation_options="LAYOUT=CF or EMIT, COMPRESS=DEFLATE or NONE, ZLEVEL",
    ),
    Format(
        name="VRT",
        recognise=lambda path, _start: path.suffix.lower() == ".vrt",
        read=_RASTER,
        drivers=("VRT",),
    ),
    Format(
        name="XML",
        recognise=_text(rb"<[?!A-Za-z]"),
        refusal="found a text of XML, expected an image; if GDAL is to read the files that it "
        "names, give it the suffix .vrt",
    ),
    Format(
        name="JSON",
        recognise=_text(rb"\{\s*[\"}]"),
        refusal="found a text of JSON, expected an image; hsisr upscale takes STAC Items, other "
        "commands the files that they lead to",
    ),
    *(
        Format(name=name, suffixes=ends, recognise=_begins(*start), read=_RASTER, drivers=drivers)
        for name, ends, start, drivers in (
            ("PNG", (".png",), (b"\x89PNG\r\n\x1a\n",), ("PNG",)),
            ("JPEG", (".jpg", ".jpeg"), (b"\xff\xd8\xff",), ("JPEG",)),
            ("JPEG 2000", (".jp2", ".j2k"), _JP2, ("JP2OpenJPEG", "JP2KAK", "JP2ECW", "JP2MrSID")),
            ("ERDAS Imagine", (), (b"EHFA_HEADER_TAG",), ("HFA",)),
            ("PCIDSK", (".pix",), (b"PCIDSK  ",), ("PCIDSK",)),
            ("GeoPackage", (".gpkg",), (b"SQLite format 3\0",), ("GPKG", "MBTiles")),
            ("NITF", (".ntf", ".nitf"), (b"NITF0", b"NSIF0"), ("NITF",)),
        )
    ),
    Format(
        name="WebP",
        recognise=lambda _path, start: start[:4] == b"RIFF" and start[8:12] == b"WEBP",
        read=_RASTER,
        drivers=("WEBP",),
    ),
    Format(
        name="ENVI",
        suffixes=(".hdr", ".img", ".dat", ".raw", ".bsq", ".bil", ".bip", ".bin", ".hyspex"),
        recognise=late("hsisr.io.envi.reader:is_envi"),
        read="hsisr.io.envi.reader:open_envi",
        searched=(".hdr",),
        write="hsisr.io.envi.writer:EnviWriter",
        write_suffixes=(".hdr", ".img", ".dat", ".raw", ".bsq", ".bil", ".bip"),
        check_target="hsisr.io.envi.files:refuse_existing_pair",
        creation_options="INTERLEAVE=bsq, bil or bip",
    ),
    Format(
        name="ESRI BIL, BIP, BSQ",
        recognise=late("hsisr.io.geotiff.esri:is_esri"),
        read="hsisr.io.geotiff.esri:open_esri",
        drivers=("EHdr",),
    ),
    Format(
        name="archive",
        recognise=_begins(b"\x1f\x8b", b"PK\3\4", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"),
        refusal="found a packed archive, expected a scene; unpack it first",
    ),
    Format(
        name="other rasters of GDAL",
        recognise=late("hsisr.io.geotiff.reader:is_other_raster"),
        read=_RASTER,
        drivers=OTHER_RASTERS,
    ),
)
"""Every format; the first row that recognises a file is its format."""


def first_bytes(path: Path) -> bytes:
    """What recognisers look at; empty for a folder.

    Raises:
        OSError: The file cannot be read.
    """
    if path.is_dir():
        return b""
    with path.open("rb") as file:
        return file.read(START_BYTES)


def format_of(path: Path) -> Format:
    """The format of a local file or folder: by what it is, else by its suffix.

    Raises:
        OSError: The file cannot be read.
    """
    rows = [row for row in ROWS if row.folder == path.is_dir()]
    start = first_bytes(path)
    for row in rows:
        if row.recognise(path, start):
            return row
    suffix = path.suffix.lower()
    return next((row for row in rows if suffix in row.suffixes), rows[-1])


def has_own_format(path: Path) -> bool:
    """True if the first bytes of a file say what it is, so that no header beside it is needed.

    Raises:
        OSError: The file cannot be read.
    """
    start, before = first_bytes(path), [row.name for row in ROWS].index("ENVI")
    return any(row.recognise(path, start) for row in ROWS[:before] if not row.folder)


def format_by_suffix(path: Path) -> Format | None:
    """The format that a name alone suggests.

    >>> format_by_suffix(Path("a.TIF")).name, format_by_suffix(Path("a"))
    ('GTiff', None)
    """
    suffix = path.suffix.lower()
    return next((row for row in ROWS if suffix in row.suffixes), None)


def is_format_name(path: Path, name: str) -> bool:
    """True if the suffix is one of the format of that name.

    >>> is_format_name(Path("a.zarr"), "Zarr"), is_format_name(Path("a"), "Zarr")
    (True, False)
    """
    found = format_by_suffix(path)
    return found is not None and found.name == name


def writable() -> list[Format]:
    """Formats that can be written, by name."""
    return sorted((row for row in ROWS if row.write), key=lambda row: row.name.lower())


def format_names() -> list[str]:
    """Names that `--format` takes.

    >>> format_names()[:3]
    ['COG', 'ENVI', 'GTiff']
    """
    return [row.name for row in writable()]


def listed(words: Iterable[str]) -> str:
    """Words as English lists them.

    >>> listed(["a", "b", "c"])
    'a, b or c'
    """
    *first, end = words
    return f"{', '.join(first)} or {end}" if first else end


def output_format(path: Path, name: str | None = None) -> Format:
    """The format that an output will be written in, by its name in any case, or by the suffix.

    Raises:
        UsageError: The name is unknown, or the suffix says nothing, or something else.

    >>> output_format(Path("scene.TIF")).name, output_format(Path("scene"), "envi").name
    ('GTiff', 'ENVI')
    """
    suffix, rows, names = path.suffix.lower(), writable(), ", ".join(format_names())
    by_suffix = next((row for row in ROWS if row.write and suffix in row.output_suffixes), None)
    found = by_suffix
    if name is not None:
        found = next((row for row in rows if row.name.lower() == name.lower()), None)
        if found is None:
            raise UsageError(f"unknown format {name!r}; expected one of {names}")
    if found is None:
        known = dict.fromkeys(end for row in rows for end in row.output_suffixes)
        raise UsageError(
            f"{path.name}: found the suffix {path.suffix!r}, expected {listed(known)}; change it, "
            f"or name one of {names} as format"
        )
    if by_suffix is not None and suffix not in found.output_suffixes:
        raise UsageError(
            f"{path.name}: found the suffix {path.suffix!r}, which is {by_suffix.name}'s, and the "
            f"format {found.name}; change one of them"
        )
    return found


def gdal_drivers(path: Path) -> tuple[str, ...]:
    """GDAL drivers that may open a file: what it is decides, not what it is called.

    Of remote files, whose first bytes are not at hand, GDAL itself looks at the bytes, with every
    driver of the table; only a name that ends in .vrt may be a VRT.
    """
    if not isinstance(path, RemotePath) and path.is_file():
        return format_of(path).drivers
    every = (driver for row in ROWS for driver in row.drivers)
    named = path.suffix.lower() == ".vrt"
    return (*(driver for driver in every if named or driver != "VRT"), "ENVI")


FORMAT_HELP: Final = f"{listed(format_names())}. [default: by suffix]"
"""Help of `--format`."""
CREATION_HELP: Final = "Creation option; repeatable. " + "; ".join(
    f"{row.name}: {row.creation_options}" for row in writable()
)
"""Help of `--co`."""

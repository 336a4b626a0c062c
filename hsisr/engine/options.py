"""The options of `hsisr upscale`, and those that commands share; checked when they are made."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

from hsisr.errors import UsageError
from hsisr.io.formats import CREATION_HELP, FORMAT_HELP, format_names
from hsisr.io.paths import scene_path
from hsisr.option import (
    SCALES,
    Option,
    declared,
    key_values,
    numbers_of,
    ranges_of,
    refuse_impossible,
)

PANELS: Final = (
    *("Main", "Output", "Input", "Many scenes", "Resume and cluster", "STAC"),
    *("Speed and memory", "Talk"),
)
"""Of the help, in their order."""
MAIN, OUTPUT, INPUT, MANY, RUN, STAC, SPEED, TALK = PANELS
PRECISIONS: Final = ("auto", "float32", "bfloat16", "float16")
_DEVICE: Final = r"auto|cpu|mps|cuda(:\d{1,4})?"
_SCHEDULER: Final = r"local:[1-9]\d{0,3}|(tcp|tls|ws|wss|ucx)://.+:\d{1,5}"


def is_nodata(text: str) -> bool:
    """True for what `--nodata` takes.

    >>> [is_nodata(text) for text in ("-9999", "nan", "none", "water")]
    [True, True, True, False]
    """
    try:
        return text.lower() == "none" or float(text) is not None
    except ValueError:
        return False


def _is_number_type(name: str) -> bool:
    import numpy as np  # late: the command line reads the declarations for its help

    try:
        return np.dtype(name).kind in "iuf"
    except TypeError:
        return False


def scale_number(text: str | int) -> int | str:
    """A scale from a number or from `x4`; what is neither is given back, to be refused.

    >>> scale_number("x4"), scale_number(8)
    (4, 8)
    """
    found = re.fullmatch(r"[xX]?(\d+)", str(text).strip())
    return text if found is None else int(found[1])


def models() -> Iterator[str]:
    """Names that `--model` takes, for completion."""
    yield from (*("bicubic", "nearest", "lanczos", "baseline"), *released_names())


def released_names() -> Iterator[str]:
    """Those of released weights."""
    from hsisr.weights import released  # late: only a shell that completes asks

    return (entry.name for entry in released())


Scale = Annotated[
    int,
    Option(
        "HR pixels per LR pixel along a side; x4 is 4.",
        ("-s",),
        affects_result=True,
        choices=SCALES,
        reads=scale_number,
    ),
]
Device = Annotated[
    str,
    Option(
        "auto, cpu, cuda, cuda:N or mps.",
        panel=SPEED,
        pattern=_DEVICE,
        suggest=lambda: ("auto", "cpu", "cuda", "mps"),
        expected="auto, cpu, cuda, cuda:N or mps",
    ),
]
Precision = Annotated[
    str,
    Option(
        "float32, or for the network alone bfloat16, float16, or auto: bfloat16 where the "
        "machine multiplies in it.",
        metavar="NAME",
        panel=SPEED,
        affects_result=True,
        choices=PRECISIONS,
    ),
]
Threads = Annotated[
    int | None, Option("Processor threads; all cores by default.", panel=SPEED, least=1)
]
Variable = Annotated[
    str | None,
    Option(
        "Variable of a .mat, netCDF or HDF5 file, or array of a Zarr store, that holds the cube.",
        metavar="NAME",
        panel=INPUT,
        affects_result=True,
    ),
]
Nodata = Annotated[
    str | None,
    Option(
        "Number that means no data, whatever the file says; nan, or none for no such number.",
        metavar="VALUE",
        panel=INPUT,
        affects_result=True,
        check=is_nodata,
        expected="a number, nan or none",
    ),
]
Axes = Annotated[
    str | None,
    Option(
        "Axis order of a .mat, .npy, netCDF or HDF5 file, Zarr store or TIFF stack: b(and) "
        "r(ow) c(olumn), as rcb.",
        metavar="ORDER",
        panel=INPUT,
        affects_result=True,
    ),
]
WindowOf = Annotated[
    tuple[int, ...] | None,
    Option(
        "Only these pixels of the scene: first row and column from 0, numbers of rows and columns. "
        "What upscaling takes from around them and from statistics is that of the whole scene.",
        metavar="ROW,COL,ROWS,COLS",
        panel=INPUT,
        affects_result=True,
        check=lambda v: len(v) == 4 and min(v[:2]) >= 0 and min(v[2:]) >= 1,
        expected="ROW,COL,ROWS,COLS, such as 0,0,100,100",
        given_as=str | None,
        parse=lambda text: numbers_of(text, int),
    ),
]
Bbox = Annotated[
    tuple[float, ...] | None,
    Option(
        "The same by two opposite corners in map coordinates.",
        metavar="X1,Y1,X2,Y2",
        panel=INPUT,
        affects_result=True,
        check=lambda v: len(v) == 4 and all(map(math.isfinite, v)),
        expected="X1,Y1,X2,Y2 in the scene's coordinate reference system",
        given_as=str | None,
        parse=lambda text: numbers_of(text, float),
    ),
]
_RUN: Final = r"[1-9]\d*(-[1-9]\d*)?"
_NM: Final = r"\d+(\.\d+)?-\d+(\.\d+)?"
BandsOf = Annotated[
    str | None,
    Option(
        "Only these bands of the scene, counted from 1; what a network sees is all of them.",
        metavar="1-60,75",
        panel=INPUT,
        affects_result=True,
        pattern=rf"{_RUN}(,{_RUN})*",
        expected="numbers and runs of bands, such as 1-60,75",
    ),
]
WavelengthsOf = Annotated[
    str | None,
    Option(
        "The same by wavelengths in nm.",
        metavar="400-1000",
        panel=INPUT,
        affects_result=True,
        pattern=rf"{_NM}(,{_NM})*",
        check=lambda text: all(low <= high for low, high in ranges_of(text)),
        expected="ranges in nm from low to high, such as 400-1000",
    ),
]
Dtype = Annotated[
    str | None,
    Option(
        "Output data type. [default: the input's]",
        ("-t",),
        metavar="TYPE",
        suggest=lambda: ("uint8", "int16", "uint16", "float32"),
        panel=OUTPUT,
        affects_result=True,
        check=_is_number_type,
        expected="a number type such as int16 or float32",
    ),
]
Format = Annotated[
    str | None,
    Option(
        FORMAT_HELP,
        ("-f",),
        metavar="NAME",
        suggest=format_names,
        panel=OUTPUT,
        affects_result=True,
    ),
]
CreationOptions = Annotated[
    Mapping[str, str],
    Option(
        CREATION_HELP,
        ("--co",),
        metavar="KEY=VALUE",
        panel=OUTPUT,
        affects_result=True,
        given_as=list[str] | None,
        parse=key_values,
    ),
]
Overwrite = Annotated[bool, Option("Replace an existing output.", panel=OUTPUT)]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleOptions:
    """How to upscale; what to upscale is an argument of `upscale`.

    Raises:
        UsageError: An option has an impossible value.
    """

    scale: Scale = 4
    model: Annotated[
        str | None,
        Option(
            "bicubic, nearest, lanczos, baseline, released weights by name, a .safetensors file, "
            "or module:build=FILE for a network of your own. "
            "[default: the released any-sensor weights of that scale]",
            ("-m",),
            metavar="NAME|FILE",
            suggest=models,
        ),
    ] = None
    format: Format = None
    dtype: Dtype = None
    creation_options: CreationOptions = field(default_factory=lambda: MappingProxyType({}))
    ortho: Annotated[
        bool,
        Option(
            "Output on the map grid of the product's lookup table (EMIT), not in sensor geometry.",
            panel=OUTPUT,
            affects_result=True,
        ),
    ] = False
    overviews: Annotated[bool, Option("Add overviews.", panel=OUTPUT, affects_result=True)] = False
    quicklook: Annotated[
        Path | None,
        Option(
            "PNG with observed, bicubic and result side by side (a folder for several scenes).",
            metavar="PICTURE.png",
            panel=OUTPUT,
            in_tags=False,
        ),
    ] = None
    report: Annotated[
        Path | None,
        Option(
            "Page to look at the result, as hsisr view makes it (a folder for several scenes).",
            metavar="PAGE.html",
            panel=OUTPUT,
            in_tags=False,
        ),
    ] = None
    uncertainty: Annotated[
        Path | None,
        Option(
            "GeoTIFF with a standard error for every value, in the output's folder (for several "
            "scenes that folder: NAME_uncertainty.tif).",
            metavar="FILE.tif",
            panel=OUTPUT,
            in_tags=False,
        ),
    ] = None
    bad_bands: Annotated[
        str,
        Option(
            "Bands marked bad, empty or constant: interpolate, keep or drop.",
            affects_result=True,
            choices=("interpolate", "keep", "drop"),
        ),
    ] = "interpolate"
    consistency: Annotated[
        bool, Option("Make the area average of the output equal the input.", affects_result=True)
    ] = True
    band_groups: Annotated[
        str | None,
        Option(
            "What the network sees: pseudo, 32 to 96 means of neighbouring bands whose detail "
            "becomes that of all bands, or all, groups of the bands themselves. [default: pseudo "
            "where the network adds detail to an interpolation and the scene has the bands and "
            "pixels for it]",
            panel=SPEED,
            affects_result=True,
            choices=("pseudo", "all"),
        ),
    ] = None
    window: WindowOf = None
    bbox: Bbox = None
    bands: BandsOf = None
    wavelengths: WavelengthsOf = None
    statistics_from: Annotated[
        Path | None,
        Option(
            "Scene of the same sensor whose statistics normalise this one, so that the tiles of a "
            "flight line match.",
            metavar="SCENE",
            panel=INPUT,
            affects_result=True,
        ),
    ] = None
    tile: Annotated[
        int | None,
        Option(
            "Tile side in LR pixels. [default: the weights']",
            panel=SPEED,
            affects_result=True,
            least=1,
        ),
    ] = None
    overlap: Annotated[
        int | None,
        Option(
            "Blended tile border, LR pixels. [default: the weights']",
            panel=SPEED,
            affects_result=True,
            least=0,
        ),
    ] = None
    batch_size: Annotated[
        int | None,
        Option(
            "Tiles computed at once. [default: as many as pay and fit]",
            panel=SPEED,
            affects_rounding=True,
            least=1,
        ),
    ] = None
    scheduler: Annotated[
        str | None,
        Option(
            "Dask scheduler whose workers do it (tcp://host:port), or local:N for N processes "
            "here.",
            metavar="ADDRESS",
            panel=RUN,
            in_tags=False,
            pattern=_SCHEDULER,
            expected="tcp://host:port or local:N",
        ),
    ] = None
    device: Device = "auto"
    precision: Precision = "float32"
    threads: Threads = None
    variable: Variable = None
    axes: Axes = None
    nodata: Nodata = None
    item_bands: tuple[Mapping[str, float], ...] = ()
    """What a STAC Item says of each band (`hsisr.io.stac`); no option of the command line."""
    overwrite: Overwrite = False
    resume: Annotated[
        bool,
        Option(
            "Resume an interrupted run: keep the strips that it finished.", panel=RUN, in_tags=False
        ),
    ] = False

    def __post_init__(self) -> None:
        refuse_impossible(self)
        if self.tile is not None and self.overlap is not None and self.overlap >= self.tile:
            raise UsageError(f"overlap {self.overlap}: expected less than tile {self.tile}")
        if self.window is not None and self.bbox is not None:
            raise UsageError("found window and bbox, expected one of them")


def _named(holds: Callable[[Option], bool]) -> frozenset[str]:
    return frozenset(name for name, (_, o) in declared(UpscaleOptions).items() if holds(o))


AFFECTS_RESULT: Final = _named(lambda option: option.affects_result)
"""Options that an output depends on, beside the model, which is compared by its weights' hash."""
AFFECTS_BITS: Final = _named(lambda option: option.affects_result or option.affects_rounding)
"""Options that a resumed run must share with the interrupted one, beside the model."""
NOT_IN_TAGS: Final = _named(lambda option: not option.in_tags) | {"item_bands"}
DEFAULTS: Final[Mapping[str, Any]] = {
    name: dict(value) if isinstance(value, Mapping) else value
    for name in sorted(AFFECTS_BITS)
    for value in [getattr(UpscaleOptions(), name)]
} | {"band_groups": "all"}
"""Of those, as JSON has them: what a run of an earlier version, without the option, had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectOptions:
    """Which scenes a run upscales, and where to.

    Raises:
        UsageError: Neither scenes nor a list.
    """

    sources: Sequence[Path] = ()
    """Scenes, folders of scenes, STAC Items."""
    output: Annotated[
        Path | None,
        Option(
            "Output file; a folder for several scenes. [default: NAME_x4 beside the scene, in its "
            "format where that can be written]",
            ("-o",),
            metavar="PATH",
            reads=scene_path,
        ),
    ] = None
    list: Annotated[
        Path | None,
        Option("More scenes, one path a line; - for stdin.", metavar="FILE", panel=MANY),
    ] = None
    shard: Annotated[
        str | None,
        Option(
            "Do every N-th scene from the I-th on. [default: by the SLURM array task]",
            metavar="I/N",
            panel=MANY,
        ),
    ] = None
    asset: Annotated[
        str | None, Option("Which asset of STAC Items is the scene.", metavar="KEY", panel=STAC)
    ] = None
    items: Annotated[
        bool | None,
        Option(
            "Write STAC Items for outputs; --stac also takes items that lie beside scenes. "
            "[default: for scenes named by an item]",
            ("--stac/--no-stac",),
            panel=STAC,
        ),
    ] = None

    def __post_init__(self) -> None:
        if not self.sources and self.list is None:
            raise UsageError("found neither SCENE nor --list, expected scenes to upscale")

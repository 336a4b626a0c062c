"""The options of `hsisr upscale`: each is declared once, and checked when the options are made.

The command line, the key of an interrupted run, the completion record, the provenance tags and the
reference page derive from the declarations.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, get_type_hints

from hsisr.errors import UsageError
from hsisr.io.formats import CREATION_HELP, FORMAT_HELP
from hsisr.models.descriptor import SCALES

PANELS: Final = (
    *("Main", "Output", "Input", "Many scenes", "Resume and cluster", "STAC"),
    *("Speed and memory", "Talk"),
)
"""Of the help, in their order."""
MAIN, OUTPUT, INPUT, MANY, RUN, STAC, SPEED, TALK = PANELS
PRECISIONS: Final = ("auto", "float32", "bfloat16", "float16")
_DEVICE: Final = r"auto|cpu|mps|cuda(:\d{1,4})?"
_SCHEDULER: Final = r"local:[1-9]\d{0,3}|(tcp|tls|ws|wss|ucx)://.+:\d{1,5}"


@dataclass(frozen=True, slots=True)
class Option:
    """The declaration of an option, in the `Annotated` type of a dataclass field.

    The field has the type and the default; None means that the option was not given.
    """

    help: str
    flags: tuple[str, ...] = ()
    """On the command line, beside or instead of the field's name with dashes."""
    metavar: str | None = None
    panel: str | None = None
    affects_result: bool = False
    """An output made with another value is another output: it is compared with the completion
    record and, by a resumed run, with the interrupted one."""
    affects_rounding: bool = False
    """Decides the last bits: a resumed run needs the same value, a finished output does not."""
    in_tags: bool = True
    """Stands in the provenance tags of outputs; False for what is nobody else's business."""
    least: int | None = None
    choices: tuple[Any, ...] = ()
    pattern: str | None = None
    """Regular expression that the whole text must match."""
    expected: str = ""
    """For the message about an impossible value, where it does not follow from the rest."""
    check: Callable[[Any], bool] | None = None
    """True for possible values; asked only for what is given."""
    suggest: Callable[[], Iterable[str]] | None = None
    """Values that the shell proposes, where `choices` does not hold them."""
    reads: Callable[[Any], Any] | None = None
    """From one text of the command line to a value."""
    given_as: Any = None
    """Type on the command line, where it is not the field's."""
    parse: Callable[[Any], Any] | None = None
    """From what the command line gives to the field's value."""

    def allows(self, value: Any) -> bool:
        """Whether a value is possible; None, not given, always is."""
        return value is None or not (
            (self.least is not None and value < self.least)
            or (self.choices and value not in self.choices)
            or (self.pattern is not None and not re.fullmatch(self.pattern, value))
            or (self.check is not None and not self.check(value))
        )

    def possible(self) -> str:
        """Possible values in words."""
        if self.choices and not self.expected:
            *others, last = map(str, self.choices)
            return f"{', '.join(others)} or {last}"
        return self.expected or f"at least {self.least}"


def declared(kind: type) -> dict[str, tuple[Any, Option]]:
    """(type, declaration) of each option of a dataclass, by the name of its field."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        f.name: (hints[f.name].__origin__, option)
        for f in fields(kind)
        for option in getattr(hints[f.name], "__metadata__", ())
        if isinstance(option, Option)
    }


def refuse_impossible(options: Any) -> None:
    """Check every declared option of a dataclass by its own declaration.

    Raises:
        UsageError: One or more have impossible values; all are named.
    """
    complaints = list(_complaints(options))
    if complaints:
        raise UsageError("; ".join(complaints))


def _complaints(options: Any) -> Iterator[str]:
    for name, (_, option) in declared(type(options)).items():
        value = getattr(options, name)
        try:
            fits = option.allows(value)
        except TypeError:  # a text where a number is compared, or the like
            fits = False
        if not fits:
            shown = repr(value) if isinstance(value, str) else value
            yield f"{name.replace('_', '-')} {shown}: expected {option.possible()}"


def key_values(texts: list[str]) -> dict[str, str]:
    """Creation options from KEY=VALUE texts.

    Raises:
        UsageError: A text is not of that form.
    """
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--co {text}: expected KEY=VALUE")
        pairs[key.upper()] = value
    return pairs


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
    from hsisr.weights.catalogue import released  # late: only a shell that completes asks

    yield from ("bicubic", "nearest", "lanczos")
    yield from (entry.name for entry in released())


def numbers_of(text: str | None, kind: type[Any]) -> tuple[Any, ...] | None:
    """Numbers with commas between them; () where it is something else."""
    try:
        return None if text is None else tuple(kind(part) for part in text.split(","))
    except ValueError:
        return ()


Scale = Annotated[
    int,
    Option(
        "HR pixels per LR pixel along a side; x4 is 4.",
        ("-s",),
        panel=MAIN,
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
        suggest=lambda: ("GTiff", "COG", "ENVI", "MAT", "Zarr"),
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
            "or package.module:build=FILE for a network of your own. "
            "[default: the released any-sensor weights of that scale]",
            ("-m",),
            metavar="NAME|FILE",
            panel=MAIN,
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
            panel=MAIN,
            affects_result=True,
            choices=("interpolate", "keep", "drop"),
        ),
    ] = "interpolate"
    consistency: Annotated[
        bool,
        Option(
            "Make the area average of the output equal the input.",
            panel=MAIN,
            affects_result=True,
        ),
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
    """What a STAC Item says of each band (`hsisr.io.stac.bands`); no option of the command line."""
    overwrite: Overwrite = False
    resume: Annotated[
        bool,
        Option(
            "Resume an interrupted run: keep the strips that it finished.",
            panel=RUN,
            in_tags=False,
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

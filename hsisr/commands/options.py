"""The options of the commands beside `hsisr upscale`: each is declared once, see `hsisr.option`.

Checks that need a library import it late: the command line reads the declarations for its help.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from hsisr.engine import options as shared
from hsisr.errors import UsageError
from hsisr.io.paths import scene_path
from hsisr.metrics.report import Threshold, parse_threshold
from hsisr.option import SCALES, Option, refuse_impossible

METHODS = ("area", "gaussian", "mtf", "bicubic")
"""Names of `hsisr.degradation.DEGRADATIONS`, which needs NumPy."""


def _of(module: str, names: str) -> Callable[[], Iterable[str]]:
    """Names that a module has in a table, or gives; it is loaded when a shell asks for them."""

    def found() -> Iterable[str]:
        known: Any = getattr(import_module(f"hsisr.{module}"), names)
        return known() if callable(known) else known  # type: ignore[no-any-return]

    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneOptions:
    """How a scene is read.

    Raises:
        UsageError: An option has an impossible value; so of all that derive from this.
    """

    variable: shared.Variable = None
    axes: shared.Axes = None
    nodata: shared.Nodata = None

    def __post_init__(self) -> None:
        refuse_impossible(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOptions(SceneOptions):
    """What of a scene is read, and how."""

    window: shared.WindowOf = None
    bbox: shared.Bbox = None
    bands: shared.BandsOf = None
    wavelengths: shared.WavelengthsOf = None

    def __post_init__(self) -> None:
        refuse_impossible(self)
        if self.window is not None and self.bbox is not None:
            raise UsageError("found window and bbox, expected one of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class DegradeOptions(PartOptions):
    """How to degrade; what to degrade is an argument of `degrade`."""

    scale: Annotated[
        int,
        Option(
            "HR pixels per LR pixel along a side.",
            ("-s",),
            affects_result=True,
            least=2,
            reads=shared.scale_number,
            expected="a whole number of at least 2",
        ),
    ] = 4
    method: Annotated[
        str, Option("area, gaussian, mtf or bicubic.", affects_result=True, suggest=lambda: METHODS)
    ] = "area"
    gain: Annotated[
        float | None,
        Option("With mtf: gain at the LR Nyquist frequency. [default: 0.3]", affects_result=True),
    ] = None
    crop: Annotated[bool, Option("Leave out last rows and columns that fill no LR pixel.")] = False
    dtype: shared.Dtype = None
    format: shared.Format = None
    creation_options: shared.CreationOptions = field(default_factory=lambda: MappingProxyType({}))
    overwrite: shared.Overwrite = False

    def __post_init__(self) -> None:
        from hsisr.degradation import degradation_named

        PartOptions.__post_init__(self)
        degradation_named(self.method, self.gain)


@dataclass(frozen=True, slots=True, kw_only=True)
class _JudgeOptions(SceneOptions):
    convention: Annotated[
        str,
        Option(
            "hsisr, dacn, dacn-whole, sspsr or mcnet.",
            ("--convention", "-c"),
            suggest=_of("metrics.conventions", "CONVENTIONS"),
        ),
    ] = "hsisr"
    minimum: Annotated[
        tuple[str, ...], Option("Fail below; repeatable.", ("--min",), metavar="FIGURE=NUMBER")
    ] = ()
    maximum: Annotated[
        tuple[str, ...], Option("Fail above; repeatable.", ("--max",), metavar="FIGURE=NUMBER")
    ] = ()
    picture: Annotated[
        Path | None, Option("Draw the scenes side by side, error maps and spectra.", metavar="PNG")
    ] = None
    overwrite: shared.Overwrite = False
    thresholds: tuple[Threshold, ...] = field(init=False)

    def _check(self, known: Sequence[str]) -> None:
        """Check all; `known` are the figures that limits may name."""
        from hsisr.metrics.conventions import convention_named

        refuse_impossible(self)
        convention_named(self.convention)
        limits = [parse_threshold(text, "min", known) for text in self.minimum]
        limits += [parse_threshold(text, "max", known) for text in self.maximum]
        object.__setattr__(self, "thresholds", tuple(limits))


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions(_JudgeOptions):
    """How to judge an estimate by a reference, by the scene it was made from, or by both."""

    window: shared.WindowOf = None
    bbox: shared.Bbox = None
    bands: shared.BandsOf = None
    wavelengths: shared.WavelengthsOf = None

    observed: Annotated[
        Path | None,
        Option(
            "The LR scene that the estimate must agree with.",
            ("--lr",),
            metavar="OBSERVED",
            reads=scene_path,
        ),
    ] = None
    uncertainty: Annotated[
        Path | None,
        Option(
            "Standard errors of the estimate: how often the reference lies within them.",
            metavar="FILE",
            reads=scene_path,
        ),
    ] = None
    """As `hsisr upscale --uncertainty` writes them."""
    scale: Annotated[
        int | None,
        Option(
            "Ratio of pixel sizes, for ERGAS and --wald.",
            ("--scale", "-s"),
            least=1,
            reads=shared.scale_number,
        ),
    ] = None
    estimate_variable: Annotated[
        str | None, Option("As --variable, for ESTIMATE.", metavar="NAME", panel=shared.INPUT)
    ] = None

    def __post_init__(self) -> None:
        from hsisr.commands.evaluation.agreement import FIGURES as LR_FIGURES
        from hsisr.metrics.conventions import FIGURES
        from hsisr.metrics.coverage import FIGURES as ERROR_FIGURES

        self._check((*FIGURES, *LR_FIGURES, *ERROR_FIGURES))
        if self.window is not None and (self.bbox is not None or self.observed is not None):
            other = "bbox" if self.bbox is not None else "lr, whose pixels are larger"
            raise UsageError(
                f"found window and {other}, expected one of them; bbox fits all that have map "
                "coordinates, others are judged whole"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WaldOptions(_JudgeOptions):
    """How to judge a model on a scene that is its own truth."""

    scale: Annotated[int, Option("Ratio of pixel sizes.", choices=SCALES)] = 4
    model: Annotated[
        str | None,
        Option("With --wald: as for hsisr upscale.", ("-m",), "NAME|FILE", suggest=shared.models),
    ] = None
    method: Annotated[
        str, Option("With --wald: area, gaussian, mtf or bicubic.", suggest=lambda: METHODS)
    ] = "area"
    consistency: Annotated[
        bool, Option("With --wald: draw the result to agree with the degraded scene.")
    ] = True
    device: shared.Device = "auto"

    def __post_init__(self) -> None:
        from hsisr.degradation import degradation_named
        from hsisr.metrics.conventions import FIGURES

        self._check(FIGURES)
        degradation_named(self.method)


def _place(text: str) -> tuple[int, int]:
    """Row and column, counted from 0.

    >>> _place("12,40")
    (12, 40)
    """
    row, comma, col = text.partition(",")
    if not (comma and row.strip().isdecimal() and col.strip().isdecimal()):
        raise UsageError(f"--window {text}: expected ROW,COLUMN such as 120,80")
    return int(row), int(col)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewOptions(SceneOptions):
    """How to show a scene and its results on a page."""

    windows: Annotated[
        tuple[tuple[int, int], ...],
        Option(
            "Middle of a full-size window, in pixels of SCENE counted from 0; repeatable. "
            "[default: where most detail was added]",
            ("--window",),
            metavar="ROW,COLUMN",
            given_as=list[str] | None,
            parse=lambda texts: tuple(map(_place, texts)),
        ),
    ] = ()
    """Row and column, counted from 0."""
    uncertainty: Annotated[
        Path | None,
        Option("Standard errors of the first RESULT.", metavar="SCENE", reads=scene_path),
    ] = None
    """On the first result's grid, in its unit, as `hsisr upscale --uncertainty` writes them."""
    overwrite: shared.Overwrite = False


DataDir = Annotated[
    Path | None, Option("Where datasets lie. [default: $HSISR_DATA, or the user's cache]")
]
Offline = Annotated[bool, Option("Download nothing.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions(SceneOptions):
    """What to train on, what, how, and where to put it."""

    scenes: tuple[Path, ...] = ()
    """Files and folders to learn from."""
    dataset: Annotated[
        str | None,
        Option(
            "A public dataset: cave, emit, indianpines, neon, pace, paviac, paviau, salinas, "
            "tanager or ucmerced.",
            suggest=_of("datasets.catalogue", "DATASETS"),
        ),
    ] = None
    scale: shared.Scale = 4
    model: Annotated[
        str | None,
        Option(
            "dacn-any, dacn, edsr or another network of hsisr, or package.module:build for your "
            "own. [default: the recipe's]",
            ("-m",),
            suggest=_of("models.registry", "known_networks"),
        ),
    ] = None
    init: Annotated[
        str | None,
        Option(
            "Start from these weights: a released name or a .safetensors file; of another scale, "
            "from all but their upsampling.",
            metavar="NAME|FILE",
            suggest=shared.released_names,
        ),
    ] = None
    recipe: Annotated[
        str | None,
        Option(
            "any, aerial, adapt, dacn-paper, dacn-published, or a .toml file. "
            "[default: any; adapt with --init]",
            metavar="NAME|FILE",
            suggest=_of("training.recipe", "shipped_recipes"),
        ),
    ] = None
    settings: Annotated[
        tuple[str, ...], Option("Change a value of the recipe.", ("--set",), metavar="KEY=VALUE")
    ] = ()
    photographs: Annotated[
        Path | None,
        Option(
            "Colour photographs to learn spatial detail from, for recipes that do: a folder, or an "
            ".npz file with `images`."
        ),
    ] = None
    val: Annotated[
        tuple[Path, ...], Option("Scenes to validate on. [default: a strip of each training scene]")
    ] = ()
    seed: Annotated[int, Option("Of weights, splits and patches.", least=0)] = 0
    max_minutes: Annotated[
        float | None,
        Option(
            "Stop after this many minutes, over which the learning rate falls.",
            check=lambda minutes: minutes > 0,
            expected="more than 0",
        ),
    ] = None
    processor_time: bool = False
    """`max_minutes` are of the processor, all threads added up, and not of the clock."""
    milestones: tuple[float, ...] = ()
    """Shares of `max_minutes` after which the weights of the moment are kept beside the others."""
    out: Annotated[Path, Option("Folder for weights, card, state and curve.", ("--out", "-o"))] = (
        Path("hsisr-run")
    )
    resume: Annotated[bool, Option("Continue the run in --out; same options otherwise.")] = False
    data_dir: DataDir = None
    offline: Offline = False
    device: shared.Device = "auto"
    threads: shared.Threads = None
    overwrite: shared.Overwrite = False
    command: str = ""
    """As typed, for the record."""

    def __post_init__(self) -> None:
        refuse_impossible(self)
        if not self.scenes and self.dataset is None:
            raise UsageError("found no scene to learn from: name scene files or --dataset")
        if self.model is not None:
            from hsisr.models.registry import is_own, known_networks

            if not is_own(self.model) and self.model not in (known := known_networks()):
                names = f"{', '.join(known)}, or package.module:build"
                raise UsageError(f"model {self.model!r}: expected one of {names}")

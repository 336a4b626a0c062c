"""What to compare, on what, how long, and where to put it; see `hsisr.option`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

from hsisr.commands.options import METHODS, DataDir, Offline
from hsisr.engine.options import Device, Nodata, Overwrite, Threads
from hsisr.errors import UsageError
from hsisr.option import SCALES, Option, names_of, numbers_of, refuse_impossible

BLURS: Final = ("area", "mtf")
"""How judging scenes are degraded; names of `hsisr.degradation.DEGRADATIONS`."""
MILESTONES: Final = (1 / 12, 1 / 4, 1 / 2)
"""Shares of the budget after which weights are scored on the way: 5, 15 and 30 of 60 minutes."""
BATCHES: Final = (1, 2, 4, 8)
"""Tiles at once, as the cost is swept over."""
PAVIAU: Final = (103, 610, 340)
"""(bands, rows, cols) of the scene that is upscaled from end to end."""
_SMALL: Final = (34, 12, 10)


def _listed(help_: str, parse: Any = names_of, **more: Any) -> Option:
    """Several values with commas between them."""
    return Option(help_, given_as=str | None, parse=parse, **{"metavar": "A,B,...", **more})


Scales = Annotated[
    tuple[int, ...],
    _listed(
        "HR pixels per LR pixel. [default: all]",
        lambda text: numbers_of(text, int),
        metavar="2,4,8",
        choices=SCALES,
    ),
]
Smoke = Annotated[bool, Option("See in a minute that all works, on the sample scene.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkOptions:
    """What to compare and how.

    Raises:
        UsageError: An option has an impossible value, or two contradict each other.
    """

    methods: Annotated[
        tuple[str, ...], _listed("What to compare. [default: the table's, or all]")
    ] = ()
    """Names of `hsisr.benchmark.methods`."""
    scenes: Annotated[tuple[Path, ...], Option("Scenes to judge by, or folders of them.")] = ()
    train: Annotated[
        tuple[Path, ...], Option("Other scenes, to learn from, or folders of them.")
    ] = ()
    datasets: Annotated[
        tuple[str, ...],
        _listed(
            "Public scenes in place of both, such as paviau or paviac,paviau: a part of each "
            "teaches, another judges.",
            flags=("--dataset",),
        ),
    ] = ()
    scales: Scales = ()
    """Empty: 4 for table 1 and for smoke, else 2, 4 and 8."""
    protocol: Annotated[
        str,
        Option(
            "disjoint: all networks alike, on pixels that do not judge. dacn-published: the "
            "notebooks' split and settings, leak included.",
            choices=("disjoint", "dacn-published"),
        ),
    ] = "disjoint"
    seeds: int = 1
    """Every training is repeated with the seeds 0, 1, ..."""
    own_seeds: Mapping[str, int] = field(default_factory=dict)
    """Method -> how many seeds it has, where not `seeds`."""
    budget: Annotated[
        float,
        Option(
            "Processor time of each training; on a GPU, time of the clock.",
            metavar="MINUTES",
            check=lambda minutes: minutes > 0,
            expected="more than 0 minutes",
        ),
    ] = 60.0
    recipe: Annotated[
        str,
        Option(
            "common: one loss for all, at the best of --rates. authors: loss, unit and rate of "
            "each network's authors.",
            choices=("common", "authors"),
        ),
    ] = "common"
    rates: Annotated[
        tuple[float, ...],
        _listed(
            "Learning rates that the common recipe tries.",
            lambda text: numbers_of(text, float),
            check=lambda rates: bool(rates) and min(rates) > 0,
            expected="numbers above 0 such as 1e-3,1e-4",
        ),
    ] = (1e-3, 3e-4, 1e-4)
    """Tried on held-out strips of the training scenes, each for a twelfth of the budget; a single
    one is taken as it is."""
    blurs: Annotated[
        tuple[str, ...], _listed("How judging scenes are degraded.", choices=METHODS, check=bool)
    ] = BLURS
    indoor: Annotated[
        tuple[str, ...], _listed("File names of scenes that are not remote sensing.")
    ] = ("cave-*", "stereomsi-*")
    """They are scored apart."""
    batches: Annotated[
        tuple[int, ...],
        _listed(
            "Tiles at once to measure the cost with.",
            lambda text: numbers_of(text, int),
            metavar="1,2,4,8",
            check=lambda batches: min(batches, default=1) > 0,
            expected="numbers of at least 1 such as 1,4",
        ),
    ] = BATCHES
    """Empty: the cost is not measured."""
    weights: Annotated[
        tuple[str, ...], Option("Judge these in place of training.", metavar="METHOD=FILE")
    ] = ()
    """Several of one method and scale count as seeds."""
    settings: Annotated[
        tuple[str, ...],
        Option("Change a value of the training recipe.", ("--set",), metavar="[METHOD:]KEY=VALUE"),
    ] = ()
    nodata: Nodata = None
    """In `scenes` and `train`."""
    table: Annotated[
        int | None, Option("Print this table of the paper, re-measured.", choices=(1, 2))
    ] = None
    smoke: Smoke = False
    out: Annotated[
        Path,
        Option(
            "Folder for the report and its cells. [default: report; with --speed: none]",
            ("--out", "-o"),
        ),
    ] = Path("report")
    resume: Annotated[bool, Option("Keep what is finished in --out, do the rest.")] = False
    data_dir: DataDir = None
    offline: Offline = False
    device: Device = "auto"
    threads: Threads = 1
    """Of each training and scoring."""
    overwrite: Overwrite = False
    command: str = ""
    """As typed, for the record."""

    def __post_init__(self) -> None:
        from hsisr.benchmark.methods import method_named
        from hsisr.datasets.catalogue import dataset_named

        refuse_impossible(self)
        fewest = min([self.seeds, *self.own_seeds.values()])
        if fewest < 1:
            raise UsageError(f"seeds {fewest}: expected at least 1")
        if complaints := self._contradictions():
            raise UsageError("; ".join(complaints))
        for name in (*self.methods, *self.own_seeds):
            method_named(name)
        for name in self.datasets:
            dataset_named(name)
        for text in self.weights:
            method, equals, file = text.partition("=")
            if not equals or not file:
                raise UsageError(f"--weights {text}: expected METHOD=FILE")
            method_named(method)

    def _contradictions(self) -> list[str]:
        from hsisr.datasets.splits import PUBLISHED_TESTS

        found = []
        if self.resume and self.overwrite:
            found.append("found --resume and --overwrite, expected one of them")
        if self.datasets and (self.scenes or self.train):
            found.append("--dataset brings its own scenes; leave --scenes and --train out")
        if self.smoke and (self.datasets or self.scenes or self.train):
            found.append("--smoke brings its own scene; leave --scenes, --train, --dataset out")
        if self.train and not self.scenes:
            found.append("found no scene to judge by: name other scenes with --scenes")
        named = self.datasets or (self.table is not None and not self.scenes and not self.smoke)
        only_published = named and set(self.datasets) <= set(PUBLISHED_TESTS)
        if self.protocol == "dacn-published" and not only_published:
            names = " or ".join(PUBLISHED_TESTS)
            found.append(f"--protocol dacn-published needs --dataset {names}")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedOptions:
    """What to measure, and how thoroughly."""

    scales: Scales = SCALES
    smoke: Smoke = False
    """A tiny scene and one round of each."""
    device: Device = "auto"
    threads: Threads = None
    out: Annotated[Path | None, Option("Folder for speed.json and speed.md.")] = None
    overwrite: Overwrite = False
    command: str = ""
    """As typed, for the record."""

    def __post_init__(self) -> None:
        refuse_impossible(self)

    @property
    def rounds(self) -> int:
        """How often each tile is measured."""
        return 1 if self.smoke else 9

    @property
    def scene_shape(self) -> tuple[int, int, int]:
        """(bands, rows, cols)."""
        return _SMALL if self.smoke else PAVIAU

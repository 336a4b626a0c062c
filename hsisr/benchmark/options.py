"""What to compare, on what, how long, and where to put it: the options, checked at birth."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from hsisr.benchmark.methods import method_named
from hsisr.datasets.catalogue import dataset_named
from hsisr.datasets.splits import PUBLISHED_TESTS
from hsisr.degradation import degradation_named
from hsisr.errors import UsageError
from hsisr.models.descriptor import SCALES

Protocol = Literal["disjoint", "dacn-published"]
RecipeKind = Literal["common", "authors"]
BLURS: Final = ("area", "mtf")
"""How judging scenes are degraded; names of `hsisr.degradation.DEGRADATIONS`."""
MILESTONES: Final = (1 / 12, 1 / 4, 1 / 2)
"""Shares of the budget after which weights are scored on the way: 5, 15 and 30 of 60 minutes."""
BATCHES: Final = (1, 2, 4, 8)
"""Tiles at once, as the cost is swept over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkOptions:
    """What to compare and how.

    Raises:
        UsageError: An option has an impossible value, or two contradict each other.
    """

    methods: tuple[str, ...] = ()
    """Names of `hsisr.benchmark.methods`; empty: those of `table`, else all."""
    scenes: tuple[Path, ...] = ()
    """Files and folders to judge by."""
    train: tuple[Path, ...] = ()
    """Files and folders to learn from; none of them may be among `scenes`."""
    datasets: tuple[str, ...] = ()
    """Public scenes in place of both: a part of each teaches, another judges."""
    scales: tuple[int, ...] = ()
    """Empty: 4 for table 1 and for smoke, else 2, 4 and 8."""
    protocol: Protocol = "disjoint"
    seeds: int = 1
    """Every training is repeated with the seeds 0, 1, ..."""
    own_seeds: Mapping[str, int] = field(default_factory=dict)
    """Method -> how many seeds it has, where not `seeds`."""
    budget: float = 60.0
    """Minutes of processor time of each training, the same for all; on a GPU, of the clock."""
    recipe: RecipeKind = "common"
    """common: one loss for all, and the best of `rates`. authors: the loss, unit and rate of each
    network's authors."""
    rates: tuple[float, ...] = (1e-3, 3e-4, 1e-4)
    """Learning rates that the common recipe tries on held-out strips of the training scenes, each
    for a twelfth of the budget; a single one is taken as it is."""
    blurs: tuple[str, ...] = BLURS
    indoor: tuple[str, ...] = ("cave-*", "stereomsi-*")
    """Patterns of the file names of scenes that are not remote sensing: scored apart."""
    weights: tuple[str, ...] = ()
    """METHOD=FILE: judged in place of training; several of one method and scale count as seeds."""
    settings: tuple[str, ...] = ()
    """KEY=VALUE of the recipe for all networks, METHOD:KEY=VALUE for one."""
    nodata: str | None = None
    """Number that means no data in `scenes` and `train`, or "none", whatever the files say."""
    table: int | None = None
    """1 or 2: the layout of that table of the paper."""
    batches: tuple[int, ...] = BATCHES
    """Tiles at once to measure the cost with; empty: no cost."""
    smoke: bool = False
    """A minute on the sample scene, to see that everything works."""
    out: Path = Path("report")
    resume: bool = False
    overwrite: bool = False
    device: str = "auto"
    threads: int = 1
    """Of each training and scoring."""
    data_dir: Path | None = None
    offline: bool = False
    command: str = ""
    """As typed, for the record."""

    def __post_init__(self) -> None:
        complaints = [*self._range_complaints(), *self._scene_complaints()]
        if complaints:
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
        for name in self.blurs:
            degradation_named(name)

    def _range_complaints(self) -> list[str]:
        found = [f"scale {s}: expected 2, 4 or 8" for s in self.scales if s not in SCALES]
        fewest = min([self.seeds, *self.own_seeds.values()])
        if fewest < 1:
            found.append(f"seeds {fewest}: expected at least 1")
        if not self.budget > 0:
            found.append(f"budget {self.budget:g}: expected more than 0 minutes")
        if self.protocol not in get_args(Protocol):
            known = " or ".join(get_args(Protocol))
            found.append(f"protocol {self.protocol!r}: expected {known}")
        if self.recipe not in get_args(RecipeKind):
            known = " or ".join(get_args(RecipeKind))
            found.append(f"recipe {self.recipe!r}: expected {known}")
        if not self.rates or min(self.rates) <= 0:
            found.append(f"rates {list(self.rates)}: expected numbers above 0")
        if not self.blurs:
            found.append("found no blur to judge by, expected area, mtf, gaussian or bicubic")
        if self.table not in (None, 1, 2):
            found.append(f"table {self.table}: expected 1 or 2")
        if any(batch < 1 for batch in self.batches):
            found.append(f"batches {list(self.batches)}: expected at least 1")
        if self.resume and self.overwrite:
            found.append("found --resume and --overwrite, expected one of them")
        return found

    def _scene_complaints(self) -> list[str]:
        found = []
        if self.datasets and (self.scenes or self.train):
            found.append("--dataset brings its own scenes; leave --scenes and --train out")
        if self.smoke and (self.datasets or self.scenes or self.train):
            found.append("--smoke brings its own scene; leave --scenes, --train, --dataset out")
        if self.train and not self.scenes:
            found.append("found no scene to judge by: name other scenes with --scenes")
        if self.protocol == "dacn-published" and not self._only_published():
            known = " or ".join(PUBLISHED_TESTS)
            found.append(f"--protocol dacn-published needs --dataset {known}")
        return found

    def _only_published(self) -> bool:
        known = self.table is not None and not self.scenes and not self.smoke
        return bool(self.datasets or known) and set(self.datasets) <= PUBLISHED_TESTS.keys()

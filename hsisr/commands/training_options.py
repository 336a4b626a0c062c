"""What to train on, what, how: the options of `hsisr train`, checked at birth."""

import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsisr.errors import UsageError
from hsisr.models.descriptor import SCALES
from hsisr.models.registry import is_own, known_networks
from hsisr.training.recipe import Recipe, recipe_named


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What to train on, what, how, and where to put it.

    Raises:
        UsageError: An option has an impossible value.
    """

    scenes: tuple[Path, ...] = ()
    """Files and folders to learn from."""
    dataset: str | None = None
    """A public dataset by name, beside or instead of `scenes`."""
    photographs: Path | None = None
    """Colour photographs to learn spatial detail from: a folder, or an .npz file of them."""
    val: tuple[Path, ...] = ()
    """Scenes to be judged by; without them, a part of every training scene."""
    scale: int = 4
    model: str | None = None
    """A network of `hsisr.models.registry`; None: that of `init`, else of the recipe."""
    init: str | None = None
    """Weights to start from: released ones by name, or a file."""
    recipe: str | None = None
    """A shipped recipe or a TOML file; None: `adapt` with `init`, else `any`."""
    settings: tuple[str, ...] = ()
    """Values of the recipe to change, each KEY=VALUE, such as steps=100 or network.width=32."""
    seed: int = 0
    max_minutes: float | None = None
    processor_time: bool = False
    """`max_minutes` are of the processor, all threads added up, and not of the clock."""
    milestones: tuple[float, ...] = ()
    """Shares of `max_minutes` after which the weights of the moment are kept beside the others."""
    out: Path = Path("hsisr-run")
    """Folder for weights, model card, state, run.json and learning curve."""
    resume: bool = False
    """Continue from the state in `out`."""
    overwrite: bool = False
    """Start anew although `out` holds a state."""
    device: str = "auto"
    threads: int | None = None
    variable: str | None = None
    axes: str | None = None
    nodata: str | None = None
    data_dir: Path | None = None
    offline: bool = False
    command: str = ""
    """As typed, for the record."""

    def __post_init__(self) -> None:
        complaints = []
        if not self.scenes and self.dataset is None:
            complaints.append("found no scene to learn from: name scene files or --dataset")
        if self.scale not in SCALES:
            complaints.append(f"scale {self.scale}: expected 2, 4 or 8")
        if self.model is not None and not is_own(self.model):
            known = known_networks()
            if self.model not in known:
                names = f"{', '.join(known)}, or package.module:build"
                complaints.append(f"model {self.model!r}: expected one of {names}")
        if self.max_minutes is not None and not self.max_minutes > 0:
            complaints.append(f"max-minutes {self.max_minutes:g}: expected more than 0")
        if self.seed < 0:
            complaints.append(f"seed {self.seed}: expected 0 or more")
        if complaints:
            raise UsageError("; ".join(complaints))


def chosen_recipe(options: TrainOptions) -> Recipe:
    """The recipe with the changed settings.

    Raises:
        UsageError: There is no such recipe, or a setting is unknown or impossible.
    """
    table = recipe_named(options.recipe or ("adapt" if options.init else "any")).as_dict()
    for text in options.settings:
        change = _setting(text)
        network = {**table["network"], **change.pop("network", {})}
        table = {**table, **change, "network": network}
    return Recipe.from_table(table, "--set" if options.settings else table["name"])


def _setting(text: str) -> dict[str, Any]:
    """One KEY=VALUE; a value that is not TOML is text."""
    key, equals, value = text.partition("=")
    quoted = value.strip().replace("\\", "\\\\").replace('"', '\\"')
    if equals and key.strip():
        for candidate in (text, f'{key} = "{quoted}"'):
            with suppress(tomllib.TOMLDecodeError, RecursionError):
                return tomllib.loads(candidate)
    raise UsageError(f"--set {text}: expected KEY=VALUE, such as steps=100")

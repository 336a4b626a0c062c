"""Recipes: everything that decides how a network is trained, beside the data and the network.

A recipe is a TOML table; an unknown key is an error, a missing one takes its default, and the
complete table is written beside every result.
"""

import dataclasses
import math
import tomllib
import typing
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

from hsisr.errors import UsageError

Normalisation = Literal["architecture", "none", "band"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train.

    Raises:
        UsageError: A value is impossible.
    """

    name: str = "any"
    about: str = ""
    """One sentence for lists and model cards."""

    model: str = "dacn-any"
    """Network to train where neither `--model` nor `--init` names one."""
    patches: Literal["random", "grid"] = "random"
    """random: crops anywhere, augmented. grid: the paper's fixed patches, in epochs."""
    split: Literal["held-out", "whole", "patches", "published"] = "held-out"
    """held-out: a strip at the end of each scene. whole: nothing is held out, so nothing is
    validated and the last weights are kept. patches: one grid patch in ten, none that
    touches a test window. published: that of the paper's notebooks, with its leak."""
    crop_lr_px: int = 24
    """Side of a random patch, in LR pixels; less where a scene is smaller."""
    least_crop_lr_px: int = 4
    """Scenes that cannot give a random patch of this side, in LR pixels, are left out."""
    patch_hr_px: int = 144
    """Side of a grid patch, in HR pixels."""
    flips: bool = True
    reverse_bands: bool = True
    band_steps: int = 2
    """Random patches take every n-th band, n from 1 to this."""
    coarser: tuple[int, ...] = (2,)
    """Random patches also come from each scene averaged by these factors."""
    scene_power: float = 0.5
    """Scenes are drawn in proportion to this power of their training pixels."""
    photograph_share: float = 0.0
    """Share of the random patches that are cut from `--photographs`, under random spectra."""
    photograph_px: int = 0
    """Photographs are averaged by the largest whole factor that leaves so many pixels a side;
    0: they are used as they are."""
    pseudo_share: float = 0.0
    """Share of the patches of scenes whose bands are means over runs of neighbouring bands."""
    blur_share: float = 0.0
    """Share of the random patches blurred by a Gaussian sensor (gain 0.15 to 0.4 at the LR
    Nyquist frequency) in place of the area average."""
    noise_share: float = 0.0
    """Share of the random patches with noise and stripes in the LR patch alone."""
    normalisation: Normalisation = "architecture"
    """none or band to override what the architecture asks for."""
    group_size: int = 0
    """Bands the network sees together; 0: as many as the architecture asks for."""
    network: dict[str, Any] = field(default_factory=dict)
    """Arguments of the architecture's builder to override; it checks them."""

    steps: int = 20_000
    """Optimiser steps; random patches."""
    epochs: int = 0
    """Times every grid patch is shown; grid."""
    batch_size: int = 16
    """Per process."""
    optimiser: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    """AdamW's, decoupled; see `weight_penalty` for the paper's."""
    warmup_steps: int = 100
    """The learning rate rises from 0."""
    warmup_share: float = 0.0
    """It rises over this share of the run at most, however many steps that are; 0: no limit."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """cosine: falls to a hundredth at the last step, or when --max-minutes are over."""
    clip_norm: float = 1.0
    """Longest gradient; 0: any."""
    ema_decay: float = 0.999
    """Weights are averaged over about 1 / (1 - decay) steps; 0: not at all."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the forward pass; weights and optimiser stay float32. auto: the one in which a step takes
    less time on this machine, found before the first step and kept when the run is resumed."""

    distance: Literal["l1", "mse"] = "l1"
    spatial: float = 0.5
    """Weight of spatial gradients in the loss."""
    spectral: float = 0.5
    """Weight of spectral gradients in the loss."""
    angle: float = 0.0
    """Weight of the spectral angle in the loss."""
    weight_penalty: float = 0.0
    """The paper's lambda on the sum of squared weights."""
    penalised: str = ""
    """How the names of the weights in `weight_penalty` begin, with commas between; empty: all."""
    loss_unit: Literal["normalised", "stored", "peak"] = "normalised"
    """Of the numbers in the loss. normalised: as the network sees them. stored: as in the scene.
    peak: stored, divided by the largest number of the sample."""

    validate_every: int = 500
    """Steps between validations; 0: after every epoch."""
    patience: int = 0
    """Validations without a better score before training ends; 0: no limit."""

    def __post_init__(self) -> None:
        complaints = [*self._type_complaints(), *self._range_complaints()]
        if complaints:
            raise UsageError(f"recipe {self.name!r}: {'; '.join(complaints)}")

    @classmethod
    def from_table(cls, table: dict[str, Any], source: str) -> Self:
        """Build a recipe from parsed TOML or JSON.

        Raises:
            UsageError: A key is unknown, or a value has the wrong type or is impossible.
        """
        known = [f.name for f in dataclasses.fields(cls)]
        if unknown := sorted(table.keys() - set(known)):
            raise UsageError(
                f"{source}: unknown key {unknown[0]!r}; a recipe has {', '.join(known)}"
            )
        values: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in table.items()
        }
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    def _type_complaints(self) -> list[str]:
        hints = typing.get_type_hints(type(self))
        return [
            f"{name} is {value!r}, expected {_words(hints[name])}"
            for name in hints
            if not _fits(value := getattr(self, name), hints[name])
        ]

    def _range_complaints(self) -> list[str]:
        if self._type_complaints():
            return []
        positive = (
            *("crop_lr_px", "least_crop_lr_px", "patch_hr_px", "batch_size"),
            *("learning_rate", "band_steps"),
        )
        not_negative = (
            *("group_size", "steps", "epochs", "warmup_steps", "validate_every", "patience"),
            *("weight_decay", "weight_penalty", "clip_norm", "spatial", "spectral", "angle"),
            "warmup_share",
            *("scene_power", "photograph_px"),
        )
        found = [
            f"{n} is {getattr(self, n)}, expected more than 0"
            for n in positive
            if not getattr(self, n) > 0
        ]
        found += [
            f"{n} is {getattr(self, n)}, expected 0 or more"
            for n in not_negative
            if not getattr(self, n) >= 0
        ]
        if not 0 <= self.ema_decay < 1:
            found.append(f"ema_decay is {self.ema_decay}, expected 0 to below 1")
        shares = ("photograph_share", "pseudo_share", "blur_share", "noise_share")
        found += [
            f"{n} is {getattr(self, n)}, expected 0 to 1"
            for n in shares
            if not 0 <= getattr(self, n) <= 1
        ]
        if any(factor < 2 for factor in self.coarser):
            found.append(f"coarser is {list(self.coarser)}, expected factors from 2 on")
        counted, length = (
            ("steps", self.steps) if self.patches == "random" else ("epochs", self.epochs)
        )
        if length < 1:
            found.append(f"{counted} is {length}, expected at least 1 for {self.patches} patches")
        if self.patches == "random" and self.validate_every < 1:
            found.append("validate_every is 0, which needs grid patches")
        if (self.split in ("held-out", "whole")) != (self.patches == "random"):
            found.append(f"split {self.split!r} does not go with {self.patches} patches")
        return found


def _fits(value: object, hint: Any) -> bool:
    """Whether a value has the type of a field; whole numbers pass as floats."""
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(v, int) for v in value)
    if typing.get_origin(hint) is dict:
        return isinstance(value, dict)
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return math.isfinite(value)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _words(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    words = {bool: "true or false", int: "a whole number", float: "a finite number", str: "text"}
    if typing.get_origin(hint) is dict:
        return "a table"
    return words.get(hint, "a list of whole numbers")


def shipped_recipes() -> dict[str, Recipe]:
    """The recipes that come with hsisr, by name."""
    folder = files("hsisr") / "recipes" / "train"
    found = {}
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            name = file.name.removesuffix(".toml")
            table = tomllib.loads(file.read_text(encoding="utf-8"))
            found[name] = Recipe.from_table({"name": name, **table}, file.name)
    return found


def recipe_named(name: str) -> Recipe:
    """A shipped recipe by name, or one from a TOML file.

    Raises:
        UsageError: There is none of that name, or the file cannot be used.
    """
    if not name.endswith(".toml"):
        recipes = shipped_recipes()
        if name not in recipes:
            raise UsageError(
                f"no recipe {name!r}; choose one of {', '.join(recipes)}, or give a .toml file"
            )
        return recipes[name]
    path = Path(name)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check --recipe") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: not TOML ({error}); expected lines of key = value") from error
    return Recipe.from_table({"name": path.stem, **table}, str(path))

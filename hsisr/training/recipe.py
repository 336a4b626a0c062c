"""Recipes: everything that decides how a network is trained, beside the data and the network.

A recipe is a TOML table; an unknown key is an error, a missing one takes its default, and the
complete table is written beside every result.
"""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from msgspec import Meta

from hsisr.errors import UsageError, did_you_mean, wrong_fields

Normalisation = Literal["architecture", "none", "band"]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Weight = Annotated[float, Meta(ge=0, le=1e30)]
"""Finite, as all numbers of a recipe are."""


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
    crop_lr_px: Positive = 24
    """Side of a random patch, in LR pixels; less where a scene is smaller."""
    least_crop_lr_px: Positive = 4
    """Scenes that cannot give a random patch of this side, in LR pixels, are left out."""
    patch_hr_px: Positive = 144
    """Side of a grid patch, in HR pixels."""
    flips: bool = True
    reverse_bands: bool = True
    band_steps: Positive = 2
    """Random patches take every n-th band, n from 1 to this."""
    coarser: tuple[Annotated[float, Meta(gt=1)], ...] = (2,)
    """Random patches also come from each scene averaged by these factors."""
    scene_power: Weight = 0.5
    """Scenes are drawn in proportion to this power of their training pixels."""
    photograph_share: Share = 0.0
    """Share of the random patches that are cut from `--photographs`, under random spectra."""
    photograph_px: Count = 0
    """Photographs are averaged by the largest whole factor that leaves so many pixels a side;
    0: they are used as they are."""
    pseudo_share: Share = 0.0
    """Share of the patches of scenes whose bands are means over runs of neighbouring bands."""
    blur_share: Share = 0.0
    """Share of the random patches blurred by a Gaussian sensor (gain 0.15 to 0.4 at the LR
    Nyquist frequency) in place of the area average."""
    noise_share: Share = 0.0
    """Share of the random patches with noise and stripes in the LR patch alone."""
    resampled_share: Share = 0.0
    """Share of the random patches that are blurred, or nearest neighbours of a turned grid, on both
    grids, as scenes are that were resampled to a map."""
    normalisation: Normalisation = "architecture"
    """none or band to override what the architecture asks for."""
    group_size: Count = 0
    """Bands the network sees together; 0: as many as the architecture asks for."""
    network: dict[str, Any] = field(default_factory=dict)
    """Arguments of the architecture's builder to override; it checks them."""

    steps: Count = 20_000
    """Optimiser steps; random patches."""
    epochs: Count = 0
    """Times every grid patch is shown; grid."""
    batch_size: Annotated[int, Meta(gt=0, le=65536)] = 16
    """Per process."""
    optimiser: Literal["adam", "adamw"] = "adamw"
    learning_rate: Annotated[float, Meta(gt=0, le=1e30)] = 1e-3
    weight_decay: Weight = 1e-4
    """AdamW's, decoupled; see `weight_penalty` for the paper's."""
    warmup_steps: Count = 100
    """The learning rate rises from 0."""
    warmup_share: Weight = 0.0
    """It rises over this share of the run at most, however many steps that are; 0: no limit."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """cosine: falls to a hundredth at the last step, or when --max-minutes are over."""
    clip_norm: Weight = 1.0
    """Longest gradient; 0: any."""
    ema_decay: Annotated[float, Meta(ge=0, lt=1)] = 0.999
    """Weights are averaged over about 1 / (1 - decay) steps; 0: not at all."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the forward pass; weights and optimiser stay float32. auto: the one in which a step takes
    less time on this machine, found before the first step and kept when the run is resumed."""

    distance: Literal["l1", "mse"] = "l1"
    spatial: Weight = 0.5
    """Weight of spatial gradients in the loss."""
    spectral: Weight = 0.5
    """Weight of spectral gradients in the loss."""
    angle: Weight = 0.0
    """Weight of the spectral angle in the loss."""
    weight_penalty: Weight = 0.0
    """The paper's lambda on the sum of squared weights."""
    penalised: str = ""
    """How the names of the weights in `weight_penalty` begin, with commas between; empty: all."""
    loss_unit: Literal["normalised", "stored", "peak", "bicubic"] = "normalised"
    """Of the numbers in the loss. normalised: as the network sees them. stored: as in the scene.
    peak: stored, divided by the largest number of the sample. bicubic: each band of a sample
    divided by the error of bicubic interpolation, so that a scene of little contrast counts as much
    as a sharp one, as it does in a mean of gains in decibels."""

    validate_every: Count = 500
    """Steps between validations; 0: after every epoch."""
    patience: Count = 0
    """Validations without a better score before training ends; 0: no limit."""

    def __post_init__(self) -> None:
        if complaints := wrong_fields(self) or self._contradictions():
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
                f"{source}: unknown key {unknown[0]!r}; {did_you_mean(unknown[0], known)}a recipe "
                f"has {', '.join(known)}"
            )
        values: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in table.items()
        }
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    def _contradictions(self) -> list[str]:
        """Values that do not go together."""
        found = []
        random = self.patches == "random"
        counted, length = ("steps", self.steps) if random else ("epochs", self.epochs)
        if length < 1:
            found.append(f"{counted} is {length}, expected at least 1 for {self.patches} patches")
        if random and self.validate_every < 1:
            found.append("validate_every is 0, which needs grid patches")
        if (self.split in ("held-out", "whole")) != random:
            found.append(f"split {self.split!r} does not go with {self.patches} patches")
        return found


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

"""What is compared: interpolation, a linear upsampler, every network, and DACN without its parts.

There are two recipes, and no report mixes them. `common`: all networks learn by the same loss (L1
of normalised numbers) at the best of three rates, so that architectures are compared. `authors`:
each by the loss, unit and rate of its authors, as nearly as recipes can say it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from hsisr.errors import UsageError, did_you_mean
from hsisr.models.registry import is_own, known_networks

PLAIN: Final = "bicubic"
"""In every comparison; needs no training. With agreement it is the baseline."""
LINEAR: Final = "linear"
"""A linear map from LR neighbourhoods to HR pixels, by ridge regression."""
ALL_BANDS: Final = "group_size=all"
"""A setting that becomes the most bands any scene of the comparison has."""

_PLAIN: Final = ("spatial=0.0", "spectral=0.0", "angle=0.0", "weight_penalty=0.0")
_L1: Final = ("distance=l1", *_PLAIN)
_MSE: Final = ("distance=mse", *_PLAIN)
COMMON: Final = _L1
"""The loss of all networks in the common recipe."""
_STORED: Final = ("normalisation=none", "loss_unit=stored")
_DACN: Final = (
    *("distance=mse", "spatial=1.0", "spectral=1.0", "angle=0.0"),
    *("weight_penalty=1e-4", "learning_rate=1e-3", *_STORED),
)

AUTHORS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "dacn": _DACN,  # arXiv 2506.05041, equations 17-19, raw numbers
        "dacn-any": ("distance=l1", "spatial=0.5", "spectral=0.5", "angle=1.5", "weight_penalty=0"),
        "edsr": (*_L1, "learning_rate=1e-4"),  # Lim et al., CVPRW 2017, section 3; the code's rate
        "mcnet": (*_L1, "learning_rate=1e-4"),  # the authors' code
        # without the term on its last LR residual
        "pdenet": (*_L1, "learning_rate=5e-4"),
        # without the side image that its code also fits; there 7 optimiser steps a batch
        "as3-itransunet": (*_L1, "learning_rate=1e-4"),
        "vdsr": _MSE,
        "fgin": (*_MSE, "weight_penalty=1e-4", "penalised=entry,output", *_STORED),
        "dsdcn": (*_MSE, "angle=0.5", *_STORED),  # the weight at x4; 0.1 at x2, 0.3 at x8
        # 0.5 / pi of the angle; its joint differences of rows, columns and bands taken one by one
        "msdformer": (
            *(*_L1, "spatial=0.1", "spectral=0.1", "angle=0.16"),
            *("loss_unit=peak", "learning_rate=5e-5"),
        ),
        # weights and the term on singular values were not found
        "cssfenet": (*_L1, "spatial=0.1", "spectral=0.1", "loss_unit=peak"),
        "sspsr": (*_L1, "learning_rate=1e-4"),  # without total variation of the estimate
    }
)
"""Architecture -> training of its authors, as settings of a recipe (later ones win); else L1."""

TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "as3-itransunet": "AS3 ITransUNet, repaired",
        "msfmnet": "after MSFMNet",
        "cssfenet": "after CSSFENet",
    }
)
"""What a row is called where it is not the published network itself; see its module."""


def titled(method: str) -> str:
    """What the row of a method is called."""
    return TITLES.get(method, method)


_NO_GRADIENTS: Final = ("spatial=0.0", "spectral=0.0")
_VARIANTS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "dacn-no-grouping": ("all bands as one group", (ALL_BANDS,)),
        "dacn-group-16": ("groups of 16 bands", ("group_size=16",)),
        "dacn-group-48": ("groups of 48 bands", ("group_size=48",)),
        "dacn-no-self-attention": (
            "pixels do not see each other",
            ("network.self_attention=false",),
        ),
        "dacn-no-channel-attention": (
            "channels are not weighed",
            ("network.channel_attention=false",),
        ),
        "dacn-no-custom-loss": ("MSE and weight penalty, no gradient terms", _NO_GRADIENTS),
    }
)
"""DACN's table I: name -> what it is, and what it changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One row of a comparison."""

    name: str
    arch: str | None
    """Name in the registry; None: an interpolation, which is not trained."""
    about: str
    authors: tuple[str, ...] = ()
    """Settings of the recipe that make the training of its authors."""
    changes: tuple[str, ...] = ()
    """Settings that make it a variant; they come after the others."""

    def settings(self, bands: int) -> tuple[str, ...]:
        """What it changes, with a number for `ALL_BANDS`.

        >>> method_named("dacn-no-grouping").settings(103)
        ('group_size=103',)
        """
        return tuple(f"group_size={bands}" if s == ALL_BANDS else s for s in self.changes)


def all_methods() -> dict[str, Method]:
    """Every method there is, by name, in the order of reports."""
    plain = Method(name=PLAIN, arch=None, about="cubic convolution (a = -0.5)")
    linear = Method(name=LINEAR, arch=LINEAR, about="5x5 LR pixels to HR pixels, ridge regression")
    networks = [
        Method(name=name, arch=name, about="as registered", authors=AUTHORS.get(name, _L1))
        for name in known_networks()
        if name != LINEAR
    ]
    variants = [
        Method(name=name, arch="dacn", about=about, authors=_DACN, changes=changes)
        for name, (about, changes) in _VARIANTS.items()
    ]
    return {method.name: method for method in (plain, linear, *networks, *variants)}


def method_named(name: str) -> Method:
    """Look a method up."""
    is_own(name)  # imports module:build, which is known from then on
    known = all_methods()
    if name not in known:
        hint = did_you_mean(name, known)
        raise UsageError(f"no method {name!r}; {hint}known: {', '.join(known)}")
    return known[name]

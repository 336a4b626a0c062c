"""Every network hsisr can build, by name, in one table; each is imported when it is first built.

To add a network: write its module with a class derived from `BandGroupNetwork` (or one with `of`
and `descriptor` as that has them), then add the row `"NAME": "its.module:Class"` to
`ARCHITECTURES`. That is all: `hsisr train --model`, weights files and `hsisr benchmark` know it. If
there is a form of it for inference, name that in `_FAST`.

Networks of other packages are registered by `register_model`, by an entry point of the group
`hsisr.models`, or by the user's naming them `package.module:build`. What a weights file names is
never imported.
"""

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from threading import get_ident
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from hsisr.errors import UsageError, WeightsError, did_you_mean
from hsisr.models.descriptor import ModelDescriptor, usual_descriptor
from hsisr.models.interpolation import AddsDetail, DetailOf

MOST_TENSORS: Final = 5_000
MOST_NUMBERS: Final = 10**9
"""The largest network here, edsr, has 43 million."""


_PAPERS: Final = "hsisr.models.literature."
ARCHITECTURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "dacn": "hsisr.models.dacn:Dacn",
        "dacn-any": "hsisr.models.dacn_any:DacnAny",
        "dacn-equivariant": "hsisr.models.dacn_equivariant:DacnEquivariant",
        "edsr": _PAPERS + "edsr:Edsr",
        "vdsr": _PAPERS + "vdsr:Vdsr",
        "mcnet": _PAPERS + "mcnet:Mcnet",
        "msfmnet": _PAPERS + "msfmnet:Msfmnet",
        "fgin": _PAPERS + "fgin:Fgin",
        "dsdcn": _PAPERS + "dsdcn:Dsdcn",
        "msdformer": _PAPERS + "msdformer:Msdformer",
        "as3-itransunet": _PAPERS + "as3_itransunet:As3Itransunet",
        "pdenet": _PAPERS + "pdenet:Pdenet",
        "cssfenet": _PAPERS + "cssfenet:Cssfenet",
        "sspsr": _PAPERS + "sspsr:Sspsr",
        "linear": _PAPERS + "linear:Linear",
    }
)
"""`module:Class` by the name that `ModelDescriptor.arch` gives: our own, then those of papers."""
_FAST: Final = {
    ARCHITECTURES["dacn-equivariant"]: (
        "hsisr.models.fast.dacn_equivariant:DacnEquivariantInference"
    )
}
"""The same network for inference, called with it and a precision; see `for_inference`."""


Builder = Callable[[ModelDescriptor], nn.Module]
_IMPORTABLE: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class OwnNetwork:
    """A network of another package."""

    build: Builder
    descriptor: Callable[[int], ModelDescriptor]


_OWN: Final[dict[str, OwnNetwork]] = {}


def register_model(
    name: str, build: Builder, descriptor: Callable[[int], ModelDescriptor] | None = None
) -> None:
    """Register a network under a name, for training, benchmark and upscaling in this process.

    Args:
        name: What weights files call it; a network registered before is replaced.
        build: Makes the network of a descriptor with fresh weights. Its `forward(lr, zero)` takes
            band groups, shape (n, group_size, rows, cols), and the normalised value of a stored 0,
            or None; it returns (n, group_size, rows * scale, cols * scale).
        descriptor: The settings that suit it at a scale; None: groups of 32 normalised bands and
            tiles of 32 LR pixels with 8 around them, as for the networks compared with.

    Raises:
        UsageError: A network of hsisr has that name.
    """
    if name in ARCHITECTURES:
        raise UsageError(f"{name} is a network of hsisr; choose another name")
    if descriptor is None:
        descriptor = partial(usual_descriptor, name)
    _OWN[name] = OwnNetwork(build, descriptor)


def known_networks() -> tuple[str, ...]:
    """Names of all networks: hsisr's, then those of other packages."""
    others = {*_OWN, *entry_points(group="hsisr.models").names}
    return (*ARCHITECTURES, *sorted(others - ARCHITECTURES.keys()))


def is_own(name: str) -> bool:
    """Whether a user's name is that of a network of another package; `module:build` is imported.

    A descriptor function is taken from the module's `descriptor`, if it has one. Modules in the
    current folder are found.

    Raises:
        WeightsError: The module or its function cannot be imported.
    """
    if _IMPORTABLE.fullmatch(name) and name not in _OWN:
        module, function = name.split(":")
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - text is what the list holds
        try:
            found = import_module(module)
            register_model(name, getattr(found, function), getattr(found, "descriptor", None))
        except (ImportError, AttributeError) as error:
            raise WeightsError(
                f"{name}: cannot be imported ({error}); install it, or run in its folder"
            ) from error
        finally:
            sys.path.pop(0)
    return _own_network(name) is not None


def _own_network(name: str) -> OwnNetwork | None:
    """A registered network, or one of an entry point."""
    if name not in ARCHITECTURES and name not in _OWN:
        for entry in entry_points(group="hsisr.models", name=name):
            make = entry.load()
            home = sys.modules[make.__module__]
            register_model(name, make, getattr(home, "descriptor", None))
    return _OWN.get(name)


def _require_forward(network: nn.Module, name: str) -> None:
    try:
        inspect.signature(network.forward).bind(None, None)
    except TypeError as error:
        raise WeightsError(
            f"{name}: its forward cannot be called with (lr, zero) ({error}); give it a second "
            "parameter, zero=None"
        ) from error


def descriptor_for(name: str, scale: int) -> ModelDescriptor:
    """The settings that suit a network at a scale.

    Raises:
        WeightsError: There is no such network, or it cannot be of that scale.

    >>> descriptor_for("dacn", 4).tile_lr_px
    36
    """
    if (own := _own_network(name)) is not None:
        return replace(own.descriptor(scale), arch=name)
    return _class_named(name).descriptor(scale)


def _class_named(name: str) -> Any:
    """A network's class; WeightsError: there is none of that name."""
    if (address := ARCHITECTURES.get(name)) is None:
        hint = did_you_mean(str(name), ARCHITECTURES)
        if _IMPORTABLE.fullmatch(str(name)):
            hint = f"if you trust this code, name it: --model {name}=FILE; "
        raise WeightsError(
            f"no network architecture {name!r}; {hint}known: {', '.join(sorted(ARCHITECTURES))}"
        )
    return _class_at(address)


def _class_at(address: str) -> Any:
    module, name = address.split(":")
    return getattr(import_module(module), name)


def build(descriptor: ModelDescriptor) -> nn.Module:
    """The network a descriptor names, with fresh weights.

    Raises:
        WeightsError: There is no such network, or it cannot be built as described.

    >>> type(build(descriptor_for("dacn", 2))).__name__
    'Dacn'
    """
    own = _own_network(descriptor.arch)
    make = _class_named(descriptor.arch).of if own is None else own.build
    with _bounded(descriptor.arch):
        network: nn.Module = make(descriptor)
    if own is not None:
        _require_forward(network, descriptor.arch)
    return network


@contextmanager
def _bounded(arch: str) -> Iterator[None]:
    """Refuse a network of too many tensors or parameters while it is built, in this thread.

    Each size may be within its limit, and their product not: a thousand blocks of a thousand
    layers.
    """
    builder, tensors, numbers = get_ident(), 0, 0

    def count(_: nn.Module, __: str, parameter: nn.Parameter | None) -> None:
        nonlocal tensors, numbers
        if parameter is None or get_ident() != builder:
            return
        tensors, numbers = tensors + 1, numbers + parameter.numel()
        if tensors > MOST_TENSORS or numbers > MOST_NUMBERS:
            raise WeightsError(
                f"impossible {arch}: it would have more than {MOST_TENSORS} tensors or "
                f"{MOST_NUMBERS} parameters; ask for fewer or smaller layers"
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def for_inference(
    network: nn.Module, precision: torch.dtype = torch.float32, *, detail_only: bool = False
) -> nn.Module:
    """The form of a network for inference, with its weights as they are now.

    Args:
        network: On any device, in evaluation mode; not changed.
        precision: Of autocast around the calls, if any.
        detail_only: Return what the network adds to bicubic interpolation with agreement; see
            `hsisr.models.interpolation.AddsDetail`.

    Returns:
        The fast form if there is one, on a GPU as CUDA graphs; else the network.
    """
    own = f"{type(network).__module__}:{type(network).__name__}"
    if (address := _FAST.get(own)) is None:
        return DetailOf(network) if detail_only else network
    fast: nn.Module = _class_at(address)(network, precision)
    if detail_only and isinstance(network, AddsDetail):
        fast.detail_only = True  # type: ignore[assignment]  # every fast form has it
    elif detail_only:
        fast = DetailOf(fast)
    if next(network.parameters()).device.type != "cuda":
        return fast
    from hsisr.models.fast.cuda_graph import Graphed

    return Graphed(fast)


def agrees(network: nn.Module) -> bool:
    """Whether results of a network from `for_inference` agree with the observed pixels already."""
    return bool(getattr(getattr(network, "plain", network), "agreeing", False))

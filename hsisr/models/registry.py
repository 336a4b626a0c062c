"""Every network hsisr can build, by name, in one visible table."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from threading import get_ident
from types import MappingProxyType
from typing import Final

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from hsisr.errors import WeightsError
from hsisr.models.dacn import Dacn, build_dacn, dacn_descriptor
from hsisr.models.dacn_any import DacnAny, build_dacn_any, dacn_any_descriptor
from hsisr.models.dacn_equivariant import (
    DacnEquivariant,
    build_dacn_equivariant,
    dacn_equivariant_descriptor,
)
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.fast.cuda_graph import Graphed
from hsisr.models.fast.dacn import DacnInUse
from hsisr.models.fast.dacn_any import DacnAnyInUse
from hsisr.models.fast.dacn_equivariant import DacnEquivariantInUse
from hsisr.models.literature.as3_itransunet import as3_itransunet_descriptor, build_as3_itransunet
from hsisr.models.literature.cssfenet import build_cssfenet, cssfenet_descriptor
from hsisr.models.literature.dsdcn import build_dsdcn, dsdcn_descriptor
from hsisr.models.literature.edsr import build_edsr, edsr_descriptor
from hsisr.models.literature.fgin import build_fgin, fgin_descriptor
from hsisr.models.literature.mcnet import build_mcnet, mcnet_descriptor
from hsisr.models.literature.msdformer import build_msdformer, msdformer_descriptor
from hsisr.models.literature.msfmnet import build_msfmnet, msfmnet_descriptor
from hsisr.models.literature.pdenet import build_pdenet, pdenet_descriptor
from hsisr.models.literature.vdsr import build_vdsr, vdsr_descriptor

MOST_TENSORS: Final = 5_000
MOST_NUMBERS: Final = 10**9
"""The largest network here, edsr, has 43 million."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that can be built."""

    build: Callable[[ModelDescriptor], nn.Module]
    """Makes it with fresh weights, for (n, group_size, rows, cols) tensors."""
    descriptor: Callable[[int], ModelDescriptor]
    """The settings that suit it at a scale."""


ARCHITECTURES: Final[Mapping[str, Architecture]] = MappingProxyType(
    {
        "dacn": Architecture(build_dacn, dacn_descriptor),
        "dacn-any": Architecture(build_dacn_any, dacn_any_descriptor),
        "dacn-equivariant": Architecture(build_dacn_equivariant, dacn_equivariant_descriptor),
        "edsr": Architecture(build_edsr, edsr_descriptor),
        "vdsr": Architecture(build_vdsr, vdsr_descriptor),
        "mcnet": Architecture(build_mcnet, mcnet_descriptor),
        "msfmnet": Architecture(build_msfmnet, msfmnet_descriptor),
        "fgin": Architecture(build_fgin, fgin_descriptor),
        "dsdcn": Architecture(build_dsdcn, dsdcn_descriptor),
        "msdformer": Architecture(build_msdformer, msdformer_descriptor),
        "as3-itransunet": Architecture(build_as3_itransunet, as3_itransunet_descriptor),
        "pdenet": Architecture(build_pdenet, pdenet_descriptor),
        "cssfenet": Architecture(build_cssfenet, cssfenet_descriptor),
    }
)
"""By the name that `ModelDescriptor.arch` gives: the project's own, then those of other papers."""


def build(descriptor: ModelDescriptor) -> nn.Module:
    """The network a descriptor names, with fresh weights.

    Raises:
        WeightsError: There is no such network, or it cannot be built as described.

    >>> type(build(dacn_descriptor(2))).__name__
    'Dacn'
    """
    architecture = architecture_named(descriptor.arch)
    with _bounded(descriptor.arch):
        return architecture.build(descriptor)


@contextmanager
def _bounded(arch: str) -> Iterator[None]:
    """Stop a network that grows beyond all measure while it is built, in this thread.

    Sizes that are harmless each may not be together: a thousand blocks of a thousand layers.
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
    network: nn.Module, precision: torch.dtype = torch.float32, *, agreeing: bool = False
) -> nn.Module:
    """What gives a network's numbers soonest while its weights stay as they are.

    Args:
        network: On any device, in evaluation mode; stays as it is.
        precision: Of autocast around the calls, if any.
        agreeing: Give what `back_project` would make of them, up to the rounding of `precision`,
            where that costs nothing; `agrees` tells.

    Returns:
        A leaner network where there is one, on a GPU as CUDA graphs; else the same.
    """
    lean: nn.Module
    if isinstance(network, Dacn):
        lean = DacnInUse(network, precision)
    elif isinstance(network, DacnAny):
        lean = DacnAnyInUse(network, precision, agreeing=agreeing)
    elif isinstance(network, DacnEquivariant):
        lean = DacnEquivariantInUse(network, precision)
    else:
        return network
    on_gpu = next(network.parameters()).device.type == "cuda"
    return Graphed(lean) if on_gpu else lean


def agrees(network: nn.Module) -> bool:
    """Whether what `for_inference` gave draws its result towards what it is given."""
    lean = network.plain if isinstance(network, Graphed) else network
    return isinstance(lean, (DacnAnyInUse, DacnEquivariantInUse)) and lean.agreeing


def architecture_named(name: str) -> Architecture:
    """The architecture of that name.

    Raises:
        WeightsError: There is none.
    """
    if (architecture := ARCHITECTURES.get(name)) is None:
        near = get_close_matches(str(name), ARCHITECTURES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise WeightsError(
            f"no network architecture {name!r}; {hint}known: {', '.join(sorted(ARCHITECTURES))}"
        )
    return architecture

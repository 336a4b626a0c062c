"""Every network hsisr can build, by name, in one visible table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from torch import nn

from hsisr.errors import WeightsError
from hsisr.models.dacn import build_dacn, dacn_descriptor
from hsisr.models.dacn_any import build_dacn_any, dacn_any_descriptor
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.edsr import build_edsr, edsr_descriptor


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
        "edsr": Architecture(build_edsr, edsr_descriptor),
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
    return architecture_named(descriptor.arch).build(descriptor)


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

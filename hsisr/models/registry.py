"""Every network hsisr can build, by name, in one visible table."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from torch import nn

from hsisr.errors import WeightsError
from hsisr.models.dacn import build_dacn
from hsisr.models.dacn_any import build_dacn_any
from hsisr.models.descriptor import ModelDescriptor

Builder = Callable[[ModelDescriptor], nn.Module]
"""Makes a network with fresh weights for (n, group_size, rows, cols) tensors."""

ARCHITECTURES: Final[Mapping[str, Builder]] = MappingProxyType(
    {"dacn": build_dacn, "dacn-any": build_dacn_any}
)
"""Builders by the name that `ModelDescriptor.arch` gives."""


def build(descriptor: ModelDescriptor) -> nn.Module:
    """The network a descriptor names, with fresh weights.

    Raises:
        WeightsError: There is no such network, or it cannot be built as described.

    >>> from hsisr.models.dacn import dacn_descriptor
    >>> type(build(dacn_descriptor(2))).__name__
    'Dacn'
    """
    if (builder := ARCHITECTURES.get(descriptor.arch)) is None:
        near = get_close_matches(str(descriptor.arch), ARCHITECTURES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise WeightsError(
            f"no network architecture {descriptor.arch!r}; {hint}"
            f"known: {', '.join(sorted(ARCHITECTURES))}"
        )
    return builder(descriptor)

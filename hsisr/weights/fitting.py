"""Do these tensors belong to that network? Names, shapes, types, finite values."""

from collections.abc import Mapping

import torch
from torch import nn

from hsisr.errors import WeightsError
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.registry import build

State = Mapping[str, torch.Tensor]
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)
"""Types whose every number float32 holds exactly."""


def outline(descriptor: ModelDescriptor) -> nn.Module:
    """The network a descriptor names, with shapes but neither memory nor numbers.

    Raises:
        WeightsError: No such network can be built.
    """
    try:
        with torch.device("meta"):
            return build(descriptor)
    except (TypeError, RuntimeError, OverflowError) as error:
        raise WeightsError(f"no {descriptor.arch} can be built as described: {error}") from error


def fitted(descriptor: ModelDescriptor, tensors: State, source: str) -> nn.Module:
    """The network a descriptor names, with these parameters in float32.

    Args:
        descriptor: Says which network.
        tensors: All of its state, in float32, float16 or bfloat16.
        source: Where they come from, for messages.

    Raises:
        WeightsError: There is no such network, or the parameters are not its own.
    """
    try:
        network = outline(descriptor)
    except WeightsError as error:
        raise WeightsError(f"{source}: {error}") from error
    expected = network.state_dict()
    refuse_misfits(tensors, expected, source)
    state = {key: tensors[key].to(expected[key].dtype) for key in expected}
    network.load_state_dict(state, assign=True)
    return network


def refuse_misfits(tensors: State, expected: State, source: str) -> None:
    """Return if the tensors are a whole, finite state of the network expected.

    Args:
        tensors: What was found.
        expected: The network's state; only shapes and types are looked at.
        source: Where they were found, for messages.

    Raises:
        WeightsError: Something is wrong; one message says how many of what kind, and the first.
    """
    common = [key for key in expected if key in tensors]
    mistyped = [key for key in common if not _convertible(tensors[key], expected[key])]
    found = {
        "missing": [key for key in expected if key not in tensors],
        "unexpected": [key for key in tensors if key not in expected],
        "of another shape": [
            f"{key} {tuple(tensors[key].shape)}, expected {tuple(expected[key].shape)}"
            for key in common
            if tensors[key].shape != expected[key].shape
        ],
        "of another type": [
            f"{key} {_type(tensors[key])}, expected {_type(expected[key])}" for key in mistyped
        ],
        "not finite": [key for key in common if key not in mistyped and not _finite(tensors[key])],
    }
    complaints = [f"{len(keys)} {kind} (first: {keys[0]})" for kind, keys in found.items() if keys]
    if complaints:
        raise WeightsError(
            f"{source}: the parameters are not those of the network described: "
            f"{'; '.join(complaints)}; expected {len(expected)} tensors, found {len(tensors)}"
        )


def _convertible(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """The same type, or a float that float32 holds exactly."""
    return found.dtype == expected.dtype or (
        expected.dtype == torch.float32 and found.dtype in _FLOATS
    )


def _finite(tensor: torch.Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _type(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")

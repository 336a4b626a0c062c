"""Released networks, their files and where they come from; torch is loaded with their numbers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hsisr.weights.catalogue import CatalogueEntry, default_for, released, resolve

if TYPE_CHECKING:
    from hsisr.weights.store import LoadedWeights, load_weights, save_weights

__all__ = [
    "CatalogueEntry",
    "LoadedWeights",
    "default_for",
    "load_weights",
    "released",
    "resolve",
    "save_weights",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("hsisr.weights.store"), name)

"""Released networks, their files and where they come from."""

from hsisr.weights.catalogue import CatalogueEntry, default_for, released, resolve
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

"""hsisr: single-image super-resolution of hyperspectral scenes.

The functions take the options of the command line as keywords and return typed results::

    hsisr.upscale("scene.tif", "finer.tif", scale=4, progress=True)

Each loads on first use, so that importing `hsisr` costs nothing.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsisr.commands.degrade import degrade
    from hsisr.commands.evaluation.evaluate import evaluate
    from hsisr.commands.info import info
    from hsisr.commands.options import DegradeOptions, EvaluateOptions, TrainOptions
    from hsisr.commands.python.arrays import upscale_array
    from hsisr.commands.python.functions import train, upscale
    from hsisr.engine.options import UpscaleOptions
    from hsisr.errors import HsisrError
    from hsisr.io.open import open_scene
    from hsisr.models.registry import register_model
    from hsisr.weights.model import load_model

__version__ = version("hsisr")

_HOMES = {
    name: f"hsisr.{home}"
    for home, names in {
        "commands.degrade": ("degrade",),
        "commands.evaluation.evaluate": ("evaluate",),
        "commands.info": ("info",),
        "commands.options": ("DegradeOptions", "EvaluateOptions", "TrainOptions"),
        "commands.python.arrays": ("upscale_array",),
        "commands.python.functions": ("train", "upscale"),
        "engine.options": ("UpscaleOptions",),
        "errors": ("HsisrError",),
        "io.open": ("open_scene",),
        "models.registry": ("register_model",),
        "weights.model": ("load_model",),
    }.items()
    for name in names
}
__all__ = [
    "DegradeOptions",
    "EvaluateOptions",
    "HsisrError",
    "TrainOptions",
    "UpscaleOptions",
    "__version__",
    "degrade",
    "evaluate",
    "info",
    "load_model",
    "open_scene",
    "register_model",
    "train",
    "upscale",
    "upscale_array",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hsisr' has no attribute {name!r}")
    from importlib import import_module

    globals()[name] = found = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

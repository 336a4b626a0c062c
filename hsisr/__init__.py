"""hsisr: single-image super-resolution of hyperspectral scenes.

The Python interface mirrors the command line: `hsisr.upscale` makes a finer scene file,
`hsisr.open_scene` reads any supported file by windows. Both load on first use, so that importing
`hsisr` costs nothing.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsisr.commands.upscale import upscale
    from hsisr.engine.options import UpscaleOptions
    from hsisr.io.open import open_scene

__version__ = version("hsisr")
__all__ = ["UpscaleOptions", "__version__", "open_scene", "upscale"]

_HOMES = {
    "UpscaleOptions": "hsisr.engine.options",
    "open_scene": "hsisr.io.open",
    "upscale": "hsisr.commands.upscale",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its room on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hsisr' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)

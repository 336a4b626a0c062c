"""How the output stores its numbers: data type, nodata, mask; and that it is not the input."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hsisr.errors import HsisrWarning, UsageError
from hsisr.io.base import Scene
from hsisr.io.paths import RemotePath, sibling
from hsisr.scene.quantisation import StoredNumbers, holds
from hsisr.tiling.windows import Window


def output_numbers(
    scene: Scene, stored: StoredNumbers, *, dtype: str | None, mask_possible: bool
) -> tuple[StoredNumbers, bool]:
    """The output's numbers, and whether it needs a mask of its own.

    Invalid pixels stay invalid by the means at hand, in this order: the input's nodata, NaN in
    floats, a mask in the file, a nodata value chosen here and announced.

    Args:
        scene: The input.
        stored: Its numbers, for the bands that go out.
        dtype: Another data type, if wanted.
        mask_possible: The output's format can hold a mask.

    Warns:
        HsisrWarning: A nodata value was chosen, or numbers of this type lose digits.
    """
    target = replace(stored, dtype=np.dtype(dtype or stored.dtype).newbyteorder("="))
    if not stored.exact_in_float32:
        warnings.warn(
            f"{scene.path.name}: {stored.dtype} numbers are computed in float32, which keeps "
            "24 bits; larger ones lose their last digits",
            HsisrWarning,
            stacklevel=2,
        )
    if target.nodata is not None:
        return _with_fitting_nodata(scene, target), False
    if target.dtype.kind == "f":
        return target, False
    may_be_invalid = stored.dtype.kind == "f" or _has_mask(scene)
    if not may_be_invalid:
        return target, False
    if mask_possible and stored.dtype.kind != "f":
        return target, True
    chosen = _spare_number(target.dtype)
    warnings.warn(
        f"{scene.path.name} names no nodata; {chosen:g} marks invalid pixels in the output",
        HsisrWarning,
        stacklevel=2,
    )
    return replace(target, nodata=chosen), False


def refuse_same_file(source: Path, output: Path) -> None:
    """An input is never its own output, overwrite or not; an ENVI pair counts as one file.

    Raises:
        UsageError: They are the same.
    """
    if isinstance(source, RemotePath) or isinstance(output, RemotePath):
        same = source == output
    else:
        same = source.exists() and output.exists() and source.samefile(output)
    pair = {".hdr", ".img", ".dat", ".raw", ".bsq", ".bil", ".bip", ""}
    if not same and {source.suffix.lower(), output.suffix.lower()} <= pair:
        same = _without_suffix(source) == _without_suffix(output)
    if same:
        raise UsageError(f"{output} is the input itself; name another output")


def _without_suffix(path: Path) -> Path:
    return (
        sibling(path, path.stem) if isinstance(path, RemotePath) else path.with_suffix("").resolve()
    )


def _with_fitting_nodata(scene: Scene, target: StoredNumbers) -> StoredNumbers:
    nodata = target.nodata
    if nodata is None or target.dtype.kind == "f":
        return target
    if holds(target.dtype, nodata):
        return target
    chosen = _spare_number(target.dtype)
    if not np.isnan(nodata):
        warnings.warn(
            f"{scene.path.name}: nodata {nodata:g} does not fit {target.dtype}; {chosen:g} marks "
            "invalid pixels in the output",
            HsisrWarning,
            stacklevel=2,
        )
    return replace(target, nodata=chosen)


def _has_mask(scene: Scene) -> bool:
    return scene.read_mask(Window(0, 0, 1, 1)) is not None


def _spare_number(dtype: np.dtype[Any]) -> float:
    """The number least likely to be data: the lowest of signed types, else the highest."""
    info = np.iinfo(dtype)
    return float(info.min if dtype.kind == "i" else info.max)

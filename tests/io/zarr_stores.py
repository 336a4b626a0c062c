"""Zarr stores as other programs write them, and stores broken on purpose."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr

Version = Literal[2, 3]


def write_store(
    path: Path,
    arrays: Mapping[str, tuple[tuple[str, ...], Any]],
    *,
    version: Version = 2,
    attributes: Mapping[str, Mapping[str, Any]] | None = None,
    chunks: tuple[int, ...] | None = None,
) -> Path:
    """A group of arrays, each with the names of its dimensions, the way xarray writes them."""
    group = zarr.create_group(path, zarr_format=version)
    for name, (dimensions, values) in arrays.items():
        numbers = np.asarray(values)
        array = group.create_array(
            name,
            shape=numbers.shape,
            dtype=numbers.dtype,
            chunks=chunks if chunks and numbers.ndim == len(chunks) else "auto",
            dimension_names=dimensions if version == 3 else None,
        )
        array[...] = numbers
        own = {"_ARRAY_DIMENSIONS": list(dimensions)} if version == 2 else {}
        array.attrs.update({**own, **(attributes or {}).get(name, {})})
    return path


def edit_json(file: Path, **changes: Any) -> None:
    """Change a metadata file of a store, and forget the copies of it."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    for folder in file.parents:
        (folder / ".zmetadata").unlink(missing_ok=True)

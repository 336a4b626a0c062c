"""Files as Keras 3 writes them, made from the formulas of the reference."""

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np

from tests.models.formulas import Array, formula, keras_weights


def arrays_of(scale: int) -> dict[str, Array]:
    return {w.path: formula(k, w) for k, w in enumerate(keras_weights(scale))}


def hdf5(arrays: dict[str, Array]) -> bytes:
    """`model.weights.h5` of a trained network: its arrays, and those of its optimizer."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for path, array in arrays.items():
            file[path] = array
        file["optimizer/vars/0"] = np.int64(7)
        file["optimizer/vars/1"] = np.float32(1e-3)
        file.create_group("vars")
    return buffer.getvalue()


def archive(path: Path, data: bytes, *, config: str | None = "{}") -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", "{}")
        if config is not None:
            file.writestr("config.json", config)
        file.writestr("model.weights.h5", data)
    return path

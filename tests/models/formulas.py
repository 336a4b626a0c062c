"""The notebooks' network filled by the reference's formulas (see `formula`), as Keras has it."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Array = npt.NDArray[np.float32]
HEADS = 4


@dataclass(frozen=True)
class Weight:
    """One Keras array: dataset path in a file, kind, shape, and the axes' order in torch."""

    path: str
    kind: str
    shape: tuple[int, ...]
    matrix: tuple[int, ...] | None = None
    """Shape to flatten to before the axes are moved."""
    axes: tuple[int, ...] | None = None


def keras_weights(scale: int) -> list[Weight]:
    """All weights in the order of the network's layers, named as in `model.weights.h5`."""
    weights: list[Weight] = []
    channels = 32
    for n, features in enumerate((32, 64, 128)):
        weights += _block(n, channels, features)
        channels = 2 * features
    for n, features in enumerate((256, 128, 16)[: scale.bit_length() - 1]):
        weights += _upsampling(n, channels, features)
        channels = 2 * features
    return [*weights, *_convolution(6, 3, channels, 32)]


def _name(kind: str, number: int) -> str:
    return f"layers/{kind}" + (f"_{number}" if number else "")


def _convolution(n: int, side: int, channels: int, features: int) -> Iterator[Weight]:
    path, shape = _name("conv2d", n), (side, side, channels, features)
    yield Weight(f"{path}/vars/0", "kernel", shape, axes=(3, 2, 0, 1))
    yield Weight(f"{path}/vars/1", "shift", (features,))


def _transposed(n: int, channels: int, features: int) -> Iterator[Weight]:
    path, shape = _name("conv2d_transpose", n), (4, 4, features, channels)
    yield Weight(f"{path}/vars/0", "kernel", shape, axes=(3, 2, 0, 1))
    yield Weight(f"{path}/vars/1", "shift", (features,))


def _norm(path: str, features: int, kinds: tuple[str, ...]) -> Iterator[Weight]:
    for n, kind in enumerate(kinds):
        yield Weight(f"{path}/vars/{n}", kind, (features,))


def _attention(n: int, features: int) -> Iterator[Weight]:
    path, depth = _name("multi_head_attention", n), features // HEADS
    square = (features, features)
    for part in ("query", "key", "value"):
        shape = (features, HEADS, depth)
        yield Weight(f"{path}/{part}_dense/vars/0", "kernel", shape, square, (1, 0))
        yield Weight(f"{path}/{part}_dense/vars/1", "shift", (HEADS, depth), (features,))
    shape = (HEADS, depth, features)
    yield Weight(f"{path}/output_dense/vars/0", "kernel", shape, square, (1, 0))
    yield Weight(f"{path}/output_dense/vars/1", "shift", (features,))


def _dense(n: int, channels: int, features: int) -> Iterator[Weight]:
    path = _name("dense", n)
    yield Weight(f"{path}/vars/0", "kernel", (channels, features), axes=(1, 0))
    yield Weight(f"{path}/vars/1", "shift", (features,))


BATCH_NORM = ("gain", "shift", "shift", "variance")


def _block(n: int, channels: int, features: int) -> Iterator[Weight]:
    yield from _convolution(2 * n, 3, channels, features)
    yield from _norm(_name("batch_normalization", n), features, BATCH_NORM)
    yield from _attention(n, features)
    yield from _norm(_name("layer_normalization", n), features, ("gain", "shift"))
    yield from _dense(2 * n, features, features // 2)
    yield from _dense(2 * n + 1, features // 2, features)
    yield from _convolution(2 * n + 1, 1, channels, features)


def _upsampling(n: int, channels: int, features: int) -> Iterator[Weight]:
    yield from _transposed(2 * n, channels, features)
    yield from _norm(_name("batch_normalization", 3 + n), features, BATCH_NORM)
    yield from _transposed(2 * n + 1, channels, features)


def formula(k: int, weight: Weight) -> Array:
    """Values of weight `k`, in Keras' shape."""
    size = int(np.prod(weight.shape))
    i = np.arange(size, dtype=np.float64)
    f = np.sin(12.9898 * (i % 9973) + 78.233 * (k % 97)) * 43758.5453
    u = (f - np.floor(f) - 0.5).reshape(weight.shape)
    values = {
        "kernel": u * np.sqrt(12 / max(1, size // weight.shape[-1])),
        "shift": 0.2 * u,
        "gain": 1 + 0.4 * u,
        "variance": 1 + 0.5 * u,
    }
    return np.asarray(values[weight.kind], np.float32)


def fill(network: nn.Module, scale: int) -> None:
    """Fill a `dacn` by the formulas; its state has the same order as Keras' weights."""
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("tracked")}
    for k, (key, weight) in enumerate(zip(state, keras_weights(scale), strict=True)):
        values = formula(k, weight).reshape(weight.matrix or weight.shape)
        moved = values.transpose(weight.axes) if weight.axes else values
        assert moved.shape == tuple(state[key].shape), key
        with torch.no_grad():
            state[key].copy_(torch.from_numpy(np.ascontiguousarray(moved)))


def formula_input(rows: int, cols: int) -> torch.Tensor:
    """The reference input, shape (1, 32, rows, cols)."""
    i = np.arange(rows * cols * 32)
    values = (np.sin(0.013 * i) + 0.5 * np.cos(0.171 * i)).reshape(rows, cols, 32)
    return torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1)[None]


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

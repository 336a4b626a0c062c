"""Weights in the authors' `.keras` files, which no Keras is needed to read.

Such a file is a zip archive with `config.json` and `model.weights.h5`. Only the numbers in the
latter are read; nothing in the archive is executed. Keras numbers the layers of a kind in the order
of the network, and has the axes of kernels the other way round from PyTorch.
"""

import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hsisr.errors import WeightsError
from hsisr.models.dacn import BLOCK_FEATURES, UPSAMPLING_FEATURES, Dacn
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.layers import HEADS
from hsisr.weights.store import KERAS_MEMBERS, ZIP, first_bytes, fitted

MAX_MEMBER_BYTES: Final = 2**28
"""A trained x8 network with its optimizer's state takes 56 MB."""
MAX_COMPRESSION: Final = 1000
_PIECE: Final = 1 << 20

_BATCH_NORM: Final = ("weight", "bias", "running_mean", "running_var")
_AFFINE: Final = ("weight", "bias")


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer in both worlds."""

    keras: str
    """Group in the file, which has the arrays `vars/0`, `vars/1`, ..."""
    torch: str
    """Prefix in the network's state."""
    variables: tuple[str, ...] = _AFFINE


def import_keras(path: str | Path) -> tuple[nn.Module, ModelDescriptor]:
    """Read a `.keras` file of the published notebooks into the `notebook` variant of `dacn`.

    Its scale is told by the number of its transposed convolutions.

    Returns:
        The network in evaluation mode, and its descriptor.

    Raises:
        WeightsError: The file is not one, is damaged, is unreasonably large, or holds another
            network.
    """
    path = Path(path)
    arrays = _arrays(path, _weights_member(path))
    descriptor = Dacn.descriptor(_scale(path, arrays), "notebook")
    layers = tuple(_layers(descriptor.scale))
    _refuse_unknown(path, arrays, layers)
    state = {
        f"{layer.torch}.num_batches_tracked": torch.zeros((), dtype=torch.long)
        for layer in layers
        if layer.variables is _BATCH_NORM
    }
    for layer in layers:
        for number, variable in enumerate(layer.variables):
            name = f"{layer.torch}.{variable}"
            array = arrays.get(f"{layer.keras}/vars/{number}")
            if array is not None:
                state[name] = _in_torch_order(array, f"{path}: {layer.keras}")
    return fitted(descriptor, state, str(path)).eval(), descriptor


def _weights_member(path: Path) -> bytes:
    """The HDF5 file inside the archive."""
    if not first_bytes(path, len(ZIP)).startswith(ZIP):
        raise WeightsError(
            f"{path}: not a .keras file (a zip archive); give the file as Keras wrote it"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_odd_members(path, archive)
            # in pieces, for a read of all unpacks what is there, whatever size it says
            with archive.open(KERAS_MEMBERS[1]) as member:
                return b"".join(iter(lambda: member.read(_PIECE), b""))
    except WeightsError:
        raise
    except (RuntimeError, ValueError) as error:  # encrypted, exotic
        raise WeightsError(f"{path}: cannot be unpacked ({error}); copy it again") from error
    except Exception as error:  # of a dozen kinds
        raise WeightsError(f"{path}: a damaged zip archive ({error}); copy it again") from error


def _refuse_odd_members(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse what would unpack to more than any network needs, or has not what Keras writes."""
    for member in archive.infolist():
        ratio = member.file_size / max(1, member.compress_size)
        if member.file_size > MAX_MEMBER_BYTES or ratio > MAX_COMPRESSION:
            raise WeightsError(
                f"{path}: {member.filename!r} would unpack to {member.file_size} bytes, "
                f"{ratio:.0f} times its size; expected at most {MAX_MEMBER_BYTES} bytes and "
                f"{MAX_COMPRESSION} times; get the file from where it was published"
            )
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise WeightsError(  # LZMA takes as much memory as a member says
                f"{path}: {member.filename!r} is packed in another way than Keras packs; give the "
                "file as Keras wrote it"
            )
    if missing := [name for name in KERAS_MEMBERS if name not in archive.namelist()]:
        raise WeightsError(
            f"{path}: no {missing[0]} in the archive; expected a .keras file of Keras 3"
        )


def _arrays(path: Path, data: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """Every array below `layers/`, by its path; the optimizer's state is left alone."""
    arrays: dict[str, npt.NDArray[np.float32]] = {}

    def take(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and name.startswith("layers/"):
            arrays[name] = _plain_array(item, sum(array.nbytes for array in arrays.values()))

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            file.visititems(take)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, WeightsError):
            raise WeightsError(f"{path}: {error}") from error
        raise WeightsError(f"{path}: its model.weights.h5 is damaged ({error})") from error
    return arrays


def _plain_array(dataset: h5py.Dataset, taken: int) -> npt.NDArray[np.float32]:
    """Numbers that lie in the file itself, no more of them than a network has."""
    if dataset.external or dataset.is_virtual:
        raise WeightsError(f"{dataset.name} refers to another file; expected numbers")
    if dataset.dtype not in (np.float16, np.float32):
        raise WeightsError(f"{dataset.name} holds {dataset.dtype}; expected float32")
    if dataset.size is None or taken + dataset.size * 4 > MAX_MEMBER_BYTES:
        raise WeightsError(f"{dataset.name} has the impossible shape {dataset.shape}")
    if math.prod(dataset.chunks or ()) * 4 > MAX_MEMBER_BYTES:
        raise WeightsError(f"{dataset.name} lies in chunks of the impossible size {dataset.chunks}")
    return np.asarray(dataset[()], np.float32)


def _scale(path: Path, arrays: Mapping[str, object]) -> int:
    """HR pixels per LR pixel: each upsampling has two transposed convolutions and doubles it."""
    found = {name.split("/")[1] for name in arrays if name.startswith("layers/conv2d_transpose")}
    upsamplings, odd = divmod(len(found), 2)
    if odd or not 1 <= upsamplings <= len(UPSAMPLING_FEATURES):
        raise WeightsError(
            f"{path}: found {len(found)} transposed convolutions; expected the published dacn with "
            "2, 4 or 6 (x2, x4, x8)"
        )
    return int(2**upsamplings)


def _layers(scale: int) -> Iterator[_Layer]:
    """All layers of the network, in Keras' numbering."""
    for n in range(len(BLOCK_FEATURES)):
        block = f"blocks.{n}"
        yield _Layer(_numbered("conv2d", 2 * n), f"{block}.convolution")
        yield _Layer(_numbered("conv2d", 2 * n + 1), f"{block}.skip")
        yield _Layer(_numbered("batch_normalization", n), f"{block}.batch_norm", _BATCH_NORM)
        yield _Layer(_numbered("layer_normalization", n), f"{block}.layer_norm")
        attention = _numbered("multi_head_attention", n)
        for part in ("query", "key", "value", "output"):
            yield _Layer(f"{attention}/{part}_dense", f"{block}.pixel_attention.{part}")
        yield _Layer(_numbered("dense", 2 * n), f"{block}.channel_attention.squeeze")
        yield _Layer(_numbered("dense", 2 * n + 1), f"{block}.channel_attention.excite")
    for n in range(scale.bit_length() - 1):
        block, norm = f"upsampling.{n}", _numbered("batch_normalization", len(BLOCK_FEATURES) + n)
        yield _Layer(_numbered("conv2d_transpose", 2 * n), f"{block}.convolution")
        yield _Layer(norm, f"{block}.batch_norm", _BATCH_NORM)
        yield _Layer(_numbered("conv2d_transpose", 2 * n + 1), f"{block}.skip")
    yield _Layer(_numbered("conv2d", 2 * len(BLOCK_FEATURES)), "output")


def _numbered(kind: str, number: int) -> str:
    """Path of the n-th layer of a kind.

    >>> _numbered("dense", 0), _numbered("dense", 1)
    ('layers/dense', 'layers/dense_1')
    """
    return f"layers/{kind}_{number}" if number else f"layers/{kind}"


def _refuse_unknown(path: Path, arrays: Mapping[str, object], layers: tuple[_Layer, ...]) -> None:
    """Refuse layers that dacn does not have; their absence would change what it computes."""
    known = {f"{layer.keras}/vars/{n}" for layer in layers for n, _ in enumerate(layer.variables)}
    if unknown := sorted(arrays.keys() - known):
        raise WeightsError(
            f"{path}: found {len(unknown)} arrays that dacn does not have (first: {unknown[0]}); "
            "only networks of the published notebooks can be imported"
        )


def _in_torch_order(array: npt.NDArray[np.float32], layer: str) -> torch.Tensor:
    """An array with its axes as PyTorch has them.

    Convolutions (rows, cols, in, out) -> (out, in, rows, cols), transposed ones (rows, cols, out,
    in) -> (in, out, rows, cols), dense layers (in, out) -> (out, in), and the heads of an attention
    flattened into one axis of features.
    """
    if "multi_head_attention" in layer:
        array = _without_heads(array, layer)
    order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim, tuple(range(array.ndim)))
    return torch.from_numpy(np.ascontiguousarray(array.transpose(order)))


def _without_heads(array: npt.NDArray[np.float32], layer: str) -> npt.NDArray[np.float32]:
    """The array of an attention with heads and depth as one axis; another number is refused."""
    output = layer.endswith("output_dense")
    if output and array.ndim == 1:
        return array
    heads = array.shape[0 if output or array.ndim < 3 else 1] if array.ndim else 0
    if array.ndim not in (2, 3) or heads != HEADS:
        raise WeightsError(f"{layer} has shape {array.shape}; expected {HEADS} heads")
    if array.ndim == 2:  # a bias: (heads, depth)
        return array.reshape(-1)
    # (heads, depth, out) or (in, heads, depth)
    return array.reshape(-1, array.shape[-1]) if output else array.reshape(len(array), -1)

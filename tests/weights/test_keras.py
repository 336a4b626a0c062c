"""Reading files as Keras 3 writes them, and refusing others."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hsisr.errors import WeightsError
from hsisr.models.dacn import Dacn
from hsisr.weights.keras import import_keras
from tests.models.formulas import Array, archive, arrays_of, fill, formula_input, hdf5


@pytest.fixture(scope="module")
def x2() -> dict[str, Array]:
    return arrays_of(2)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_an_imported_network_is_the_one_that_was_saved(scale: int, tmp_path: Path) -> None:
    path = archive(tmp_path / "saved_model.keras", hdf5(arrays_of(scale)))
    network, descriptor = import_keras(path)
    assert descriptor == Dacn.descriptor(scale, "notebook")
    assert not network.training
    direct = Dacn.of(descriptor).eval()
    fill(direct, scale)
    with torch.inference_mode():
        assert torch.equal(network(formula_input(3, 5)), direct(formula_input(3, 5)))


ATTENTION = "layers/multi_head_attention/{}_dense/vars/0"
CHANGES: dict[str, tuple[dict[str, Array | tuple[int, ...] | None], str]] = {
    "without a bias": ({"layers/conv2d_6/vars/1": None}, r"1 missing \(first: output\.bias\)"),
    "another layer": (
        {"layers/dropout/vars/0": np.ones(3, "f4")},
        r"1 arrays that dacn does not have \(first: layers/dropout/vars/0\)",
    ),
    "odd upsampling": (
        {f"layers/conv2d_transpose_1/vars/{n}": None for n in (0, 1)},
        "found 1 transposed convolutions; expected .* 2, 4 or 6",
    ),
    "other heads": (
        {ATTENTION.format("query"): (32, 8, 4)},
        r"query_dense has shape \(32, 8, 4\); expected 4 heads",
    ),
    "other heads of the output": (
        {ATTENTION.format("output"): (8, 4, 32)},
        r"output_dense has shape \(8, 4, 32\); expected 4 heads",
    ),
    "an attention of one number": (
        {ATTENTION.format("query"): np.ones((), "f4")},
        r"query_dense has shape \(\); expected 4 heads",
    ),
    "another shape": (
        {"layers/dense/vars/0": (16, 32)},
        r"1 of another shape \(first: blocks\.0\.channel_attention\.squeeze",
    ),
    "not finite": (
        {"layers/dense/vars/1": np.full(16, np.nan, "f4")},
        r"1 not finite \(first: blocks\.0\.channel_attention\.squeeze\.bias",
    ),
    "integers": (
        {"layers/dense/vars/1": np.ones(16, "i4")},
        "/layers/dense/vars/1 holds int32; expected float32",
    ),
}
"""Arrays in place of those of a network, their new shapes, or None for those left out."""


@pytest.mark.parametrize("what", CHANGES)
def test_other_networks_are_refused(what: str, x2: dict[str, Array], tmp_path: Path) -> None:
    changes, complaint = CHANGES[what]
    changed = {
        name: x2[name].reshape(c) if isinstance(c, tuple) else c for name, c in changes.items()
    }
    arrays = {name: array for name, array in {**x2, **changed}.items() if array is not None}
    with pytest.raises(WeightsError, match=rf"odd\.keras: .*{complaint}"):
        import_keras(archive(tmp_path / "odd.keras", hdf5(arrays)))


@pytest.mark.parametrize("data", [b"", b"not HDF5", b"\x89HDF\r\n\x1a\n and no more"])
def test_a_damaged_member_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"its model\.weights\.h5 is damaged"):
        import_keras(archive(tmp_path / "odd.keras", data))


def test_a_changed_byte_is_noticed(x2: dict[str, Array], tmp_path: Path) -> None:
    path = archive(tmp_path / "odd.keras", hdf5(x2))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"a damaged zip archive .*Bad CRC-32"):
        import_keras(path)


def test_an_encrypted_archive_is_refused(x2: dict[str, Array], tmp_path: Path) -> None:
    path = archive(tmp_path / "locked.keras", hdf5(x2))
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.rindex(mark) + flags] |= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"cannot be unpacked \(.*encrypted"):
        import_keras(path)

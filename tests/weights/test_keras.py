"""Reading files as Keras 3 writes them, and refusing others."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from hsisr.errors import WeightsError
from hsisr.models.dacn import build_dacn, dacn_descriptor
from hsisr.weights import load_weights, save_weights
from hsisr.weights.keras import import_keras
from tests.models.formulas import Array, fill, formula_input
from tests.weights.keras_files import archive, arrays_of, hdf5


@pytest.fixture(scope="module")
def x2() -> dict[str, Array]:
    return arrays_of(2)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_an_imported_network_is_the_one_that_was_saved(scale: int, tmp_path: Path) -> None:
    path = archive(tmp_path / "saved_model.keras", hdf5(arrays_of(scale)))
    network, descriptor = import_keras(path)
    assert descriptor == dacn_descriptor(scale, "notebook")
    assert not network.training
    direct = build_dacn(descriptor).eval()
    fill(direct, scale)
    with torch.inference_mode():
        assert torch.equal(network(formula_input(3, 5)), direct(formula_input(3, 5)))


def test_an_imported_network_can_be_saved_and_loaded(x2: dict[str, Array], tmp_path: Path) -> None:
    network, descriptor = import_keras(archive(tmp_path / "a.keras", hdf5(x2)))
    loaded = load_weights(save_weights(tmp_path / "a.safetensors", network, descriptor))
    with torch.inference_mode():
        assert torch.equal(loaded.network(formula_input(3, 5)), network(formula_input(3, 5)))


def test_the_other_loader_points_to_the_import(x2: dict[str, Array], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"a Keras file; .*hsisr weights import"):
        load_weights(archive(tmp_path / "a.keras", hdf5(x2)))


def _without_bias(arrays: dict[str, Array]) -> None:
    del arrays["layers/conv2d_6/vars/1"]


def _extra_layer(arrays: dict[str, Array]) -> None:
    arrays["layers/dropout/vars/0"] = np.ones(3, np.float32)


def _odd_upsampling(arrays: dict[str, Array]) -> None:
    del arrays["layers/conv2d_transpose_1/vars/0"]
    del arrays["layers/conv2d_transpose_1/vars/1"]


def _other_heads(arrays: dict[str, Array]) -> None:
    kernel = arrays["layers/multi_head_attention/query_dense/vars/0"]
    arrays["layers/multi_head_attention/query_dense/vars/0"] = kernel.reshape(32, 8, 4)


def _other_output_heads(arrays: dict[str, Array]) -> None:
    kernel = arrays["layers/multi_head_attention/output_dense/vars/0"]
    arrays["layers/multi_head_attention/output_dense/vars/0"] = kernel.reshape(8, 4, 32)


def _scalar_attention(arrays: dict[str, Array]) -> None:
    arrays["layers/multi_head_attention/query_dense/vars/0"] = np.ones((), np.float32)


def _other_shape(arrays: dict[str, Array]) -> None:
    arrays["layers/dense/vars/0"] = arrays["layers/dense/vars/0"].T.copy()


def _not_finite(arrays: dict[str, Array]) -> None:
    arrays["layers/dense/vars/1"] = np.full(16, np.nan, np.float32)


def _integers(arrays: dict[str, Array]) -> None:
    arrays["layers/dense/vars/1"] = np.ones(16, np.int32)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (_without_bias, r"1 missing \(first: output\.bias\)"),
        (_extra_layer, r"1 arrays that dacn does not have \(first: layers/dropout/vars/0\)"),
        (_odd_upsampling, "found 1 transposed convolutions; expected .* 2, 4 or 6"),
        (_other_heads, r"query_dense has shape \(32, 8, 4\); expected 4 heads"),
        (_other_output_heads, r"output_dense has shape \(8, 4, 32\); expected 4 heads"),
        (_scalar_attention, r"query_dense has shape \(\); expected 4 heads"),
        (_other_shape, r"1 of another shape \(first: blocks\.0\.channel_attention\.squeeze"),
        (_not_finite, r"1 not finite \(first: blocks\.0\.channel_attention\.squeeze\.bias"),
        (_integers, "/layers/dense/vars/1 holds int32; expected float32"),
    ],
)
def test_other_networks_are_refused(
    spoil: Callable[[dict[str, Array]], None],
    complaint: str,
    x2: dict[str, Array],
    tmp_path: Path,
) -> None:
    arrays = dict(x2)
    spoil(arrays)
    with pytest.raises(WeightsError, match=rf"odd\.keras: .*{complaint}"):
        import_keras(archive(tmp_path / "odd.keras", hdf5(arrays)))


def test_a_file_that_is_not_a_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.keras"
    path.write_bytes(hdf5({}))
    with pytest.raises(WeightsError, match=r"odd\.keras: not a \.keras file \(a zip archive\)"):
        import_keras(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.keras: no such weights file"):
        import_keras(tmp_path / "none.keras")


def test_another_archive_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "odd.keras", b"", config=None)
    with pytest.raises(WeightsError, match=r"no config\.json in the archive"):
        import_keras(path)


@pytest.mark.parametrize("data", [b"", b"not HDF5", b"\x89HDF\r\n\x1a\n and no more"])
def test_a_damaged_member_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"its model\.weights\.h5 is damaged"):
        import_keras(archive(tmp_path / "odd.keras", data))


def test_a_truncated_archive_is_refused(x2: dict[str, Array], tmp_path: Path) -> None:
    path = archive(tmp_path / "odd.keras", hdf5(x2))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="a damaged zip archive"):
        import_keras(path)


def test_a_changed_byte_is_noticed(x2: dict[str, Array], tmp_path: Path) -> None:
    path = archive(tmp_path / "odd.keras", hdf5(x2))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"a damaged zip archive .*Bad CRC-32"):
        import_keras(path)


def test_an_archive_that_blows_up_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr("config.json", "{}")
        file.writestr("model.weights.h5", b"\0" * 10_000_000)
    with pytest.raises(WeightsError, match=r"would unpack to 10000000 bytes, .* times its size"):
        import_keras(path)


def test_an_archive_that_claims_gigabytes_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "liar.keras", b"\0" * 2_000_000)
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")  # the last member's entry in the central directory
    data[entry + 24 : entry + 28] = struct.pack("<I", 2_000_000_000)
    path.write_bytes(data)
    with pytest.raises(
        WeightsError, match=r"'model\.weights\.h5' would unpack to 2000000000 bytes"
    ):
        import_keras(path)


def test_numbers_outside_the_file_are_refused(x2: dict[str, Array], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"\0" * 64)
    inner = tmp_path / "inner.h5"
    inner.write_bytes(hdf5({k: v for k, v in x2.items() if k != "layers/dense/vars/1"}))
    with h5py.File(inner, "a") as file:
        outside = [(str(tmp_path / "elsewhere"), 0, 64)]
        file.create_dataset("layers/dense/vars/1", (16,), "f4", external=outside)
    with pytest.raises(WeightsError, match="/layers/dense/vars/1 refers to another file"):
        import_keras(archive(tmp_path / "odd.keras", inner.read_bytes()))


def test_a_dataset_of_impossible_size_is_refused(x2: dict[str, Array], tmp_path: Path) -> None:
    inner = tmp_path / "inner.h5"
    inner.write_bytes(hdf5({k: v for k, v in x2.items() if k != "layers/dense/vars/1"}))
    with h5py.File(inner, "a") as file:  # chunks that are never written take no space
        file.create_dataset("layers/dense/vars/1", (10**12,), "f4", chunks=(1000,))
    with pytest.raises(WeightsError, match=r"has the impossible shape \(1000000000000,\)"):
        import_keras(archive(tmp_path / "odd.keras", inner.read_bytes()))


def test_an_encrypted_archive_is_refused(x2: dict[str, Array], tmp_path: Path) -> None:
    path = archive(tmp_path / "locked.keras", hdf5(x2))
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.rindex(mark) + flags] |= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"cannot be unpacked \(.*encrypted"):
        import_keras(path)

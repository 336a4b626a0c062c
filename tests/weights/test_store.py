"""Safetensors files: what is saved comes back; what is not a network's file is refused."""

import io
import json
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hsisr.errors import OutputExistsError, WeightsError
from hsisr.models.dacn import Dacn
from hsisr.weights import CatalogueEntry, load_weights, save_weights
from hsisr.weights.store import file_sha256

DESCRIPTOR = Dacn.descriptor(2)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(3)
    return Dacn.of(DESCRIPTOR)


@pytest.fixture
def saved(network: nn.Module, tmp_path: Path) -> Path:
    return save_weights(tmp_path / "some.safetensors", network, DESCRIPTOR, card={"by": "a test"})


def write(path: Path, state: dict[str, torch.Tensor], descriptor: Any = None) -> Path:
    """A safetensors file with any state and any descriptor, however wrong."""
    facts = {"descriptor": descriptor or asdict(DESCRIPTOR), "card": {}}
    save_file(state, path, metadata={"hsisr": json.dumps(facts)})
    return path


def test_everything_comes_back(saved: Path, network: nn.Module) -> None:
    loaded = load_weights(saved)
    assert (loaded.name, loaded.path, loaded.descriptor) == ("some", saved, DESCRIPTOR)
    assert loaded.card == {"by": "a test"}
    assert loaded.sha256 == file_sha256(saved)
    assert len(loaded.sha256) == 64
    state = loaded.network.state_dict()
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())
    assert all(p.requires_grad for p in loaded.network.parameters())


def test_equal_weights_are_equal_files(saved: Path, network: nn.Module, tmp_path: Path) -> None:
    other = save_weights(tmp_path / "b.safetensors", network, DESCRIPTOR, card={"by": "a test"})
    assert other.read_bytes() == saved.read_bytes()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(network: nn.Module, tmp_path: Path, dtype: torch.dtype) -> None:
    state = {
        k: v.to(dtype) if v.is_floating_point() else v for k, v in network.state_dict().items()
    }
    loaded = load_weights(write(tmp_path / "half.safetensors", state))
    assert {p.dtype for p in loaded.network.parameters()} == {torch.float32}
    key = "output.weight"
    assert torch.equal(loaded.network.state_dict()[key], state[key].float())


def test_an_existing_file_is_kept_unless_told(saved: Path, network: nn.Module) -> None:
    before = saved.read_bytes()
    with pytest.raises(OutputExistsError, match=r"some\.safetensors exists"):
        save_weights(saved, network, DESCRIPTOR)
    assert saved.read_bytes() == before
    save_weights(saved, network, DESCRIPTOR, overwrite=True)
    assert load_weights(saved).card == {}


def test_a_diverged_network_is_not_saved(tmp_path: Path) -> None:
    network = Dacn.of(DESCRIPTOR)
    network.state_dict()["output.bias"][3] = torch.inf
    with pytest.raises(WeightsError, match=r"1 not finite \(first: output\.bias\)"):
        save_weights(tmp_path / "x.safetensors", network, DESCRIPTOR)


def _legacy_torch_save() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(2)}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def _torch_save() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(2)}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data", [_torch_save(), _legacy_torch_save(), *(pickle.dumps({"a": 1}, n) for n in range(2, 6))]
)
def test_pickles_are_never_loaded(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "evil.safetensors"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"evil\.safetensors: a pickle, which can run any prog"):
        load_weights(path)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "the file is empty"),
        (b"{", "not a safetensors file"),
        (b"II*\0 and so on, a TIFF", "not a safetensors file"),
        (b"\x89HDF\r\n\x1a\n and so on", "an HDF5 file.*hsisr weights import"),
        (b"PK\x03\x04 and then nothing", "a damaged zip archive"),
        (b"\xff" * 4 + b"\0" * 4 + b"{}", "truncated or damaged"),
        (b"\x02" + b"\0" * 7 + b"{}", "without a model descriptor"),
        (b"\x08" + b"\0" * 7 + b"{garbage", "truncated or damaged"),
    ],
)
def test_other_bytes_are_refused(data: bytes, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "strange.safetensors"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=rf"strange\.safetensors: .*{complaint}"):
        load_weights(path)


def test_every_kind_of_misfit_is_counted_in_one_message(network: nn.Module, tmp_path: Path) -> None:
    state = dict(network.state_dict())
    del state["output.bias"]
    del state["output.weight"]
    state["extra"] = torch.ones(1)
    state["blocks.0.skip.bias"] = torch.ones(31)
    state["blocks.1.skip.bias"] = state["blocks.1.skip.bias"].double()
    state["blocks.2.skip.bias"] = torch.full((128,), torch.nan)
    with pytest.raises(WeightsError, match="not those of the network described") as caught:
        load_weights(write(tmp_path / "odd.safetensors", state))
    message = str(caught.value)
    for part in (
        "2 missing (first: output.weight)",
        "1 unexpected (first: extra)",
        "1 of another shape (first: blocks.0.skip.bias (31,), expected (32,))",
        "1 of another type (first: blocks.1.skip.bias float64, expected float32)",
        "1 not finite (first: blocks.2.skip.bias)",
    ):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"descriptor": 4, "card": {}}', "[" * 100_000, '{"card": {}}']
)
def test_metadata_of_another_form_are_refused(text: str, tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "odd.safetensors", metadata={"hsisr": text})
    with pytest.raises(
        WeightsError, match=r"odd\.safetensors: its model descriptor cannot be used"
    ):
        load_weights(tmp_path / "odd.safetensors")


def entry_for(path: Path, **changes: Any) -> CatalogueEntry:
    entry = CatalogueEntry(
        name="some-x2", path=path, sha256=file_sha256(path), scale=2, card=path.with_suffix(".md")
    )
    return msgspec.structs.replace(entry, **changes)


def test_a_catalogue_entry_is_held_to_its_hash_and_scale(saved: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"found sha256 \w{12}\.\.\., but the catalogue has 0000"
    ):
        load_weights(entry_for(saved, sha256="0" * 64))
    with pytest.raises(WeightsError, match="is for scale 2, but the catalogue lists it for 4"):
        load_weights(entry_for(saved, scale=4))

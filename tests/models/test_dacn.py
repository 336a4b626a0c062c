"""`dacn` against the published code: parameter counts, and outputs for weights made by formulas."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hsisr.errors import WeightsError
from hsisr.models.dacn import Dacn
from hsisr.models.dacn_any import AnySize, DacnAny
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.layers import Pooling
from hsisr.models.registry import build
from hsisr.option import SCALES
from tests.models.formulas import fill, formula_input, keras_weights


def filled(scale: int, pooling: Pooling) -> Dacn:
    network = Dacn.of(Dacn.descriptor(scale, pooling)).eval()
    fill(network, scale)
    return network


@pytest.mark.parametrize("pooling", ["paper", "notebook"])
@pytest.mark.parametrize(
    ("scale", "trainable", "moving"),
    [(2, 2_570_800, 960), (4, 4_594_736, 1_216), (8, 4_661_360, 1_248)],
)
def test_as_large_as_published(scale: int, trainable: int, moving: int, pooling: Pooling) -> None:
    network = Dacn.of(Dacn.descriptor(scale, pooling))
    assert sum(p.numel() for p in network.parameters()) == trainable
    statistics = [b for k, b in network.named_buffers() if "running" in k]
    assert sum(b.numel() for b in statistics) == moving


@pytest.mark.shared
@pytest.mark.parametrize("scale", [4, 8])
def test_the_notebook_variant_reproduces_the_published_code(scale: int, shared_data: Path) -> None:
    folder = shared_data.parent / "reference"
    reference = json.loads((folder / f"dacn_x{scale}.json").read_text(encoding="utf-8"))
    shapes = [tuple(weight["shape"]) for weight in reference["weights"]]
    assert [weight.shape for weight in keras_weights(scale)] == shapes
    rows, cols, _ = reference["input_shape_rows_cols_bands"]
    with torch.inference_mode():
        hr = filled(scale, "notebook")(formula_input(rows, cols))[0].permute(1, 2, 0)
    expected = np.load(folder / f"dacn_x{scale}_output.npy")
    np.testing.assert_allclose(hr[::6, ::6].numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("left_out", "fewer"),
    [
        ("self_attention", sum(4 * f * (f + 1) for f in (32, 64, 128))),
        ("channel_attention", sum(f * f + f // 2 + f for f in (32, 64, 128))),
    ],
)
def test_an_attention_can_be_left_out_alone(left_out: str, fewer: int) -> None:
    whole = Dacn.descriptor(2)
    network = Dacn.of(replace(whole, hparams={**whole.hparams, left_out: False})).train()
    counts = [sum(p.numel() for p in n.parameters()) for n in (Dacn.of(whole), network)]
    assert counts[0] - counts[1] == fewer
    network(torch.rand(2, 32, 5, 7)).square().mean().backward()
    assert all(p.grad is not None for p in network.parameters())


TINY = AnySize(width=8, blocks=2, heads=2, window=4)


def network(scale: int = 2, size: AnySize = TINY) -> DacnAny:
    torch.manual_seed(0)
    return DacnAny.of(DacnAny.descriptor(scale, size)).eval()


def noise(rows: int, cols: int) -> torch.Tensor:
    return torch.randn(1, 32, rows, cols, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_it_sees_how_far_values_are_from_a_stored_zero() -> None:
    one, lr = network(), noise(6, 6)
    near, far = (torch.full((1, 32, 1, 1), value) for value in (-0.5, -50.0))
    torch.testing.assert_close(one(lr), one(lr, torch.zeros(1, 32, 1, 1)))
    assert float((one(lr, near) - one(lr, far)).abs().max()) > 1e-5
    assert bool(torch.isfinite(one(lr, 1e6 * far)).all())


@torch.no_grad()
def test_training_may_follow_inference_with_the_same_sizes() -> None:
    with torch.inference_mode():
        network()(noise(6, 6))
    with torch.enable_grad():
        network()(noise(6, 6)).sum().backward()


@torch.no_grad()
def test_in_bfloat16_the_base_stays_exact() -> None:
    one, lr = network(), noise(8, 8) + 1000
    with torch.autocast("cpu", torch.bfloat16):
        half = one(lr)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, one(lr), rtol=1e-4, atol=1.0)


@pytest.mark.parametrize("scale", [2, 4, 8])
@torch.no_grad()
def test_detail_is_made_of_as_many_patterns_as_asked_for(scale: int) -> None:
    few, all_of_them = network(scale, replace(TINY, basis=2)), network(scale)
    patterns, last = few.upsampling[-3], few.upsampling[-2]
    assert isinstance(patterns, nn.Conv2d)
    assert isinstance(last, nn.Conv2d)
    assert (patterns.out_channels, last.kernel_size) == (2, (1, 1))
    counts = [sum(p.numel() for p in n.parameters()) for n in (few, all_of_them)]
    values = 32 * min(scale, 4) ** 2
    assert counts[1] - counts[0] == (9 * 8 + 1) * values - (9 * 8 + 1) * 2 - (2 + 1) * values
    assert few(noise(5, 6)).shape == all_of_them(noise(5, 6)).shape


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"widht": 8}, "knows no parameter 'widht'; it has basis, blocks, heads, width"),
        (
            {"width": 6, "heads": 4},
            "impossible dacn-any with width 6, blocks 6, heads 4, window 8, basis 0; expected",
        ),
        ({"window": 5}, "impossible dacn-any"),
        ({"blocks": 0}, "impossible dacn-any"),
    ],
)
def test_impossible_sizes_are_refused(table: dict[str, int], message: str) -> None:
    descriptor = DacnAny.descriptor(2)
    descriptor.hparams.clear()
    descriptor.hparams.update(table)
    with pytest.raises(WeightsError, match=message):
        DacnAny.of(descriptor)


FIELDS = asdict(Dacn.descriptor(4))


@given(
    scale=st.sampled_from(SCALES),
    size=st.integers(9, 400),
    normalisation=st.sampled_from(["none", "band"]),
    wavelengths=st.none() | st.tuples(st.floats(300, 500), st.floats(500, 2600)),
)
def test_a_descriptor_survives_json(
    scale: int, size: int, normalisation: str, wavelengths: tuple[float, float] | None
) -> None:
    changes = {"scale": scale, "group_size": size, "normalisation": normalisation}
    made = ModelDescriptor.from_dict(FIELDS | changes | {"wavelengths_nm": wavelengths})
    assert ModelDescriptor.from_dict(json.loads(json.dumps(asdict(made)))) == made


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"scale": 3}, r"scale 3, expected one of \(2, 4, 8\)"),
        ({"group_overlap": 32}, "group overlap 32 of 32 bands"),
        ({"overlap_lr_px": 36}, "tile overlap 36 of 36 pixels"),
        ({"margin_lr_px": -1}, "margin_lr_px is -1, expected int >= 0"),
        ({"normalisation": "scene"}, "normalisation is 'scene', expected 'none' or 'band'"),
        ({"arch": None, "scale": "4"}, "arch is None, expected str, got null; scale is '4'"),
        ({"tile_lr_px": 36.0}, r"tile_lr_px is 36\.0, expected int"),
    ],
)
def test_impossible_values_are_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(WeightsError, match=f"impossible model descriptor: {complaint}"):
        ModelDescriptor.from_dict(FIELDS | change)


def test_unknown_and_missing_keys_are_refused() -> None:
    with pytest.raises(WeightsError, match="unknown key 'colour'"):
        ModelDescriptor.from_dict(FIELDS | {"colour": "red"})
    with pytest.raises(WeightsError, match="missing 1 required keyword-only argument: 'arch'"):
        ModelDescriptor.from_dict({key: value for key, value in FIELDS.items() if key != "arch"})


@pytest.mark.parametrize(
    ("name", "answer"), [("dcan", r"; did you mean 'dacn'"), ("swin", "; known: .*dacn, ")]
)
def test_unknown_names_are_answered_with_near_or_known_ones(name: str, answer: str) -> None:
    with pytest.raises(WeightsError, match=f"no network architecture '{name}'{answer}"):
        build(replace(Dacn.descriptor(2), arch=name))

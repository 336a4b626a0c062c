"""What every network of the registry keeps to."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from hsisr.errors import WeightsError
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.registry import ARCHITECTURES, build
from hsisr.option import SCALES
from hsisr.weights import load_weights, save_weights

OWN = ("dacn", "dacn-any", "dacn-equivariant")
"""Tested at every scale; those of other papers at one, each at another one."""
every_network = pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
every_scale = pytest.mark.parametrize(
    ("arch", "scale"),
    [
        (arch, scale)
        for number, arch in enumerate(sorted(ARCHITECTURES))
        for scale in (SCALES if arch in OWN else SCALES[number % 3 : number % 3 + 1])
    ],
)
SIZES = [(1, 1), (5, 7), (8, 1)]
SMALLER: dict[str, dict[str, int]] = {
    "edsr": {"blocks": 2, "width": 16},
    "vdsr": {"hidden": 2, "width": 16},
    "mcnet": {"modules": 2, "width": 8},
    "msfmnet": {"blocks": 2, "width": 8},
    "fgin": {"blocks": 1, "width": 16, "upsampling_width": 24},
    "dsdcn": {"blocks": 1, "width": 16, "upsampling_width": 24},
    "msdformer": {"width": 32, "blocks": 2, "heads": 2, "subset": 12},
    "as3-itransunet": {"width": 16, "window": 4, "refinements": 1, "subset": 12},
    "pdenet": {"stages": 2, "blocks": 3, "width": 8},
    "cssfenet": {"modules": 3, "width": 16},
    "sspsr": {"width": 16, "blocks": 1},
}
"""Sizes at which the large networks of other papers keep to the same, in less time."""


def descriptor_of(arch: str, scale: int = 2) -> ModelDescriptor:
    return ModelDescriptor(
        arch=arch,
        scale=scale,
        group_size=32,
        group_overlap=8,
        tile_lr_px=8,
        overlap_lr_px=2,
        hparams=dict(SMALLER.get(arch, {})),
    )


def network_of(arch: str, scale: int = 2) -> nn.Module:
    torch.manual_seed(0)
    return build(descriptor_of(arch, scale))


def noise(n: int, rows: int, cols: int, bands: int = 32) -> torch.Tensor:
    return torch.randn(n, bands, rows, cols, generator=torch.Generator().manual_seed(1))


@every_scale
def test_any_size_comes_out_scaled(arch: str, scale: int) -> None:
    network = network_of(arch, scale).eval()
    for rows, cols in SIZES:
        with torch.inference_mode():
            hr = network(noise(2, rows, cols))
        assert hr.shape == (2, 32, rows * scale, cols * scale)
        assert hr.dtype == torch.float32
        assert bool(torch.isfinite(hr).all())


@every_scale
def test_gradients_reach_every_parameter(arch: str, scale: int) -> None:
    network = network_of(arch, scale).train()
    network(noise(2, 5, 7)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        # biases before a normalisation or a softmax have no effect, matrices always have one
        assert parameter.ndim < 2 or bool(parameter.grad.any()), name


@every_network
def test_evaluation_is_deterministic_and_leaves_network_and_input_alone(arch: str) -> None:
    network, lr = network_of(arch).eval(), noise(1, 5, 7)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.inference_mode():
        assert torch.equal(network(lr), network(lr))
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert torch.equal(lr, noise(1, 5, 7))


@every_network
def test_neither_other_tiles_nor_the_memory_layout_matter(arch: str) -> None:
    network, lr = network_of(arch).eval(), noise(3, 5, 7)
    with torch.inference_mode():
        together = network(lr.contiguous(memory_format=torch.channels_last))
        alone = torch.cat([network(element[None]) for element in lr])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bands", [1, 7])
@every_network
def test_groups_can_have_any_number_of_bands(arch: str, bands: int) -> None:
    network = build(replace(descriptor_of(arch), group_size=bands, group_overlap=0)).eval()
    with torch.inference_mode():
        assert network(noise(2, 5, 7, bands)).shape == (2, bands, 10, 14)


@every_network
def test_bfloat16_is_near_to_float32(arch: str) -> None:
    network, lr = network_of(arch).eval(), noise(1, 5, 7)
    with torch.inference_mode():
        exact = network(lr)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(lr).float()
    assert (rounded - exact).square().mean() < 1e-3 * exact.square().mean()


@pytest.mark.parametrize("bands", [1, 33])
@every_network
def test_another_number_of_bands_is_refused(arch: str, bands: int) -> None:
    with pytest.raises(WeightsError, match=rf"32, rows, cols\), found shape \(1, {bands}, 5, 7\)"):
        network_of(arch)(noise(1, 5, 7, bands))


@every_network
def test_the_same_seed_gives_the_same_weights(arch: str) -> None:
    one, other = network_of(arch).state_dict(), network_of(arch).state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)


@every_network
def test_saved_and_loaded_it_gives_the_same_output(arch: str, tmp_path: Path) -> None:
    network, lr = network_of(arch), noise(2, 5, 7)
    network(lr)  # moves what moving statistics there are
    descriptor = descriptor_of(arch)
    path = save_weights(tmp_path / "network.safetensors", network, descriptor)
    loaded = load_weights(path)
    assert loaded.descriptor == descriptor
    assert not loaded.network.training
    assert not any(t.is_meta for t in (*loaded.network.parameters(), *loaded.network.buffers()))
    with torch.inference_mode():
        assert torch.equal(loaded.network(lr), network.eval()(lr))

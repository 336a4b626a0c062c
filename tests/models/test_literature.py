"""Networks of other papers: as large as their papers say, and what is special about each."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from hsisr.models.layers import SqueezeExcitation, attention_among_features, bicubic, per_band
from hsisr.models.literature.as3_itransunet import (
    Alternation,
    As3Itransunet,
    As3ItransunetSize,
    InteractiveAttention,
    WindowAttention,
)
from hsisr.models.literature.cssfenet import AxisConvolution, Cssfenet, CssfenetSize
from hsisr.models.literature.dsdcn import dilated_fusion, repeated
from hsisr.models.literature.mcnet import Mcnet, McnetSize, MixedModule
from hsisr.models.literature.msdformer import DeformableConvolution
from hsisr.models.literature.msfmnet import haar, inverse_haar
from hsisr.models.literature.pdenet import Gates, Pdenet, PdenetSize, Resampling
from hsisr.models.literature.vdsr import Vdsr, VdsrSize
from hsisr.models.registry import ARCHITECTURES, build, descriptor_for
from hsisr.option import SCALES

every_scale = pytest.mark.parametrize("scale", SCALES)
COMPARISON = sorted(ARCHITECTURES.keys() - {"dacn", "dacn-any", "dacn-equivariant"})
PARAMETERS = {
    "edsr": (40_863_264, 43_223_584, 45_583_904),
    "vdsr": (701_664, 701_664, 701_664),
    "mcnet": (1_928_334, 2_174_094, 2_960_526),
    "msfmnet": (776_973, 924_685, 1_072_397),
    "fgin": (479_608, 1_071_456, 1_821_208),
    "dsdcn": (299_520, 1_061_352, 715_072),
    "msdformer": (10_139_261, 12_213_821, 14_288_381),
    "as3-itransunet": (2_204_582, 3_547_238, 4_889_894),
    "pdenet": (2_293_493, 2_301_189, 2_325_821),
    "linear": (100, 400, 1_600),
    "sspsr": (10_540_424, 12_900_744, 15_261_064),
    "cssfenet": (2_012_720, 2_033_468, 2_116_460),
}
"""At x2, x4 and x8; counted by hand or published, each file says which."""
PUBLISHED_MILLIONS = {"fgin": (0.48, 1.07, 1.82), "dsdcn": (0.30, 0.96, 0.72)}
"""As the notebooks print it, moving statistics included."""
SMALLER_KERNELS = {("dsdcn", 4): 3 * 64 * 64 * (9 - 1)}
"""What the notebook of a scale saves by 1x1 in place of dilated 3x3 kernels."""


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def states(arch: str) -> list[dict[str, torch.Tensor]]:
    """Parameters and buffers at every scale, without their numbers."""
    with torch.device("meta"):
        return [build(descriptor_for(arch, scale)).state_dict() for scale in SCALES]


@pytest.mark.parametrize("arch", COMPARISON)
def test_networks_are_as_large_as_stated(arch: str) -> None:
    for scale, parameters in zip(SCALES, PARAMETERS[arch], strict=True):
        with torch.device("meta"):
            network = build(descriptor_for(arch, scale))
        assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize("arch", PUBLISHED_MILLIONS)
def test_they_are_as_large_as_their_published_code(arch: str) -> None:
    for scale, state, millions in zip(SCALES, states(arch), PUBLISHED_MILLIONS[arch], strict=True):
        count = sum(t.numel() for name, t in state.items() if not name.endswith("batches_tracked"))
        count -= SMALLER_KERNELS.get((arch, scale), 0)
        assert round(count / 1e6, 2) == millions


def test_vdsr_for_one_band_is_as_large_as_published() -> None:
    one = replace(Vdsr.descriptor(4), group_size=1, group_overlap=0)
    assert sum(parameter.numel() for parameter in Vdsr.of(one).parameters()) == 665_921


@pytest.mark.parametrize("arch", [arch for arch in COMPARISON if arch != "linear"])
def test_only_upsampling_and_output_depend_on_the_scale(arch: str) -> None:
    shapes = [
        {n: t.shape for n, t in state.items() if not n.startswith(("upsampling.", "output."))}
        for state in states(arch)
    ]
    assert shapes[0] == shapes[1] == shapes[2]
    assert shapes[0]


@every_scale
@torch.no_grad()
def test_what_the_last_layer_of_vdsr_gives_is_added_to_bicubic(scale: int) -> None:
    network, lr = Vdsr(scale, 3, VdsrSize(hidden=1, width=8)), noise(2, 3, 5, 4)
    for parameter in network.exit.parameters():
        parameter.zero_()
    network.exit.get_parameter("bias").fill_(0.25)
    assert torch.equal(network(lr), bicubic(lr, scale) + 0.25)


@torch.no_grad()
def test_fgin_may_repeat_pixels_before_or_after_convolving_them_one_by_one() -> None:
    convolution, x = nn.Conv2d(3, 5, 1), noise(2, 3, 4, 3)
    torch.testing.assert_close(repeated(convolution(x)), convolution(repeated(x)))
    assert torch.equal(repeated(x)[0, 0, 2:4, 4:6], x[0, 0, 1, 2].expand(2, 2))


@torch.no_grad()
def test_dilated_kernels_of_dsdcn_reach_one_two_and_three_pixels_far() -> None:
    impulse = torch.zeros(1, 1, 9, 9)
    impulse[..., 4, 4] = 1
    for far, branch in enumerate(dilated_fusion(1).branches, start=1):
        for parameter in branch.parameters():
            parameter.fill_(1)
        response = branch(impulse) - 1
        rows = response[0, 0].any(dim=1).nonzero().flatten().tolist()
        assert rows == [4 - far, 4, 4 + far]
        assert int(response.count_nonzero()) == 9


@torch.no_grad()
def changed_bands(network: nn.Module, band: int, *, alone: bool) -> list[int]:
    """Bands of the output that a change of one band of the input reaches."""
    x = noise(1, 4, 9, 3, 3)
    other = x.clone()
    other[:, :, band] += 1
    one, two = ((per_band(network, t) if alone else network(t)) for t in (x, other))
    return sorted({int(i) for i in (one != two).nonzero()[:, 2]})


def test_2d_units_of_mcnet_see_one_band_and_modules_see_neighbours() -> None:
    module = MixedModule(McnetSize(modules=2, width=4))
    assert changed_bands(module.spatial[0], 4, alone=True) == [4]
    # three 3D units and the last convolution reach one band further each
    assert changed_bands(module, 4, alone=False) == list(range(9))
    assert changed_bands(module.exit, 4, alone=False) == [3, 4, 5]


def test_kernels_of_mcnet_have_the_norm_that_is_learnt() -> None:
    entry = Mcnet(2, 3, McnetSize(modules=2, width=4)).entry
    norms = torch.linalg.vector_norm(entry.weight.flatten(1), dim=1)
    learnt = dict(entry.named_parameters())["parametrizations.weight.original0"]
    torch.testing.assert_close(norms, learnt.flatten())


@pytest.mark.parametrize("shape", [(2, 3, 4, 6), (1, 2, 5, 2, 8)])
def test_the_wavelets_of_msfmnet_lose_nothing(shape: tuple[int, ...]) -> None:
    x = noise(*shape)
    wavelets = haar(x)
    assert wavelets.shape == (shape[0], 4 * shape[1], *shape[2:-2], shape[-2] // 2, shape[-1] // 2)
    torch.testing.assert_close(wavelets.square().sum(), x.square().sum())
    torch.testing.assert_close(inverse_haar(wavelets), x)


def test_they_are_means_and_differences_of_rows_of_columns_and_of_both() -> None:
    flat = torch.ones(2, 2)
    rows = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    for n, pattern in enumerate((flat, rows, rows.T, rows * rows.T)):
        expected = torch.zeros(4)
        expected[n] = 2
        assert torch.equal(haar(pattern[None, None]).flatten(), expected)


@torch.no_grad()
def test_the_convolution_of_cssfenet_sees_along_axes_only() -> None:
    impulse = torch.zeros(1, 1, 5, 5, 5)
    impulse[..., 2, 2, 2] = 1
    seen = AxisConvolution(1, 4)(impulse)[0].abs().sum(0) > 0
    distance = (torch.arange(5) - 2).abs()
    steps = distance[:, None, None] + distance[:, None] + distance
    assert torch.equal(seen, steps <= 1)


@every_scale
@torch.no_grad()
def test_subpixels_of_cssfenet_lie_inside_their_pixel(scale: int) -> None:
    one, lr = Cssfenet(scale, 4, CssfenetSize(modules=2, width=8)), noise(2, 4, 3, 2)
    one.upsampling.weight.zero_()
    within = torch.arange(float(scale**2))
    one.upsampling.get_parameter("bias").copy_(within)
    expected = bicubic(lr, scale) + within.reshape(scale, scale).tile(3, 2)
    torch.testing.assert_close(one(lr), expected)


@torch.no_grad()
def test_pixels_of_as3_itransunet_see_their_own_window_and_no_other() -> None:
    one, x = WindowAttention(8, 2, 4), noise(1, 8, 8, 8)
    changed = x.clone()
    changed[:, 1, 6] += 1
    seen = (one(changed) - one(x)).abs().amax((0, 3)) > 0
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[:4, 4:] = True
    assert torch.equal(seen, expected)


@torch.no_grad()
def test_features_of_as3_itransunet_stay_at_their_pixels() -> None:
    one, x = InteractiveAttention(8, 2, 4), noise(1, 8, 8, 8)
    gate = one.spectral_gate.get_submodule("2")
    for parameter in (*one.halve.parameters(), *gate.parameters()):
        parameter.zero_()
    gate.get_parameter("bias").fill_(1)
    expected = one.join.weight[:, 4:, 0, 0] @ one.windows(one.to_windows(x))[0, 5, 2]
    torch.testing.assert_close(one(x)[0, :, 5, 2], expected)


@torch.no_grad()
def test_subsets_of_as3_itransunet_see_those_before_them_and_none_behind() -> None:
    size = As3ItransunetSize(width=8, window=4, refinements=1)
    one, lr = As3Itransunet(2, 15, size).eval(), noise(1, 15, 4, 5)
    first, last = lr.clone(), lr.clone()
    first[:, 0] += 1
    last[:, -1] += 1
    assert torch.equal(one(last)[:, :10], one(lr)[:, :10])
    assert float((one(first)[:, 10:] - one(lr)[:, 10:]).abs().min(0).values.max()) > 1e-6


@every_scale
@torch.no_grad()
def test_as3_itransunet_goes_to_the_hr_grid_and_back(scale: int) -> None:
    ways, lr = Alternation(scale, 8), noise(1, 16, 3, 2)
    hr = ways.to_hr[0](lr)
    assert hr.shape == (1, 8, 3 * scale, 2 * scale)
    assert ways.to_lr[0](hr).shape == lr.shape


PDENET = PdenetSize(stages=2, blocks=3, width=8)


@torch.no_grad()
def test_gates_of_pdenet_are_drawn_in_training_and_probable_in_evaluation() -> None:
    gates, x = Gates(3, temperature=0.01), torch.ones(20_000, 3, 1, 1, 1)
    gates.probability.copy_(torch.tensor([0.3, 0.8, 1.0]))
    drawn = gates(x).flatten(1)
    probable = torch.tensor([0.3, 0.8, 0.98])  # the last is at its bound
    torch.testing.assert_close(drawn.mean(0), probable, rtol=0, atol=0.02)
    assert float(((drawn > 0.1) & (drawn < 0.9)).float().mean()) < 0.05
    torch.testing.assert_close(gates.eval()(x)[7].flatten(), probable)


@every_scale
@torch.no_grad()
def test_the_degradation_of_pdenet_can_be_the_mean_over_lr_pixels(scale: int) -> None:
    resampling, hr = Resampling(scale, PDENET), noise(2, 3, 3 * scale, 2 * scale)
    spread = torch.full((scale + 1, scale + 1), -1e4)
    spread[:scale, :scale] = 0
    resampling.spread.copy_(spread.flatten())
    expected = functional.avg_pool2d(hr, scale)
    torch.testing.assert_close(resampling.degraded(hr), expected, rtol=1e-5, atol=1e-6)


@every_scale
@torch.no_grad()
def test_without_detail_pdenet_is_bicubic(scale: int) -> None:
    one, lr = Pdenet(scale, 6, PDENET).eval(), noise(1, 6, 4, 5)
    for parameter in one.upsampling.raising.parameters():
        parameter.zero_()
    torch.testing.assert_close(one(lr), bicubic(lr, scale))


@torch.no_grad()
def test_later_stages_of_pdenet_see_what_is_left_of_the_lr_image() -> None:
    one, lr = Pdenet(2, 6, PDENET).eval(), noise(1, 6, 4, 5)
    seen: list[torch.Tensor] = []
    one.stages[1].register_forward_pre_hook(lambda _, args: seen.append(args[0][:, 0]))
    first = bicubic(lr, 2) + one.upsampling.raised(0, one.stages[0](lr[:, None]))
    one(lr)
    torch.testing.assert_close(seen[0], lr - one.upsampling.degraded(first))


SHIFTED: dict[str, tuple[float, float]] = {"up": (-1, 2), "half a pixel": (0.5, 0), "not": (0, 0)}


@pytest.mark.parametrize("way", SHIFTED)
@torch.no_grad()
def test_taps_of_msdformer_look_where_offsets_say(way: str) -> None:
    x, convolution = noise(1, 4, 7, 9), DeformableConvolution(4)
    offsets = torch.tensor(SHIFTED[way]).repeat(9)
    convolution.offsets.get_parameter("bias").copy_(offsets)
    moved = {
        "up": functional.pad(x, (0, 2, 1, 0))[..., :7, 2:],
        "half a pixel": (x + functional.pad(x, (0, 0, 0, 1))[..., 1:, :]) / 2,
        "not": x,
    }[way]
    expected = functional.conv2d(moved, convolution.weight, padding=1)
    inside = (..., slice(2, -2), slice(1, -3)) if way != "not" else ...
    torch.testing.assert_close(convolution(x)[inside], expected[inside], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_attention_among_features_knows_no_places() -> None:
    query, key, value = noise(3, 2, 6, 4, 5)
    temperature = torch.tensor([1.0, 5.0])[:, None, None]
    whole = attention_among_features(query, key, value, temperature)
    q, k, v = (x.flip((2, 3)) for x in (query, key, value))
    turned = attention_among_features(q, k, v, temperature)
    torch.testing.assert_close(whole, turned.flip((2, 3)))


@pytest.mark.parametrize("shape", [(2, 8, 3, 4), (2, 8, 5, 3, 4)])
@torch.no_grad()
def test_squeeze_excitation_weighs_whole_features(shape: tuple[int, ...]) -> None:
    x = noise(*shape)
    weights = (SqueezeExcitation(8)(x) / x).flatten(2)
    torch.testing.assert_close(weights, weights[..., :1].expand_as(weights))
    assert float(weights.min()) > 0
    assert float(weights.max()) < 1
    assert float((weights[0] - weights[1]).abs().max()) > 0

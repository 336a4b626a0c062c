"""What is special about MSDformer: bent convolutions, subsets of bands, attention of features."""

import pytest
import torch
from torch.nn import functional

from hsisr.models.common import SqueezeExcitation, attention_among_features
from hsisr.models.literature.msdformer import DeformableConvolution


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def bent_by(down: float, right: float) -> DeformableConvolution:
    """All taps look that far from their places."""
    torch.manual_seed(0)
    convolution = DeformableConvolution(4)
    with torch.no_grad():
        convolution.offsets.get_parameter("bias").copy_(torch.tensor([down, right]).repeat(9))
    return convolution


def straight(convolution: DeformableConvolution, x: torch.Tensor) -> torch.Tensor:
    return functional.conv2d(x, convolution.weight, padding=1)


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (2, 9), (7, 5)])
@torch.no_grad()
def test_at_first_its_deformable_convolution_is_a_convolution(rows: int, cols: int) -> None:
    x = noise(2, 4, rows, cols)
    torch.manual_seed(0)
    convolution = DeformableConvolution(4)
    torch.testing.assert_close(convolution(x), straight(convolution, x), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_taps_look_where_offsets_say() -> None:
    x, moved = noise(1, 4, 7, 9), bent_by(-1, 2)
    shifted = functional.pad(x, (0, 2, 1, 0))[..., :7, 2:]
    inside = (..., slice(2, -1), slice(1, -3))
    torch.testing.assert_close(
        moved(x)[inside], straight(moved, shifted)[inside], rtol=1e-4, atol=1e-5
    )


@torch.no_grad()
def test_between_pixels_taps_see_their_mean() -> None:
    x, moved = noise(1, 4, 7, 9), bent_by(0.5, 0)
    between = (x + functional.pad(x, (0, 0, 0, 1))[..., 1:, :]) / 2
    inside = (..., slice(1, -2), slice(1, -1))
    torch.testing.assert_close(
        moved(x)[inside], straight(moved, between)[inside], rtol=1e-4, atol=1e-5
    )


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

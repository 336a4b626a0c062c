"""MSFMNet: the wavelet transform, odd sizes, bands as a third axis."""

import pytest
import torch

from hsisr.models.literature.msfmnet import MappingBlock, Msfmnet, MsfmnetSize, haar, inverse_haar

SMALL = MsfmnetSize(blocks=2, width=4)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shape", [(2, 3, 4, 6), (1, 2, 5, 2, 8)])
def test_the_transform_loses_nothing(shape: tuple[int, ...]) -> None:
    x = noise(*shape)
    wavelets = haar(x)
    assert wavelets.shape == (shape[0], 4 * shape[1], *shape[2:-2], shape[-2] // 2, shape[-1] // 2)
    torch.testing.assert_close(wavelets.square().sum(), x.square().sum())
    torch.testing.assert_close(inverse_haar(wavelets), x)


def test_its_parts_are_means_and_differences_of_rows_of_columns_and_of_both() -> None:
    flat = torch.ones(2, 2)
    rows = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    for n, pattern in enumerate((flat, rows, rows.T, rows * rows.T)):
        expected = torch.zeros(4)
        expected[n] = 2
        assert torch.equal(haar(pattern[None, None]).flatten(), expected)


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (3, 4), (4, 5)])
def test_blocks_keep_odd_sizes(rows: int, cols: int) -> None:
    assert MappingBlock(4)(noise(1, 4, 3, rows, cols)).shape == (1, 4, 3, rows, cols)


def test_attention_weighs_what_a_block_adds() -> None:
    torch.manual_seed(0)
    block, x = MappingBlock(4), noise(1, 4, 3, 4, 4)
    with torch.inference_mode():
        block.attention.weight.zero_()
        block.attention.bias.fill_(0.0)  # type: ignore[union-attr]
        half = block(x) - x
        block.attention.bias.fill_(100.0)  # type: ignore[union-attr]
        torch.testing.assert_close(block(x) - x, 2 * half)
        block.attention.bias.fill_(-200.0)  # type: ignore[union-attr]
        assert torch.equal(block(x), x)


def test_bands_do_not_change_what_there_is_to_learn() -> None:
    few, many = Msfmnet(2, 3, SMALL), Msfmnet(2, 40, SMALL)
    many.load_state_dict(few.state_dict())
    assert many(noise(1, 40, 2, 3)).shape == (1, 40, 4, 6)

"""MSFMNet: the wavelet transform, odd sizes, bands as a third axis."""

import pytest
import torch

from hsisr.models.literature.msfmnet import haar, inverse_haar


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

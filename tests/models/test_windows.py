"""Windows of tiles: which pixels share one, and attention inside them."""

import pytest
import torch

from hsisr.models.fast.attention import attention_of_powers, window_order

CPU = torch.device("cpu")


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("rows", [1, 2, 4, 7])
@pytest.mark.parametrize("cols", [3, 8, 10])
def test_pixels_of_a_window_are_neighbours_and_no_others_are(
    shift: int, rows: int, cols: int
) -> None:
    order = window_order(3, rows, cols, 4, shift, CPU)
    row, col = torch.arange(rows)[:, None] + 4 - shift, torch.arange(cols) + 4 - shift
    own = (row // 4 * 10 + col // 4).flatten()  # the number of each pixel's window
    numbers = torch.cat([own + 100 * tile for tile in range(3)])
    windows, sizes = torch.unique_consecutive(numbers[order.there], return_counts=True)
    assert sorted(windows.tolist()) == sorted(set(numbers.tolist()))
    expected = [size for count, size in order.windows for _ in range(count)]
    assert sizes.tolist() == expected
    sizes_once = [size for _, size in order.windows]
    assert len(sizes_once) == len(set(sizes_once))


def test_pixels_come_back_to_where_they_were() -> None:
    order = window_order(2, 5, 9, 4, 2, CPU)
    assert sorted(order.there.tolist()) == list(range(90))
    assert torch.equal(order.there[order.back], torch.arange(90))


@pytest.mark.parametrize("size", [0.1, 1.0, 30.0, 1e4])
@torch.no_grad()
def test_attention_equals_torchs_however_large_the_likenesses(size: float) -> None:
    torch.manual_seed(2)
    windows = torch.randn(70, 64, 3 * 16)
    windows[..., :16] *= size
    query, key, value = windows.reshape(70, 64, 3, 2, 8).permute(2, 0, 3, 1, 4).double()
    expected = ((query @ key.transpose(-2, -1)) * 0.6931471805599453).softmax(-1) @ value
    found = attention_of_powers(windows, 2)
    expected = expected.transpose(1, 2).flatten(-2).float()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * max(1.0, size / 100))


@pytest.mark.parametrize("size", [0.1, 1.0, 30.0, 1e4])
@torch.no_grad()
def test_missing_pixels_are_those_with_keys_and_values_of_zero(size: float) -> None:
    torch.manual_seed(3)
    windows = torch.randn(5, 16, 3 * 16)
    windows[..., :16] *= size
    windows[:, 10:, 16:] = 0
    whole = attention_of_powers(windows, 2)[:, :10]
    found = attention_of_powers(windows[:, :10], 2, missing=6)
    torch.testing.assert_close(found, whole, rtol=1e-3, atol=1e-5)

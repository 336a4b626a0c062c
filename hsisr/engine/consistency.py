"""Agreement with the observed scene: the area average over each LR pixel equals that pixel.

Back-projection (`hsisr.models.interpolation`) comes close. A constant per LR pixel then removes
what is left. For integer outputs, rounding is steered so that even the sums of the stored numbers
agree.
"""

from collections.abc import Sequence

import torch


def agree(
    hr: torch.Tensor,
    observed: torch.Tensor,
    scale: int,
    *,
    limits: tuple[float, float] = (-torch.inf, torch.inf),
    floors: Sequence[float] | None = None,
    whole: bool = False,
    avoid: float | None = None,
    dtype: torch.dtype | None = None,
    valid: torch.Tensor | None = None,
) -> tuple[torch.Tensor, int]:
    """Add a constant per LR pixel so that block means equal `observed`.

    Values stay inside `limits`: where the constant alone would leave them, the block becomes the
    nearest one (in squares) that keeps both its mean and the limits, min(max(hr + c, low), high).

    With `whole`, everything is then rounded so that the sum over a block is that of the observed
    pixel, rounded once. No value moves by 1 or more, save in blocks at a limit, where what the
    values there cannot take is shared by the others.

    Args:
        hr: A result, shape (bands, rows * scale, cols * scale).
        observed: What it must agree with, shape (bands, rows, cols).
        scale: HR pixels per LR pixel.
        limits: Smallest and largest number that can be stored.
        floors: Least number of each band, held like a limit, but not counted; None: none.
        whole: The result will be stored as integers.
        avoid: With `whole`, a number inside `limits` that means no data; values that would round to
            it lie beside it, and are counted.
        dtype: Type of the result, that of `hr` by default; with `whole` also an integer type whose
            numbers the type of `hr` holds.
        valid: Where `observed` is data, same shape; others are not counted. None: everywhere.

    Returns:
        The result, and how many values had to be held at a limit or beside `avoid`.

    Raises:
        FloatingPointError: A value is not finite, or the sum over a block is not.
    """
    result, held = torch.empty(hr.shape, dtype=dtype or hr.dtype), 0
    least = [-torch.inf] * len(hr) if floors is None else floors
    for band, (values, seen) in enumerate(zip(hr, observed, strict=True)):  # one fits the cache
        planes, outside = _agree_band(values, seen, scale, limits, least[band], whole=whole)
        if avoid is not None and bool((hits := planes == avoid).any()):
            outside = outside + hits.sum(dim=0)
            some = hits.any(dim=0)
            planes[:, some] = _without(planes[:, some], avoid, limits)
        _blocks(result[band], scale).copy_(planes.reshape(scale, scale, *planes.shape[1:]))
        held += int((outside if valid is None else outside * valid[band]).sum())
    return result, held


def _agree_band(
    hr: torch.Tensor,
    observed: torch.Tensor,
    scale: int,
    limits: tuple[float, float],
    floor: float,
    *,
    whole: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One band as planes, and how many values of each block had to be held at a limit."""
    bounds = max(limits[0], floor), limits[1]
    wanted = observed.clamp(*bounds)
    planes = _planes(hr, scale)
    planes += wanted - _mean(planes)
    low, high = planes.aminmax()
    if not (low > -torch.inf and high < torch.inf):  # not a number is neither
        raise FloatingPointError("a value is not finite")
    held = torch.zeros_like(observed)
    if (low < limits[0] and floor < limits[0]) or high > limits[1]:
        under = (planes < limits[0]) & (floor < limits[0])  # else the scene's floor holds it
        held = (under | (planes > limits[1])).sum(dim=0, dtype=observed.dtype)
    held[(observed < limits[0]) | (observed > limits[1])] = len(planes)
    if low < bounds[0] or high > bounds[1]:
        some = ((planes < bounds[0]) | (planes > bounds[1])).any(dim=0)
        planes[:, some] = _bounded(planes[:, some], wanted[some], *bounds)
    if whole:
        near = low - 1 < bounds[0] or high + 1 > bounds[1]
        planes = _rounded(planes, wanted, bounds if near else None)
    return planes, held


def _blocks(hr: torch.Tensor, scale: int) -> torch.Tensor:
    """A view of HR pixels by their place in the block, shape (scale, scale, rows, cols)."""
    rows, cols = hr.shape
    return hr.view(rows // scale, scale, cols // scale, scale).permute(1, 3, 0, 2)


def _planes(hr: torch.Tensor, scale: int) -> torch.Tensor:
    """A copy in which each place in the block is a plane, shape (scale * scale, rows, cols)."""
    blocks = _blocks(hr.contiguous(), scale)
    return torch.empty(blocks.shape, dtype=hr.dtype).copy_(blocks).flatten(0, 1)


def _mean(planes: torch.Tensor) -> torch.Tensor:
    """The mean of the planes, added up in an order of their own, halves onto halves.

    `Tensor.mean` takes an order that depends on how large they are, so that a part of a scene or a
    smaller tile would differ in the last bit, and after rounding in a stored number.
    """
    total = planes
    while (count := len(total)) > 1:
        half = count // 2
        folded = total[:half] + total[half : 2 * half]
        if count % 2:
            folded[0] += total[-1]
        total = folded
    return total[0] / len(planes)


def _bounded(planes: torch.Tensor, mean: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Blocks (pixels, n) moved by a constant each and clamped, so that their means are `mean`.

    The mean rises with the constant, piecewise linearly: Newton's steps, and the middle of the
    bracket where such a step would leave it.
    """
    below, above = mean - planes.amax(dim=0), mean - planes.amin(dim=0)
    shift = torch.zeros_like(mean).clamp(below, above)
    # block by block, for numbers may lie between 0 and 1 and be as small as they like
    tolerance = 1e-5 * mean.abs() + 1e-7 * planes.abs().amax(dim=0)
    if planes.dtype == torch.float64:
        tolerance *= 1e-8
    for _ in range(60):
        now = (planes + shift).clamp(low, high)
        gap = mean - _mean(now)
        done = gap.abs() <= tolerance
        if bool(done.all()):
            break
        below, above = torch.where(gap > 0, shift, below), torch.where(gap > 0, above, shift)
        free = ((now > low) & (now < high)).to(planes.dtype).mean(dim=0)
        newton = shift + gap / free
        inside = (newton > below) & (newton < above)
        better = torch.where(inside, newton, (below + above) / 2)
        shift = torch.where(done, shift, better)  # however long other blocks take
    held = (planes + shift).clamp(low, high)
    if low == -torch.inf:
        return held
    # a small mean is the difference of large numbers so far; a factor makes it exact
    got, wanted = _mean(held) - low, mean - low
    exact = low + (held - low) * (wanted / got)
    return torch.where(got > 0, exact, mean).clamp(low, high)


def _rounded(
    planes: torch.Tensor, mean: torch.Tensor, limits: tuple[float, float] | None
) -> torch.Tensor:
    """Whole numbers whose sums over blocks are those of the values, rounded once.

    What rounding leaves of a pixel is handed to the next one of its block (error diffusion). What
    float32 then still misses of a sum, pixels that lie towards it take a step for. Where too few
    of these may, at a limit of the data type, any pixel that is not at the limit takes steps.
    """
    rounded, carry = torch.empty_like(planes), torch.zeros_like(mean)
    for value, number in zip(planes, rounded, strict=True):
        carry += value
        torch.add(carry, 0.5, out=number).floor_()
        if limits is not None:
            number.clamp_(*limits)
        carry -= number
    missing = (mean * len(planes)).round() - rounded.sum(dim=0)
    step, left = missing.sign(), missing.abs()
    if bool(left.any()):
        for value, number in zip(planes, rounded, strict=True):
            take = ((value - number) * step > 0) & (left > 0)
            if limits is not None:
                take &= (number + step >= limits[0]) & (number + step <= limits[1])
            number.add_(step * take)
            left -= take.to(left.dtype)
        if limits is not None and bool((short := left > 0).any()):
            rounded[:, short] = _shared(rounded[:, short], step[short], left[short], limits)
    return rounded


def _without(numbers: torch.Tensor, avoid: float, limits: tuple[float, float]) -> torch.Tensor:
    """Blocks (pixels, n) of whole numbers without the one to avoid, their sums as they were.

    Numbers there go up and down by turns; what that leaves of a sum, another number takes back.
    """
    owed = torch.zeros_like(numbers[0])
    for number in numbers:
        step = torch.where(owed > 0, -1, 1) * (number == avoid)
        number.add_(step)
        owed += step
    for size in (1, 2, 1):  # past the number to avoid and back, where all lie close above it
        for number in numbers:
            there = number - owed.sign() * size
            take = (there != avoid) & (there >= limits[0]) & (there <= limits[1])
            step = owed.sign() * size * take
            number.sub_(step)
            owed -= step
    return numbers


def _shared(
    numbers: torch.Tensor, step: torch.Tensor, left: torch.Tensor, limits: tuple[float, float]
) -> torch.Tensor:
    """Blocks (pixels, n) after `left` steps, taken in turn by pixels that are not at a limit."""
    while bool(left.any()):
        before = left.clone()
        for number in numbers:
            take = (left > 0) & (number + step >= limits[0]) & (number + step <= limits[1])
            number.add_(step * take)
            left -= take.to(left.dtype)
        if torch.equal(left, before):
            break
    return numbers

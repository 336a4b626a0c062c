"""Which pixels of a scene teach and which judge.

Windows are on the HR grid. `held_out_split` and `patch_split` never let a judging pixel into the
training windows; `published_split` repeats the split of the paper's notebooks, with its leak.
"""

from dataclasses import dataclass

import numpy as np

from hsisr.errors import InputDataError, UsageError
from hsisr.tiling import Window

PATCH_HR_PX = 144
"""Side of the paper's patches."""
_HELD_OUT_SHARE = 6
"""One pixel in this many is held out for validation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Windows of one scene by their use."""

    training: tuple[Window, ...]
    validation: tuple[Window, ...] = ()
    test: tuple[Window, ...] = ()
    """Not touched by training in any way, unless `leak_px` says so."""

    @property
    def leak_px(self) -> int:
        """Test pixels that training or validation windows also hold."""
        seen = (*self.training, *self.validation)
        return sum(_covered(test, seen) for test in self.test)

    @property
    def test_px(self) -> int:
        """Test pixels in all."""
        return sum(w.rows * w.cols for w in self.test)


def overlap_px(one: Window, other: Window) -> int:
    """Pixels that two windows share.

    >>> overlap_px(Window(0, 0, 4, 4), Window(2, 3, 4, 4))
    2
    """
    rows = min(one.row_end, other.row_end) - max(one.row, other.row)
    cols = min(one.col_end, other.col_end) - max(one.col, other.col)
    return max(0, rows) * max(0, cols)


def _covered(window: Window, others: tuple[Window, ...]) -> int:
    """Pixels of a window that lie in any of the others."""
    mask = np.zeros((window.rows, window.cols), np.bool_)
    for other in others:
        if overlap_px(window, other):
            top, left = max(0, other.row - window.row), max(0, other.col - window.col)
            mask[top : other.row_end - window.row, left : other.col_end - window.col] = True
    return int(np.count_nonzero(mask))


def whole_split(rows: int, cols: int, scale: int) -> Split:
    """All of a scene for training, as far as its sides are multiples of the scale."""
    _require_one_pixel(rows, cols, scale)
    return Split(training=(Window(0, 0, rows // scale * scale, cols // scale * scale),))


def _require_one_pixel(rows: int, cols: int, scale: int) -> None:
    if rows < scale or cols < scale:
        raise InputDataError(f"found {rows} x {cols} pixels, expected at least {scale} x {scale}")


def held_out_split(rows: int, cols: int, scale: int, least_lr_px: int) -> Split:
    """The last sixth of the longer side for validation, the rest for training, nothing shared.

    Sizes are HR pixels; windows hold whole LR pixels. A scene whose rest would be smaller than
    twice `least_lr_px`, the smallest strip worth judging by, is used for training alone.
    """
    (whole,) = whole_split(rows, cols, scale).training
    length, width = max(whole.rows, whole.cols) // scale, min(whole.rows, whole.cols)
    strip = max(least_lr_px, length // _HELD_OUT_SHARE)
    if length - strip < 2 * least_lr_px or width // scale < least_lr_px:
        return Split(training=(whole,))
    first, last = (length - strip) * scale, strip * scale
    parts = Window(0, 0, first, width), Window(first, 0, last, width)
    if whole.cols > whole.rows:
        parts = Window(0, 0, width, first), Window(0, first, width, last)
    return Split(training=parts[:1], validation=parts[1:])


def patch_grid(rows: int, cols: int, scale: int, side: int = PATCH_HR_PX) -> tuple[Window, ...]:
    """Patches that touch but do not overlap, from the first pixel on, as the notebooks cut them.

    A scene narrower than `side` is cut into patches as wide as itself, in whole LR pixels.

    >>> len(patch_grid(610, 340, 4)), len(patch_grid(1096, 715, 4))
    (8, 28)
    """
    _require_one_pixel(min(side, rows), min(side, cols), scale)
    high = min(side, rows) // scale * scale
    wide = min(side, cols) // scale * scale
    return tuple(
        Window(r, c, high, wide)
        for r in range(0, rows - high + 1, high)
        for c in range(0, cols - wide + 1, wide)
    )


def patch_split(
    rows: int,
    cols: int,
    scale: int,
    test: tuple[Window, ...] = (),
    side: int = PATCH_HR_PX,
    *,
    seed: int = 0,
) -> Split:
    """The paper's patches without its leaks: what touches a test window is left out.

    One patch in ten, and at least one where there are two, is kept whole for validation; the seed
    says which. `side` is that of a patch; sizes are HR pixels.

    Raises:
        InputDataError: No patch is left to train on.
    """
    grid = patch_grid(rows, cols, scale, side)
    free = [w for w in grid if not any(overlap_px(w, t) for t in test)]
    if not free:
        raise InputDataError(
            f"found no {side} x {side} patch in {rows} x {cols} pixels that leaves the test "
            "window alone; use a larger scene, or --recipe any"
        )
    order = np.random.default_rng(seed).permutation(len(free))
    judges = set(order[: max(1, round(len(free) / 10)) if len(free) > 1 else 0].tolist())
    return Split(
        training=tuple(w for n, w in enumerate(free) if n not in judges),
        validation=tuple(free[n] for n in sorted(judges)),
        test=test,
    )


def published_split(name: str, rows: int, cols: int, scale: int) -> Split:
    """The split of the published notebooks, exactly, leak included.

    All patches but those equal to the test patch are for training. On Pavia Centre the test patch
    is not one of the grid, and 56 of its 144 rows are also trained on: `Split.leak_px`. Validation
    samples are drawn among the training samples, so there are no validation windows.

    Raises:
        UsageError: No split was published for this dataset.
        InputDataError: The scene has another size than the published one.

    >>> split = published_split("paviac", 1096, 715, 4)
    >>> len(split.training), round(split.leak_px / split.test_px, 3)
    (28, 0.389)
    """
    if name not in PUBLISHED_TESTS:
        raise UsageError(
            f"no published split for {name!r}; there is one for "
            f"{', '.join(sorted(PUBLISHED_TESTS))}; use --recipe dacn-paper"
        )
    size, test = PUBLISHED_TESTS[name]
    if (rows, cols) != size:
        raise InputDataError(
            f"found {rows} x {cols} pixels, expected {size[0]} x {size[1]} for the published "
            f"split of {name}; give the whole scene, or use --recipe dacn-paper"
        )
    grid = patch_grid(rows, cols, scale)
    return Split(training=tuple(w for w in grid if w != test), test=(test,))


def disjoint_split(name: str, rows: int, cols: int) -> Split:
    """One rectangle to learn from and one to be judged by, for comparisons on a single scene.

    The published notebooks' test patch judges where they have one for this scene, and the largest
    rectangle beside it teaches; else the last sixth of the longer side judges.

    Raises:
        InputDataError: The scene is too small to be parted.

    >>> split = disjoint_split("paviac", 1096, 715)
    >>> split.training, split.leak_px
    ((Window(row=0, col=0, rows=952, cols=715),), 0)
    """
    size, test = PUBLISHED_TESTS.get(name, ((0, 0), None))
    if test is not None and size == (rows, cols):
        return Split(training=(_largest_beside(test, rows, cols),), test=(test,))
    parts = held_out_split(rows, cols, 8, 2)
    if not parts.validation:
        raise InputDataError(
            f"found {rows} x {cols} pixels, too few to learn from one part of {name} and be "
            "judged by another; name scenes with --train and --scenes"
        )
    return Split(training=parts.training, test=parts.validation)


def _largest_beside(test: Window, rows: int, cols: int) -> Window:
    """The largest rectangle as wide or as high as the scene that leaves a window alone."""
    beside = (
        Window(0, 0, test.row, cols),
        Window(test.row_end, 0, rows - test.row_end, cols),
        Window(0, 0, rows, test.col),
        Window(0, test.col_end, rows, cols - test.col_end),
    )
    return max(beside, key=lambda window: window.rows * window.cols)


PUBLISHED_TESTS = {
    "paviau": ((610, 340), Window(0, 0, PATCH_HR_PX, PATCH_HR_PX)),
    "paviac": ((1096, 715), Window(952, 285, PATCH_HR_PX, PATCH_HR_PX)),
}
"""Dataset -> rows and columns of the scene, and the test patch of the published notebooks."""

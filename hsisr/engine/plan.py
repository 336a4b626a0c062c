"""Cutting a scene into work: panels of columns, tiles of rows, groups of bands.

A panel is a run of columns that is finished from top to bottom before the next begins, so that
memory depends on the panel and not on the width of the scene. Panels end at block borders of the
output file. Tiles at a panel's border are computed for both sides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hsisr.engine.machine import BASE_BYTES, WORKING_BYTES
from hsisr.engine.mixing import Mixing
from hsisr.engine.upscaler import InterpolationUpscaler, Upscaler
from hsisr.models.interpolation import KERNELS
from hsisr.tiling import Window, taper_weights, window_starts

BANDS_FINISHED_AT_ONCE = 4
"""So few that what is computed of them on the way is small beside all bands of a row of tiles."""

_STRIP_HR_ROWS = 256
_TEMPORARIES = 5


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A run of LR pixels along one axis, and how much each of its HR pixels counts."""

    start: int
    size: int
    weights: npt.NDArray[np.float32] | None = None
    """On the HR axis; None where no other segment overlaps."""

    @property
    def end(self) -> int:
        """One past the last LR pixel."""
        return self.start + self.size


@dataclass(frozen=True, slots=True, eq=False)
class BandGroup:
    """Bands that are upscaled together."""

    bands: tuple[int, ...]
    """0-based, rising."""
    upscaler: Upscaler
    weights: npt.NDArray[np.float32] | None = None
    """How much each band counts; None where no other group has it."""


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Columns that are finished together."""

    start: int
    size: int
    segments: tuple[Segment, ...]
    """Tiles that touch the panel; they may reach beyond it."""

    def between(self, rows: Segment) -> Window:
        """The LR pixels of its tiles between these rows."""
        left = min(segment.start for segment in self.segments)
        right = max(segment.end for segment in self.segments)
        return Window(rows.start, left, rows.size, right - left)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Plan:
    """All the work on one scene, and what it takes."""

    scale: int
    rows: tuple[Segment, ...]
    panels: tuple[Panel, ...]
    groups: tuple[BandGroup, ...]
    halo: int
    """LR pixels read around a tile."""
    batch_size: int
    """Tiles that a device is given at once; on a processor, those in threads of their own."""
    peak_bytes: int
    """Estimate of the most memory held at any time, libraries included."""
    floors: tuple[float, ...] | None = None
    """Least number that each band may have where the result must agree with the scene."""
    mixing: Mixing | None = None
    """Groups are of pseudo-bands, and give detail that is added to the bands' interpolation. None:
    groups are of the bands themselves."""
    kept: tuple[int, ...] | None = None
    """Positions of the bands that are written, rising, among those that are read; None: all."""
    ahead: bool = False
    """Upscale the next groups while these bands are finished, not tiles side by side."""
    reads_ahead: bool = False
    """Read the next row of tiles while this one is upscaled. Interpolation computes in a thread of
    its own, so that reading holds nothing up."""

    @property
    def side_by_side(self) -> bool:
        """Tiles are computed, and bands finished, each by a thread of its own."""
        return not self.ahead and all(group.upscaler.in_threads for group in self.groups)

    @property
    def tiles(self) -> int:
        """Number of tiles, each of one band group."""
        columns = sum(len(panel.segments) for panel in self.panels)
        return len(self.rows) * columns * len(self.groups)

    def end_of(self, number: int) -> int:
        """LR row before which all is final once that row of tiles is done."""
        last = number + 1 == len(self.rows)
        return self.rows[number].end if last else self.rows[number + 1].start


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the plan has to fit: the scene, the blocks of the output file, the memory."""

    bands: int
    rows: int
    cols: int
    itemsize: int
    """Bytes of an output number."""
    block_rows: int
    """HR rows of an output block."""
    block_cols: int
    rows_at_once: int = 1
    """LR rows that are read at once."""
    working_bytes: int = WORKING_BYTES


def plan_network(
    upscaler: Upscaler,
    groups: Sequence[BandGroup],
    layout: Layout,
    *,
    tile: int,
    overlap: int,
    batch_size: int,
    mixing: Mixing | None = None,
    feature_bytes: int = 0,
) -> Plan:
    """Square tiles of `tile` LR pixels, of which neighbours share `overlap`, and are blended there.

    `feature_bytes` is what the network takes beside all else; `mixing` is as in `Plan`.
    """
    scale = upscaler.scale
    halo = max(group.upscaler.margin_lr_px for group in groups)
    if mixing is not None:
        halo = max(halo, base_of(scale).margin_lr_px)
    rows = _segments(layout.rows, tile, overlap, scale)
    cols = _segments(layout.cols, tile, overlap, scale)

    def touching(start: int, size: int) -> tuple[Segment, ...]:
        return tuple(c for c in cols if c.start < start + size and c.end > start)

    plan = _planned(groups, layout, rows, touching, halo, reads=2, mixing=mixing)
    peak_bytes = plan.peak_bytes + feature_bytes
    return replace(plan, batch_size=batch_size, reads_ahead=True, peak_bytes=peak_bytes)


def plan_interpolation(
    upscaler: InterpolationUpscaler, layout: Layout, *, tile: int | None = None
) -> Plan:
    """Strips as high as an output block and as wide as a panel; nothing overlaps."""
    scale = upscaler.scale
    block = max(1, layout.block_rows // scale)
    height = min(tile or max(1, _STRIP_HR_ROWS // scale // block) * block, layout.rows)
    rows = tuple(Segment(start, size) for start, size in _cut(layout.rows, height))
    groups = interpolated_groups(range(layout.bands), upscaler)
    halo = upscaler.margin_lr_px
    plan = _planned(groups, layout, rows, lambda *of: (Segment(*of),), halo, reads=1)
    return replace(plan, ahead=True)


def _planned(
    groups: Sequence[BandGroup],
    layout: Layout,
    rows: tuple[Segment, ...],
    tiles: Callable[[int, int], tuple[Segment, ...]],
    halo: int,
    *,
    reads: int,
    mixing: Mixing | None = None,
) -> Plan:
    """Panels of whole output blocks, as wide as memory allows; `tiles` of their start and size."""
    scale = groups[0].upscaler.scale
    per_col = _bytes_per_lr_col(layout, groups, rows, halo, reads, mixing)
    block = max(1, layout.block_cols // scale)
    width = max(1, layout.working_bytes // per_col // block) * block
    return Plan(
        scale=scale,
        rows=rows,
        panels=tuple(Panel(*part, tiles(*part)) for part in _cut(layout.cols, width)),
        groups=tuple(groups),
        halo=halo,
        batch_size=1,
        peak_bytes=BASE_BYTES + per_col * (min(width, layout.cols) + 2 * halo),
        mixing=mixing,
    )


def base_of(scale: int) -> InterpolationUpscaler:
    """The interpolation that detail of pseudo-bands is added to: ten rounds of agreement."""
    return InterpolationUpscaler(KERNELS["baseline"], scale)


def interpolated_groups(bands: Sequence[int], upscaler: Upscaler) -> tuple[BandGroup, ...]:
    """Bands in handfuls that do not overlap."""
    step = BANDS_FINISHED_AT_ONCE
    return tuple(
        BandGroup(tuple(bands[start : start + step]), upscaler)
        for start in range(0, len(bands), step)
    )


def network_groups(
    bands: Sequence[int], upscaler: Upscaler, *, size: int, overlap: int
) -> tuple[BandGroup, ...]:
    """Overlapping groups that cover every band; the last is moved inside, and tapers blend."""
    if len(bands) <= size:
        return (BandGroup(tuple(bands), upscaler),) if bands else ()
    starts = window_starts(len(bands), size, overlap)
    return tuple(
        BandGroup(tuple(bands[start : start + size]), upscaler, weights)
        for start, weights in zip(starts, taper_weights(starts, size, len(bands)), strict=True)
    )


def _segments(length: int, tile: int, overlap: int, scale: int) -> tuple[Segment, ...]:
    size = min(tile, length)
    starts = window_starts(length, size, min(overlap, size - 1))
    if len(starts) == 1:
        return (Segment(0, size),)
    weights = taper_weights(starts, size, length, scale=scale)
    return tuple(Segment(s, size, w) for s, w in zip(starts, weights, strict=True))


def _cut(length: int, step: int) -> list[tuple[int, int]]:
    return [(start, min(step, length - start)) for start in range(0, length, step)]


def _bytes_per_lr_col(
    layout: Layout,
    groups: Sequence[BandGroup],
    rows: tuple[Segment, ...],
    halo: int,
    reads: int,
    mixing: Mixing | None,
) -> int:
    """Memory that one LR column of a panel takes while a row of tiles is at work."""
    scale, height = groups[0].upscaler.scale, rows[0].size
    shared_rows = max((a.end - b.start for a, b in pairwise(rows)), default=0)
    needed = height + 4 * halo
    read = reads * needed * layout.bands * (4 + 4 + 1 + layout.itemsize)
    ahead = (needed + layout.rows_at_once) * layout.bands * layout.itemsize
    largest = max(len(group.bands) for group in groups)
    group = largest * height * scale**2 * 4 * _TEMPORARIES
    strip = (height * scale + layout.block_rows) * scale * layout.bands * layout.itemsize
    planes = layout.bands if mixing is None else mixing.count
    waiting = shared_rows * scale**2 * planes * 4
    detail = 0 if mixing is None else height * scale**2 * planes * 4
    return read + ahead + group + strip + waiting + detail

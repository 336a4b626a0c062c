"""From blended rows of tiles to stored numbers: add up, agree, mask, quantise, hand on."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hsisr.inference.consistency import agree
from hsisr.inference.observed import Observed
from hsisr.inference.planning import Panel, Plan, Segment
from hsisr.inference.strips import BlockWriter
from hsisr.io.protocol import SceneWriter
from hsisr.scene.cube import all_valid
from hsisr.scene.quantisation import StoredNumbers, quantise, storable_range
from hsisr.tiling.windows import Window


class PanelFinisher:
    """Rows of one panel: adds the tiles above, and finishes what no later tile adds to."""

    def __init__(
        self, writer: SceneWriter, plan: Plan, panel: Panel, *, consistent: bool, masked: bool
    ) -> None:
        self.moved = 0
        self._blocks = BlockWriter(writer, panel.start * plan.scale, panel.size * plan.scale)
        self._stored: StoredNumbers = writer.metadata.stored
        self._limits = storable_range(self._stored)
        self._plan, self._panel = plan, panel
        self._consistent, self._masked = consistent, masked
        self._waiting: dict[int, torch.Tensor] = {}

    def add(
        self,
        bands: tuple[int, ...],
        values: torch.Tensor,
        rows: Segment,
        after: int,
        observed: Observed,
    ) -> None:
        """Take blended bands of a row of tiles; LR rows before `after` become final."""
        done = (after - rows.start) * self._plan.scale
        for band, plane in zip(bands, values, strict=True):
            if (above := self._waiting.pop(band, None)) is not None:
                plane[: len(above)] += above
            if done < len(plane):
                self._waiting[band] = plane[done:].clone()
        final = Window(rows.start, self._panel.start, after - rows.start, self._panel.size)
        self._finish(bands, values[:, :done], final, observed)

    def end_row_of_tiles(self, after: int) -> None:
        """All bands have their rows before LR row `after`."""
        self._blocks.flush(after * self._plan.scale)

    def _finish(
        self, bands: tuple[int, ...], values: torch.Tensor, lr: Window, observed: Observed
    ) -> None:
        inside = observed.cut(lr)
        own = slice(bands[0], bands[-1] + 1)
        seen = observed.values[own][:, *inside]
        valid = observed.valid[own][:, *inside]
        if self._consistent:
            values = self._agreed(bands, values, seen, valid)
        fine_valid = _repeated(valid, self._plan.scale)
        quantised = quantise(values.numpy(), fine_valid, self._stored)
        self.moved += quantised.moved
        mask = np.asarray(fine_valid.any(axis=0)) if self._masked and bands[0] == 0 else None
        row = lr.row * self._plan.scale
        self._blocks.put(quantised.numbers, band=bands[0], row=row, mask=mask)

    def _agreed(
        self,
        bands: tuple[int, ...],
        values: torch.Tensor,
        seen: npt.NDArray[np.float32],
        valid: npt.NDArray[np.bool_],
    ) -> torch.Tensor:
        """Values whose block means are the observed pixels; stored integers where that is exact."""
        whole = self._stored.dtype.kind != "f"
        floors = self._plan.floors
        itemsize = self._stored.dtype.itemsize
        precision = torch.float64 if whole and itemsize > 2 else torch.float32
        agreed, held = agree(
            values.to(precision),
            torch.from_numpy(np.ascontiguousarray(seen)).to(precision),
            self._plan.scale,
            limits=self._limits,
            floors=None if floors is None else floors[bands[0] : bands[-1] + 1],
            whole=whole,
            dtype=_tensor_type(self._stored.dtype) if whole and itemsize <= 4 else None,
            valid=torch.from_numpy(np.ascontiguousarray(valid)),
        )
        self.moved += held
        return agreed


def _tensor_type(dtype: np.dtype[Any]) -> torch.dtype:
    """Torch's name for a data type of NumPy's."""
    return torch.from_numpy(np.empty(0, dtype)).dtype


def _repeated(valid: npt.NDArray[np.bool_], scale: int) -> npt.NDArray[np.bool_]:
    """A mask of LR pixels on the HR grid; a broadcast where all is valid."""
    bands, rows, cols = valid.shape
    if all_valid(valid):
        return np.broadcast_to(np.True_, (bands, rows * scale, cols * scale))
    return valid.repeat(scale, axis=1).repeat(scale, axis=2)

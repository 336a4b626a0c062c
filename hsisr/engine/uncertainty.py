"""A standard error for every output value, by a small model of the error of released weights.

The model knows what inference knows: how rough the observed band is at two distances, around a
pixel and over the scene (how roughness falls towards small distances tells how much of it is below
the pixel), how much detail was added to the pixel, and what neighbouring bands do not share.
Squares are in units of the band's mean squared gradient, so that the model holds for numbers of
any scale. It is fitted, for each released weights, by `docs/releasing/error_model.py`; its
coefficients lie beside the weights.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from hsisr.engine.reading import Observed, fill_invalid
from hsisr.io.base import Scene, SceneWriter
from hsisr.models.interpolation import repeat_pixels
from hsisr.tiling import Window

FILE: Final = "uncertainty.json"
"""In the folder of the released weights: a model by the hash of the weights."""
REACH: Final = 4
"""LR pixels around a pixel that its standard error depends on."""
_WINDOWS: Final = 4
"""Levels are measured in at most so many windows along each side of a scene."""
_SIDE: Final = 64
"""Of such a window, in pixels."""
_LEAST: Final = 1e-6
"""Squared roughness below this share of the band's counts as this share."""


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Of a scene, per band, shape (bands,): in squared stored numbers, 0 in bands without data."""

    gradient: torch.Tensor
    """Mean squared difference of neighbours."""
    features: torch.Tensor
    """Logarithms of other levels over that one, shape (bands, features)."""

    def subset(self, bands: Sequence[int]) -> "Levels":
        """Of these bands alone."""
        chosen = torch.tensor(list(bands), dtype=torch.long)
        return Levels(self.gradient[chosen], self.features[chosen])


def roughness(lr: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Squared differences at the pixels of (bands, rows, cols), two at each side apart.

    Of neighbours, of pixels two apart, and of the differences of neighbours across (what no
    straight edge along rows or columns has); all of shape (bands, rows - 4, cols - 4).
    """
    near, far = ((_beside(lr, 1, n) + _beside(lr, 2, n)).mul_(0.25) for n in (1, 2))
    return near, far, across(lr)


def _beside(lr: torch.Tensor, axis: int, step: int) -> torch.Tensor:
    """Squared differences from the pixels so far before and behind, added up."""
    inner = lr.narrow(3 - axis, 2, lr.shape[3 - axis] - 4)
    squares = _differences(inner, axis, step).square_()
    count = lr.shape[axis] - 4
    return squares.narrow(axis, 2 - step, count) + squares.narrow(axis, 2, count)


def _differences(x: torch.Tensor, axis: int, step: int = 1) -> torch.Tensor:
    count = x.shape[axis] - step
    return x.narrow(axis, step, count) - x.narrow(axis, 0, count)


def across(lr: torch.Tensor) -> torch.Tensor:
    """The last of `roughness` alone."""
    corners = _differences(_differences(lr[:, 1:-1, 1:-1], 1), 2).square_()
    return _box_sum(corners, 2).mul_(0.25)


def _box_sum(x: torch.Tensor, side: int) -> torch.Tensor:
    """Sums over squares of a side; faster than torch's pooling on a processor."""
    for axis in (1, 2):
        count = x.shape[axis] - side + 1
        total = x.narrow(axis, 0, count) + x.narrow(axis, 1, count)
        for place in range(2, side):
            total += x.narrow(axis, place, count)
        x = total
    return x


def mirrored(lr: torch.Tensor, before: tuple[int, int], after: tuple[int, int]) -> torch.Tensor:
    """Mirrored at sides of the scene, (rows, cols) before and after."""
    short = min(lr.shape[-2:]) <= REACH
    sides = before[1], after[1], before[0], after[0]
    return functional.pad(lr[None], sides, mode="replicate" if short else "reflect")[0]


def neighbours(values: torch.Tensor, bands: Sequence[int]) -> torch.Tensor:
    """Mean of the bands before and after each of `bands`, as far as there are any."""
    last = len(values) - 1
    before = [min(last, abs(band - 1)) for band in bands]
    after = [band + 1 if band < last else max(0, band - 1) for band in bands]
    return (values[before] + values[after]) / 2


def levels(scene: Scene) -> Levels:
    """Read up to 16 windows of a scene, spread over it, for the levels of its bands."""
    sums = torch.stack([_level_sums(scene, window) for window in _level_windows(scene)])
    count, values, *squares = sums.sum(dim=0).unbind(dim=1)
    gradient, wide, cross, spectral, own = (x / count.clamp_min(1) for x in squares)
    variance = own - (values / count.clamp_min(1)).square()
    others = torch.stack([wide, cross, spectral, variance], dim=1)
    safe = torch.where(gradient > 0, gradient, 1)[:, None]
    features = (others / safe).clamp(_LEAST, 1 / _LEAST).log() / 2
    return Levels(gradient.float(), features.float())


def _level_windows(scene: Scene) -> list[Window]:
    def starts(length: int) -> list[tuple[int, int]]:
        size = min(_SIDE, length)
        count = min(_WINDOWS, -(-length // size))
        return [(int(start), size) for start in np.linspace(0, length - size, count)]

    rows, cols = starts(scene.metadata.rows), starts(scene.metadata.cols)
    return [Window(row, col, height, width) for row, height in rows for col, width in cols]


def _level_sums(scene: Scene, window: Window) -> torch.Tensor:
    """Sums over the valid pixels of a window, shape (bands, 7), in float64."""
    cube = scene.read(window)
    valid = torch.from_numpy(np.ascontiguousarray(cube.valid))
    lr = torch.from_numpy(fill_invalid(cube.values, cube.valid, REACH))
    every = range(len(lr))
    squares = roughness(mirrored(lr, (2, 2), (2, 2)))
    noise = across(mirrored(lr - neighbours(lr, every), (2, 2), (2, 2)))
    parts = torch.ones_like(lr), lr, *squares, noise, lr.double().square()
    return torch.stack([(p.double() * valid).sum(dim=(1, 2)) for p in parts], dim=1)


def pixel_features(
    near: torch.Tensor,
    beside: torch.Tensor,
    known: torch.Tensor,
    added: torch.Tensor,
    level: Levels,
) -> torch.Tensor:
    """What the error of LR pixels follows from, shape (bands, rows, cols, features).

    Args:
        near: Observed values, filled, `REACH` pixels around, shape (bands, rows + 8, cols + 8).
        beside: `neighbours` of the same bands, same shape.
        known: Where they are data, 1 or 0; same shape.
        added: Variance of the result inside each LR pixel, shape (bands, rows, cols).
        level: Of these bands.
    """
    gradient, wide, cross = roughness(near)
    noise = across(near - beside)

    def around(x: torch.Tensor, side: int) -> torch.Tensor:
        cut = (x.shape[-1] - added.shape[-1] - (side - 1)) // 2
        inside = x[:, cut : x.shape[1] - cut, cut : x.shape[2] - cut]
        return _box_sum(inside, side).div_(side**2)

    safe = torch.where(level.gradient > 0, level.gradient, 1)[:, None, None]
    squares = around(gradient, 3), *(around(x, 5) for x in (gradient, wide, cross, noise)), added
    local = [(square / safe).clamp_min(_LEAST).log() / 2 for square in squares]
    missing = 1 - around(known, 5)
    whole = level.features[:, None, None].expand(*added.shape, -1)
    return torch.cat([torch.stack([*local, missing], dim=-1), whole], dim=-1)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ErrorModel:
    """Coefficients of the error of released weights.

    The standard error of an LR pixel is sqrt(level.gradient) * exp(f), with f a network of one
    hidden layer (tanh) beside a linear term over standardised features; inside the pixel it follows
    the place and the detail that was added there.
    """

    centre: torch.Tensor
    """Means of the features, shape (features,)."""
    deviation: torch.Tensor
    """Their standard deviations."""
    hidden: torch.Tensor
    """Shape (units, features)."""
    hidden_bias: torch.Tensor
    """Shape (units,)."""
    out: torch.Tensor
    """Shape (units,)."""
    linear: torch.Tensor
    """Shape (features,)."""
    bias: torch.Tensor
    """One number."""
    place: torch.Tensor
    """Factor at each place in an LR pixel, shape (scale, scale)."""
    detail: torch.Tensor
    """Weight of the squared detail, in units of its mean in the LR pixel."""
    factors: torch.Tensor
    """Times the standard error: half the interval that holds 68 % of the true values, and 95 %."""

    def log_error(self, features: torch.Tensor) -> torch.Tensor:
        """Of features (..., features), shape (...)."""
        standard = ((features - self.centre) / self.deviation).clamp(-4, 4)
        units = torch.tanh(functional.linear(standard, self.hidden, self.hidden_bias))
        return units @ self.out + standard @ self.linear + self.bias

    def standard_errors(
        self,
        values: torch.Tensor,
        near: torch.Tensor,
        beside: torch.Tensor,
        known: torch.Tensor,
        level: Levels,
        *,
        whole: bool = False,
    ) -> torch.Tensor:
        """Of a result (bands, rows * scale, cols * scale) in its numbers, rounded ones if `whole`.

        The others are those of `pixel_features`.

        Returns:
            Shape of `values`.
        """
        scale = len(self.place)
        bands, rows, cols = near.shape[0], near.shape[1] - 2 * REACH, near.shape[2] - 2 * REACH
        planes = values.reshape(bands, rows, scale, cols, scale).permute(2, 4, 0, 1, 3).contiguous()
        detail = (planes - planes.mean(dim=(0, 1))).square_()
        added = detail.mean(dim=(0, 1))
        pixel = self.log_error(pixel_features(near, beside, known, added, level)).exp()
        square = pixel.square_().mul_(level.gradient[:, None, None]).div_(1 + self.detail)
        share = torch.where(added > 0, square * self.detail / added, 0)  # equal values have none
        # squares of `inside`, times the pixel's, in three passes over the HR pixels
        found = detail.mul_(share).add_(square).mul_(self.place.square()[..., None, None, None])
        if whole:
            found.add_(1 / 12)
        return found.sqrt_().permute(2, 3, 0, 4, 1).reshape(values.shape)

    def inside(self, detail: torch.Tensor) -> torch.Tensor:
        """Factors of HR pixels in LR pixels.

        `detail` is squared, in units of its mean over the LR pixel, shape (..., scale, scale).
        """
        return self.place * ((1 + self.detail * detail) / (1 + self.detail)).sqrt()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, rounded to six digits."""
        return {
            name: [float(f"{x:.6g}") for x in getattr(self, name).ravel().tolist()]
            for name in self.__dataclass_fields__
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Sequence[float]]) -> "ErrorModel":
        """From what `as_dict` gave.

        Raises:
            ValueError: Numbers are missing.
        """
        found = {name: torch.tensor(plain[name]) for name in cls.__dataclass_fields__}
        features, units = len(found["centre"]), len(found["out"])
        side = int(len(found["place"]) ** 0.5)
        found["hidden"] = found["hidden"].reshape(units, features)
        found["place"] = found["place"].reshape(side, side)
        return cls(**found)


def model_of(sha256: str) -> ErrorModel | None:
    """The model of the error of released weights; None: there is none."""
    from hsisr.weights import released_folder

    path = released_folder() / FILE
    table = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return ErrorModel.from_dict(table[sha256]) if sha256 in table else None


@dataclass(frozen=True, slots=True, eq=False)
class StandardErrors:
    """The standard errors of a scene's result, block by block, as float32; NaN without data."""

    model: ErrorModel
    level: Levels
    writer: SceneWriter
    whole: bool

    def of(
        self, numbers: npt.NDArray[Any], bands: Sequence[int], window: Window, observed: Observed
    ) -> npt.NDArray[np.float32]:
        """Of finished numbers, rounded to 8 significant bits, which is enough and compresses well.

        They fill the LR pixels of `window`; `bands` are their places among the bands that are read.
        """
        wide, seen = observed.around(window, REACH)
        before = REACH - seen.top, REACH - seen.left
        after = REACH - seen.bottom, REACH - seen.right
        inside = observed.cut(wide)
        values = torch.from_numpy(observed.values[:, *inside])
        valid = torch.from_numpy(observed.valid[:, *inside][list(bands)].astype(np.float32))
        near, beside, known = (
            mirrored(part, before, after)
            for part in (values[list(bands)], neighbours(values, bands), valid)
        )
        found = self.model.standard_errors(
            torch.from_numpy(numbers.astype(np.float32, copy=False)),
            near,
            beside,
            known,
            self.level.subset(bands),
            whole=self.whole,
        )
        known = repeat_pixels(known[:, REACH:-REACH, REACH:-REACH], len(self.model.place))
        found = found.bfloat16().float().masked_fill_(known == 0, torch.nan)
        return np.asarray(found.numpy(), np.float32)

"""One interface for everything that makes LR tiles finer: interpolations and networks."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

from hsisr.errors import HsisrWarning, ResourceError, WeightsError, means_no_memory
from hsisr.inference.statistics import BandStatistics
from hsisr.models.back_projection import (
    ROUNDS,
    agreeing_lr,
    context_lr_px,
    draw_towards,
)
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.interpolation import KERNELS, Kernel, Trim, interpolate


class Upscaler(ABC):
    """Makes tiles finer; knows what it needs around them, and nothing of scenes or files."""

    scale: int
    """HR pixels per LR pixel along a side."""
    margin_lr_px: int
    """Context around a tile that decides on its result."""

    @abstractmethod
    def run(self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim) -> torch.Tensor:
        """Finer tiles.

        Args:
            tiles: LR tiles without invalid values, shape (n, bands, rows, cols), on the CPU.
            bands: Which bands of the scene these are (for their statistics).
            trim: Context at the sides that gets no output.

        Returns:
            Shape (n, bands, (rows - top - bottom) * scale, (cols - left - right) * scale),
            float32, on the CPU.

        Raises:
            ResourceError: One tile alone does not fit into memory.
        """


@dataclass(frozen=True, slots=True)
class InterpolationUpscaler(Upscaler):
    """Plain interpolation, drawn towards the observed scene if wanted. Bands are independent."""

    kernel: Kernel
    scale: int
    consistent: bool = True

    @property
    def margin_lr_px(self) -> int:  # type: ignore[override]
        """The kernel's reach, and that of back-projection."""
        return context_lr_px(self.kernel, ROUNDS if self.consistent else 0)

    def run(self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim) -> torch.Tensor:  # noqa: ARG002
        """See `Upscaler.run`; HR planes are done one by one because one plane fits the cache."""
        n, count, rows, cols = tiles.shape
        height = (rows - trim.top - trim.bottom) * self.scale
        width = (cols - trim.left - trim.right) * self.scale
        fine = torch.empty(n * count, height, width)
        lr, near = tiles.reshape(n * count, rows, cols), trim
        if self.consistent:
            lr, near = agreeing_lr(lr, self.kernel, self.scale, trim)
        for plane, coarse in zip(fine, lr, strict=True):
            interpolate(coarse, self.kernel, self.scale, near, out=plane)
        return fine.reshape(n, count, height, width)


@dataclass(frozen=True, slots=True, eq=False)
class NetworkUpscaler(Upscaler):
    """A network over one band group, with its normalisation around it."""

    network: torch.nn.Module
    descriptor: ModelDescriptor
    device: torch.device
    precision: torch.dtype = torch.float32
    consistent: bool = True
    statistics: BandStatistics | None = None
    """Of the whole scene; needed where the descriptor's normalisation is `band`."""

    @property
    def scale(self) -> int:  # type: ignore[override]
        """As the weights say."""
        return self.descriptor.scale

    @property
    def margin_lr_px(self) -> int:  # type: ignore[override]
        """As the weights say."""
        return self.descriptor.margin_lr_px

    def run(self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim) -> torch.Tensor:
        """See `Upscaler.run`; a batch too large for the device is halved until it fits."""
        try:
            return self._run(tiles, bands, trim)
        except (RuntimeError, MemoryError) as error:
            if not means_no_memory(error):
                raise
            if len(tiles) == 1:
                raise ResourceError(
                    f"one tile of {tuple(tiles.shape[1:])} does not fit into the memory of "
                    f"{self.device}; use a smaller --tile, or --device cpu"
                ) from error
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        middle = len(tiles) // 2
        halves = (tiles[:middle], tiles[middle:])
        return torch.cat([self.run(half, bands, trim) for half in halves])

    @torch.no_grad()
    def _run(self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim) -> torch.Tensor:
        observed = tiles.to(self.device)
        mean, deviation = self._normalisation(bands)
        lr = self._grouped((observed - mean) / deviation)
        zero = self._grouped((-mean / deviation)[None])
        hr = self._finite(lr, zero)[:, : len(bands)] * deviation + mean
        if self.consistent:
            hr = draw_towards(hr, observed, KERNELS["bicubic"], self.scale)
        rows, cols = hr.shape[-2:]
        s = self.scale
        kept = hr[..., trim.top * s : rows - trim.bottom * s, trim.left * s : cols - trim.right * s]
        return kept.cpu()

    def _finite(self, lr: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
        """The network's result in float32; what overflows half precision is done again in full."""
        half = self.precision is not torch.float32
        with torch.autocast(self.device.type, self.precision, enabled=half):
            hr: torch.Tensor = self.network(lr, zero).float()
        if half and not bool(torch.isfinite(hr).all()):
            warnings.warn(
                f"a tile left the range of {self.precision}; it was computed in float32",
                HsisrWarning,
                stacklevel=2,
            )
            hr = self.network(lr, zero)
        if not bool(torch.isfinite(hr).all()):
            raise WeightsError(
                "the network returned values that are not finite; these weights cannot be used "
                "on this scene (are its numbers scaled as the model card says?)"
            )
        return hr

    def _grouped(self, lr: torch.Tensor) -> torch.Tensor:
        """A group of exactly the network's size; a smaller one is mirrored at its last band."""
        size, bands = self.descriptor.group_size, lr.shape[1]
        if bands == size:
            return lr
        there_and_back = [*range(bands), *range(bands - 2, 0, -1)]
        order = [there_and_back[i % len(there_and_back)] for i in range(size)]
        return lr[:, order]

    def _normalisation(self, bands: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation of each band, shape (bands, 1, 1); 0 and 1 where none is wanted."""
        count = len(bands)
        if self.statistics is None or self.descriptor.normalisation == "none":
            return torch.zeros(count, 1, 1, device=self.device), torch.ones(
                count, 1, 1, device=self.device
            )
        chosen = list(bands)
        mean = torch.from_numpy(self.statistics.mean[chosen]).float().nan_to_num(0.0)
        deviation = torch.from_numpy(self.statistics.deviation[chosen]).float()
        return mean[:, None, None].to(self.device), deviation[:, None, None].to(self.device)

"""One interface for everything that makes LR tiles finer: interpolations and networks."""

import functools
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from hsisr.engine.reading import BandStatistics
from hsisr.errors import HsisrWarning, ResourceError, WeightsError, means_no_memory
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.interpolation import (
    KERNELS,
    ROUNDS,
    Kernel,
    Trim,
    agreeing_lr,
    back_project,
    context_lr_px,
    interpolate,
)
from hsisr.tiling import mirrored_order, repeats

_log = logging.getLogger("hsisr")


class Transfers:
    """To a GPU and back, without waiting for what it has to do.

    What leaves has a stream of its own, so that the next batch computes meanwhile.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._outgoing = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def to_device(self, host: torch.Tensor) -> torch.Tensor:
        """A copy on the device, for what is asked of it next."""
        return host.pin_memory().to(self._device, non_blocking=True)

    def to_host(self, found: Sequence[torch.Tensor]) -> Callable[[], list[torch.Tensor]]:
        """Begin to copy results, contiguous on the device, of what was asked of it so far.

        Returns what waits for the copies, in the same order, on the CPU.
        """
        computed = torch.cuda.current_stream(self._device).record_event()
        hosts = [torch.empty(x.shape, dtype=x.dtype, pin_memory=True) for x in found]
        with torch.cuda.stream(self._outgoing):
            self._outgoing.wait_event(computed)
            for host, x in zip(hosts, found, strict=True):
                host.copy_(x, non_blocking=True)
                x.record_stream(self._outgoing)
            copied = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            copied.record(self._outgoing)

        def wait() -> list[torch.Tensor]:
            copied.synchronize()
            return hosts

        return wait


class Upscaler(ABC):
    """Makes tiles finer; knows what it needs around them, and nothing of scenes or files."""

    scale: int
    """HR pixels per LR pixel along a side."""
    margin_lr_px: int
    """Context around a tile that decides on its result."""
    most_under_way: int = 1
    """Batches that `begin` may be asked for before the first result is waited for."""
    in_threads: bool = False
    """Several threads may each call `run`, and are done sooner than one after the other."""

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

    def begin(
        self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim
    ) -> Callable[[], torch.Tensor]:
        """As `run`, by a device that goes on by itself; elsewhere nothing is done yet.

        Returns:
            What waits for the result, and raises the errors; to be called once.
        """
        return functools.partial(self.run, tiles, bands, trim)


@dataclass(frozen=True, slots=True)
class InterpolationUpscaler(Upscaler):
    """Plain interpolation, back-projected if wanted. Bands are independent."""

    kernel: Kernel
    scale: int
    consistent: bool = True
    in_threads = True

    @property
    def margin_lr_px(self) -> int:  # type: ignore[override]
        """The kernel's reach, and that of five rounds of back-projection.

        What further rounds reach beyond it weighs 1e-9, less than float32 can tell.
        """
        return context_lr_px(self.kernel, min(ROUNDS, self.kernel.rounds) if self.consistent else 0)

    def run(self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim) -> torch.Tensor:  # noqa: ARG002
        """See `Upscaler.run`; HR planes are done one by one because one plane fits the cache."""
        n, count, rows, cols = tiles.shape
        height = (rows - trim.top - trim.bottom) * self.scale
        width = (cols - trim.left - trim.right) * self.scale
        fine = torch.empty(n * count, height, width)
        lr, near = tiles.reshape(n * count, rows, cols), trim
        if self.consistent:
            lr, near = agreeing_lr(lr, self.kernel, self.scale, trim, self.kernel.rounds)
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
    """Draw what the network returns towards the scene; not needed where it `agrees`."""
    statistics: BandStatistics | None = None
    """Of the whole scene; needed where the descriptor's normalisation is `band`."""
    transfers: Transfers | None = None
    """How numbers come to the device and back while it computes; None: it is waited for."""
    detail_only: bool = False
    """The network returns detail of mean 0 over each LR pixel, and the result is that detail."""

    @property
    def scale(self) -> int:  # type: ignore[override]
        """As the weights say."""
        return self.descriptor.scale

    @property
    def margin_lr_px(self) -> int:  # type: ignore[override]
        """As the weights say."""
        return self.descriptor.margin_lr_px

    @property
    def in_threads(self) -> bool:  # type: ignore[override]
        """On a processor."""
        return self.device.type == "cpu" and self.transfers is None

    @property
    def most_under_way(self) -> int:  # type: ignore[override]
        """One computes while the one before is blended, where transfers allow that."""
        return 1 if self.transfers is None else 2

    def begin(
        self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim
    ) -> Callable[[], torch.Tensor]:
        """See `Upscaler.begin`; what cannot be begun, for want of memory say, is left to `run`."""
        plainly = Upscaler.begin(self, tiles, bands, trim)
        if self.transfers is None:
            return plainly
        try:
            return self._begun(self.transfers, tiles, bands, trim)
        except (RuntimeError, MemoryError) as error:
            _log.info("%d tiles are not computed beside other work: %s", len(tiles), error)
            return plainly

    @torch.no_grad()
    def _begun(
        self, transfers: Transfers, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim
    ) -> Callable[[], torch.Tensor]:
        observed = transfers.to_device(tiles)
        hr = self._computed(observed, bands, trim)
        wait = transfers.to_host((hr, _sums_are_finite(hr)))

        def result() -> torch.Tensor:
            kept, fine = wait()
            if not fine.all():  # rarely: what `run` finds out about these, it finds out anew
                kept[~fine] = self.run(tiles[~fine], bands, trim)
            return kept

        return result

    def run(self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim) -> torch.Tensor:
        """See `Upscaler.run`; a batch too large for the device is halved until it fits."""
        try:
            return self._run(tiles, bands, trim)
        except (RuntimeError, MemoryError) as error:
            if not means_no_memory(error):
                raise
            if len(tiles) == 1:
                less = "fewer --threads" if self.in_threads else "--device cpu"
                raise ResourceError(
                    f"one tile of {tuple(tiles.shape[1:])} does not fit into the memory of "
                    f"{self.device}; use a smaller --tile, or {less}"
                ) from error
        if self.device.type == "cuda":
            from hsisr.models.fast.cuda_graph import Graphed

            if isinstance(self.network, Graphed):
                self.network.give_up("memory is short")
            torch.cuda.empty_cache()
        middle = len(tiles) // 2
        halves = (tiles[:middle], tiles[middle:])
        return torch.cat([self.run(half, bands, trim) for half in halves])

    @torch.no_grad()
    def _run(self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim) -> torch.Tensor:
        observed = tiles.to(self.device)
        hr = self._computed(observed, bands, trim)
        if (broken := _broken(hr)).any():
            hr[broken] = self._anew(observed[broken], bands, trim)
        return hr.cpu()

    def _kept(self, hr: torch.Tensor, trim: Trim) -> torch.Tensor:
        rows, cols = hr.shape[-2:]
        s = self.scale
        return hr[..., trim.top * s : rows - trim.bottom * s, trim.left * s : cols - trim.right * s]

    def _computed(self, observed: torch.Tensor, bands: tuple[int, ...], trim: Trim) -> torch.Tensor:
        """What becomes of the tiles, trimmed, contiguous, on the device."""
        raw = self._raw(observed, bands, self.precision)
        return self._in_scene_numbers(raw, observed, bands, trim)

    def _in_scene_numbers(
        self, raw: torch.Tensor, observed: torch.Tensor, bands: tuple[int, ...], trim: Trim
    ) -> torch.Tensor:
        """What the network returned, denormalised, back-projected and trimmed."""
        mean, deviation = self._normalisation(bands)
        if self.detail_only:
            return (self._kept(raw, trim) * deviation).contiguous()
        if not self.consistent:
            return torch.addcmul(mean, self._kept(raw, trim), deviation).contiguous()
        hr = torch.addcmul(mean, raw, deviation)
        agreeing = back_project(hr, observed, KERNELS["bicubic"], self.scale)
        return self._kept(agreeing, trim).contiguous()

    def _raw(
        self, observed: torch.Tensor, bands: tuple[int, ...], precision: torch.dtype
    ) -> torch.Tensor:
        """What the network, which alone is in `precision`, returns for the bands; in float32."""
        mean, deviation = self._normalisation(bands)
        lr = self._grouped((observed - mean) / deviation)
        zero = self._grouped((-mean / deviation)[None])
        half = precision is not torch.float32
        with torch.autocast(self.device.type, precision, enabled=half):
            hr: torch.Tensor = self.network(lr, zero).float()
        each = repeats(len(bands), self.descriptor.group_size)
        return hr[:, : each * len(bands) : each]

    def _anew(self, observed: torch.Tensor, bands: tuple[int, ...], trim: Trim) -> torch.Tensor:
        """Tiles that are not finite, in float32.

        What the scene's own numbers make too large goes on; the finished strip is refused.
        """
        if self.precision is not torch.float32:
            count = f"{len(observed)} tiles were" if len(observed) > 1 else "a tile was"
            warnings.warn(
                f"{count} computed in float32, for numbers left the range of "
                f"{str(self.precision).removeprefix('torch.')}",
                HsisrWarning,
                stacklevel=2,
            )
        raw = self._raw(observed, bands, torch.float32)
        if _broken(self._kept(raw, trim)).any():
            raise WeightsError(
                "the network returned values that are not finite; these weights cannot be used "
                "on this scene (are its numbers scaled as the model card says?)"
            )
        return self._in_scene_numbers(raw, observed, bands, trim)

    def _grouped(self, lr: torch.Tensor) -> torch.Tensor:
        """A group of exactly the network's size; a smaller one is repeated and mirrored."""
        size, bands = self.descriptor.group_size, lr.shape[1]
        if bands == size:
            return lr
        return lr[:, self._placed(torch.tensor(mirrored_order(bands, size)))]

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
        return self._placed(mean[:, None, None]), self._placed(deviation[:, None, None])

    def _placed(self, host: torch.Tensor) -> torch.Tensor:
        return host.to(self.device) if self.transfers is None else self.transfers.to_device(host)


def _sums_are_finite(tiles: torch.Tensor) -> torch.Tensor:
    """Shape (n,). A finite sum has finite terms, and costs a thirtieth of looking at each."""
    return torch.isfinite(tiles.flatten(1).sum(dim=1))


def _broken(tiles: torch.Tensor) -> torch.Tensor:
    """True for tiles that are not finite, shape (n,), on the CPU.

    Only where a sum is not finite, which large numbers do as well, is each term looked at.
    """
    flat = tiles.flatten(1)
    broken = ~_sums_are_finite(tiles).cpu()
    for number in broken.nonzero().ravel().tolist():
        broken[number] = not bool(torch.isfinite(flat[number]).all())
    return broken

"""What a run of many scenes shares: its options, resolved, and the model, ready on its device."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from torch import nn

from hsisr.engine.machine import (
    Room,
    automatic_precision,
    device_named,
    precision_named,
    room_at_hand,
    tile_bytes,
    tiles_that_pay,
)
from hsisr.engine.mixing import SceneStatistics
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.plan import (
    Layout,
    Plan,
    interpolated_groups,
    network_groups,
    plan_interpolation,
    plan_network,
)
from hsisr.engine.upscaler import InterpolationUpscaler, NetworkUpscaler, Transfers
from hsisr.errors import HsisrWarning, UsageError, WeightsError
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.interpolation import KERNELS, AddsDetail

if TYPE_CHECKING:
    from hsisr.weights import LoadedWeights

_SHARED: Final = ("scale", "model", "consistency", "tile", "overlap", "batch_size", "device")
"""Options that all scenes of a session have in common, beside the precision."""
_LEAST_TILE: Final = 8
_COSTLY: Final = 3.0
"""Times the work of the weights' own tiles from which on smaller ones are worth a warning."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """An interpolation, or a network with its weights."""

    name: str
    weights: "LoadedWeights | None" = None

    @property
    def sha256(self) -> str | None:
        """Hash of the weights file; None for interpolation."""
        return None if self.weights is None else self.weights.sha256

    @property
    def bands_at_once(self) -> int:
        """What a network sees in one pass; all bands count alike to an interpolation."""
        return 1 if self.weights is None else self.weights.descriptor.group_size

    def takes_pseudo_bands(self, options: UpscaleOptions) -> bool:
        """Whether the network is to see pseudo-bands, as far as model and options decide that."""
        if self.weights is None or options.band_groups is not None:
            return self.weights is not None and options.band_groups == "pseudo"
        by_band = self.weights.descriptor.normalisation == "band"
        return by_band and isinstance(self.weights.network, AddsDetail)

    def settled(self, options: UpscaleOptions) -> UpscaleOptions:
        """Options that say what the network sees, where the model decides that, for records.

        What earlier versions wrote without saying it was made of all bands.
        """
        if self.weights is None:
            return options
        groups = "pseudo" if self.takes_pseudo_bands(options) else "all"
        return replace(options, band_groups=groups)


def model_named(options: UpscaleOptions) -> Model:
    """The model that options name, its weights read.

    Raises:
        WeightsError: No such model, or one of another scale, or a file that is not weights.
    """
    if options.model in KERNELS:
        return Model(options.model)
    from hsisr.models.registry import is_own
    from hsisr.weights import default_for, load_weights, resolve
    from hsisr.weights.store import fresh_weights

    if options.model is None:
        entry = default_for(options.scale)
        if entry is None:
            warnings.warn(
                f"no weights are released for scale {options.scale} yet; using bicubic "
                "interpolation (--model bicubic asks for it)",
                HsisrWarning,
                stacklevel=2,
            )
            return Model("bicubic")
        return Model(entry.name, load_weights(resolve(entry.name, options.scale)))
    network, _, file = options.model.partition("=")
    if is_own(network):
        weights = load_weights(file) if file else fresh_weights(network, options.scale)
        if weights.descriptor.arch != network:
            raise WeightsError(f"{file}: found a {weights.descriptor.arch}, expected {network}")
    else:
        try:
            weights = load_weights(resolve(options.model, options.scale))
        except WeightsError as error:
            raise WeightsError(f"{error} (interpolations: {', '.join(KERNELS)})") from error
    if weights.trained is False:
        warnings.warn(
            f"{weights.name} has not been trained: its detail means nothing; train it with hsisr "
            "train, and give the weights",
            HsisrWarning,
            stacklevel=2,
        )
    if weights.descriptor.scale != options.scale:
        raise WeightsError(
            f"{options.model} is for scale {weights.descriptor.scale}, found --scale "
            f"{options.scale}; give the one scale or other weights"
        )
    return Model(weights.name, weights)


def with_precision(options: UpscaleOptions) -> UpscaleOptions:
    """Options whose precision is a name of its own, where it was `auto`.

    Raises:
        ResourceError: This machine has no such device.
    """
    if options.precision != "auto":
        return options
    name = automatic_precision(device_named(options.device))
    return replace(options, precision=name)


class Session:
    """A model on a device, in a precision (of the network alone), for any number of scenes.

    Weights are read (unless `model` is what the options name), and options that depend on them or
    on the machine are checked, at once; the network is prepared for inference, and its memory
    estimated, when the first scene needs it. Its `options` name the precision that `auto` means.

    Raises:
        UsageError: The device cannot do the precision, or the overlap does not fit the tile.
        ResourceError: This machine has no such device.
        WeightsError: No such model, or one of another scale, or a file that is not weights.
    """

    def __init__(self, options: UpscaleOptions, model: Model | None = None) -> None:
        self.device = device_named(options.device)
        self.options = with_precision(options)
        self.precision = precision_named(self.options.precision, self.device)
        self.model = model or model_named(options)
        self._networks: dict[bool, nn.Module] = {}
        self._tile_bytes: dict[tuple[int, bool], int] = {}
        self._has_said_cost = False
        if self.model.weights is not None:
            _refuse_large_overlap(options, self.model.weights.descriptor)

    @property
    def threads(self) -> int | None:
        """Processor threads that compute; None: all cores."""
        if self.model.weights is None:  # a second thread would wait more than work
            return 1
        return self.options.threads or (1 if self.options.scheduler is not None else None)

    @property
    def room(self) -> Room:
        """Memory that a plan may count on now."""
        return room_at_hand(self.device)

    def options_of(self, scene: UpscaleOptions) -> UpscaleOptions:
        """Options of one scene, with the session's precision.

        Raises:
            UsageError: They ask for another model, scale or the like than the session's.
        """
        precisions = ("auto", self.options.precision)
        differing = [n for n in _SHARED if getattr(scene, n) != getattr(self.options, n)]
        differing += ["precision"] if scene.precision not in precisions else []
        if differing:
            raise UsageError(f"{differing[0]} differs from the session's; make another session")
        return replace(scene, precision=self.options.precision)

    def plan(
        self,
        layout: Layout,
        statistics: SceneStatistics | None,
        bad: Sequence[int],
        tile_room: int,
        kept: tuple[int, ...] | None = None,
    ) -> Plan:
        """The plan for a scene: tiles, panels and band groups.

        Networks need statistics, of the bands in output order; with a mixing, groups are of its
        pseudo-bands. `bad` are positions of the bands to be interpolated beside the network, whose
        features may take `tile_room` bytes; `kept`, as in `Plan`, is of use to a network alone.
        """
        options, weights = self.options, self.model.weights
        kernel = KERNELS["bicubic" if weights is not None else self.model.name]
        plain = InterpolationUpscaler(kernel, options.scale, options.consistency)
        if weights is None:
            return plan_interpolation(plain, layout, tile=options.tile)
        descriptor, network = weights.descriptor, self._upscaler(weights, statistics)
        mixing = None if statistics is None else statistics.mixing
        good = sorted(set(range(layout.bands)) - set(bad))
        if mixing is not None:
            good, bad = list(range(mixing.count)), ()
        size, shared = descriptor.group_size, descriptor.group_overlap
        groups = (
            *network_groups(good, network, size=size, overlap=shared),
            *interpolated_groups(sorted(bad), plain),
        )
        if kept is not None and mixing is None:
            groups = tuple(group for group in groups if {*group.bands} & {*kept})
        tile, batch_size, features = self._tiles_that_fit(network, layout, tile_room)
        plan = plan_network(
            network,
            groups,
            layout,
            tile=tile,
            overlap=_overlap(options, descriptor, tile),
            batch_size=batch_size,
            mixing=mixing,
            feature_bytes=features if self.device.type == "cpu" else 0,
        )
        self._say_cost(plan, descriptor, layout)
        return replace(
            plan,
            floors=None if statistics is None else statistics.floors,
            kept=kept,
            ahead=self.device.type == "cuda",  # this thread only waits for the device and blends
        )

    def _upscaler(
        self, weights: "LoadedWeights", statistics: SceneStatistics | None
    ) -> NetworkUpscaler:
        """The network as it runs, over bands or, for their detail alone, over pseudo-bands."""
        from hsisr.models.registry import agrees, for_inference  # not needed to interpolate

        mixing = None if statistics is None else statistics.mixing
        detail_only = mixing is not None
        agreeing = self.options.consistency and not detail_only
        if detail_only not in self._networks:
            self._networks[detail_only] = for_inference(
                weights.network.to(self.device), self.precision, detail_only=detail_only
            )
        network = self._networks[detail_only]
        bands = None if statistics is None else statistics.reference or statistics.bands
        return NetworkUpscaler(
            network=network,
            descriptor=weights.descriptor,
            device=self.device,
            precision=self.precision,
            consistent=agreeing and not agrees(network),
            statistics=bands if mixing is None else mixing.statistics,
            detail_only=detail_only,
            transfers=Transfers(self.device) if self.device.type == "cuda" else None,
        )

    def _tiles_that_fit(
        self, network: NetworkUpscaler, layout: Layout, room: int
    ) -> tuple[int, int, int]:
        """Tile side in LR pixels, tiles at once, and the bytes that these take.

        The tile is that of the weights, halved, and that is said, where one alone is too much for
        the memory at hand. As many at once as pay, of those that fit.
        """
        descriptor, options = network.descriptor, self.options
        own, context = descriptor.tile_lr_px, 2 * descriptor.margin_lr_px
        tile = own if options.tile is None else min(options.tile, max(layout.rows, layout.cols))
        bytes_each = self._bytes_of(tile + context, network)
        while options.tile is None and bytes_each > room and tile > _LEAST_TILE:
            tile //= 2
            bytes_each = self._bytes_of(tile + context, network)
        if options.tile is None and tile < own:
            warnings.warn(
                f"little memory is free, so tiles are {tile} LR pixels wide instead of {own}; "
                "results differ slightly (--tile sets the size)",
                HsisrWarning,
                stacklevel=2,
            )
        most = tiles_that_pay(self.device)
        batch_size = options.batch_size or max(1, min(most, room // max(1, bytes_each)))
        if self.device.type == "cpu":  # where each takes a thread
            batch_size = min(batch_size, most)
        return tile, batch_size, bytes_each * batch_size

    def _bytes_of(self, side_px: int, upscaler: NetworkUpscaler) -> int:
        key = side_px, upscaler.detail_only
        if key not in self._tile_bytes:
            bands = upscaler.descriptor.group_size
            self._tile_bytes[key] = tile_bytes(upscaler.network, bands, side_px)
        return self._tile_bytes[key]

    def _say_cost(self, plan: Plan, descriptor: ModelDescriptor, layout: Layout) -> None:
        """Warn, once, of tiles so small that most of the work is done again and again."""
        if self.options.tile is None or self._has_said_cost:
            return
        context, own = 2 * descriptor.margin_lr_px, descriptor.tile_lr_px
        cols = {(s.start, s.size) for panel in plan.panels for s in panel.segments}
        work = sum(s.size + context for s in plan.rows) * sum(size + context for _, size in cols)
        step = own - _overlap(self.options, descriptor, own)
        usual = 1.0
        for length in (layout.rows, layout.cols):
            count = 1 if length <= own else -(-(length - own) // step) + 1
            usual *= count * (min(own, length) + context)
        if work > _COSTLY * usual:
            self._has_said_cost = True
            warnings.warn(
                f"--tile {self.options.tile} computes every pixel about "
                f"{work / (layout.rows * layout.cols):.0f} times, {work / usual:.0f} times the "
                f"work of tiles of {own}, for tiles overlap and see {descriptor.margin_lr_px} "
                "LR pixels around them; a larger --tile costs less",
                HsisrWarning,
                stacklevel=2,
            )


def _overlap(options: UpscaleOptions, descriptor: ModelDescriptor, tile: int) -> int:
    """LR pixels that neighbouring tiles of that side share."""
    wanted = descriptor.overlap_lr_px if options.overlap is None else options.overlap
    return min(wanted, tile - 1)


def _refuse_large_overlap(options: UpscaleOptions, descriptor: ModelDescriptor) -> None:
    """An overlap that was asked for has to fit the tile of the weights, too."""
    tile = options.tile or descriptor.tile_lr_px
    if options.overlap is not None and options.overlap >= tile:
        raise UsageError(
            f"overlap {options.overlap}: expected less than the tile of the weights, {tile} LR "
            "pixels; give a smaller --overlap or a larger --tile"
        )

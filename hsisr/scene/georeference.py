"""Where a cube lies on the ground, and the same ground on another grid.

Pixel coordinates follow GDAL: affine transforms and ground control points count from the outer
corner of the first pixel; the offsets of rational polynomials count from its centre.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from affine import Affine

_EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundControlPoint:
    """A pixel whose place on the ground is known."""

    row: float
    """Line, counted from the outer edge of the first line."""
    col: float
    """Sample, counted from the outer edge of the first sample."""
    x: float
    y: float
    z: float = 0.0
    id: str = ""
    info: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Georeference:
    """How pixels map to the ground; every part may be absent, and nothing is invented."""

    crs_wkt: str | None = None
    """Coordinate reference system of `transform`, as WKT."""
    transform: Affine | None = None
    """Pixel corner (col, row) to ground (x, y); rotation allowed."""
    gcps: tuple[GroundControlPoint, ...] = ()
    gcps_crs_wkt: str | None = None
    """Coordinate reference system of `gcps`, as WKT."""
    rpcs: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    """GDAL's RPC metadata (LINE_OFF, SAMP_OFF, ...), as text."""

    @property
    def exists(self) -> bool:
        """True if anything at all is known about the place."""
        return bool(self.transform or self.gcps or self.rpcs or self.crs_wkt)

    def finer(self, scale: int) -> "Georeference":
        """The same ground on a grid with `scale` times smaller pixels.

        >>> Georeference(transform=Affine(30, 0, 100, 0, -30, 200)).finer(4).transform.a
        7.5
        """
        return self._resampled(float(scale))

    def coarser(self, scale: int) -> "Georeference":
        """The same ground on a grid with `scale` times larger pixels.

        >>> Georeference(transform=Affine(5, 0, 100, 0, -5, 200)).coarser(2).transform.a
        10.0
        """
        return self._resampled(1.0 / scale)

    def shifted(self, row: int, col: int) -> "Georeference":
        """The georeference of a window whose first pixel is (`row`, `col`) of this grid."""
        return replace(
            self,
            transform=self.transform and self.transform @ Affine.translation(col, row),
            gcps=tuple(replace(g, row=g.row - row, col=g.col - col) for g in self.gcps),
            rpcs=_rpcs_mapped(self.rpcs, lambda v: v - row, lambda v: v - col, 1.0),
        )

    def _resampled(self, scale: float) -> "Georeference":
        return replace(
            self,
            transform=self.transform and self.transform @ Affine.scale(1.0 / scale),
            gcps=tuple(replace(g, row=g.row * scale, col=g.col * scale) for g in self.gcps),
            rpcs=_rpcs_mapped(
                self.rpcs,
                lambda v: (v + 0.5) * scale - 0.5,
                lambda v: (v + 0.5) * scale - 0.5,
                scale,
            ),
        )


def _rpcs_mapped(
    rpcs: Mapping[str, str],
    row_off: Callable[[float], float],
    col_off: Callable[[float], float],
    scale: float,
) -> Mapping[str, str]:
    """RPCs of another grid; only the four numbers that speak of pixels change."""
    if not rpcs:
        return rpcs
    change: dict[str, Callable[[float], float]] = {
        "LINE_OFF": row_off,
        "SAMP_OFF": col_off,
        "LINE_SCALE": lambda v: v * scale,
        "SAMP_SCALE": lambda v: v * scale,
    }
    return MappingProxyType(
        {key: repr(change[key](float(v))) if key in change else v for key, v in rpcs.items()}
    )

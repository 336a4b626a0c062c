"""What a file says about its cube, beside the numbers themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from hsisr.errors import InputDataError
from hsisr.scene.geolocation import Geolocation
from hsisr.scene.georeference import Georeference
from hsisr.scene.quantisation import StoredNumbers
from hsisr.scene.spectral_axis import SpectralAxis

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneMetadata:
    """Size, numbers, spectrum, place and free-text fields of a scene.

    Raises:
        InputDataError: The scene has no pixels, or a per-band field has another length.
    """

    rows: int
    cols: int
    stored: StoredNumbers
    spectral_axis: SpectralAxis
    georeference: Georeference = field(default_factory=Georeference)
    geolocation: Geolocation | None = None
    """Where each pixel lies, for a scene in sensor geometry whose file says so."""
    header: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """ENVI header fields that have no field of their own here (acquisition time, sensor type,
    default bands, ...), keys in lower case with spaces; braces around lists are kept."""
    tags: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Dataset tags of GDAL's default domain."""
    band_tags: tuple[Mapping[str, str], ...] = ()
    """Per band: tags of GDAL's default domain other than wavelength, fwhm, units and bbl."""

    def __post_init__(self) -> None:
        if self.rows < 1 or self.cols < 1:
            raise InputDataError(
                f"found {self.rows} rows and {self.cols} columns, expected at least one pixel"
            )
        per_band = (self.stored.scales, self.stored.offsets, self.stored.units)
        for values in (*per_band, self.band_tags or None):
            if values is not None and len(values) != self.bands:
                raise InputDataError(f"found {len(values)} per-band fields for {self.bands} bands")
        if self.geolocation is not None and self.geolocation.shape != (self.rows, self.cols):
            raise InputDataError(
                f"found the places of {self.geolocation.shape} pixels, expected those of "
                f"{(self.rows, self.cols)}"
            )

    def __repr__(self) -> str:
        seen = self.spectral_axis.wavelengths_nm
        span = f", {min(seen):g} to {max(seen):g} nm" if seen else ""
        return f"{self.bands} bands, {self.rows} x {self.cols}, {self.stored.dtype}{span}"

    @property
    def bands(self) -> int:
        """Number of spectral bands."""
        return self.spectral_axis.count

    @property
    def shape(self) -> tuple[int, int, int]:
        """(bands, rows, cols)."""
        return self.bands, self.rows, self.cols

    def finer(self, scale: int) -> "SceneMetadata":
        """The same scene on a grid with `scale` times smaller pixels."""
        return replace(
            self,
            rows=self.rows * scale,
            cols=self.cols * scale,
            georeference=self.georeference.finer(scale),
            geolocation=self.geolocation and self.geolocation.finer(scale),
        )

    def coarser(self, scale: int) -> "SceneMetadata":
        """The same scene on a grid with `scale` times larger pixels; sides must divide.

        Raises:
            InputDataError: A side is not a multiple of `scale`.
        """
        if self.rows % scale or self.cols % scale:
            raise InputDataError(
                f"{self.rows} x {self.cols} pixels do not divide by scale {scale}; crop first"
            )
        return replace(
            self,
            rows=self.rows // scale,
            cols=self.cols // scale,
            georeference=self.georeference.coarser(scale),
            geolocation=self.geolocation and self.geolocation.coarser(scale),
        )

    def with_bands(self, bands: Sequence[int]) -> "SceneMetadata":
        """The same scene with only the bands named by their 0-based indices.

        ENVI's `default bands` count bands, so they go when bands do.
        """
        if list(bands) == list(range(self.bands)):
            return self
        stored = replace(
            self.stored,
            scales=self.stored.scales and tuple(self.stored.scales[b] for b in bands),
            offsets=self.stored.offsets and tuple(self.stored.offsets[b] for b in bands),
            units=self.stored.units and tuple(self.stored.units[b] for b in bands),
        )
        return replace(
            self,
            stored=stored,
            spectral_axis=self.spectral_axis.subset(bands),
            band_tags=tuple(self.band_tags[b] for b in bands) if self.band_tags else (),
            header={key: v for key, v in self.header.items() if key != "default bands"},
        )

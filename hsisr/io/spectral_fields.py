"""From what files write about their bands to one spectral axis.

Files disagree on where these fields live and on their unit; readers collect what they find, most
trusted place first, and every field is taken from the first place that has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hsisr.errors import InputDataError
from hsisr.scene.spectral_axis import SpectralAxis

_UNNAMED = {"", "unknown", "none", "n/a"}
_NOT_LENGTHS = {"index", "wavenumber", "wavenumbers", "ghz", "mhz"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralSource:
    """The spectral fields of one place in a file; None where it has none."""

    wavelengths: tuple[float, ...] | None = None
    """Band centres in `unit`."""
    fwhm: tuple[float, ...] | None = None
    """Full widths at half maximum in `unit`."""
    good: tuple[bool, ...] | None = None
    """True where the band is good."""
    unit: str | None = None
    """As written; None or "Unknown" if the file does not say."""


def source_from_text(
    *,
    wavelengths: Sequence[str] | None = None,
    fwhm: Sequence[str] | None = None,
    bbl: Sequence[str] | None = None,
    unit: str | None = None,
) -> SpectralSource:
    """Read the numbers out of text fields; empty ones count as absent.

    A unit that is no length (index, wavenumber, frequency) leaves wavelengths and widths out, for
    they are none.

    Raises:
        InputDataError: A field holds something other than numbers.
    """
    lengths = (unit or "").strip().lower() not in _NOT_LENGTHS
    flags = _numbers(bbl, "bad-band list")
    return SpectralSource(
        wavelengths=_numbers(wavelengths, "wavelengths") if lengths else None,
        fwhm=_numbers(fwhm, "FWHM values") if lengths else None,
        good=None if flags is None else tuple(flag != 0 for flag in flags),
        unit=unit if lengths else None,
    )


def merged_axis(
    count: int, sources: Sequence[SpectralSource], names: Sequence[str] | None = None
) -> SpectralAxis:
    """One axis of `count` bands, each field from the first source that has it.

    Raises:
        InputDataError: The unit is unknown, or a field does not fit the bands.

    >>> merged_axis(2, [SpectralSource(wavelengths=(0.4, 0.5))]).wavelengths_nm
    (400.0, 500.0)
    """
    centres = next((s for s in sources if s.wavelengths), SpectralSource())
    widths = next((s for s in sources if s.fwhm), SpectralSource())
    unit = _unit(centres) or _unit(widths) or "Nanometers"
    axis = SpectralAxis.from_unit(
        count,
        unit=unit,
        wavelengths=centres.wavelengths,
        good=next((s.good for s in sources if s.good), None),
        names=names,
    )
    if widths.fwhm is None:
        return axis
    in_own_unit = SpectralAxis.from_unit(
        count, unit=_unit(widths) or unit, wavelengths=None, fwhm=widths.fwhm
    )
    return replace(axis, fwhm_nm=in_own_unit.fwhm_nm)


def _unit(source: SpectralSource) -> str | None:
    """The unit a source names, or guessed: no sensor sees below 100 nm or above 100 um."""
    unit = (source.unit or "").strip()
    if unit.lower() not in _UNNAMED:
        return unit
    if source.wavelengths is None:
        return None
    return "Micrometers" if all(w < 100 for w in source.wavelengths) else "Nanometers"


def _numbers(texts: Sequence[str] | None, what: str) -> tuple[float, ...] | None:
    if texts is None or not any(text.strip() for text in texts):
        return None
    try:
        return tuple(float(text) for text in texts)
    except ValueError as error:
        raise InputDataError(f"{what}: {error}; expected one number per band") from error

"""What files say about their bands, read into one spectral axis and written in their words.

Files disagree on where these fields live and on their unit; readers collect what they find, most
trusted place first, and every field is taken from the first place where it can be used. A field
that cannot be used is left out with a warning: the pixels do not depend on it. Writers say them in
the words of GDAL, ENVI and EnMAP-Box, in the unit that the input used, with every digit.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

from hsisr.errors import InputDataError, warn_of_scene
from hsisr.scene.metadata import NM_PER_UNIT, SceneMetadata, SpectralAxis

_Value = TypeVar("_Value")

_LIMITS_NM: Final = 100.0, 1e5
"""No sensor sees beyond; wavelengths that a file puts there are in another unit, or none."""
_UNNAMED: Final = {"", "unknown", "none", "n/a"}
_NOT_LENGTHS: Final = re.compile(
    r"index|wave ?numbers?.*|.*cm ?(\^|\*\*)? ?-1|.*cm⁻¹|1/cm|[kmgt]?hz|ev"
)
"""Names (lower case) of what ENVI's list of units has beside lengths."""
_QUANTITY: Final = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?nan|[+-]?inf)\s*(.*)"
)
_NAMED: Final = re.compile(
    r"(?:^|[\s(_])(\d+(?:\.\d+)?)\s*(nanometers|nanometres|nm|micrometers|micrometres|microns?|um|µm)"
    r"\)?\s*$",
    re.IGNORECASE,
)
"""A wavelength at the end of a band's name, as GDAL's ENVI driver and EnMAP-Box write it."""
_FLAGS: Final = {"true": 1.0, "yes": 1.0, "good": 1.0, "false": 0.0, "no": 0.0, "bad": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralSource:
    """The spectral fields of one place in a file; None where it has none."""

    wavelengths: tuple[float, ...] | None = None
    """Band centres in `unit`; 0 for a band that is not there."""
    fwhm: tuple[float, ...] | None = None
    """Full widths at half maximum in `unit`; one number stands for all bands."""
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
    they are none. A unit behind every number, as in "400 nm", is understood. A field that holds
    something other than numbers is left out with a warning.

    >>> source_from_text(wavelengths=["400 nm", "500 nm", ""]).wavelengths
    (400.0, 500.0)
    """
    flags = usable("bad-band list", lambda: numbers_from_text(bbl, flags=True)[0])
    good = None if flags is None else tuple(flag != 0 for flag in flags)
    if not is_length(unit):
        if wavelengths and (unit or "").strip().lower() != "index":
            warn_of_scene(f"wavelengths are in {unit}, which is no length, and are not used")
        return SpectralSource(good=good)
    none: tuple[tuple[float, ...] | None, str | None] = None, None
    centres = usable("wavelengths", lambda: numbers_from_text(wavelengths)) or none
    widths = usable("FWHM values", lambda: numbers_from_text(fwhm)) or none
    return SpectralSource(
        wavelengths=centres[0], fwhm=widths[0], good=good, unit=unit or centres[1] or widths[1]
    )


def source_from_fields(fields: Mapping[str, str]) -> SpectralSource:
    """Those of an ENVI header; one that holds no numbers is left out with a warning."""
    lists = {key: listed(fields[key]) for key in ("wavelength", "fwhm", "bbl") if key in fields}
    return source_from_text(
        wavelengths=lists.get("wavelength"),
        fwhm=lists.get("fwhm"),
        bbl=lists.get("bbl"),
        unit=fields.get("wavelength units"),
    )


def source_from_names(names: Sequence[str] | None) -> SpectralSource:
    """The wavelengths that every band's name ends with, all in one unit.

    >>> source_from_names(["band 1 (418.24 Nanometers)", "424.04 Nanometers"]).wavelengths
    (418.24, 424.04)
    """
    found = [_NAMED.search(name) for name in names or ()]
    parts = [(match[1], match[2]) for match in found if match]
    if not parts or len(parts) < len(found) or len({unit.lower() for _, unit in parts}) > 1:
        return SpectralSource()
    return SpectralSource(wavelengths=tuple(float(n) for n, _ in parts), unit=parts[0][1])


def without_wavelength(name: str) -> str:
    """A band's name without the wavelengths in brackets that GDAL's ENVI driver adds to it.

    >>> without_wavelength("band 1 (418.24 Nanometers) (418.24 Nanometers)")
    'band 1'
    """
    while (match := _NAMED.search(name)) and name[match.start()] == "(":
        name = name[: match.start()].rstrip()
    return name


def merged_axis(
    count: int, sources: Sequence[SpectralSource], names: Sequence[str] | None = None
) -> SpectralAxis:
    """One axis of `count` bands, each field from the first source where it can be used.

    A wavelength of 0 means that the band is not there, so it is marked bad. A field that does not
    fit the bands, or whose unit is unknown, is left out with a warning.

    Raises:
        InputDataError: There are no bands, or too many.

    >>> merged_axis(2, [SpectralSource(wavelengths=(0.4, 0.5))]).wavelengths_nm
    (400.0, 500.0)
    """
    bare = SpectralAxis(count=count)
    centres = _first(sources, "wavelengths", lambda s: _wavelengths(count, s))
    unit = centres.unit if centres else None
    wavelengths = centres.wavelengths_nm if centres else None
    widths = _first(sources, "FWHM values", lambda s: _widths(count, s, unit, wavelengths))
    good = _first(sources, "bad-band list", lambda s: per_band(count, s.good))
    if wavelengths and (absent := [n for n, w in enumerate(wavelengths, 1) if w == 0]):
        few = ", ".join(map(str, absent[:8])) + (", ..." if len(absent) > 8 else "")
        what = f"band {few} has" if len(absent) == 1 else f"bands {few} have"
        warn_of_scene(f"{what} a wavelength of 0, so as not there: marked bad")
        good = good or (True,) * count
        good = tuple(own and w != 0 for own, w in zip(good, wavelengths, strict=True))
    return replace(
        bare,
        wavelengths_nm=wavelengths,
        fwhm_nm=widths.fwhm_nm if widths else None,
        good=good,
        names=usable("band names", lambda: per_band(count, names or None, lone=False)),
        unit=unit or (widths.unit if widths else bare.unit),
    )


def per_band(
    count: int, values: Sequence[_Value] | None, *, lone: bool = True
) -> tuple[_Value, ...] | None:
    """One value for each band; with `lone`, a single one stands for all.

    Raises:
        InputDataError: There are more or fewer than bands.

    >>> per_band(3, [0.01])
    (0.01, 0.01, 0.01)
    """
    if values is None or len(values) == count:
        return None if values is None else tuple(values)
    if lone and len(values) == 1:
        return tuple(values) * count
    raise InputDataError(f"found {len(values)} for {count} bands")


def usable(what: str, make: Callable[[], _Value]) -> _Value | None:
    """What `make` returns, or None and a warning where that field of a scene cannot be used."""
    try:
        return make()
    except InputDataError as error:
        warn_of_scene(f"{what} left out: {error}")
        return None


def is_length(unit: str | None) -> bool:
    """False for units that headers name beside lengths, such as Index and cm-1."""
    return not _NOT_LENGTHS.fullmatch((unit or "").strip(" {}").lower())


def numbers_from_text(
    texts: Sequence[str] | None, *, flags: bool = False
) -> tuple[tuple[float, ...] | None, str | None]:
    """Numbers of a list, and the unit behind all of them; None where all items are empty.

    A comma at the end adds none. With `flags`, the words true, false, yes, no, good and bad are
    numbers as well.

    Raises:
        InputDataError: An item is no number, or units differ.
    """
    items = [text.strip(" []") for text in texts or ()]
    if len(items) == 1 and all(map(_QUANTITY.fullmatch, parts := re.split(r"[\s;]+", items[0]))):
        items = parts  # as numpy shows an array
    while items and not items[-1]:
        items.pop()
    if not items:
        return None, None
    pairs = [_quantity(item, flags=flags) for item in items]
    units = {unit for _, unit in pairs}
    if len(units) > 1:
        raise InputDataError(f"found several units ({', '.join(sorted(units))}), expected one")
    return tuple(number for number, _ in pairs), units.pop() or None


def _quantity(text: str, *, flags: bool) -> tuple[float, str]:
    """A number and the unit of length behind it."""
    found = _QUANTITY.fullmatch(text.lower())
    if flags and text.lower() in _FLAGS:
        return _FLAGS[text.lower()], ""
    if found is None or (found[2] and _known(found[2]) is None):
        raise InputDataError(f"found {text[:40]!r}, expected one number per band")
    return float(found[1]), found[2]


def _wavelengths(count: int, source: SpectralSource) -> SpectralAxis | None:
    found = per_band(count, source.wavelengths, lone=False)
    if not found or not any(found):
        return None
    named = (source.unit or "").strip().lower() not in _UNNAMED
    if not named and found[0] in (0, 1) and found == tuple(found[0] + n for n in range(count)):
        raise InputDataError("found the numbers of the bands, expected lengths and their unit")
    axis = SpectralAxis.from_unit(count, unit=_unit(source) or "Nanometers", wavelengths=found)
    seen = [w for w in axis.wavelengths_nm or () if w]
    if min(seen) < _LIMITS_NM[0] or max(seen) > _LIMITS_NM[1]:
        low, high = (number_text(axis.in_file_unit([f(seen)])[0]) for f in (min, max))
        raise InputDataError(
            f"found {low} to {high} {axis.unit}, expected 100 nm to 100 um; correct their unit"
        )
    return axis


def _widths(
    count: int, source: SpectralSource, unit: str | None, wavelengths: tuple[float, ...] | None
) -> SpectralAxis | None:
    found = per_band(count, source.fwhm or None)
    if found is None or not any(found):  # zeros, where a program had none
        return None
    own = _unit(source) or unit or "Nanometers"
    axis = SpectralAxis.from_unit(count, unit=own, wavelengths=None, fwhm=found)
    if wavelengths and min(axis.fwhm_nm or ()) > max(wavelengths):
        raise InputDataError(
            f"found {min(found):g} to {max(found):g} {own}, wider than the wavelengths are long; "
            "correct their unit"
        )
    return axis


def _first(
    sources: Sequence[SpectralSource], what: str, read: Callable[[SpectralSource], _Value | None]
) -> _Value | None:
    found = (usable(what, partial(read, source)) for source in sources)
    return next((value for value in found if value), None)


def _unit(source: SpectralSource) -> str | None:
    """The unit a source names, or guessed: no sensor sees below 100 nm or above 100 um.

    Raises:
        InputDataError: It is unknown.
    """
    unit = (source.unit or "").strip()
    if unit.lower() not in _UNNAMED:
        if (known := _known(unit)) is None:
            raise InputDataError(
                f"unknown wavelength unit {unit[:40]!r}, expected Nanometers or Micrometers"
            )
        return known
    if source.wavelengths is None:
        return None
    return "Micrometers" if all(w < 100 for w in source.wavelengths) else "Nanometers"


def _known(unit: str) -> str | None:
    """The unit without braces, quotes and words around it, if it is one of length.

    >>> _known("{um}"), _known("Wavelength (nm)"), _known("cm-1")
    ('um', 'nm', None)
    """
    inside = re.search(r"[(\[]([^()\[\]]+)[)\]]", unit)
    for text in (unit, inside[1] if inside else ""):
        plain = text.strip(" {}()[]'\".")
        if plain.lower() in NM_PER_UNIT:
            return plain
    return None


LAYOUT_FIELDS: Final = frozenset(
    {"samples", "lines", "bands", "header offset", "file type", "data type", "interleave"}
    | {"byte order", "major frame offsets", "minor frame offsets", "file compression"}
)
"""ENVI header fields that speak of the file."""
GRID_FIELDS: Final = frozenset(
    {"map info", "coordinate system string", "geo points", "rpc info", "pixel size"}
    | {"x start", "y start"}
)
"""Those that speak of the place of its grid."""
NUMBER_FIELDS: Final = frozenset(
    {"data ignore value", "data gain values", "data offset values", "data units"}
)
"""Those that say what its numbers mean."""
SPECTRAL_FIELDS: Final = frozenset({"wavelength", "wavelength units", "fwhm", "bbl", "band names"})
"""Those of its bands."""
_NEVER_PASSED_ON: Final = (LAYOUT_FIELDS | GRID_FIELDS | NUMBER_FIELDS - {"data units"}) | {
    *("bbl", "band names", "description", "projection info")
}
"""Header fields of the input that are never passed on as they are: they speak of its grid or its
file, or have a field of their own in `SceneMetadata`."""
_ACQUIRED = "acquisition time"


def carried_fields(fields: Mapping[str, str]) -> dict[str, str]:
    """Fields to pass on as they are.

    Left out are those that `SceneMetadata` holds elsewhere, and those that hold only for the grid
    they were written with. Wavelengths that are no lengths (index, wavenumber) stay.
    """
    drop = LAYOUT_FIELDS | GRID_FIELDS | NUMBER_FIELDS | SPECTRAL_FIELDS
    if not is_length(fields.get("wavelength units")):
        drop -= {"wavelength", "wavelength units", "fwhm"}
    return {key: text for key, text in fields.items() if key not in drop}


def band_tags(metadata: SceneMetadata, band: int) -> dict[str, str]:
    """GDAL tags of one band's default domain, where EnMAP-Box looks first.

    >>> from hsisr.scene.metadata import SpectralAxis, StoredNumbers
    >>> import numpy as np
    >>> axis = SpectralAxis(count=1, wavelengths_nm=(409.42,), good=(True,))
    >>> stored = StoredNumbers(dtype=np.dtype("uint16"))
    >>> band_tags(SceneMetadata(rows=1, cols=1, stored=stored, spectral_axis=axis), 0)
    {'wavelength': '409.42', 'wavelength_units': 'Nanometers', 'bbl': '1'}
    """
    axis = metadata.spectral_axis.subset([band])
    tags = _passed_on(metadata.band_tags[band]) if metadata.band_tags else {}
    for key, lengths in (("wavelength", axis.wavelengths_nm), ("fwhm", axis.fwhm_nm)):
        if lengths:
            tags |= {key: number_text(axis.in_file_unit(lengths)[0]), "wavelength_units": axis.unit}
    if axis.good:
        tags["bbl"] = str(int(axis.good[0]))
    return tags


def imagery_tags(metadata: SceneMetadata, band: int) -> dict[str, str]:
    """GDAL's IMAGERY domain of one band, in micrometres.

    Source: GDAL raster data model, "IMAGERY Domain"; GDAL itself fills it with 3 decimals.
    """
    axis = metadata.spectral_axis
    lengths = {"CENTRAL_WAVELENGTH_UM": axis.wavelengths_nm, "FWHM_UM": axis.fwhm_nm}
    return {key: f"{nm[band] / 1000:.12g}" for key, nm in lengths.items() if nm}


def dataset_tags(metadata: SceneMetadata) -> dict[str, str]:
    """GDAL tags of the dataset's default domain; `start_time` is ENVI's acquisition time."""
    acquired = metadata.header.get(_ACQUIRED)
    start = {"start_time": acquired} if acquired else {}
    return start | _passed_on(metadata.tags)


def shown_bands(metadata: SceneMetadata) -> tuple[int, int, int] | None:
    """0-based bands that viewers show as red, green and blue, as the input says or by wavelength.

    None where no good band lies within 40 nm of 660, 550 or 480 nm.
    """
    said = said_bands(metadata)
    if len(said) == 3:
        red, green, blue = (number - 1 for number in said)
        return red, green, blue
    return metadata.spectral_axis.natural_colour


def said_bands(metadata: SceneMetadata) -> tuple[int, ...]:
    """The one or three bands, from 1 on, that ENVI's `default bands` name; none where it has none.

    Raises:
        InputDataError: It names others.
    """
    said = metadata.header.get("default bands", "").strip("{} ")
    found, _ = numbers_from_text(said.split(","))
    if found and (len(found) not in (1, 3) or not {*found} <= {*range(1, metadata.bands + 1)}):
        raise InputDataError(f"found {said!r}, expected 1 or 3 numbers from 1 to {metadata.bands}")
    return tuple(map(int, found or ()))


def envi_domain(metadata: SceneMetadata) -> dict[str, str]:
    """GDAL's ENVI domain of a dataset: the header's fields, underscores for spaces."""
    fields = spectral_fields(metadata)
    fields.pop("band names", None)  # descriptions of the bands say it, commas and all
    return header_tags(metadata) | {key.replace(" ", "_"): v for key, v in fields.items()}


def header_tags(metadata: SceneMetadata) -> dict[str, str]:
    """The header's free fields as GDAL tags."""
    return {key.replace(" ", "_"): value for key, value in free_fields(metadata).items()}


def spectral_fields(metadata: SceneMetadata) -> dict[str, str]:
    """ENVI header fields of the spectral axis, values as header text."""
    axis = metadata.spectral_axis
    lengths = {"wavelength": axis.wavelengths_nm, "fwhm": axis.fwhm_nm}
    said = {key: number_list(axis.in_file_unit(nm)) for key, nm in lengths.items() if nm}
    fields = {"wavelength units": axis.unit, **said} if said else {}
    if axis.good:
        fields["bbl"] = text_list(str(int(good)) for good in axis.good)
    if axis.names:
        plain = map(without_wavelength, axis.names) if axis.wavelengths_nm else axis.names
        fields["band names"] = text_list(plain)
    return fields


def free_fields(metadata: SceneMetadata) -> dict[str, str]:
    """The input's other header fields, keys in lower case.

    Wavelengths are among them where they are no lengths (index, wavenumber), so that the axis
    does not hold them.
    """
    lower = {key.lower(): one_line(value) for key, value in metadata.header.items()}
    if (shown := shown_bands(metadata)) is not None:  # GDAL writes {1} for a file without colours
        lower["default bands"] = number_list(band + 1 for band in shown)
    if "start_time" in metadata.tags:
        lower.setdefault(_ACQUIRED, metadata.tags["start_time"])
    own = _NEVER_PASSED_ON | spectral_fields(metadata).keys()
    return {key: value for key, value in lower.items() if key not in own}


def listed(text: str) -> list[str]:
    """The items of a list field.

    >>> listed("{400, 500.5}")
    ['400', '500.5']
    """
    inside = text.strip().removeprefix("{").removesuffix("}")
    return [item.strip() for item in inside.split(",")] if inside.strip() else []


def number_text(number: float) -> str:
    """The shortest text that gives the number back.

    >>> number_text(-9999.0), number_text(0.1)
    ('-9999', '0.1')
    """
    whole = number == number // 1 and abs(number) < 1e15
    return str(int(number)) if whole else repr(float(number))


def number_list(numbers: Iterable[float]) -> str:
    """Numbers as an ENVI list."""
    return "{" + ", ".join(number_text(number) for number in numbers) + "}"


def text_list(texts: Iterable[str]) -> str:
    """Texts as an ENVI list, which knows no way to write a comma or a brace inside an entry.

    >>> text_list(["red, broad", "swir {2}"])
    '{red- broad, swir (2)}'
    """
    plain = (one_line(text).translate(_PLAIN) for text in texts)
    return "{" + ", ".join(plain) + "}"


def one_line(text: str) -> str:
    """Text without line ends, and with braces only around the whole."""
    text = " ".join(text.split())
    if text.startswith("{") and text.endswith("}"):
        return "{" + text[1:-1].translate(_NO_BRACES) + "}"
    return text.translate(_NO_BRACES)


_NO_BRACES = str.maketrans("{}", "()")
_PLAIN = str.maketrans("{},", "()-")


def _passed_on(tags: Mapping[str, str]) -> dict[str, str]:
    """GDAL tags without those that the new pixels make wrong."""
    return {key: value for key, value in tags.items() if not key.startswith("STATISTICS_")}

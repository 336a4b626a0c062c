"""What a scene says about its bands, in the words of GDAL, ENVI and EnMAP-Box.

Everything here turns `SceneMetadata` into text; nothing touches a file. Wavelengths and widths
are written in the unit that the input used, with every digit.
"""

from collections.abc import Iterable, Mapping

from hsisr.io.spectral_fields import without_wavelength
from hsisr.scene.metadata import SceneMetadata

OWN_FIELDS = frozenset(
    {
        "band names",
        "bands",
        "bbl",
        "byte order",
        "coordinate system string",
        "data gain values",
        "data ignore value",
        "data offset values",
        "data type",
        "description",
        "file compression",
        "file type",
        "geo points",
        "header offset",
        "interleave",
        "lines",
        "major frame offsets",
        "map info",
        "minor frame offsets",
        "pixel size",
        "projection info",
        "rpc info",
        "samples",
        "x start",
        "y start",
    }
)
"""Header fields of the input that are never passed on as they are: they speak of its grid or its
file, or have a field of their own in `SceneMetadata`."""

_ACQUIRED = "acquisition time"
_COLOURS_NM = (660.0, 550.0, 480.0)
_FAR_NM = 40.0
_NOT_PASSED_ON = "STATISTICS_"
"""Beginning of GDAL tags that the new pixels make wrong."""


def band_tags(metadata: SceneMetadata, band: int) -> dict[str, str]:
    """GDAL tags of one band's default domain, where EnMAP-Box looks first.

    >>> from hsisr.scene.quantisation import StoredNumbers
    >>> from hsisr.scene.spectral_axis import SpectralAxis
    >>> import numpy as np
    >>> axis = SpectralAxis(count=1, wavelengths_nm=(409.42,), good=(True,))
    >>> stored = StoredNumbers(dtype=np.dtype("uint16"))
    >>> band_tags(SceneMetadata(rows=1, cols=1, stored=stored, spectral_axis=axis), 0)
    {'wavelength': '409.42', 'wavelength_units': 'Nanometers', 'bbl': '1'}
    """
    axis = metadata.spectral_axis.subset([band])
    tags = dict(metadata.band_tags[band]) if metadata.band_tags else {}
    tags = _passed_on(tags)
    if axis.wavelengths_nm:
        tags["wavelength"] = number_text(axis.in_file_unit(axis.wavelengths_nm)[0])
        tags["wavelength_units"] = axis.unit
    if axis.fwhm_nm:
        tags["fwhm"] = number_text(axis.in_file_unit(axis.fwhm_nm)[0])
        tags["wavelength_units"] = axis.unit
    if axis.good:
        tags["bbl"] = str(int(axis.good[0]))
    return tags


def imagery_tags(metadata: SceneMetadata, band: int) -> dict[str, str]:
    """GDAL's IMAGERY domain of one band, in micrometres.

    Source: GDAL raster data model, "IMAGERY Domain"; GDAL itself fills it with 3 decimals.
    """
    axis = metadata.spectral_axis
    tags = {}
    if axis.wavelengths_nm:
        tags["CENTRAL_WAVELENGTH_UM"] = f"{axis.wavelengths_nm[band] / 1000:.12g}"
    if axis.fwhm_nm:
        tags["FWHM_UM"] = f"{axis.fwhm_nm[band] / 1000:.12g}"
    return tags


def dataset_tags(metadata: SceneMetadata) -> dict[str, str]:
    """GDAL tags of the dataset's default domain; `start_time` is ENVI's acquisition time."""
    acquired = metadata.header.get(_ACQUIRED)
    start = {"start_time": acquired} if acquired else {}
    return start | _passed_on(metadata.tags)


def shown_bands(metadata: SceneMetadata) -> tuple[int, int, int] | None:
    """0-based bands that viewers show as red, green and blue, as the input says or by wavelength.

    None where no good band lies within 40 nm of 660, 550 or 480 nm.
    """
    axis, said = metadata.spectral_axis, metadata.header.get("default bands", "").strip("{} ")
    parts = [part.strip() for part in said.split(",")]
    if len(parts) == 3 and all(p.isdecimal() and 1 <= int(p) <= metadata.bands for p in parts):
        red, green, blue = (int(part) - 1 for part in parts)
        return red, green, blue
    good = [band for band in range(axis.count) if axis.good is None or axis.good[band]]
    known = axis.wavelengths_nm
    if known is None or not good:
        return None
    distances = [{band: abs(known[band] - colour) for band in good} for colour in _COLOURS_NM]
    red, green, blue = (min(each, key=each.__getitem__) for each in distances)
    near = max(min(each.values()) for each in distances) <= _FAR_NM
    return (red, green, blue) if near else None


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
    fields = {}
    if axis.wavelengths_nm or axis.fwhm_nm:
        fields["wavelength units"] = axis.unit
    if axis.wavelengths_nm:
        fields["wavelength"] = number_list(axis.in_file_unit(axis.wavelengths_nm))
    if axis.fwhm_nm:
        fields["fwhm"] = number_list(axis.in_file_unit(axis.fwhm_nm))
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
    if (shown := shown_bands(metadata)) is not None:
        lower.setdefault("default bands", number_list(band + 1 for band in shown))
    if "start_time" in metadata.tags:
        lower.setdefault(_ACQUIRED, metadata.tags["start_time"])
    own = OWN_FIELDS | spectral_fields(metadata).keys()
    return {key: value for key, value in lower.items() if key not in own}


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
    return {key: value for key, value in tags.items() if not key.startswith(_NOT_PASSED_ON)}

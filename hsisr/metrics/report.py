"""Scores as a value, and as JSON, CSV or a table.

An infinite PSNR (a perfect band) is the text "inf" in JSON and CSV, and a figure that is undefined
is null with its reason beside it: JSON itself knows neither infinity nor NaN.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from hsisr.errors import UsageError, one_line, printable

PER_BAND: Final = ("psnr", "ssim", "cc", "rmse", "uiqi")
"""Figures that exist for a single band."""

UNITS: Final = {"mpsnr": "dB", "sam": "deg", "psnr": "dB", "lr_sam": "deg"}
"""Units of the figures that have one of their own."""

_MARKDOWN: Final = re.compile(r"([\\`|<>\[\]])")
_NO_NAMES: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class BandScores:
    """Figures of one band; NaN where one is undefined."""

    band: int
    """0-based; shown 1-based, as GDAL counts."""
    psnr: float
    ssim: float
    cc: float
    rmse: float
    uiqi: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What an estimate is worth, with everything needed to understand the numbers."""

    values: Mapping[str, float]
    """Figure -> value; NaN where undefined."""
    undefined: Mapping[str, str]
    """Figure -> why it is undefined."""
    definitions: Mapping[str, str]
    """Figure -> what exactly it is."""
    band_definitions: Mapping[str, str]
    """The same for a single band's figures."""
    bands: tuple[BandScores, ...]
    excluded: Mapping[int, str]
    """0-based band -> why it was not scored."""
    pixels: int
    """Pixels that are valid in all scored bands of both images."""
    zero_spectra: int
    """Of these, left out of the spectral angle because a spectrum is zero."""
    lost: int
    """Values that are valid in the reference but not in the estimate."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A limit that a figure must keep."""

    figure: str
    limit: float
    kind: str
    """`min` or `max`."""

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether the figure keeps the limit; an undefined figure keeps none."""
        value = values.get(self.figure, math.nan)
        return value >= self.limit if self.kind == "min" else value <= self.limit

    def __str__(self) -> str:
        return f"{self.figure} {'>=' if self.kind == 'min' else '<='} {self.limit:g}"


def parse_threshold(text: str, kind: str, known: Iterable[str]) -> Threshold:
    """Read `mpsnr=30`.

    Raises:
        UsageError: Not of that form, or a figure that does not exist.

    >>> parse_threshold("sam=5", "max", ["sam"])
    Threshold(figure='sam', limit=5.0, kind='max')
    """
    known = list(known)
    name, _, number = text.partition("=")
    try:
        limit = float(number)
    except ValueError:
        limit = math.nan
    if math.isnan(limit):
        raise UsageError(f"found --{kind} {text}, expected FIGURE=NUMBER such as mpsnr=30")
    if name not in known:
        raise UsageError(f"no figure {name!r} here; --{kind} takes one of {', '.join(known)}")
    return Threshold(name, limit, kind)


def jsonable(value: float) -> float | str | None:
    """A number that JSON can hold: infinity as "inf" or "-inf", NaN as null.

    >>> jsonable(float("inf")), jsonable(float("nan")), jsonable(2.5)
    ('inf', None, 2.5)
    """
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def scores_as_json(scores: Scores, *, per_band: bool = False) -> dict[str, Any]:
    """All of the scores as a JSON object; per band only if asked."""
    found: dict[str, Any] = {
        "scores": {name: jsonable(value) for name, value in scores.values.items()},
        "undefined": dict(scores.undefined),
        "definitions": dict(scores.definitions),
        "bands_scored": len(scores.bands),
        "bands_excluded": {str(band + 1): why for band, why in scores.excluded.items()},
        "valid_pixels": scores.pixels,
        "zero_spectra": scores.zero_spectra,
        "values_lost": scores.lost,
    }
    if per_band:
        found["per_band"] = band_rows(scores)
        found["per_band_definitions"] = dict(scores.band_definitions)
    return found


def band_rows(scores: Scores) -> list[dict[str, Any]]:
    """One object per scored band, bands counted from 1."""
    return [
        {"band": b.band + 1} | {name: jsonable(getattr(b, name)) for name in PER_BAND}
        for b in scores.bands
    ]


def verdicts_as_json(
    thresholds: Iterable[Threshold], values: Mapping[str, float]
) -> list[dict[str, Any]]:
    """One object per limit: figure, limit, value, and whether it holds."""
    return [
        {
            "figure": limit.figure,
            limit.kind: jsonable(limit.limit),
            "value": jsonable(values.get(limit.figure, math.nan)),
            "holds": limit.holds(values),
        }
        for limit in thresholds
    ]


@dataclass(frozen=True, slots=True)
class Column:
    """Figures of one estimate, for a table of several."""

    title: str
    values: Mapping[str, float] = field(default_factory=lambda: _NO_NAMES)
    sign: str = ""
    """Before positive figures: "+" for differences."""


def table(columns: Iterable[Column]) -> str:
    """Figures as aligned text, one line per figure, one column per estimate.

    >>> figures = {"sam": 1.25, "lr_sam": 2.6e-07, "rmse": 3e-09}
    >>> print(table([Column("a.tif", figures), Column("gain", {"sam": 5e-5}, "+")]))
    figure  unit      a.tif       gain
    sam     deg    1.250000  +0.000050
    lr_sam  deg   <0.000001          -
    rmse              3e-09          -
    """
    columns = list(columns)
    rows = [["figure", "unit", *(c.title for c in columns)]]
    for name, first in columns[0].values.items():
        unit = UNITS.get(name, "")
        numbers = [
            _text(c.values.get(name, math.nan), c.sign, first if c.sign else None, unit)
            for c in columns
        ]
        rows.append([name, unit, *numbers])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def band_table(scores: Scores) -> str:
    """The figures of every scored band as aligned text."""
    rows = [["band", *PER_BAND]]
    rows += [[str(b.band + 1), *(_text(getattr(b, n)) for n in PER_BAND)] for b in scores.bands]
    return "\n".join("  ".join(cell.rjust(12) for cell in row) for row in rows)


def bands_as_csv(scores: Scores) -> str:
    """The figures of every scored band as comma-separated text."""
    return as_csv(("band", *PER_BAND), (row.values() for row in band_rows(scores)))


def as_csv(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Comma-separated text with a header line; undefined values are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([csv_cell(value) for value in row] for row in (header, *rows))
    return text.getvalue().rstrip("\n")


def _text(value: float, sign: str = "", like: float | None = None, unit: str = "") -> str:
    """Six digits after the point suit figures of order 1, and those with a unit of their own.

    Small and large numbers in the unit of a scene keep theirs. A difference has as many as the
    figure that it is `like`.
    """
    if math.isnan(value):
        return "-"
    if unit and not sign and 0 < value < 5e-7:
        return "<0.000001"
    size = abs(value if like is None or math.isnan(like) else like)
    form = "z.6f" if unit or size == 0 or 1e-4 <= size < 1e7 else ".6g"
    return f"{value:{sign}{form}}"


def markdown_cell(text: str) -> str:
    r"""Text as one cell, or one line, of Markdown, in which nothing of it is markup.

    >>> markdown_cell("a|b [x](y)")
    'a\\|b \\[x\\](y)'
    """
    return _MARKDOWN.sub(r"\\\1", one_line(text))


def csv_cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula; numbers stay.

    >>> csv_cell("=cmd|' /C calc'!A0"), csv_cell("-1.5"), csv_cell(-2)
    ("'=cmd|' /C calc'!A0", '-1.5', -2)
    """
    if not isinstance(value, str):
        return value
    text = one_line(value)
    try:
        float(text)
    except ValueError:
        return f"'{text}" if text.startswith(("=", "+", "-", "@")) and len(text) > 1 else text
    return text


def picture_label(text: str) -> str:
    r"""Text for a picture, where matplotlib would take dollar signs for formulas.

    >>> picture_label(r"$\frac$")
    '\\$\\frac\\$'
    """
    return printable(text).replace("$", r"\$")

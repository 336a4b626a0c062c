"""The `hsisr info` command."""

import math
import sys
from itertools import pairwise
from typing import Annotated, Any

import typer

from hsisr.cli import console
from hsisr.cli.options import Given, SceneArgument, takes
from hsisr.commands.options import PartOptions
from hsisr.engine.options import SPEED


@takes(PartOptions, quiet=False)
def info(
    options: Given,
    scene: SceneArgument,
    time: Annotated[
        bool,
        typer.Option(
            "--time",
            help="Time one tile of the default network here, and say how long x4 would take.",
            rich_help_panel=SPEED,
        ),
    ] = False,
) -> None:
    """Show what hsisr sees in a scene: size, bands, wavelengths, nodata, place, cost of x4."""
    from hsisr.commands.info import info as look

    how = options.made(PartOptions)
    table = look(scene, how).as_dict()
    if time:
        from hsisr.commands.info import time_x4

        plan = time_x4(scene, how)
        table["upscaled_x4"] |= {
            "model": plan.model,
            "seconds": plan.estimated_seconds,
            "peak_memory_bytes": plan.peak_memory_bytes,
        }
    if options.json:
        console.print_json(table)
    else:
        console.tell(_text(table))


def _text(table: dict[str, Any]) -> str:
    rows = [
        ("format", table["format"]),
        *_product(table["product"]),
        ("size", f"{table['bands']} bands, {table['rows']} rows, {table['cols']} columns"),
        ("pixel", _pixel(table["pixel_m"])),
        ("place", _place(table["georeference"], table["crs_name"])),
        ("numbers", _numbers(table)),
        ("nodata", _nodata(table)),
        ("wavelengths", _wavelengths(table["wavelengths_nm"])),
        ("FWHM", _range(table["fwhm_nm"])),
        ("bad bands", _bad(table["bad_bands"], table["bands"])),
        ("colour", _colour(table["natural_colour_bands"])),
        *_cost(table["upscaled_x4"]),
    ]
    return console.fact_table(table["path"], rows, 14, sys.stdout)


def _product(told: dict[str, str | None]) -> list[tuple[str, str]]:
    rows = [("product" if key == "name" else key, told[key]) for key in list(told)[:4]]
    if told["sun_elevation"] and told["sun_azimuth"]:
        sun = f"elevation {told['sun_elevation']}, azimuth {told['sun_azimuth']} degrees"
        rows.append(("sun", sun))
    return [(name, text) for name, text in rows if text]


def _cost(cost: dict[str, Any]) -> list[tuple[str, str]]:
    size = "{} bands, {} rows, {} columns".format(*cost["shape"])
    rows = [("x4 output", f"{size}, {console.megabytes(cost['bytes'])} before compression")]
    if "seconds" not in cost:
        return [*rows, ("x4 time", "--time measures it here")]
    memory = f"{cost['peak_memory_bytes'] / 1e6:,.0f} MB of memory"
    return [*rows, ("x4 time", f"about {console.duration(cost['seconds'])} here, {memory}")]


def _pixel(size: tuple[float, float] | None) -> str:
    return (
        "ground size unknown" if size is None else f"{size[0]:.4g} x {size[1]:.4g} m on the ground"
    )


def _wavelengths(values: tuple[float, ...] | None) -> str:
    """Range and usual spacing; 0 stands for a band that is not there.

    >>> _wavelengths((0.0, 500.0, 600.0, 700.0))
    '500 to 700 nm, 100 nm apart (median)'
    """
    rising = sorted(value for value in values or () if value > 0)
    if len(rising) < 2:
        return _range(tuple(rising) or None)
    steps = sorted(after - before for before, after in pairwise(rising))
    return f"{_range(tuple(rising))}, {steps[len(steps) // 2]:.3g} nm apart (median)"


def _bad(bad: list[int] | None, bands: int) -> str:
    if bad is None:
        return "no list in the file"
    return f"{len(bad)} of {bands}: {console.ranges(bad)}" if bad else "none"


def _colour(bands: list[int] | None) -> str:
    if bands is None:
        return "no bands near red, green and blue"
    return "bands {}, {}, {} are natural colour".format(*bands)


def _numbers(table: dict[str, Any]) -> str:
    """Type, and how values in physical units are made of it.

    >>> _numbers({"dtype": "int16", "scales": (0.1, 0.1), "offsets": (0.0, 2.0), "unit": None})
    'int16, scale 0.1, offset 0 to 2'
    """
    said = [table["dtype"]]
    for name in ("scale", "offset"):
        known = sorted({*(table[f"{name}s"] or ())})
        ends = known[:1] + known[1:][-1:]
        said += [f"{name} {' to '.join(f'{end:.6g}' for end in ends)}"] if ends else []
    return ", ".join([*said, *([table["unit"]] if table["unit"] else [])])


def _nodata(table: dict[str, Any]) -> str:
    """What means no data.

    >>> _nodata({"nodata": -9999.0, "valid_range": (-50, 12000), "mask": False})
    '-9999; data lies from -50 to 12000'
    """
    number, ends = table["nodata"], table["valid_range"]
    named = "none named" if number is None else str(number).removesuffix(".0")
    within = "; data lies from {} to {}".format(*ends) if ends else ""
    return named + within + ("; a mask says where there is data" if table["mask"] else "")


def _range(values: tuple[float, ...] | None) -> str:
    if not values:
        return "unknown"
    low, high = f"{min(values):g}", f"{max(values):g}"
    return f"{low} nm" if low == high else f"{low} to {high} nm"


def _place(place: dict[str, Any] | None, crs: str | None) -> str:
    """CRS, upper left corner and what places pixels, as GIS programs write them."""
    if place is None:
        return "not georeferenced"
    transform = place["transform"]
    how = "no grid"
    if transform is not None:
        side = math.hypot(transform[0], transform[3])
        digits = max(2, 3 - math.floor(math.log10(side)))  # a thousandth of a pixel, at least
        how = f"upper left corner {transform[2]:.{digits}f}, {transform[5]:.{digits}f}"
        if transform[1] or transform[3]:
            how += ", rotated"
    elif place["gcps"]:
        how = f"{place['gcps']} ground control points"
    if place["pixel_positions"]:
        how += ", longitude and latitude of each pixel"
    if isinstance(place["lookup_table"], list):
        how += ", lookup table to a map grid of {} rows and {} columns".format(
            *place["lookup_table"]
        )
    return f"{crs or 'unknown CRS'}; {how}{'; RPCs' if place['rpcs'] else ''}"

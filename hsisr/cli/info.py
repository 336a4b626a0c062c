"""The `hsisr info` command."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsisr.cli.console import expected_errors, print_json
from hsisr.cli.options import Axes, Json, Nodata, Variable, Verbose, verbosity
from hsisr.io.paths import scene_path

if TYPE_CHECKING:
    from hsisr.commands.info import SceneInfo


def info(
    scene: Annotated[
        Path,
        typer.Argument(metavar="SCENE", parser=scene_path, help="A scene in any supported format."),
    ],
    variable: Variable = None,
    axes: Axes = None,
    nodata: Nodata = None,
    json: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Show what hsisr sees in a scene: size, bands, wavelengths, nodata, place, cost of x4."""
    with expected_errors(verbosity(verbose, quiet=False)):
        from hsisr.commands.info import describe

        found = describe(scene, variable=variable, axes=axes, nodata=nodata)
        if json:
            print_json(found.as_dict())
        else:
            typer.echo(_text(found))


def _text(found: "SceneInfo") -> str:
    """The facts, one a line."""
    table = found.as_dict()
    place = table["georeference"] or {}
    rows = [
        ("format", table["format"]),
        *_product(table["product"]),
        ("size", f"{table['bands']} bands, {table['rows']} rows, {table['cols']} columns"),
        ("numbers", table["dtype"]),
        ("nodata", _nodata(table["nodata"], masked=table["mask"])),
        ("wavelengths", _range(table["wavelengths_nm"])),
        ("FWHM", _range(table["fwhm_nm"])),
        ("bad bands", _numbers(table["bad_bands"])),
        ("place", _place(place)),
        ("x4 output", "{} bands, {} rows, {} columns".format(*table["upscaled_x4"]["shape"])),
        ("", f"{table['upscaled_x4']['bytes'] / 1e6:,.1f} MB before compression"),
    ]
    return "\n".join([table["path"], *(f"  {name:<12}{value}" for name, value in rows)])


def _product(told: dict[str, str | None]) -> list[tuple[str, str]]:
    """A line for each fact that the scene tells."""
    rows = [("product" if key == "name" else key, told[key]) for key in list(told)[:4]]
    if told["sun_elevation"] and told["sun_azimuth"]:
        sun = f"elevation {told['sun_elevation']}, azimuth {told['sun_azimuth']} degrees"
        rows.append(("sun", sun))
    return [(name, text) for name, text in rows if text]


def _nodata(number: object, *, masked: bool) -> str:
    named = "none named" if number is None else f"{number}"
    return f"{named}; a mask says where there is data" if masked else named


def _range(values: tuple[float, ...] | None) -> str:
    return "unknown" if not values else f"{min(values):g} to {max(values):g} nm"


def _numbers(bad: list[int] | None) -> str:
    if bad is None:
        return "no list in the file"
    return ", ".join(map(str, bad)) or "none"


def _place(place: dict[str, object]) -> str:
    if not place:
        return "not georeferenced"
    crs = str(place["crs"] or "unknown CRS")
    name = crs.split('"')[1] if '"' in crs else crs
    how = "affine" if place["transform"] else f"{place['gcps']} GCPs"
    transform = place["transform"]
    if isinstance(transform, list):
        how = f"pixel {abs(transform[0]):g} x {abs(transform[4]):g}, origin {transform[2]:g}, "
        how += f"{transform[5]:g}"
    if place["pixel_positions"]:
        how += ", longitude and latitude of each pixel"
    if isinstance(place["lookup_table"], list):
        how += ", lookup table to a map grid of {} rows and {} columns".format(
            *place["lookup_table"]
        )
    return f"{name}; {how}{'; RPCs' if place['rpcs'] else ''}"

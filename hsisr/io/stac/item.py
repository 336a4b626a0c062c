"""STAC Items as a way to name a scene: which asset is the scene, and where it lies.

STAC describes a scene in a JSON file and points to its files by `assets`. Source: STAC
specification 1.1.0, Item and Best Practices (asset roles, media types).
"""

import json
import math
import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import unquote
from urllib.request import url2pathname

import msgspec

from hsisr.errors import DAMAGED, InputDataError, ResourceError
from hsisr.io.formats import ROWS
from hsisr.io.open import scene_files
from hsisr.io.paths import SERVERS

if TYPE_CHECKING:
    import pystac

_SCHEME: Final = re.compile("^([A-Za-z][A-Za-z0-9+.-]+):/")
_REACHED: Final = tuple(chain.from_iterable(SERVERS.values()))
_READABLE: Final = frozenset(end for row in ROWS if row.searched for end in row.suffixes)
_OTHER_ROLES: Final = frozenset({"thumbnail", "overview", "visual", "metadata", "cloud", "mask"})


@dataclass(frozen=True, slots=True, eq=False)
class SourceItem:
    """An item, and the asset of it that is read."""

    path: Path
    """The item's file."""
    item: "pystac.Item"
    key: str
    """Name of the asset."""
    scene: Path | str
    """Where the asset lies: a path, or an address as the item gives it."""


def read_item(path: Path, *, asset: str | None = None) -> SourceItem:
    """Read an item, a JSON file, and choose its asset.

    That is the one named; else the only GeoTIFF, COG or ENVI file with the role `data`; else the
    only such file at all that is no thumbnail, overview or metadata.

    Raises:
        InputDataError: The file is no item, or the choice is not clear.
        ResourceError: pystac is not installed.
    """
    item = _parsed(path, _content(path))
    key = _chosen(path, item, asset)
    return SourceItem(path, item, key, _place(path, item.assets[key].href))


def item_beside(scene: Path) -> SourceItem | None:
    """The item beside a scene with its name and an asset that is it; raises as `read_item` does."""
    path = scene.with_suffix(".json")
    if not path.is_file():
        return None
    item = _parsed(path, _content(path))
    own = {part.resolve() for part in scene_files(scene)}
    for key, asset in item.assets.items():
        place = _place(path, asset.href)
        if isinstance(place, Path) and place.resolve() in own:
            return SourceItem(path, item, key, scene)
    return None


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes(), parse_float=_number, parse_constant=_CONSTANTS.get)
    except OSError as error:
        raise InputDataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputDataError(f"{path}: found no JSON ({error}), expected a STAC Item") from error
    kind = content.get("type") if isinstance(content, dict) else None
    if kind == "Feature" and "stac_version" in content:
        _require_form(path, content)
        return dict(content)
    found = f"JSON of type {kind!r}" if isinstance(kind, str) else "JSON without a type"
    if kind in ("Collection", "Catalog", "FeatureCollection"):
        found = f"a {kind}, which stands for many items"
    raise InputDataError(f"{path}: found {found}, expected a STAC Item (a Feature); name one")


_CONSTANTS: Final = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}
"""What JSON does not have, by the texts of STAC's raster extension."""


def _number(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else str(number)


class _Asset(msgspec.Struct):
    href: Annotated[str, msgspec.Meta(max_length=8192)]
    type: str | None = None
    roles: list[str] | None = None


class _Form(msgspec.Struct):
    """What is used here, and pystac takes as it comes."""

    id: str
    assets: dict[str, _Asset]


def _require_form(path: Path, content: dict[str, Any]) -> None:
    try:
        msgspec.convert(content, _Form)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise InputDataError(
            f"{path}: is no valid STAC Item, expected an id and assets with href, type and roles "
            f"({error})"
        ) from error


def _parsed(path: Path, content: dict[str, Any]) -> "pystac.Item":
    try:
        import pystac
    except ModuleNotFoundError as error:
        raise ResourceError(
            f"{path} is a STAC Item, which pystac reads; pip install 'hsisr[stac]', or name the "
            "scene file itself"
        ) from error
    try:
        # its links are neither followed nor passed on, so they may be as they are
        item = pystac.Item.from_dict({**content, "links": []}, href=str(path.absolute()))
    except (pystac.STACError, *DAMAGED) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputDataError(f"{path}: is no valid STAC Item ({reason})") from error
    return item


def _chosen(path: Path, item: "pystac.Item", asset: str | None) -> str:
    keys = list(item.assets)
    if asset is not None:
        if asset not in keys:
            raise InputDataError(
                f"{path}: has no asset {asset!r}, expected one of {', '.join(keys) or 'none'}"
            )
        return asset
    data = [key for key in keys if "data" in (item.assets[key].roles or ())]
    among = data or [
        key for key in keys if not _OTHER_ROLES.intersection(item.assets[key].roles or ())
    ]
    readable = [key for key in among if _is_readable(item.assets[key])]
    found = _one_of_pairs(item, readable or data)
    if len(found) == 1:
        return found[0]
    what = f"assets {', '.join(found)}" if found else "no asset that is GeoTIFF, COG or ENVI"
    other = "" if found else f" among {', '.join(keys) or 'none'}"
    raise InputDataError(f"{path}: found {what}{other}, expected one; choose it with --asset KEY")


def _is_readable(asset: "pystac.Asset") -> bool:
    kind = (asset.media_type or "").lower()
    return kind.startswith("image/tiff") or "envi" in kind or _ending(asset.href) in _READABLE


def _ending(href: str) -> str:
    return PurePosixPath(re.split("[?#]", href)[0]).suffix.lower()


def _one_of_pairs(item: "pystac.Item", keys: list[str]) -> list[str]:
    """The keys, without the headers of ENVI data files that have a key themselves."""
    hrefs = {key: item.assets[key].href for key in keys}
    data = {href for href in hrefs.values() if _ending(href) != ".hdr"}
    data |= {href.removesuffix(PurePosixPath(href).suffix) for href in data}
    return [key for key in keys if _ending(hrefs[key]) != ".hdr" or hrefs[key][:-4] not in data]


def _place(path: Path, href: str) -> Path | str:
    """Where an href leads from an item; what is not on this machine stays an address."""
    if "\0" in href or "%00" in href:
        raise InputDataError(f"{path}: found a zero byte in an asset's href")
    if _ending(href) == ".vrt":
        raise InputDataError(
            f"{path}: its asset is a .vrt, which names other files; name that file to read it"
        )
    scheme = _SCHEME.match(href)
    if href.startswith("file://"):
        place = Path(url2pathname(href.removeprefix("file://").removeprefix("localhost")))
    elif scheme is not None or href.startswith("/vsi"):
        return _address(path, href, scheme[1] if scheme else "")
    else:
        place = path.parent / href
        if "%" in href and not _is_there(path, place):  # hrefs are URIs, though many write names
            place = path.parent / unquote(href, errors="surrogateescape")
    _is_there(path, place)
    return place


def _is_there(path: Path, place: Path) -> bool:
    """True if there is something at the place to which an item leads."""
    try:
        place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no name that a file can have"
        raise InputDataError(
            f"{path}: found an asset's href that leads nowhere: {reason}"
        ) from error
    return True


def _address(path: Path, href: str, scheme: str) -> str:
    """An address of something far away, as the item gives it."""
    far = scheme.lower() in _REACHED and href[len(scheme) :].startswith("://")
    if "::" in href or not (far or href.startswith(tuple(SERVERS))):
        raise InputDataError(
            f"{path}: the href of its asset is {href[:80]!r}, expected a file or an address of "
            f"{', '.join(_REACHED)}"
        )
    return href

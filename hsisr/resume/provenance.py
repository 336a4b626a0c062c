"""What made an output, as tags that travel inside it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from hsisr.engine.options import NOT_IN_TAGS, UpscaleOptions
from hsisr.option import declared
from hsisr.scene.metadata import SceneMetadata

PREFIX = "HSISR_"


def provenance_tags(
    *, source: str, model: str, weights_sha256: str | None, options: Any
) -> dict[str, str]:
    """Dataset tags that say how an output came to be.

    Args:
        source: Name of the input file, without its folder.
        model: Interpolation, or name of the weights.
        weights_sha256: Hash of the weights file, None for interpolation.
        options: The resolved options, a dataclass; written as JSON, unset ones left out.
    """
    from hsisr import __version__

    tags = {
        "VERSION": __version__,
        "SOURCE": source,
        "MODEL": model,
        "OPTIONS": json.dumps(_without_folders(plain_options(options)), sort_keys=True),
        "CREATED": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if weights_sha256:
        tags["WEIGHTS_SHA256"] = weights_sha256
    return {PREFIX + key: value for key, value in tags.items()}


def _without_folders(options: dict[str, Any]) -> dict[str, Any]:
    """Plain options in which a weights file has no folder: outputs are for other people, too."""
    if "model" not in options:
        return options
    return {**options, "model": PurePath(options["model"]).name}


def provenance_of(metadata: SceneMetadata) -> dict[str, str]:
    """What an output says about how it came to be: keys as in `provenance_tags`, no prefix.

    Empty for a scene that hsisr did not make.
    """
    header = {key.upper().replace(" ", "_"): text for key, text in metadata.header.items()}
    return {
        key.removeprefix(PREFIX): text
        for key, text in {**header, **metadata.tags}.items()
        if key.startswith(PREFIX)
    }


def with_provenance(metadata: SceneMetadata, tags: Mapping[str, str]) -> SceneMetadata:
    """Metadata with these tags instead of those that an earlier run left in its output."""
    header = {
        key: text
        for key, text in metadata.header.items()
        if not key.upper().replace(" ", "_").startswith(PREFIX)
    }
    others = {key: text for key, text in metadata.tags.items() if not key.startswith(PREFIX)}
    return replace(metadata, header=header, tags={**others, **tags})


def _plain(value: Any) -> bool | float | str:
    """For JSON; of a path its name, for folders are nobody else's business."""
    if isinstance(value, PurePath):
        return value.name
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def item_bands_hash(options: UpscaleOptions) -> dict[str, str]:
    """The `item_bands` option of records and run keys: a hash of it; empty without an Item."""
    if not options.item_bands:
        return {}
    text = json.dumps([dict(band) for band in options.item_bands], sort_keys=True)
    return {"item_bands": hashlib.sha256(text.encode()).hexdigest()}


def plain_options(options: Any) -> dict[str, Any]:
    """Options, a dataclass or a mapping, as values for JSON.

    Left out: what is unset or switched off, and what `Option.in_tags` says belongs in no output.
    """
    table: Mapping[str, Any] = options
    if is_dataclass(options):  # asdict() copies deeply, which a mapping proxy does not allow
        table = {f.name: getattr(options, f.name) for f in fields(options)}
    return {
        key: _plain(value)
        for key, value in table.items()
        if key not in NOT_IN_TAGS and not (value is None or value is False or value in ({}, ()))
    }


def decisive_options(options: Any) -> dict[str, Any]:
    """Options, a dataclass, that its output depends on, as values for JSON."""
    table = declared(type(options))
    plain = plain_options(options)
    return {name: plain[name] for name in table if name in plain and table[name][1].affects_result}

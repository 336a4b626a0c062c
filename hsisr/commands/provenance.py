"""What made an output, as tags that travel inside it."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

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
        "OPTIONS": json.dumps(_plain(options), sort_keys=True),
        "CREATED": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if weights_sha256:
        tags["WEIGHTS_SHA256"] = weights_sha256
    return {PREFIX + key: value for key, value in tags.items()}


def _plain(options: Any) -> dict[str, Any]:
    table: Mapping[str, Any] = options
    if is_dataclass(options):  # asdict() copies deeply, which a mapping proxy does not allow
        table = {f.name: getattr(options, f.name) for f in fields(options)}
    return {
        key: value if isinstance(value, (bool, int, float, str)) else str(value)
        for key, value in table.items()
        if key not in ("resume", "scheduler") and value not in (None, {}, (), False)
    }

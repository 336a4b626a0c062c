"""What there is in weights, what is in a file, whether it is sound, and bringing in Keras files."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hsisr.errors import UsageError, WeightsError
from hsisr.io.atomic import write_new
from hsisr.weights import CatalogueEntry, LoadedWeights, load_weights, released, resolve
from hsisr.weights.keras import import_keras
from hsisr.weights.store import as_bytes, file_sha256


def facts_of_entry(entry: CatalogueEntry) -> dict[str, Any]:
    """Plain values of a catalogue entry for JSON."""
    return asdict(entry) | {"path": str(entry.path), "card": str(entry.card)}


def facts_of_weights(weights: LoadedWeights) -> dict[str, Any]:
    """Plain values of a weights file for JSON: where, what network, how it was made."""
    return {
        "name": weights.name,
        "path": str(weights.path),
        "sha256": weights.sha256,
        "trained": weights.trained,
        "parameters": sum(p.numel() for p in weights.network.parameters()),
        "descriptor": asdict(weights.descriptor),
        "card": dict(weights.card),
    }


def card_of(name_or_path: str) -> str | None:
    """The model card of released weights; None for a file."""
    found = resolve(name_or_path)
    if not isinstance(found, CatalogueEntry) or not found.card.is_file():
        return None
    return found.card.read_text(encoding="utf-8")


def verify_weights(names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Load weights, without names the whole catalogue, and compare published hashes with them.

    Of each `name`, `path` (None: no such name), `sha256` (None: not usable), `sound`, `complaint`.
    """
    return [_verdict(name) for name in names or [entry.name for entry in released()]]


def _verdict(name: str) -> dict[str, Any]:
    path = sha256 = complaint = None
    try:
        source = resolve(name)
        path = str(source.path if isinstance(source, CatalogueEntry) else source)
        sha256 = load_weights(source).sha256
    except WeightsError as error:
        complaint = str(error)
    sound = complaint is None
    return {"name": name, "path": path, "sha256": sha256, "sound": sound, "complaint": complaint}


def export_weights(name_or_path: str, output: Path, *, overwrite: bool = False) -> float:
    """Write weights, a name or a file, as ONNX; the model card lies beside it where there is one.

    Gives the largest difference between onnxruntime and PyTorch, in normalised numbers.
    """
    from hsisr.weights.onnx import export_onnx

    if output.suffix != ".onnx":
        raise UsageError(f"{output}: found suffix {output.suffix!r}; name the output *.onnx")
    difference = export_onnx(load_weights(resolve(name_or_path)), output, overwrite=overwrite)
    if card := card_of(name_or_path):
        output.with_suffix(".md").write_text(card, encoding="utf-8")
    return difference


def import_weights(source: Path, output: Path, *, overwrite: bool = False) -> Path:
    """Turn a `.keras` file of the published notebooks into a safetensors file; returns its path."""
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: found suffix {output.suffix!r}; name the output *.safetensors")
    network, descriptor = import_keras(source)
    card = {"imported_from": source.name, "imported_sha256": file_sha256(source)}
    content = as_bytes(output, network, descriptor, card, trained=True)
    write_new(output, content, overwrite=overwrite)
    return output

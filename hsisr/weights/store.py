"""Parameters and descriptor of a network in one safetensors file, written whole, read with care.

The descriptor and the model card travel as JSON under one metadata key, because the library writes
several keys in no fixed order and equal weights should be equal files.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from hsisr.errors import WeightsError
from hsisr.io.atomic import TemporaryPlace, resource_errors
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.registry import build, descriptor_for
from hsisr.weights.catalogue import CatalogueEntry
from hsisr.weights.fitting import fitted, outline, refuse_misfits
from hsisr.weights.formats import refuse_foreign

MAX_FILE_BYTES: Final = 2**31
"""The largest network here, edsr, takes 172 MB."""
MAX_HEADER_BYTES: Final = 2**24
_DAMAGED: Final = (SafetensorError, LookupError, ValueError, TypeError, RuntimeError)
"""What the library raises on files that are none, and on types of numbers that torch has not."""
METADATA_KEY: Final = "hsisr"
"""Where the JSON lies: {"descriptor": {...}, "card": {...}}."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedWeights:
    """A network ready to run, and what is known of its file."""

    name: str
    """In the catalogue, else the file's name without its suffix."""
    path: Path
    sha256: str
    """Hash of the file."""
    descriptor: ModelDescriptor
    network: nn.Module
    """In evaluation mode, float32, on the processor."""
    card: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Free remarks on training, licence, origin."""
    trained: bool | None = None
    """Whether the file says that it was trained; None: it does not say."""


def save_weights(
    path: str | Path,
    network: nn.Module,
    descriptor: ModelDescriptor,
    *,
    card: Mapping[str, str] | None = None,
    trained: bool | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a network's parameters; the file appears complete or not at all.

    Args:
        path: Where to; by custom it ends in `.safetensors`.
        network: As `hsisr.models.registry.build` makes it for the descriptor, on any device.
        descriptor: What a runner must know of it.
        card: Free remarks to travel with it.
        trained: Whether it was trained, to be said in the file; who upscales with weights that
            were not is warned. None: nothing is said.
        overwrite: Replace an existing file.

    Returns:
        The path.

    Raises:
        WeightsError: Network and descriptor do not fit, or a parameter is not finite.
        OutputExistsError: The file is there already.
        UsageError: The path is a folder.
        ResourceError: It cannot be written.
    """
    path = Path(path)
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    refuse_misfits(state, outline(descriptor).state_dict(), str(path))
    state = {key: value.clone() for key, value in state.items()}  # nothing shared
    facts: dict[str, Any] = {"descriptor": asdict(descriptor), "card": dict(card or {})}
    if trained is not None:
        facts["trained"] = trained
    metadata = {METADATA_KEY: json.dumps(facts, sort_keys=True)}
    place = TemporaryPlace(path, overwrite=overwrite)
    try:
        with resource_errors(path):
            place.file(path.name).write_bytes(save(state, metadata=metadata))
        place.commit([(place.file(path.name), path)])
    finally:
        place.discard()
    return path


def load_weights(source: CatalogueEntry | str | Path) -> LoadedWeights:
    """Read a safetensors file and build its network.

    Args:
        source: What `resolve` returns, or a path. A catalogue entry's hash and scale are checked.

    Raises:
        WeightsError: The file is missing, is not safetensors, is damaged, says nothing of its
            network, or holds other parameters than its network has.
    """
    if isinstance(source, CatalogueEntry):
        entry, path = source, source.path
    else:
        entry, path = None, Path(source)
    refuse_foreign(path)
    data = _bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if entry and entry.sha256 != sha256:
        raise WeightsError(
            f"{path}: found sha256 {sha256[:12]}..., but the catalogue has {entry.sha256[:12]}...; "
            "the file was damaged or replaced, so install hsisr again"
        )
    metadata, tensors = _contents(path, data)
    descriptor, card, trained = _facts(path, metadata)
    if entry and descriptor.scale != entry.scale:
        raise WeightsError(
            f"{path} is for scale {descriptor.scale}, but the catalogue lists it for {entry.scale}"
        )
    return LoadedWeights(
        name=entry.name if entry else path.stem,
        path=path,
        sha256=sha256,
        descriptor=descriptor,
        network=fitted(descriptor, tensors, str(path)).eval(),
        card=card,
        trained=trained,
    )


def fresh_weights(name: str, scale: int) -> LoadedWeights:
    """A network that has not been trained, with the weights of seed 0.

    Args:
        name: Of the network.
        scale: HR pixels per LR pixel along a side.

    Raises:
        WeightsError: There is no such network, or it cannot be of that scale.
    """
    descriptor = descriptor_for(name, scale)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build(descriptor).eval()
    state = {key: value.contiguous().clone() for key, value in network.state_dict().items()}
    return LoadedWeights(
        name=name,
        path=Path(name),
        sha256=hashlib.sha256(save(state)).hexdigest(),
        descriptor=descriptor,
        network=network,
        trained=False,
    )


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes, in lower-case hexadecimal digits.

    Raises:
        WeightsError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error


def _bytes(path: Path) -> bytes:
    """The file, read once, so that what was hashed is what is used.

    The library would map it into memory, where a file that shrinks meanwhile ends the process.

    Raises:
        WeightsError: It cannot be read, or is larger than any network's.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise WeightsError(f"{path}: found {size} bytes, expected at most {MAX_FILE_BYTES}")
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error


def _contents(path: Path, data: bytes) -> tuple[Mapping[str, str], dict[str, torch.Tensor]]:
    """Metadata and tensors."""
    length = int.from_bytes(data[:8], "little")
    if length > MAX_HEADER_BYTES:
        raise WeightsError(
            f"{path}: its header claims {length} bytes, expected at most {MAX_HEADER_BYTES}; the "
            "safetensors file is truncated or damaged"
        )
    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + length])
        return header.get("__metadata__") or {}, tensors
    except _DAMAGED as error:
        raise WeightsError(
            f"{path}: the safetensors file is truncated or damaged ({error}); copy or make it again"
        ) from error


def _facts(
    path: Path, metadata: Mapping[str, str]
) -> tuple[ModelDescriptor, Mapping[str, str], bool | None]:
    """Descriptor, card, and whether the weights were trained, out of the metadata."""
    if METADATA_KEY not in metadata:
        raise WeightsError(
            f"{path}: found parameters without a model descriptor, so nobody can tell what network "
            "they belong to; write the file with hsisr.weights.save_weights"
        )
    try:
        facts = json.loads(metadata[METADATA_KEY])
        descriptor = ModelDescriptor.from_dict(_table(facts, "descriptor"))
        card = {str(key): str(value) for key, value in _table(facts, "card").items()}
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its model descriptor cannot be used: {error}") from error
    trained = facts.get("trained")
    return descriptor, MappingProxyType(card), trained if isinstance(trained, bool) else None


def _table(facts: Any, key: str) -> dict[str, Any]:
    """A table of the metadata.

    Raises:
        WeightsError: It is not there or is something else.
    """
    table = facts.get(key) if isinstance(facts, dict) else None
    if not isinstance(table, dict):
        raise WeightsError(f"no table {key!r} in the file's metadata")
    return table

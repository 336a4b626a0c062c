"""Parameters and descriptor of a network in one safetensors file, written whole, read with care.

The descriptor and the model card travel as JSON under one metadata key, because the library writes
several keys in no fixed order and equal weights should be equal files. No pickle is ever loaded:
other files are told by their first bytes.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from io import BufferedReader
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from hsisr.errors import WeightsError
from hsisr.io.atomic import write_new
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.registry import build, descriptor_for
from hsisr.weights import CatalogueEntry

HDF5: Final = b"\x89HDF\r\n\x1a\n"
ZIP: Final = b"PK\x03\x04"
KERAS_MEMBERS: Final = ("config.json", "model.weights.h5")
"""What makes a zip archive a `.keras` file."""

_PICKLE: Final = (
    "a pickle, which can run any program when it is loaded, so hsisr never does; expected a "
    "safetensors file: save the parameters with hsisr.weights.save_weights where you trust them"
)
_KERAS: Final = "expected a safetensors file; convert it with `hsisr weights import`"


def first_bytes(path: Path, count: int) -> bytes:
    """The beginning of a weights file (WeightsError where it cannot be read)."""
    with _opened(path) as file:
        return file.read(count)


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such weights file; check the path") from error
    except IsADirectoryError as error:
        raise WeightsError(f"{path}: a folder; expected a weights file") from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error


def _complaint(path: Path, head: bytes) -> str | None:
    """What a file is that begins with these bytes, where that is nothing to load."""
    if not head:
        return "the file is empty; expected a safetensors file"
    if head[4:9] == b"\0\0\0\0{":  # eight bytes, little endian: length of the JSON that follows
        return None
    if head[:1] == b"\x80" and head[1:2] in b"\x00\x01\x02\x03\x04\x05":
        return _PICKLE
    if head.startswith(ZIP):
        return _complaint_of_zip(path)
    if head.startswith(HDF5):
        return f"an HDF5 file, such as Keras writes; {_KERAS} from the whole .keras file"
    return "not a safetensors file (it begins otherwise); see `hsisr weights list`"


def _complaint_of_zip(path: Path) -> str:
    """Two kinds of zip archive hold weights: torch.save's, with a pickle in it, and Keras'."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return "a damaged zip archive; expected a safetensors file"
    if any(name.endswith(".pkl") for name in members):
        return _PICKLE
    if set(KERAS_MEMBERS) <= set(members):
        return f"a Keras file; {_KERAS}"
    return "a zip archive; expected a safetensors file"


State = Mapping[str, torch.Tensor]
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)
"""Types whose every number float32 holds exactly."""


def outline(descriptor: ModelDescriptor) -> nn.Module:
    """The network a descriptor names, with shapes but neither memory nor numbers.

    Raises:
        WeightsError: No such network can be built.
    """
    try:
        with torch.device("meta"):
            return build(descriptor)
    except (TypeError, RuntimeError, OverflowError) as error:
        raise WeightsError(f"no {descriptor.arch} can be built as described: {error}") from error


def fitted(descriptor: ModelDescriptor, tensors: State, source: str) -> nn.Module:
    """The network a descriptor names, with these parameters in float32.

    Raises:
        WeightsError: There is no such network, or the parameters are not its own.
    """
    try:
        network = outline(descriptor)
    except WeightsError as error:
        raise WeightsError(f"{source}: {error}") from error
    expected = network.state_dict()
    refuse_misfits(tensors, expected, source)
    state = {key: tensors[key].to(expected[key].dtype) for key in expected}
    network.load_state_dict(state, assign=True)
    return network


def refuse_misfits(tensors: State, expected: State, source: str) -> None:
    """Refuse tensors that are no whole, finite state of the network expected, with its types.

    Raises:
        WeightsError: Says how many are wrong in what way, and the first.
    """
    common = [key for key in expected if key in tensors]
    mistyped = [key for key in common if not _convertible(tensors[key], expected[key])]
    found = {
        "missing": [key for key in expected if key not in tensors],
        "unexpected": [key for key in tensors if key not in expected],
        "of another shape": [
            f"{key} {tuple(tensors[key].shape)}, expected {tuple(expected[key].shape)}"
            for key in common
            if tensors[key].shape != expected[key].shape
        ],
        "of another type": [
            f"{key} {_type(tensors[key])}, expected {_type(expected[key])}" for key in mistyped
        ],
        "not finite": [
            key for key in common if key not in mistyped and not tensors[key].isfinite().all()
        ],
    }
    complaints = [f"{len(keys)} {kind} (first: {keys[0]})" for kind, keys in found.items() if keys]
    if complaints:
        raise WeightsError(
            f"{source}: the parameters are not those of the network described: "
            f"{'; '.join(complaints)}; expected {len(expected)} tensors, found {len(tensors)}"
        )


def _convertible(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """The same type, or a float that float32 holds exactly."""
    widened = expected.dtype == torch.float32 and found.dtype in _FLOATS
    return widened or found.dtype == expected.dtype


def _type(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


MAX_FILE_BYTES: Final = 2**31
"""The largest network here, edsr, takes 172 MB."""
MAX_HEADER_BYTES: Final = 2**24
_DAMAGED: Final = (SafetensorError, LookupError, ValueError, TypeError, RuntimeError)
"""What the library raises on files that are none, and on types of numbers that torch has not."""
METADATA_KEY: Final = "hsisr"
"""Where the JSON lies: {"descriptor": {...}, "card": {...}}."""


class _Facts(msgspec.Struct):
    """The JSON in a file's metadata."""

    descriptor: dict[str, Any]
    card: dict[str, Any]
    trained: Any = None


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
    """Whether it is released, or the file says that it was trained; None: it does not say."""


def save_weights(
    path: str | Path,
    network: nn.Module,
    descriptor: ModelDescriptor,
    *,
    card: Mapping[str, str] | None = None,
    trained: bool | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the parameters of a network that `hsisr.models.registry.build` made of the descriptor.

    The file appears complete or not at all. `card` are free remarks to travel with it, and
    `trained` says whether it was: who upscales with weights that were not is warned.

    Raises:
        WeightsError: Network and descriptor do not fit, or a parameter is not finite.
        OutputExistsError: The file is there already.
        UsageError: The path is a folder.
        ResourceError: It cannot be written.
    """
    path = Path(path)
    content = as_bytes(path, network, descriptor, card or {}, trained=trained)
    write_new(path, content, overwrite=overwrite)
    return path


def as_bytes(
    path: Path,
    network: nn.Module,
    descriptor: ModelDescriptor,
    card: Mapping[str, str],
    *,
    trained: bool | None,
) -> bytes:
    """What `save_weights` writes; the path is for messages."""
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    refuse_misfits(state, outline(descriptor).state_dict(), str(path))
    state = {key: value.clone() for key, value in state.items()}  # nothing shared
    facts: dict[str, Any] = {"descriptor": asdict(descriptor), "card": dict(card)}
    if trained is not None:
        facts["trained"] = trained
    return save(state, metadata={METADATA_KEY: json.dumps(facts, sort_keys=True)})


def load_weights(source: CatalogueEntry | str | Path) -> LoadedWeights:
    """Read a safetensors file and build its network.

    Args:
        source: What `resolve` returns, or a path. A catalogue entry's hash and scale are checked.

    Raises:
        WeightsError: The file is missing, is not safetensors, is damaged, says nothing of its
            network, or holds other parameters than its network has.
    """
    entry = source if isinstance(source, CatalogueEntry) else None
    path = source.path if isinstance(source, CatalogueEntry) else Path(source)
    if complaint := _complaint(path, first_bytes(path, 16)):
        raise WeightsError(f"{path}: {complaint}")
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
        trained=True if entry else trained,
    )


def fresh_weights(name: str, scale: int) -> LoadedWeights:
    """A network that has not been trained, with the weights of seed 0.

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
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bytes(path: Path) -> bytes:
    """The file, read once, so that what was hashed is what is used.

    The library would map it into memory, where a file that shrinks meanwhile ends the process.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            raise WeightsError(f"{path}: found {size} bytes, expected at most {MAX_FILE_BYTES}")
        return file.read()


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
        facts = msgspec.json.decode(metadata[METADATA_KEY], type=_Facts)
        descriptor = ModelDescriptor.from_dict(facts.descriptor)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its model descriptor cannot be used: {error}") from error
    card = {key: str(value) for key, value in facts.card.items()}
    trained = facts.trained if isinstance(facts.trained, bool) else None
    return descriptor, MappingProxyType(card), trained

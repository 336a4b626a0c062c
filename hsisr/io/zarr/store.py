"""Zarr stores as something to be read with care: what is opened, and what is refused.

A store is a folder (or anything like one behind fsspec) of small JSON files and packed chunks.
Its text may name any shape and any codec, so both are looked at before a chunk is: numbers of
codecs that are known to be harmless are unpacked, and no chunk larger than `LARGEST_CHUNK`.
"""

import lzma
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import DAMAGED, InputDataError, ResourceError, UsageError
from hsisr.io.atomic import refuse_existing
from hsisr.io.formats import is_zarr_store, zarr_package
from hsisr.io.paths import without_secrets
from hsisr.io.remote.transport import network_errors, reason

LARGEST_CHUNK: Final = 2**30
"""Bytes of an unpacked chunk that is read; one chunk at a time has to fit into memory."""

_LONGEST: Final = 2**48
"""Longest side of an array; zarr counts chunks with floats, and beyond 2^53 without end."""
WHOLE: Final = "hsisr_all_chunks_written"
"""Attribute of a store of which every chunk was written, so that a missing one is a loss."""

_HARMLESS: Final = frozenset(
    {
        *("blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"),
        *("adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3"),
        *("bitround", "delta", "fixedscaleoffset", "packbits", "quantize", "shuffle"),
        *("bytes", "endian", "sharding_indexed", "transpose", "vlen-bytes", "vlen-utf8"),
    }
)
"""Codecs that only move numbers; the registry of numcodecs also knows pickle, which runs code."""


def refuse_existing_store(path: Path, *, overwrite: bool) -> None:
    """Check that a store may be made, or replaced; raises as `refuse_existing` does.

    UsageError also where zarr is not installed.
    """
    zarr_package()
    refuse_existing((path,), overwrite=overwrite, replaceable=is_zarr_store)


@contextmanager
def zarr_errors(what: str = "not a Zarr store that can be read") -> Iterator[None]:
    """Turn whatever zarr stumbles over into one line: an InputDataError that begins with `what`.

    Raises ResourceError where it takes more memory than there is.
    """
    try:
        with warnings.catch_warnings():
            # about stores that are half of each version
            warnings.filterwarnings("ignore", module=r"(zarr|numcodecs)(\.|$)")
            yield
    except (InputDataError, ResourceError, UsageError):
        raise
    except MemoryError as error:
        raise ResourceError(f"{what}; it does not fit into memory") from error
    except network_errors() as error:
        raise InputDataError(f"{what}: {reason(error)}; check the network") from error
    except (*DAMAGED, lzma.LZMAError) as error:
        words = without_secrets(str(error))[:200] or type(error).__name__
        raise InputDataError(
            f"{what}; it is incomplete, damaged or of an unknown kind ({words})"
        ) from error


class OpenStore:
    """The arrays of a store, opened for reading; InputDataError: it cannot be understood.

    `groups` are the attributes of each group, those of the root under an empty name.
    """

    def __init__(self, source: Any) -> None:
        zarr, is_remote = zarr_package(), not isinstance(source, Path)
        with zarr_errors():
            if not is_remote:
                source = zarr.storage.LocalStore(source, read_only=True)
            from hsisr.io.zarr.guard import GuardedStore  # loads zarr

            self._store = GuardedStore(source)
            root = zarr.open(store=self._store, mode="r")
            if isinstance(root, zarr.Array):
                self.arrays: dict[str, Any] = {"": root}
                self.groups: dict[str, Mapping[str, Any]] = {"": {}}
            else:
                members = (("", root), *root.members(max_depth=None))
                self.arrays = {n: a for n, a in members if isinstance(a, zarr.Array)}
                self.groups = {n: dict(g.attrs) for n, g in members if n not in self.arrays}
            self.attributes = self.groups[""]
            if is_remote and not self.arrays:
                raise InputDataError(
                    "found no arrays in the Zarr store, whose server may list no folders; let "
                    "zarr.consolidate_metadata write their list into the store"
                )

    def read(self, name: str, place: Any = ...) -> npt.NDArray[Any]:
        """Numbers or texts of a part of an array.

        A chunk that is not there is full of the fill value, as the format has it, unless the
        store says that all were written: an InputDataError, as for one that is damaged.
        """
        _require_harmless(name, self.arrays[name])
        self._store.missing = None
        with zarr_errors(f"array {name or '/'} cannot be read"):
            found = np.asarray(self.arrays[name][place])
        if self.attributes.get(WHOLE) and self._store.missing is not None:
            raise InputDataError(
                f"array {name or '/'} lacks the chunk {self._store.missing}; the store is "
                "incomplete, copy it again"
            )
        return found

    def require_all_chunks(self) -> None:
        """Check that no chunk is missing, if all were written; InputDataError: one is."""
        if not self.attributes.get(WHOLE):
            return
        for name, array in self.arrays.items():
            with zarr_errors(f"array {name or '/'} cannot be read"):
                missing = int(array.nchunks) - int(array.nchunks_initialized)
            if missing:
                raise InputDataError(
                    f"array {name or '/'} lacks {missing} of its chunks; the store is incomplete, "
                    "copy it again"
                )

    def close(self) -> None:
        """Release the store; a second call does nothing."""
        self._store.close()


def _require_harmless(name: str, array: Any) -> None:
    """Refuse an array with codecs that do more than move numbers, or with chunks of gigabytes."""
    described = array.metadata.to_dict()
    named = _codecs([described.get(key) for key in ("compressor", "filters", "codecs")])
    if unknown := {codec for codec in named if codec not in _HARMLESS}:
        raise InputDataError(
            f"array {name or '/'} is packed by {', '.join(sorted(unknown))}, expected a plain "
            "compression such as zstd; write it again with that"
        )
    if max(array.shape, default=0) > _LONGEST:
        raise InputDataError(f"array {name or '/'} has a side longer than {_LONGEST}")
    itemsize = max(1, int(getattr(array.dtype, "itemsize", 1)))
    size = itemsize * math.prod(getattr(array, "shards", None) or array.chunks)
    if size > LARGEST_CHUNK:
        raise InputDataError(
            f"array {name or '/'} has chunks of {size} bytes, expected at most {LARGEST_CHUNK}; "
            "write it again with smaller chunks"
        )


def _codecs(parts: Any) -> Iterator[str]:
    """Names of all codecs in what a store says, those inside of others included."""
    if isinstance(parts, Mapping):
        name = parts.get("id", parts.get("name"))
        if name is not None:
            yield str(name).removeprefix("numcodecs.")
        inside = parts.get("configuration")
        if isinstance(inside, Mapping):
            yield from _codecs([inside.get("codecs"), inside.get("index_codecs")])
    elif isinstance(parts, (list, tuple)):
        for part in parts:
            yield from _codecs(part)
    elif parts is not None:  # a codec itself, where zarr does not take it to pieces
        yield str(getattr(parts, "codec_id", type(parts).__name__))

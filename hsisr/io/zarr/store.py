"""Zarr stores as something to be read with care: what is opened, and what is refused.

A store is a folder (or anything like one behind fsspec) of small JSON files and packed chunks.
Its text may name any shape and any codec, so both are looked at before a chunk is: numbers of
codecs that are known to be harmless are unpacked, and no chunk larger than `LARGEST_CHUNK`.

Its cube is the only 3-D array of numbers (axes of length 1 beyond do not count), else the only one
that wavelengths lie along, or the one that is named. The names of its dimensions, and the dimension
of the wavelengths, tell its axes (`hsisr.io.arrays.axes`); `axes` overrules them.
"""

import lzma
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import DAMAGED, InputDataError, ResourceError, UsageError, warn_of_scene
from hsisr.io.arrays.axes import checked_axes, given_order, is_wavelength, named_order
from hsisr.io.atomic import refuse_existing
from hsisr.io.formats import is_zarr_store, zarr_package
from hsisr.io.paths import without_secrets
from hsisr.io.remote.transport import network_errors, reason
from hsisr.io.zarr.layout import DIMENSIONS

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


def dimension_names(array: Any) -> tuple[str, ...]:
    """Names of an array's dimensions; empty texts where it does not say."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get(DIMENSIONS)
    if not isinstance(names, (list, tuple)) or len(names) != len(array.shape):
        return ("",) * len(array.shape)
    return tuple(str(name or "") for name in names)


def _spectral_dimension(arrays: Mapping[str, Any], cube: str) -> str | None:
    """Name of the cube's dimension that an array of wavelengths lies on, if there is one."""
    sizes = dict(zip(dimension_names(arrays[cube]), arrays[cube].shape, strict=True))
    for name, array in arrays.items():
        if len(array.shape) == 1 and is_wavelength(name, array.attrs):
            dimension = dimension_names(array)[0]
            if dimension and sizes.get(dimension) == array.shape[0]:
                return dimension
    return None


def cube_name(arrays: Mapping[str, Any], wanted: str | None) -> str:
    """Name of the cube among arrays, or the wanted one.

    InputDataError: none, or more than one, can be the cube; UsageError: it is not there.
    """
    if wanted is not None:
        name = wanted.strip("/")
        if name not in arrays:
            raise UsageError(f"--variable {wanted}: no such array; there are {_table(arrays)}")
        if not _is_cube(arrays[name]):
            raise InputDataError(
                f"array {name} has the shape {arrays[name].shape}, expected 3 axes; choose another "
                "with --variable NAME"
            )
        return name
    cubes = [n for n, a in arrays.items() if _is_cube(a) and a.dtype.kind in "iufc"]
    if len(cubes) > 1:
        spectral = [name for name in cubes if _spectral_dimension(arrays, name)]
        cubes = spectral if len(spectral) == 1 else cubes
    if len(cubes) > 1:
        listed = _table({name: arrays[name] for name in cubes})
        raise InputDataError(f"found {len(cubes)} cubes: {listed}; choose one with --variable NAME")
    if not cubes:
        flat = [array.shape for array in arrays.values() if len(array.shape) == 2]
        many = "; if these are the bands, in xarray: ds.to_array('band') makes one of them"
        raise InputDataError(
            f"found no 3-D array of numbers among {_table(arrays)}; expected (band, y, x)"
            f"{many if len(flat) > len({*flat}) else ''}"
        )
    return cubes[0]


def _is_cube(array: Any) -> bool:
    """True for three axes, and for more where those beyond have length 1."""
    longer = sum(side != 1 for side in array.shape)
    return len(array.shape) == 3 or (len(array.shape) > 3 and longer <= 3)


def _table(arrays: Mapping[str, Any]) -> str:
    few = [f"{name or '/'} {tuple(array.shape)}" for name, array in list(arrays.items())[:12]]
    return ", ".join(few) + (", ..." if len(arrays) > 12 else "") or "nothing"


def axis_order(arrays: Mapping[str, Any], cube: str, axes: str | None) -> str:
    """The order of the cube's axes, a letter each; raises as `named_order` and `given_order` do."""
    shape = arrays[cube].shape
    with zarr_errors("what it says of its cube cannot be understood"):
        names = dimension_names(arrays[cube])
        spectral = _spectral_dimension(arrays, cube)
    if axes is None:
        return named_order(names, shape, spectral)
    order = given_order(checked_axes(axes), names, shape)
    with suppress(InputDataError):  # most names tell nothing, or the same
        if (told := named_order(names, shape, spectral)) != order:
            warn_of_scene(
                f"--axes {axes} counts, although the dimensions of {cube} are called "
                f"{', '.join(names)}, which is {told.replace('1', '')}; leave it out if they are "
                "right"
            )
    return order

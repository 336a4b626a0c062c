"""Which scenes a run does, its share of them, and where their outputs go."""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from hsisr.engine.options import SelectOptions, UpscaleOptions
from hsisr.errors import HsisrError, InputDataError, UsageError, warn
from hsisr.io.formats import is_zarr_store, output_format
from hsisr.io.open import find_scenes
from hsisr.io.paths import RemotePath, folder_of, is_item_name, is_utf8, scene_path
from hsisr.resume.record import Work, output_files

if TYPE_CHECKING:
    from hsisr.io.stac.item import SourceItem

_Entry = TypeVar("_Entry")
_FORM: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_EXPECTED: Final = "expected I/N with I from 1 to N, such as 1/4"
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_STDIN: Final = Path("-")
_COMPANIONS: Final = {"quicklook": ".png", "report": ".html", "uncertainty": "_uncertainty.tif"}
"""Options that name a file beside each output, and how its name ends where they name a folder."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A scene that could not be upscaled."""

    source: Path
    """What the user named."""
    error: HsisrError

    def as_dict(self) -> dict[str, str]:
        """Plain values for JSON."""
        return {"source": str(self.source), "error": str(self.error)}


@dataclass(frozen=True, slots=True)
class Shard:
    """Every `of`-th entry of a list, beginning with the `number`-th; both count from 1.

    >>> Shard(2, 3).of_all("abcdefgh")
    ('b', 'e', 'h')
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise UsageError(f"shard {self.number}/{self.of}: {_EXPECTED}")

    def of_all(self, entries: Sequence[_Entry]) -> tuple[_Entry, ...]:
        """The entries of this shard; every entry is in one of the shards and in no other."""
        return tuple(entries[self.number - 1 :: self.of])


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What one run has to do."""

    entries: tuple[Work | Failure, ...]
    total: int
    """Scenes in the whole list."""
    shard: Shard | None
    """The share of the list that `entries` are; None: all of it."""
    in_folder: bool
    """The outputs go to a folder, which keeps records of them."""


def select(
    wanted: SelectOptions, options: UpscaleOptions, environment: Mapping[str, str] | None = None
) -> Selection:
    """The scenes of this run, each with its output.

    One scene and an output that is no folder: that pair. Otherwise every scene (those in a folder
    included) goes to `NAME_xSCALE` in the output folder, in its own format where that can be
    written, else as GeoTIFF; that of an item is named after the item's id.

    A path that is not there, an item that cannot be read, a folder without scenes, or scenes of the
    list, in whatever shard, that would have the same output become a `Failure` and leave the others
    alone. Variables of a SLURM job array are looked for in the `environment`.

    Raises:
        UsageError: The output is a file, or a folder of inputs; the shard makes no sense.
        InputDataError: The list cannot be read, or names nothing.
    """
    sources = [*wanted.sources, *([] if wanted.list is None else read_list(wanted.list))]
    if not sources and wanted.list is not None:
        raise InputDataError(f"{list_name(wanted.list)} names no scene, expected one path a line")
    if wanted.asset is not None and not any(map(is_item_name, sources)):
        raise UsageError(f"--asset {wanted.asset} has no meaning without a STAC Item; leave it out")
    found = {_key(path): entry for s in sources for path, entry in _found(s)}
    single = wanted.list is None and len(sources) == 1 and set(found) == {_key(sources[0])}
    output = wanted.output
    if output is None:
        _require_one_scene(sources, single=single)
        in_folder, folder = False, folder_of(sources[0])
    else:
        in_folder = not single or (output.is_dir() and not is_zarr_store(output))
        if in_folder:
            _require_folder_of_its_own(output, sources)
        folder, output = (output, None) if in_folder else (output.parent, output)
    entries = [
        entry if isinstance(entry, Failure) else _work(entry, wanted, options, folder, output)
        for entry in found.values()
    ]
    entries = _without_collisions(entries, options)
    if wanted.items:
        _say_without_item(entries)
    several = wanted.list is not None or len(entries) > 1
    if wanted.shard is not None:
        shard: Shard | None = shard_named(wanted.shard)
    else:
        shard = shard_of_job(environment or {}) if several else None
    total = len(entries)
    if shard is not None:
        in_order = sorted(entries, key=lambda entry: str(_key(entry.source)))
        entries = list(shard.of_all(in_order))
    return Selection(entries=tuple(entries), total=total, shard=shard, in_folder=in_folder)


def _require_one_scene(sources: Sequence[Path], *, single: bool) -> None:
    """Refuse several scenes without an output, and what was meant as the output."""
    if single:
        return
    last = sources[-1]
    if len(sources) == 2 and not isinstance(last, RemotePath) and not last.exists():
        raise UsageError(
            f"{last} is not there; if it is the output, write -o {last} (inputs come first)"
        )
    raise UsageError(
        f"found {'a folder or list' if len(sources) == 1 else f'{len(sources)} inputs'} and no "
        "output, expected a folder for the finer scenes: -o FOLDER"
    )


def _key(path: Path) -> Path:
    return path if isinstance(path, RemotePath) else path.absolute()


def _found(source: Path) -> Iterator[tuple[Path, Path | Failure]]:
    """The scenes that a path stands for, or why there is none, by their own paths."""
    scenes: list[Path] = []
    if isinstance(source, RemotePath):
        yield source, source
        return
    try:
        source.stat()
        scenes = find_scenes(source)
        lacks = "found no scene in this folder"
    except InputDataError as error:
        yield source, Failure(source, error)
        return
    except (FileNotFoundError, NotADirectoryError):
        lacks = "there is no such file or folder; check the name"
    except OSError as error:
        lacks = f"cannot be looked at ({error.strerror or error})"
    if not scenes:
        yield source, Failure(source, InputDataError(f"{source}: {lacks}"))
    for scene in scenes:
        if is_utf8(scene):
            yield scene, scene
        else:
            reason = f"{scene}: the name is not UTF-8, which GDAL expects; rename it"
            yield scene, Failure(scene, InputDataError(reason))


def _require_folder_of_its_own(output: Path, sources: Iterable[Path]) -> None:
    """Outputs in a folder of inputs would be taken for scenes by the next run, or shard."""
    if isinstance(output, RemotePath):
        return
    store = is_zarr_store(output)
    if store or (output.exists() and not output.is_dir()):
        what = "a Zarr store" if store else "a file"
        raise UsageError(f"{output} is {what}; several scenes need a folder as output")
    place = output.resolve()
    for source in sources:
        clash = False
        with suppress(OSError):  # told by `_found`
            clash = source.is_dir() and source.resolve() == place
        if clash:
            raise UsageError(
                f"{output} is also the folder of the input scenes, and its outputs would become "
                "inputs; name another folder"
            )


def _work(
    source: Path, wanted: SelectOptions, options: UpscaleOptions, folder: Path, output: Path | None
) -> Work | Failure:
    try:
        item: SourceItem | None = None
        scene: Path | str = source
        if is_item_name(source):
            from hsisr.io.stac.item import read_item

            item = read_item(source, asset=wanted.asset)
            scene = item.scene
        elif wanted.items:
            from hsisr.io.stac.item import item_beside

            item = item_beside(source)
        if output is None:
            output = folder / _name(source, scene, item, options)
    except HsisrError as error:
        return Failure(source, error)
    return Work(source, scene, output, None if wanted.items is False else item)


def _name(
    source: Path, scene: Path | str, item: "SourceItem | None", options: UpscaleOptions
) -> str:
    place = scene_path(scene)
    if item is not None and is_item_name(source):
        stem = re.sub(r"[^\w.-]+", "_", item.item.id)[:200].strip("._") or "item"
    else:
        folder = place.is_dir() and place.suffix.lower() != ".zarr"
        stem = place.name if folder else place.stem
    return f"{stem}_x{options.scale}{_suffix(place, options.format)}"


def output_beside(scene: Path, options: UpscaleOptions) -> Path:
    """NAME_xSCALE beside a scene, as `hsisr upscale` names it where no output is given."""
    return folder_of(scene) / _name(scene, scene, None, options)


def companions(output: Path, options: UpscaleOptions) -> dict[str, Path]:
    """What options want beside each of several outputs, for this one, by the option's name."""
    folders = {name: getattr(options, name) for name in _COMPANIONS}
    return {
        name: folder / f"{output.stem}{_COMPANIONS[name]}"
        for name, folder in folders.items()
        if folder is not None
    }


def _suffix(scene: Path, format_name: str | None) -> str:
    """Suffix of an output: of the format named, else of the scene's own if it can be written."""
    try:
        target = scene if format_name is None else Path("output")
        return output_format(target, format_name).output_suffixes[0]
    except HsisrError:  # ENVI's data files have any suffix, or none
        return ".hdr" if (scene.parent / f"{scene.stem}.hdr").exists() else ".tif"


def _say_without_item(entries: Sequence[Work | Failure]) -> None:
    """Say for how many scenes Items were wanted that cannot be derived from one."""
    works = [entry for entry in entries if isinstance(entry, Work)]
    lacking = [work for work in works if work.item is None]
    if lacking:
        warn(
            f"--stac: found no STAC Item beside {lacking[0].source.name}"
            + (f" and {len(lacking) - 1} more of {len(works)} scenes" if len(lacking) > 1 else "")
            + f", expected {lacking[0].source.stem}.json with an asset that is the scene; no Item "
            "is written there"
        )


def _without_collisions(
    entries: Sequence[Work | Failure], options: UpscaleOptions
) -> list[Work | Failure]:
    """Scenes that would have one output, as a.tif and a.npy, become failures, all of them.

    So do those that would have one companion, as the picture of a.tif and a.hdr, and one whose
    output is an input of this run, as a.tif beside a_x4.tif.
    """
    if len(entries) < 2:
        return list(entries)
    makers: dict[Path, list[Path]] = {}
    alone = replace(options, uncertainty=None)
    made = [
        ()
        if isinstance(one, Failure)
        else (*output_files(one, alone), *companions(one.output, options).values())
        for one in entries
    ]
    for entry, paths in zip(entries, made, strict=True):
        for path in paths:
            makers.setdefault(path, []).append(entry.source)
    inputs = {_key(entry.source) for entry in entries}
    checked: list[Work | Failure] = []
    for entry, paths in zip(entries, made, strict=True):
        shared = [path for path in paths if len(makers[path]) > 1 or _key(path) in inputs]
        if not shared:
            checked.append(entry)
            continue
        sources = " and ".join(map(str, makers[shared[0]]))
        advice = "upscale them one by one, or into different folders"
        if _key(shared[0]) in inputs:
            advice = "that is an input of this run, so name another folder"
        reason = f"{sources} would become {shared[0]}; {advice}"
        checked.append(Failure(entry.source, UsageError(reason)))
    return checked


def shard_named(text: str) -> Shard:
    """The shard that `--shard I/N` means."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"--shard {text}: {_EXPECTED}")
    return Shard(int(found[1]), int(found[2]))


def shard_of_job(environment: Mapping[str, str]) -> Shard | None:
    """The shard of a task in a SLURM job array; None outside of one.

    Arrays may begin anywhere and have steps (`--array=0-7`, `1-8`, `0-28:4`); those with gaps are
    refused, because shards would be left out.
    """
    task, count, first, last, step = (
        _slurm_number(environment, f"SLURM_ARRAY_TASK_{name}")
        for name in ("ID", "COUNT", "MIN", "MAX", "STEP")
    )
    if task is None or count is None:
        return None
    first, step = 1 if first is None else first, step or 1
    gaps = last is not None and last != first + (count - 1) * step
    place, off_grid = divmod(task - first, step)
    if gaps or off_grid or not 0 <= place < count:
        raise UsageError(
            f"SLURM_ARRAY_TASK_ID is {task} in an array of {count} tasks whose numbers are not "
            f"{first}, {first + step}, ...; name the share with --shard I/N (1/1 for all)"
        )
    return Shard(place + 1, count)


def _slurm_number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name, "").strip()
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"{name} is {text!r}, expected a whole number; or give --shard I/N")
    return int(text)


def read_list(path: Path) -> list[Path]:
    """The paths and URLs that a list (`-`: stdin) names; paths count from the current folder.

    Blank lines and lines that begin with `#` are left out, and so is space around a path (write
    `./#name` for a name with a `#` in front).
    """
    try:
        content = sys.stdin.buffer.read() if path == _STDIN else path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputDataError(f"{list_name(path)}: cannot be read ({reason})") from error
    lines = content.removeprefix(b"\xef\xbb\xbf").splitlines()
    texts = (os.fsdecode(line.strip()) for line in lines)
    found = [text for text in texts if text and not text.startswith("#")]
    if any("\0" in text for text in found):
        raise InputDataError(
            f"{list_name(path)}: found a zero byte, expected text, one path a line"
        )
    return [scene_path(text) for text in found]


def list_name(path: Path) -> str:
    """What a message calls a list."""
    return "the list on stdin" if path == _STDIN else f"the list {path}"

"""Whether an output is there already: complete, from this input, made in this way.

A record is believed where its output's files have the size and the time that it remembers. An
output without one is judged by its `HSISR_*` tags, and has to be readable to its end. What hsisr
does not recognise as its own is never taken for finished, nor for half.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from tifffile import TiffFile

from hsisr.engine.mixing import PSEUDO_BANDS
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.session import Model
from hsisr.errors import DAMAGED, HsisrError, InputDataError
from hsisr.io.formats import is_format_name
from hsisr.io.geotiff.gdal import listening
from hsisr.io.open import open_scene, open_with
from hsisr.io.paths import RemotePath, sibling
from hsisr.models.interpolation import KERNELS
from hsisr.resume.record import (
    FileState,
    OutputSpec,
    Record,
    Work,
    has_changed,
    head_of,
    item_path,
    output_files,
    output_spec,
    output_spec_of,
    provenance_of,
    read_record,
    source_states,
    states,
    told_of_source,
)
from hsisr.tiling import Window


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about a scene.

    absent: make it. finished: leave it out. half: what is there is the rest of an output that
    hsisr had made; make it anew. other: what is there is something else; keep it.
    """

    state: Literal["absent", "finished", "half", "other"]
    reason: str = ""


def judge(work: Work, options: UpscaleOptions, model: Model) -> Verdict:
    """Look at an output and decide, by how and with what it would be made."""
    if isinstance(work.output, RemotePath):
        from hsisr.io.remote.transport import is_half_sent, refuse_unwritable

        refuse_unwritable(work.output)
        if is_half_sent(work.output):
            return Verdict("half", "was sent in part only")
    return _by_what_is_there(work, options, model)


def _by_what_is_there(work: Work, options: UpscaleOptions, model: Model) -> Verdict:
    files = output_files(work, options)
    found = states(files)
    record = read_record(work.output)
    is_item_alone = {state.name for state in found} == {item_path(work.output).name}
    if not found or (is_item_alone and record is None):
        return Verdict("absent")
    wanted = output_spec_of(model.settled(options), work.output, model.name, model.sha256)
    if record is None:
        return _by_tags(work, options, wanted)
    names = {path.name for path in files}
    remembered = {state.name: state for state in record.output if state.name in names}
    if set(found) == set(remembered.values()):
        return _by_record(work, options, wanted, record)
    if _is_half(work.output, record, remembered, found):
        there, whole = (sum(s.bytes for s in some) for some in (found, remembered.values()))
        return Verdict("half", f"is broken off, {there} of {whole} bytes are there")
    tags = _tags_if_whole(work.output)
    if tags is not None and tags.get("CREATED", "") > record.created:
        return _by_tags(work, options, wanted)
    return Verdict("other", "has changed since it was made")


def _by_record(work: Work, options: UpscaleOptions, wanted: OutputSpec, record: Record) -> Verdict:
    then = record.remote_source
    changed = bool(then) and has_changed(then, told_of_source(work))
    if changed or set(source_states(work)) != set(record.source):
        return Verdict("other", "was made from another input, or the input has changed")
    difference = _difference(work, options, wanted, record.making)
    if difference is not None:
        return Verdict("other", f"was made {difference}")
    return _companions_judged(work, options, "recorded as complete")


def _difference(
    work: Work, options: UpscaleOptions, wanted: OutputSpec, made: OutputSpec
) -> str | None:
    """As `OutputSpec.difference`; scenes of few bands have no pseudo-bands in any version."""
    before_pseudo_bands = made.weights_sha256 is not None and "band_groups" not in made.options
    if before_pseudo_bands and options.band_groups is None:
        with closing(open_with(work.scene, options)) as scene:
            if scene.metadata.bands <= PSEUDO_BANDS[0]:
                wanted = replace(wanted, options={**wanted.options, "band_groups": "all"})
    return wanted.difference(made)


def _companions_judged(work: Work, options: UpscaleOptions, reason: str) -> Verdict:
    """Finished, unless an item or standard errors are wanted that there never were."""
    if options.uncertainty is not None and not options.uncertainty.exists():
        return Verdict("half", f"has no {options.uncertainty.name} beside it")
    path = item_path(work.output)
    if work.item is None or path.exists():
        return Verdict("finished", reason)
    return Verdict("half", f"has no STAC Item {path.name} beside it")


def _is_half(
    output: Path, record: Record, remembered: Mapping[str, FileState], found: Sequence[FileState]
) -> bool:
    """Nothing is there but what is left of the recorded files, and it is not all of them.

    A file is left as it was, or it is shorter and begins as the recorded one did; a shorter one
    that can be read to its end is somebody's work, not a rest.
    """
    for state in found:
        whole = remembered.get(state.name)
        if whole is None:
            return False
        begins = head_of(sibling(output, state.name))
        cut_off = state.bytes < whole.bytes and record.heads.get(state.name, "").startswith(begins)
        if state != whole and not cut_off:
            return False
    return len(found) < len(remembered) or _tags_if_whole(output) is None


def _by_tags(work: Work, options: UpscaleOptions, wanted: OutputSpec) -> Verdict:
    tags = _tags_if_whole(work.output)
    if tags is None:
        return Verdict("other", "has no record and cannot be read to its end")
    made = _making_in(tags, work.output)
    if made is None:
        return Verdict("other", "was not made by hsisr upscale")
    difference = _difference(work, options, wanted, made)
    if difference is not None:
        return Verdict("other", f"was made {difference}")
    if not _same_input(work, options, tags):
        return Verdict("other", "was made from another input, or the input has changed")
    return _companions_judged(work, options, "complete by its own tags")


def _tags_if_whole(output: Path) -> dict[str, str] | None:
    """What an output says of itself; None: it cannot be read to its end."""
    try:
        require_whole(output)
        with closing(open_scene(output)) as scene:
            return provenance_of(scene.metadata)
    except HsisrError:
        return None


def require_whole(path: Path) -> None:
    """Check that a scene file was not broken off.

    It has to open, and the last pixel of the last band has to be readable. Every block that a TIFF
    of this machine names has to lie inside the file, and no chunk that a Zarr store had may lack.
    """
    with closing(open_scene(path)) as scene:
        bands, rows, cols = scene.metadata.shape
        scene.read_stored(Window(rows - 1, cols - 1, 1, 1), [bands - 1])
    if is_format_name(path, "Zarr"):
        from hsisr.io.remote.transport import zarr_store_of
        from hsisr.io.zarr.store import OpenStore

        with closing(OpenStore(zarr_store_of(path) if isinstance(path, RemotePath) else path)) as s:
            s.require_all_chunks()
    elif is_format_name(path, "GTiff") and not isinstance(path, RemotePath):
        _require_blocks(path)


def _require_blocks(path: Path) -> None:
    try:
        size = path.stat().st_size
        with listening(to="tifffile"), TiffFile(path) as tiff:
            end = max(
                start + count
                for page in tiff.pages
                for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)
            )
    except DAMAGED as error:
        raise InputDataError(f"{path}: cannot be read as TIFF ({error})") from error
    if end > size:
        raise InputDataError(f"{path}: its blocks end at byte {end}, but it holds {size}")


def _making_in(tags: dict[str, str], output: Path) -> OutputSpec | None:
    try:
        options = json.loads(tags["OPTIONS"])
        model = tags["MODEL"]
        sha256 = None if model in KERNELS else tags.get("WEIGHTS_SHA256")
        return output_spec(options, output, model, sha256)
    except (LookupError, ValueError, AttributeError, RecursionError):  # UsageError is a ValueError
        return None


def _same_input(work: Work, options: UpscaleOptions, tags: Mapping[str, str]) -> bool:
    """The input has the name that the output remembers, is older, and covers the same ground."""
    if not isinstance(work.scene, Path) or tags.get("SOURCE") != work.scene.name:
        return False
    try:
        made = datetime.fromisoformat(tags.get("CREATED", "")).timestamp()
        newest = max(state.mtime_ns for state in source_states(work)) / 1e9
        if newest > made + 1:  # the time of output_spec is told in whole seconds
            return False
        with closing(open_with(work.scene, options)) as lr, closing(open_scene(work.output)) as hr:
            expected, found = lr.metadata.finer(options.scale), hr.metadata
            if options.ortho:
                from hsisr.io.products.ortho import ortho_metadata

                expected = ortho_metadata(expected)
    except ValueError:  # the time is none, or a scene cannot be read (InputDataError is one)
        return False
    here, there = expected.georeference.transform, found.georeference.transform
    same_place = here is None or there is None or here.almost_equals(there)
    return (expected.rows, expected.cols) == (found.rows, found.cols) and same_place

"""Many scenes: which they are, what their outputs are called, best effort through all of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hsisr.commands.options import UpscaleOptions
from hsisr.commands.upscale import Progress, UpscaleResult, plan_upscale, upscale
from hsisr.errors import HsisrError, InputDataError, ResourceError, UsageError
from hsisr.io.opening import find_scenes
from hsisr.io.temporary import resource_errors
from hsisr.io.writer import guess_format

SUFFIXES = {"GTiff": ".tif", "COG": ".tif", "ENVI": ".hdr", "MAT": ".mat"}
"""Suffix of an output by its format."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A scene that could not be upscaled."""

    source: Path
    error: HsisrError


def outputs_for(
    sources: Sequence[Path], output: Path, options: UpscaleOptions
) -> list[tuple[Path, Path]]:
    """Pairs of scene and output.

    One scene file and an output that is no folder: that pair. Otherwise every scene (those in a
    folder included) goes to `NAME_xSCALE` in the output folder, in its own format where that can
    be written, else as GeoTIFF.

    Raises:
        UsageError: Two scenes would have the same output.
        InputDataError: A folder holds no scene.
    """
    scenes = list(_scenes(sources))
    single = len(sources) == 1 and scenes == list(sources)
    if single and not output.is_dir():
        return [(sources[0], output)]
    if output.is_file():
        raise UsageError(f"{output} is a file; several scenes need a folder as output")
    pairs = [(scene, output / _name(scene, options)) for scene in scenes]
    taken: dict[Path, Path] = {}
    for scene, path in pairs:
        if path in taken:
            raise UsageError(
                f"{taken[path]} and {scene} would both become {path}; "
                "upscale them one by one, or into different folders"
            )
        taken[path] = scene
    return pairs


def upscale_all(
    pairs: Iterable[tuple[Path, Path]],
    options: UpscaleOptions,
    *,
    dry_run: bool = False,
    progress: Callable[[Path], Progress | None] = lambda _: None,
) -> Iterator[UpscaleResult | Failure]:
    """Upscale one after the other; a scene that fails does not stop the rest.

    Args:
        pairs: Scene and output.
        options: For all of them.
        dry_run: Only plan.
        progress: Called with a scene before its work begins; gives its progress callback.
    """
    pairs = list(pairs)
    if options.scheduler is not None and len(pairs) > 1 and not dry_run:
        yield from _upscale_on_workers(pairs, options, options.scheduler, progress)
        return
    for source, output in pairs:
        try:
            own = _with_own_quicklook(options, output, several=len(pairs) > 1)
            if dry_run:
                yield plan_upscale(source, output, own)
            else:
                yield upscale(source, output, own, progress=progress(source))
        except HsisrError as error:
            yield Failure(source, error)
        except MemoryError as error:
            yield Failure(source, ResourceError(f"{source}: out of memory ({error})"))


def _upscale_on_workers(
    pairs: Sequence[tuple[Path, Path]],
    options: UpscaleOptions,
    scheduler: str,
    progress: Callable[[Path], Progress | None],
) -> Iterator[UpscaleResult | Failure]:
    """The same, on the workers of a Dask scheduler, in the order in which scenes are finished."""
    from hsisr.commands.cluster.scenes import SceneTask, upscale_scenes

    tasks = []
    for source, output in pairs:
        try:
            own = _with_own_quicklook(options, output, several=True)
            tasks.append(SceneTask(source, output, own))
        except HsisrError as error:
            yield Failure(source, error)
    for task, outcome in upscale_scenes(tasks, scheduler):
        if isinstance(outcome, HsisrError):
            yield Failure(task.source, outcome)
            continue
        if (advance := progress(task.source)) is not None:
            advance(outcome.tiles, outcome.tiles)
        yield outcome


def _with_own_quicklook(options: UpscaleOptions, output: Path, *, several: bool) -> UpscaleOptions:
    """The options with the picture of one scene, in the folder that was named for several.

    Raises:
        UsageError: Several scenes have one picture.
    """
    if options.quicklook is None or not (several or options.quicklook.is_dir()):
        return options
    if options.quicklook.suffix.lower() == ".png":
        raise UsageError(
            f"--quicklook {options.quicklook} is one picture; several scenes need a folder"
        )
    make_folder(options.quicklook)
    return replace(options, quicklook=options.quicklook / f"{output.stem}.png")


def make_folder(folder: Path) -> None:
    """Make the folder that several outputs go to, unless it is there.

    Raises:
        ResourceError: It cannot be made.
    """
    with resource_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _scenes(sources: Sequence[Path]) -> Iterator[Path]:
    for source in sources:
        found = find_scenes(source)
        if not found:
            raise InputDataError(f"{source}: found no scene in this folder")
        yield from found


def _name(scene: Path, options: UpscaleOptions) -> str:
    stem = scene.stem if scene.is_file() else scene.name
    if options.format is not None:
        suffix = SUFFIXES.get(options.format, ".tif")
    else:
        try:
            suffix = SUFFIXES[guess_format(scene, None)] if scene.suffix else ".hdr"
        except HsisrError:
            suffix = ".tif"
    return f"{stem}_x{options.scale}{suffix}"

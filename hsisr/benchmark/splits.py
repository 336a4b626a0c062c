"""Courses: scenes to learn from and other scenes to be judged by, never the same pixels."""

import filecmp
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from hsisr.benchmark.options import BenchmarkOptions
from hsisr.commands.archive.run import make_folder
from hsisr.commands.sample import write_sample
from hsisr.datasets.catalogue import Dataset, Fetching, data_folder, dataset_named, dataset_scenes
from hsisr.datasets.catalogue import Progress as DownloadProgress
from hsisr.datasets.splits import PUBLISHED_TESTS, disjoint_split, published_split
from hsisr.errors import InputDataError, UsageError
from hsisr.io.base import TargetOptions
from hsisr.io.open import find_scenes, open_scene
from hsisr.io.views import warn_of_fill
from hsisr.io.write import create_writer
from hsisr.scene.georeference import Georeference
from hsisr.tiling import Window

_SAMPLE_PARTS: Final = (Window(0, 0, 40, 60), Window(40, 0, 20, 60))
"""Of the 60 x 60 pixels of the sample scene: what teaches, what judges."""
_JUDGING_SHARE: Final = 5
"""Of a dataset of many scenes, the last one in this many judges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainTestSplit:
    """What one training learns from, and what judges it."""

    name: str
    """`scenes`, `sample`, or that of a dataset."""
    train: tuple[Path, ...]
    judges: tuple[Path, ...]
    dataset: str | None = None
    """Its own recipe cuts this dataset; then `train` is the whole of it."""


def table_datasets(options: BenchmarkOptions) -> tuple[str, ...]:
    """The Pavia scenes that lie on this disk and belong to the table asked for."""
    if options.table is None or options.scenes or options.smoke:
        return ()
    wanted = ("paviau",) if options.table == 1 else ("paviac", "paviau")
    folder = data_folder(options.data_dir)
    return tuple(name for name in wanted if (folder / dataset_named(name).file.name).exists())


def courses(
    options: BenchmarkOptions, folder: Path, downloading: DownloadProgress | None = None
) -> tuple[TrainTestSplit, ...]:
    """What the options name, with parts of datasets cut into files of their own in a folder.

    `downloading` hears of bytes downloaded.
    """
    if options.smoke:
        return (_sample_course(folder),)
    if datasets := options.datasets or table_datasets(options):
        fetching = Fetching(
            folder=data_folder(options.data_dir), offline=options.offline, progress=downloading
        )
        return tuple(_dataset_course(dataset_named(n), options, fetching, folder) for n in datasets)
    if not options.scenes:
        raise UsageError(
            "found no scene to judge by: name scenes with --scenes and others to learn from with "
            "--train, or --dataset, or --smoke"
        )
    train, judges = _listed(options.train), _listed(options.scenes)
    _require_disjoint(train, judges)
    _require_names(judges)
    for path in (*train, *judges) if options.nodata is None else ():
        with closing(open_scene(path)) as scene:
            warn_of_fill(scene)
    return (TrainTestSplit(name="scenes", train=train, judges=judges),)


def leaks() -> list[dict[str, Any]]:
    """What the published splits leak: test pixels that are also trained on, by dataset.

    >>> [(leak["dataset"], leak["leak_px"]) for leak in leaks()]
    [('paviau', 0), ('paviac', 8064)]
    """
    found = []
    for name, (size, test) in PUBLISHED_TESTS.items():
        split = published_split(name, *size, 4)
        found.append(
            {
                "dataset": name,
                "rows": size[0],
                "cols": size[1],
                "test": [test.row, test.col, test.rows, test.cols],
                "training": [[w.row, w.col, w.rows, w.cols] for w in split.training],
                "test_px": split.test_px,
                "leak_px": split.leak_px,
                "leak_share": split.leak_px / split.test_px,
            }
        )
    return found


def _listed(paths: Sequence[Path]) -> tuple[Path, ...]:
    scenes = []
    for path in paths:
        found = find_scenes(path)
        if not found:
            raise InputDataError(f"{path}: found no scene in this folder; name scene files")
        scenes += found
    return tuple(scenes)


def _require_disjoint(train: Sequence[Path], judges: Sequence[Path]) -> None:
    """Refuse a file that is on both sides, under whatever name."""
    for judge in judges:
        for scene in train:
            if _is_same(judge, scene):
                raise UsageError(
                    f"{judge} would judge what {scene} teaches: they are the same; leave one out"
                )


def _require_names(judges: Sequence[Path]) -> None:
    """Refuse scenes of one name, by which scores of methods are paired."""
    for one, other in combinations(judges, 2):
        if one.name == other.name:
            raise UsageError(
                f"found {one} and {other} to judge by, expected scenes of different names, by "
                "which the report tells them apart; rename one, or leave it out"
            )


def _is_same(one: Path, other: Path) -> bool:
    if one.resolve() == other.resolve():
        return True
    # of ENVI headers alone nothing can be told: many scenes have equal ones
    compared = one.is_file() and other.is_file() and one.suffix != ".hdr"
    return compared and filecmp.cmp(one, other, shallow=False)  # sizes first


def _sample_course(folder: Path) -> TrainTestSplit:
    make_folder(folder)
    whole = folder / "indian-pines.hdr"
    if not whole.exists():
        write_sample(whole)
    train, judge = (
        cut_part(whole, window, folder / f"sample-{name}.tif")
        for window, name in zip(_SAMPLE_PARTS, ("train", "judge"), strict=True)
    )
    return TrainTestSplit(name="sample", train=(train,), judges=(judge,))


def _dataset_course(
    dataset: Dataset, options: BenchmarkOptions, fetching: Fetching, folder: Path
) -> TrainTestSplit:
    scenes = tuple(dataset_scenes(dataset, fetching))
    if len(scenes) > 1:
        count = max(1, len(scenes) // _JUDGING_SHARE)
        return TrainTestSplit(name=dataset.name, train=scenes[:-count], judges=scenes[-count:])
    with closing(open_scene(scenes[0], variable=dataset.variable, axes=dataset.axes)) as scene:
        size = scene.metadata.rows, scene.metadata.cols

    def cut(window: Window, use: str) -> tuple[Path]:
        return (cut_part(scenes[0], window, folder / f"{dataset.name}-{use}.tif", dataset),)

    if options.protocol == "dacn-published":
        judges = cut(published_split(dataset.name, *size, 4).test[0], "judge")
        return TrainTestSplit(name=dataset.name, train=scenes, judges=judges, dataset=dataset.name)
    split = disjoint_split(dataset.name, *size)
    judges = cut(split.test[0], "judge")
    return TrainTestSplit(name=dataset.name, train=cut(split.training[0], "train"), judges=judges)


def cut_part(source: Path, window: Window, target: Path, dataset: Dataset | None = None) -> Path:
    """Write a window of a scene as a GeoTIFF, without its place; one that is there is kept."""
    if target.exists():
        return target
    make_folder(target.parent)
    variable, axes = (dataset.variable, dataset.axes) if dataset else (None, None)
    with closing(open_scene(source, variable=variable, axes=axes)) as scene:
        bands = list(range(scene.metadata.bands))
        metadata = replace(
            scene.metadata,
            rows=window.rows,
            cols=window.cols,
            georeference=Georeference(),
            geolocation=None,
        )
        with create_writer(target, metadata, TargetOptions(format="GTiff")) as writer:
            writer.write(scene.read_stored(window, bands), row=0, col=0, band=0)
    return target

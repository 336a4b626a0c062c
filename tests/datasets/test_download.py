"""Downloads from loopback: whole, broken off, corrupted, absent, and none at all."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from hsisr.datasets.catalogue import DATASETS, Dataset, RemoteFile, dataset_named
from hsisr.datasets.download import Fetching, data_folder, dataset_scenes, fetched
from hsisr.errors import InputDataError, ResourceError
from hsisr.io.open import open_scene
from tests.datasets.serving import band_zip, served

CONTENT = os.urandom(3_000_000)


def identity(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def dataset(*urls: str, content: bytes = CONTENT, archive: bool = False) -> Dataset:
    file = RemoteFile(
        name="set.zip" if archive else "set.mat",
        urls=urls,
        size=len(content),
        git_blob=identity(content),
        archive=archive,
    )
    return replace(DATASETS["paviau"], name="set", file=file, skip=("skipped",))


def test_a_file_is_downloaded_once_verified_and_found_again_offline(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    with served({"/set.mat": CONTENT}) as site:
        wanted = dataset(f"{site.url}/set.mat")
        fetching = Fetching(folder=tmp_path, progress=lambda done, all_: seen.append((done, all_)))
        path = fetched(wanted, fetching)
        assert fetched(wanted, fetching) == path
    assert path.read_bytes() == CONTENT
    assert site.requests == ["/set.mat"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert fetched(wanted, Fetching(folder=tmp_path, offline=True)) == path
    assert list(tmp_path.iterdir()) == [path]


def test_a_broken_download_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    with served({"/set.mat": CONTENT}, breaks_after=2_500_000) as site:
        wanted = dataset(f"{site.url}/set.mat")
        with pytest.raises(ResourceError, match=r"set: cannot be downloaded .*broke off.* by hand"):
            fetched(wanted, Fetching(folder=tmp_path))
        assert list(tmp_path.iterdir()) == []
        assert fetched(wanted, Fetching(folder=tmp_path)).read_bytes() == CONTENT


def test_a_corrupted_download_is_refused_and_not_kept(tmp_path: Path) -> None:
    with served({"/set.mat": b"x" * len(CONTENT)}) as site:
        wanted = dataset(f"{site.url}/set.mat")
        with pytest.raises(ResourceError, match=r"found git identity \w+\.\.\., expected"):
            fetched(wanted, Fetching(folder=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_second_address_is_tried_when_the_first_fails(tmp_path: Path) -> None:
    with served({"/set.mat": CONTENT}) as site:
        wanted = dataset(f"{site.url}/gone.mat", f"{site.url}/set.mat")
        assert fetched(wanted, Fetching(folder=tmp_path)).read_bytes() == CONTENT


def test_what_cannot_be_had_is_told_with_address_and_place(tmp_path: Path) -> None:
    with served({}) as site:
        wanted = dataset(f"{site.url}/gone.mat")
        message = rf"the server says 404 .*get {site.url}/gone.mat by hand and put it at .*set.mat"
        with pytest.raises(ResourceError, match=message):
            fetched(wanted, Fetching(folder=tmp_path))
    with pytest.raises(ResourceError, match="no connection to the server"):
        fetched(wanted, Fetching(folder=tmp_path))
    with pytest.raises(ResourceError, match=r"--offline forbids .* by hand"):
        fetched(wanted, Fetching(folder=tmp_path, offline=True))


def test_an_archive_becomes_its_scenes_without_what_is_skipped(tmp_path: Path) -> None:
    content = band_zip(("beads_ms", "cloth_ms", "skipped_ms"))
    with served({"/set.zip": content}) as site:
        wanted = dataset(f"{site.url}/set.zip", content=content, archive=True)
        scenes = dataset_scenes(wanted, Fetching(folder=tmp_path))
        assert scenes == dataset_scenes(wanted, Fetching(folder=tmp_path))
    assert [scene.name for scene in scenes] == ["beads_ms", "cloth_ms"]
    with open_scene(scenes[0]) as scene:
        assert scene.metadata.shape == (3, 16, 16)
        assert scene.read().values[:, 0, 0].tolist() == [1000, 2000, 3000]


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(CONTENT)
    wanted = dataset("http://127.0.0.1:9/set.zip", archive=True)
    with pytest.raises(InputDataError, match="not a whole zip file"):
        dataset_scenes(wanted, Fetching(folder=tmp_path))
    empty = band_zip(())
    (tmp_path / "set.zip").write_bytes(empty)
    wanted = dataset("http://127.0.0.1:9/set.zip", content=empty, archive=True)
    with pytest.raises(InputDataError, match="found no scene in this archive"):
        dataset_scenes(wanted, Fetching(folder=tmp_path))


def test_folders_are_chosen_by_option_then_environment_then_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSISR_DATA", str(tmp_path))
    assert data_folder(Path("mine")) == Path("mine")
    assert data_folder(None) == tmp_path
    monkeypatch.delenv("HSISR_DATA")
    assert data_folder(None).name == "hsisr"


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_entry_names_addresses_source_and_terms(name: str) -> None:
    entry = dataset_named(name.upper())
    assert entry.file.urls
    assert all(url.startswith("https://") for url in entry.file.urls)
    assert entry.citation
    assert entry.terms
    assert entry.shape is None or not entry.file.archive

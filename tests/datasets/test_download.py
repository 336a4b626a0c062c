"""Downloads from loopback: whole, broken off, corrupted, absent, and none at all."""

import hashlib
import io
import os
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from hsisr.datasets import catalogue
from hsisr.datasets.catalogue import (
    DATASETS,
    Dataset,
    Fetching,
    RemoteFile,
    data_folder,
    dataset_named,
    dataset_scenes,
    fetched,
)
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
        two = dataset(f"{site.url}/gone.mat", f"{site.url}/set.mat")  # the first fails
        assert fetched(two, Fetching(folder=tmp_path)).read_bytes() == CONTENT


def test_a_corrupted_download_is_refused_and_not_kept(tmp_path: Path) -> None:
    with served({"/set.mat": b"x" * len(CONTENT)}) as site:
        wanted = dataset(f"{site.url}/set.mat")
        with pytest.raises(ResourceError, match=r"found git identity \w+\.\.\., expected"):
            fetched(wanted, Fetching(folder=tmp_path))
    assert list(tmp_path.iterdir()) == []


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


def test_folders_by_option_or_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def unpacked(content: bytes, folder: Path) -> list[Path]:
    folder.mkdir()
    (folder / "set.zip").write_bytes(content)
    wanted: Dataset = dataset("http://127.0.0.1:9/set.zip", content=content, archive=True)
    return dataset_scenes(wanted, Fetching(folder=folder, offline=True))


def with_member(name: str | zipfile.ZipInfo, inside: bytes, packing: int = 0) -> bytes:
    target = io.BytesIO(band_zip(("beads_ms",)))
    with zipfile.ZipFile(target, "a", packing) as archive:
        archive.writestr(name, inside)
    return target.getvalue()


def test_members_that_climb_out_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="names files outside its own folder"):
        unpacked(with_member("a/../../../escaped", b"x"), tmp_path / "data")
    assert not list(tmp_path.rglob("escaped"))
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["set.zip"]


def test_members_that_are_links_become_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    link = zipfile.ZipInfo("beads_ms/link")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    unpacked(with_member(link, str(secret).encode()), tmp_path / "data")
    found = tmp_path / "data" / "set" / "beads_ms" / "link"
    assert not found.is_symlink()
    assert found.read_text() == str(secret)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_MOST_UNPACKED", 10**6)
    with pytest.raises(InputDataError, match="would unpack to more than 1000000 bytes"):
        unpacked(with_member("zeros", bytes(10**6), zipfile.ZIP_DEFLATED), tmp_path / "data")
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["set.zip"]


def test_damaged_and_encrypted_members_are_refused(tmp_path: Path) -> None:
    whole = with_member("x", b"0123456789" * 99, zipfile.ZIP_DEFLATED)
    at = whole.index(b"x", whole.rindex(b"PK\x03\x04"))
    damaged = whole[: at + 1] + b"\xff" * 8 + whole[at + 9 :]
    with pytest.raises(InputDataError, match=r"set\.zip: not a whole zip file"):
        unpacked(damaged, tmp_path / "damaged")
    local, central = whole.rindex(b"PK\x03\x04"), whole.rindex(b"PK\x01\x02")
    encrypted = bytearray(whole)
    encrypted[local + 6] |= 1
    encrypted[central + 8] |= 1
    with pytest.raises(InputDataError, match=r"set\.zip: not a whole zip file .*encrypted"):
        unpacked(bytes(encrypted), tmp_path / "encrypted")

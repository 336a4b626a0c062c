"""Archives made to write outside their folder, to fill the disk, or to break off the unpacking."""

import io
import stat
import zipfile
from pathlib import Path

import pytest

from hsisr.datasets import download
from hsisr.datasets.catalogue import Dataset
from hsisr.datasets.download import Fetching, dataset_scenes
from hsisr.errors import InputDataError
from tests.datasets.serving import band_zip
from tests.datasets.test_download import dataset


def unpacked(content: bytes, folder: Path) -> list[Path]:
    """The scenes of an archive that lies where it was downloaded to."""
    folder.mkdir()
    (folder / "set.zip").write_bytes(content)
    wanted: Dataset = dataset("http://127.0.0.1:9/set.zip", content=content, archive=True)
    return dataset_scenes(wanted, Fetching(folder=folder, offline=True))


def with_member(name: str | zipfile.ZipInfo, inside: bytes, packing: int = 0) -> bytes:
    """A sound archive and one more member."""
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
    monkeypatch.setattr(download, "_MOST_UNPACKED", 10**6)
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

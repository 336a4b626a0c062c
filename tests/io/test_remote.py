"""Scenes that lie elsewhere: on a server on loopback, in memory, in archives."""

import pickle
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest

from hsisr.errors import InputDataError, ResourceError
from hsisr.io.open import open_scene
from hsisr.io.paths import RemotePath, beside, scene_path, without_secrets
from tests.io.serving_ranges import serving
from tests.io.written import cube_for, metadata_of, rich_metadata, write_scene, writer_for
from tests.program import hsisr, values_of
from tests.scenes import numbered, write_envi, write_geotiff, write_mat5, write_npy, write_pages

VALUES = numbered(5, 20, 16)
SIGNED = "X-Amz-Signature=hush"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    write_geotiff(folder / "a.tif", VALUES)
    (folder / "signed").mkdir()
    write_geotiff(folder / "signed/a.tif", VALUES)
    write_geotiff(folder / "single.tif", VALUES[:1])
    write_pages(folder / "pages.tif", VALUES)
    write_envi(folder / "a.hdr", VALUES)
    write_envi(folder / "twin.img.hdr", VALUES, data=folder / "twin.img")
    write_envi(folder / "lonely.hdr", VALUES, data=folder / "named otherwise")
    write_mat5(folder / "a.mat", VALUES)
    write_npy(folder / "a.npy", VALUES)
    write_scene(folder / "a.zarr", rich_metadata())
    write_geotiff(folder / "masked.tif", VALUES)
    (folder / "masked.tif.msk").write_text("<VRTDataset/>")
    (folder / "text.tif").write_text("no picture")
    (folder / "short.npy").write_bytes((folder / "a.npy").read_bytes()[:200])
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(folder / "a.tif", "inside/a.tif")
    with serving(folder) as address:
        yield address


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Copies go here, and nothing is left of them."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def memory() -> Iterator[str]:
    system = fsspec.filesystem("memory")
    yield "memory://bucket"
    system.rm("/", recursive=True)


@pytest.mark.parametrize(
    "name",
    ["a.tif", "single.tif", "pages.tif", "a.hdr", "a.img", "twin.img", "a.mat", "a.npy"]
    + [f"{name}?{SIGNED}" for name in ("a.tif", "a.hdr", "a.mat")],
)
def test_a_scene_on_a_server_is_read(name: str, url: str) -> None:
    expected = VALUES[:1] if name == "single.tif" else VALUES
    with open_scene(f"{url}/{name}") as scene:
        np.testing.assert_array_equal(scene.read().values, expected)
        assert str(scene.path) == f"{url}/{name.partition('?')[0]}"
        assert scene.path.name == name.partition("?")[0]


@pytest.mark.parametrize("place", ["{url}/masked.tif", "/vsizip/{folder}/b.zip/masked.tif"])
def test_a_text_in_place_of_a_remote_mask_is_refused(place: str, url: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.write(write_geotiff(tmp_path / "a.tif", VALUES), "masked.tif")
        archive.writestr("masked.tif.msk", "<VRTDataset/>")
    with pytest.raises(InputDataError, match=r"masked\.tif\.msk beside it is no TIFF"):
        open_scene(place.format(url=url, folder=tmp_path))


def test_a_zarr_store_on_a_server_is_read(url: str) -> None:
    with pytest.raises(InputDataError, match="not a Zarr store that can be read"):
        open_scene(f"{url}/missing.zarr")
    with open_scene(f"{url}/a.zarr") as scene:
        np.testing.assert_array_equal(scene.read().values, cube_for(rich_metadata()))
        assert scene.metadata.spectral_axis == rich_metadata().spectral_axis


def test_scenes_in_any_file_system_of_fsspec_are_fetched(memory: str, tmp_path: Path) -> None:
    local = write_geotiff(tmp_path / "a.tif", VALUES)
    fsspec.filesystem("memory").put_file(str(local), "/bucket/a.tif")
    np.testing.assert_array_equal(values_of(f"{memory}/a.tif"), VALUES)
    with pytest.raises(InputDataError, match="there is no such file"):
        open_scene(f"{memory}/b.tif")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.tif", "there is no such file"),
        ("missing.npy", "there is no such file"),
        ("missing.zarr", "which opens one file"),
        ("denied.tif", "cannot be reached"),
        ("denied.npy", "cannot be fetched"),
        ("text.tif", "not a scene that can be read"),
        ("short.npy", "it is truncated or the header is wrong"),
        ("lonely.hdr", "found no data file beside the header"),
    ],
)
def test_what_cannot_be_read_is_one_line_without_secrets(name: str, words: str, url: str) -> None:
    host = url.removeprefix("http://")
    done = hsisr("info", f"http://me:hush@{host}/{name}?{SIGNED}")
    assert done.exit_code == 3, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: {url}/{name}: ")
    assert words in done.stderr
    assert "hush" not in done.output


def test_an_output_tells_the_name_of_a_remote_source_only(url: str, tmp_path: Path) -> None:
    host = url.removeprefix("http://")
    source = f"http://me:hush@{host}/a.tif?{SIGNED}"
    out = tmp_path / "out.tif"
    done = hsisr("upscale", source, "-o", out, "-s", "2", "-m", "bicubic", "--json")
    assert done.exit_code == 0, done.stderr
    assert "hush" not in done.output
    with open_scene(out) as scene:
        assert scene.metadata.tags["HSISR_SOURCE"] == "a.tif"
        assert not [text for text in scene.metadata.tags.values() if "hush" in text]
    assert b"hush" not in out.read_bytes()
    assert hsisr("evaluate", "--lr", source, out).exit_code == 0
    folder = tmp_path / "folder"
    folder.mkdir()
    assert hsisr("degrade", source, "-o", folder / "lr.tif", "-s", "2").exit_code == 0
    several = hsisr("upscale", source, out, "-o", folder, "-s", "2", "-m", "bicubic")
    assert several.exit_code == 0, several.stderr
    assert (folder / "a_x2.tif").is_file()


def test_the_signature_goes_along_with_every_request_for_a_scene(url: str) -> None:
    scene, how = f"{url}/signed/a.tif", ("-s", "2", "-m", "bicubic", "--json")
    assert hsisr("evaluate", "--wald", scene, *how).exit_code == 3
    done = hsisr("evaluate", "--wald", f"{scene}?{SIGNED}", *how)
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize("name", ["out.tif", "out.hdr", "out.mat", "out.zarr"])
def test_a_remote_output_is_sent_whole(name: str, memory: str, tmp_path: Path) -> None:
    source, target = write_geotiff(tmp_path / "a.tif", VALUES), f"{memory}/made/{name}"
    command = ("upscale", source, "-o", target, "-s", "2", "-m", "bicubic")
    done = hsisr(*command)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == target
    with open_scene(target) as scene:
        first = scene.read().values
        assert first.shape == (5, 40, 32)
    kept = hsisr(*command)
    assert kept.exit_code == 1
    assert "exists and is kept" in kept.stderr
    assert hsisr(*command, "--overwrite").exit_code == 0
    np.testing.assert_array_equal(values_of(target), first)


def test_after_an_exception_nothing_is_sent(memory: str) -> None:
    metadata = metadata_of((1, 8, 8))

    def interrupted() -> None:
        with writer_for(scene_path(f"{memory}/a.tif"), metadata) as writer:
            writer.write(cube_for(metadata), row=0, col=0, band=0)
            raise KeyboardInterrupt("stop")

    with pytest.raises(KeyboardInterrupt, match="stop"):
        interrupted()
    assert fsspec.filesystem("memory").find("/") == []


def test_what_was_sent_of_a_broken_sending_goes_again(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, metadata = fsspec.filesystem("memory"), metadata_of((1, 8, 8))
    put = system.put_file

    def breaking(local: str, place: str) -> None:
        if place.endswith(".hdr"):
            raise ConnectionResetError("reset")
        put(local, place)

    monkeypatch.setattr(type(system), "put_file", staticmethod(breaking))
    writer = writer_for(scene_path(f"{memory}/a.hdr"), metadata)
    writer.write(cube_for(metadata), row=0, col=0, band=0)
    with pytest.raises(
        ResourceError, match=r"memory://bucket/a\.hdr: cannot be sent: no connection"
    ):
        writer.commit()
    assert system.find("/") == []


def test_remote_names_keep_their_secrets_to_themselves() -> None:
    whole = "https://me:hush@host:80/a/b.tif?sig=hush#hush"
    path = RemotePath(whole)
    assert path.url == whole
    assert "hush" not in f"{path} {path!r} {path.name} {path.parent} {path.suffix}"
    assert (path.name, path.suffix, path.stem) == ("b.tif", ".tif", "b")
    assert pickle.loads(pickle.dumps(path)) == path  # noqa: S301 - made in the same line
    assert path != RemotePath("https://host:80/a/b.tif")
    assert beside(path, "c.tif").url == "https://me:hush@host:80/a/c.tif?sig=hush#hush"
    assert (RemotePath("s3://b/folder") / "x.tif").url == "s3://b/folder/x.tif"
    assert without_secrets("what? no URL here") == "what? no URL here"

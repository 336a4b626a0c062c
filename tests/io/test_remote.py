"""Scenes that lie elsewhere: on a server on loopback, in memory, in archives."""

import ftplib
import itertools
import os
import pickle
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import fsspec
import numpy as np
import pytest

from hsisr.errors import InputDataError, ResourceError
from hsisr.io.open import open_scene
from hsisr.io.paths import RemotePath, beside, scene_path, without_secrets
from tests.io.serving_ranges import serving
from tests.io.serving_s3 import serving_s3
from tests.io.written import cube_for, interrupted, metadata_of, rich_metadata, write_scene
from tests.nursery import HSISR, forked
from tests.program import assert_holds, cube_at, hsisr, metadata_at, ran, succeed, values_of
from tests.scenes import (
    edited,
    numbered,
    write_envi,
    write_geotiff,
    write_mat5,
    write_npy,
    write_pages,
)

VALUES = numbered(5, 20, 16)
ODD = VALUES[:1] % 2 == 1
WAVELENGTH = (
    '<PAMDataset><PAMRasterBand band="1"><Metadata><MDI key="wavelength">450</MDI>'
    '<MDI key="wavelength_units">Nanometers</MDI></Metadata></PAMRasterBand></PAMDataset>'
)
SIGNED = "X-Amz-Signature=hush"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    write_geotiff(folder / "a.tif", VALUES)
    (folder / "signed").mkdir()
    (folder / "half").mkdir()
    write_geotiff(folder / "signed/a.tif", VALUES)
    write_geotiff(folder / "single.tif", VALUES[:1])
    write_pages(folder / "pages.tif", VALUES)
    write_envi(folder / "a.hdr", VALUES)
    write_envi(folder / "twin.img.hdr", VALUES, data=folder / "twin.img")
    write_envi(folder / "lonely.hdr", VALUES, data=folder / "named otherwise")
    write_mat5(folder / "a.mat", VALUES)
    write_npy(folder / "a.npy", VALUES)
    write_scene(folder / "a.zarr", rich_metadata())
    write_scene(folder / "half/a.zarr", rich_metadata())
    write_geotiff(folder / "masked.tif", VALUES)
    (folder / "masked.tif.msk").write_text("<VRTDataset/>")
    (folder / "text.tif").write_text("no picture")
    (folder / "short.npy").write_bytes((folder / "a.npy").read_bytes()[:200])
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(folder / "a.tif", "inside/a.tif")
    write_envi(folder / "pair.hdr", VALUES[:1])
    write_geotiff(folder / "pair.tif", VALUES[:1])
    for name in ("pair.img", "pair.tif"):
        write_geotiff(folder / f"{name}.msk", np.where(ODD, 255, 0).astype(np.uint8))
        with edited(folder / f"{name}.msk") as mask:
            mask.update_tags(INTERNAL_MASK_FLAGS_1="2")
        (folder / f"{name}.aux.xml").write_text(WAVELENGTH)
    return folder


@pytest.fixture(scope="module")
def url(served: Path) -> Iterator[str]:
    with serving(served) as address:
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


@pytest.mark.parametrize("name", ["pair.hdr", "pair.img", "pair.tif"])
@pytest.mark.parametrize("place", ["{url}", "memory://bucket"])
def test_what_gdal_keeps_beside_a_scene_is_fetched_with_it(
    name: str, place: str, url: str, served: Path, memory: str
) -> None:
    for file in served.glob("pair.*"):
        fsspec.filesystem("memory").put_file(str(file), f"{memory}/{file.name}")
    there = f"{place.format(url=url)}/{name}"
    assert metadata_at(there) == metadata_at(served / name)
    assert metadata_at(there).spectral_axis.wavelengths_nm == (450.0,)
    np.testing.assert_array_equal(cube_at(there).valid, ODD)


@pytest.mark.parametrize("error", [FileNotFoundError, ftplib.error_perm])
def test_empty_files_of_what_is_not_there_are_no_masks(
    error: type[Exception], memory: str, served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ftp and sftp make the local file before they find none."""

    def fetch(system: Any, key: str, local: str) -> None:
        with Path(local).open("wb") as file:
            if not system.exists(key):
                raise error("550 no such file")
            file.write(system.cat_file(key))

    system = fsspec.filesystem("memory")
    monkeypatch.setattr(type(system), "get_file", fetch)
    for file in served.glob("a.???"):
        system.put_file(str(file), f"{memory}/{file.name}")
    np.testing.assert_array_equal(values_of(f"{memory}/a.hdr"), VALUES)
    with pytest.raises(InputDataError, match="no such file; check the name"):
        open_scene(f"{memory}/missing.hdr")


def test_a_zarr_store_on_a_server_is_read(url: str) -> None:
    with pytest.raises(InputDataError, match="not a Zarr store that can be read"):
        open_scene(f"{url}/missing.zarr")
    assert_holds(f"{url}/a.zarr", cube_for(rich_metadata()))
    assert metadata_at(f"{url}/a.zarr").spectral_axis == rich_metadata().spectral_axis


def test_a_zarr_store_whose_arrays_nobody_lists_is_one_line(served: Path, url: str) -> None:
    shutil.copytree(served / "a.zarr", served / "unlisted.zarr")
    (served / "unlisted.zarr/.zmetadata").unlink()
    with pytest.raises(InputDataError, match=r"unlisted\.zarr: found no arrays .*consolidate"):
        open_scene(f"{url}/unlisted.zarr", variable="cube")


def test_chunks_that_a_server_does_not_give_are_one_line(url: str) -> None:
    words = r"half/a\.zarr: array \w+ cannot be read: the server answers 500; check the network$"
    with pytest.raises(InputDataError, match=words):
        open_scene(f"{url}/half/a.zarr")


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
    done = succeed("upscale", source, "-o", out, "-s", "2", "-m", "bicubic", "--json")
    assert "hush" not in done.output
    tags = metadata_at(out).tags
    assert tags["HSISR_SOURCE"] == "a.tif"
    assert not [text for text in tags.values() if "hush" in text]
    assert b"hush" not in out.read_bytes()
    succeed("evaluate", "--lr", source, out)
    folder = tmp_path / "folder"
    folder.mkdir()
    succeed("degrade", source, "-o", folder / "lr.tif", "-s", "2")
    several = hsisr("upscale", source, out, "-o", folder, "-s", "2", "-m", "bicubic")
    assert several.exit_code == 0, several.stderr
    assert (folder / "a_x2.tif").is_file()


def test_the_signature_goes_along_with_every_request_for_a_scene(url: str) -> None:
    scene, how = f"{url}/signed/a.tif", ("-s", "2", "-m", "bicubic", "--json")
    assert hsisr("evaluate", "--wald", scene, *how).exit_code == 3
    succeed("evaluate", "--wald", f"{scene}?{SIGNED}", *how)


@pytest.mark.parametrize("name", ["out.tif", "out.hdr", "out.mat", "out.zarr"])
def test_a_remote_output_is_sent_whole(name: str, memory: str, tmp_path: Path) -> None:
    source, target = write_geotiff(tmp_path / "a.tif", VALUES), f"{memory}/made/{name}"
    command = ("upscale", source, "-o", target, "-s", "2", "-m", "bicubic")
    done = succeed(*command)
    assert done.stdout.strip() == target
    first = values_of(target)
    assert first.shape == (5, 40, 32)
    kept = hsisr(*command)
    assert kept.exit_code == 1
    assert "exists and is kept" in kept.stderr
    system, old = fsspec.filesystem("memory"), f"{memory}/made/{name.replace('.hdr', '.img')}.msk"
    system.pipe_file(old, b"of another scene")
    succeed(*command, "--overwrite")
    assert_holds(target, first)
    assert name.endswith(("mat", "zarr")) or not system.exists(old)


def test_after_an_exception_nothing_is_sent(memory: str) -> None:
    with pytest.raises(KeyboardInterrupt, match="stop"):
        interrupted(scene_path(f"{memory}/a.tif"), metadata_of((1, 8, 8)))
    assert fsspec.filesystem("memory").find("/") == []


def test_parts_of_a_broken_sending_go_again(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    system, metadata = fsspec.filesystem("memory"), metadata_of((1, 8, 8))
    put = system.put_file

    def breaking(local: str, place: str) -> None:
        if place.endswith(".hdr"):
            raise ConnectionResetError("reset")
        put(local, place)

    monkeypatch.setattr(type(system), "put_file", staticmethod(breaking))
    words = r"memory://bucket/a\.hdr: cannot be sent: no connection"
    with pytest.raises(ResourceError, match=words):
        write_scene(scene_path(f"{memory}/a.hdr"), metadata)
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


BRIGHT = numbered(5, 20, 16) + np.uint16(2000)
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}


class Bucket:
    """A bucket, and the program with keys and server named as Amazon's own tools want them."""

    def __init__(self, server: str, name: str, folder: Path) -> None:
        self.url, self._name, self._folder = f"s3://{name}", name, folder
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=server,
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region_name=KEYS["AWS_DEFAULT_REGION"],
        )
        self.client.create_bucket(Bucket=name)
        own = {key: text for key, text in os.environ.items() if not key.startswith("AWS_")}
        nowhere = {"AWS_CONFIG_FILE": str(folder / "no config")}
        self.environment = {**own, **nowhere, **KEYS, "AWS_ENDPOINT_URL": server}

    def put(self, *files: Path) -> None:
        for file in files:
            self.client.upload_file(str(file), self._name, file.name)

    def numbers(self, name: str) -> Any:
        """Of a scene: all objects that begin like its name are fetched."""
        stem = name.rpartition(".")[0]
        found = self.client.list_objects_v2(Bucket=self._name, Prefix=stem)["Contents"]
        for key in (item["Key"] for item in found):
            here = self._folder / "fetched" / key
            here.parent.mkdir(parents=True, exist_ok=True)
            self.client.download_file(self._name, key, str(here))
        return values_of(self._folder / "fetched" / name)

    def run(self, *words: object, boto3: bool = False) -> "subprocess.CompletedProcess[str]":
        """With boto3 rasterio finds the keys; without it, as most have it, GDAL itself does."""
        how = ran if boto3 else forked  # of what is without it
        return how(HSISR, *words, env=self.environment, cwd=self._folder)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving_s3() as url:
        yield url


COUNT = itertools.count()


@pytest.fixture
def bucket(server: str, tmp_path: Path) -> Iterator[Bucket]:
    made = Bucket(server, f"bucket-{next(COUNT)}", tmp_path)
    yield made
    made.client.close()


def test_scenes_go_from_bucket_to_bucket(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(write_envi(tmp_path / "a.hdr", BRIGHT), tmp_path / "a.img")
    hsisr("upscale", tmp_path / "a.hdr", "-s", 2, "-m", "bicubic", "-o", tmp_path / "here.tif")
    target = f"{bucket.url}/b.zarr"
    done = bucket.run("upscale", f"{bucket.url}/a.hdr", "-s", "2", "-m", "bicubic", "-o", target)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == target
    expected = values_of(tmp_path / "here.tif")
    np.testing.assert_array_equal(bucket.numbers("b.zarr"), expected)


def test_missing_buckets_are_told_before_any_work(bucket: Bucket, tmp_path: Path) -> None:
    source = write_geotiff(tmp_path / "a.tif", BRIGHT)
    target = "s3://misspelt/b.tif"
    done = bucket.run("upscale", source, "-s", "2", "-m", "bicubic", "-o", target)
    assert done.returncode == 5
    assert done.stderr.count("\n") == 1
    assert f"{target}: cannot be written: there is no bucket misspelt" in done.stderr
    assert "misspelt" not in [made["Name"] for made in bucket.client.list_buckets()["Buckets"]]


def test_what_the_user_has_set_for_gdal_comes_first(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(write_geotiff(tmp_path / "a.tif", BRIGHT))
    words = ("info", f"{bucket.url}/a.tif")
    for with_boto3 in (True, False):
        assert bucket.run(*words, boto3=with_boto3).returncode == 0
    own = {"AWS_S3_ENDPOINT": "127.0.0.1:1", "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE"}
    bucket.environment |= {**own, "GDAL_HTTP_MAX_RETRY": "0"}
    done = bucket.run(*words)
    assert done.returncode == 3
    assert "127.0.0.1" in done.stderr

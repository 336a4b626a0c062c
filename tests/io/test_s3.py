"""Scenes in buckets: a whole S3 server on loopback, and the program beside it."""

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest

import hsisr
from tests.io.serving_s3 import serving_s3
from tests.program import ran, values_of
from tests.scenes import numbered, write_envi, write_geotiff

VALUES = numbered(5, 20, 16) + np.uint16(2000)
KEYS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "hush",
    "AWS_DEFAULT_REGION": "us-east-1",
}
PROGRAM = "from hsisr.cli.main import program; program()"
WITHOUT_BOTO3 = f"import sys; sys.modules['boto3'] = None; {PROGRAM}"
"""With boto3 rasterio finds the keys; without it, as most have it, GDAL itself does."""


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

    def run(self, *words: object, code: str = WITHOUT_BOTO3) -> subprocess.CompletedProcess[str]:
        return ran(code, *words, env=self.environment, cwd=self._folder)


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
    bucket.put(write_envi(tmp_path / "a.hdr", VALUES), tmp_path / "a.img")
    hsisr.upscale(tmp_path / "a.hdr", tmp_path / "here.tif", scale=2, model="bicubic")
    target = f"{bucket.url}/b.zarr"
    done = bucket.run("upscale", f"{bucket.url}/a.hdr", "-s", "2", "-m", "bicubic", "-o", target)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == target
    expected = values_of(tmp_path / "here.tif")
    np.testing.assert_array_equal(bucket.numbers("b.zarr"), expected)


def test_a_bucket_that_is_not_there_is_told_before_any_work_and_not_made(
    bucket: Bucket, tmp_path: Path
) -> None:
    source = write_geotiff(tmp_path / "a.tif", VALUES)
    target = "s3://misspelt/b.tif"
    done = bucket.run("upscale", source, "-s", "2", "-m", "bicubic", "-o", target)
    assert done.returncode == 5
    assert done.stderr.count("\n") == 1
    assert f"{target}: cannot be written: there is no bucket misspelt" in done.stderr
    assert "misspelt" not in [made["Name"] for made in bucket.client.list_buckets()["Buckets"]]


def test_what_the_user_has_set_for_gdal_comes_first(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(write_geotiff(tmp_path / "a.tif", VALUES))
    words = ("info", f"{bucket.url}/a.tif")
    for code in (PROGRAM, WITHOUT_BOTO3):
        assert bucket.run(*words, code=code).returncode == 0
    own = {"AWS_S3_ENDPOINT": "127.0.0.1:1", "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE"}
    bucket.environment |= {**own, "GDAL_HTTP_MAX_RETRY": "0"}
    done = bucket.run(*words)
    assert done.returncode == 3
    assert "127.0.0.1" in done.stderr

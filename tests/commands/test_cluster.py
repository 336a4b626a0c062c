"""Scenes on the workers of a real Dask scheduler, some of which are killed on the way."""

import os
import pickle
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import rasterio
from distributed import Client

from hsisr.commands.archive import run
from hsisr.commands.archive.select import Selection
from hsisr.commands.cluster import connection
from hsisr.commands.cluster.tasks import Report, carry_out
from hsisr.commands.upscale import upscale
from hsisr.engine.options import UpscaleOptions
from hsisr.errors import HsisrWarning, ResourceError, UsageError
from hsisr.io.geotiff.gdal import gdal_env
from hsisr.resume.record import Work
from tests.networks import OVERLAPPING, tiny_weights
from tests.nursery import fork
from tests.program import hsisr
from tests.scenes import numbered, write_geotiff

BANDS, ROWS, COLS = 10, 150, 12
DASK = "from tests.commands.dask_nursery import main; main()"


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forks")


class Cluster:
    """A scheduler and its workers, each a process without a nanny that would start it again."""

    def __init__(self, folder: Path) -> None:
        (asked, self._ask), (self._told, told) = os.pipe(), os.pipe()
        self._nursery = fork(DASK, streams=[asked, told, 2], cwd=folder)
        os.close(asked)
        os.close(told)
        self._processes: list[int] = []
        file = folder / "address"
        self._start(f"scheduler {file}")
        wait_until(lambda: file.exists() and file.read_text())
        self.address = file.read_text()
        self.client = Client(self.address, set_as_default=False)

    def have_workers(self, count: int) -> None:
        for _ in range(count - len(self.client.nthreads())):
            self._start(f"worker {self.address}")
        wait_until(lambda: len(self.client.nthreads()) == count)

    def pids(self) -> dict[str, int]:
        pids: dict[str, int] = self.client.run(os.getpid)
        return pids

    def busy(self) -> list[str]:
        return [address for address, keys in self.client.processing().items() if keys]

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self._processes.remove(pid)

    def close(self) -> None:
        self.client.close()
        for pid in list(self._processes):
            self.kill(pid)
        os.close(self._ask)
        os.close(self._told)
        assert self._nursery.wait() == 0

    def _start(self, line: str) -> None:
        os.write(self._ask, f"{line}\n".encode())
        self._processes.append(int(os.read(self._told, 99)))


def wait_until(true: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = Cluster(tmp_path_factory.mktemp("cluster"))
    found.have_workers(2)
    yield found
    found.close()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene whose pixels are partly invalid, by a mask of the file's own."""
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    write_geotiff(path, numbered(BANDS, ROWS, COLS) * 10 + 2000)
    mask = np.full((ROWS, COLS), 255, np.uint8)
    mask[40:47, 3:9] = 0
    with gdal_env(), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(mask)
    return path


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> UpscaleOptions:
    path = tiny_weights(tmp_path_factory.mktemp("weights"), **OVERLAPPING)
    return UpscaleOptions(scale=2, model=str(path), threads=1)


@dataclass(frozen=True)
class Whole:
    """A scene, how it is upscaled, and what one process makes of it."""

    scene: Path
    options: UpscaleOptions
    made: tuple[Any, ...]


@pytest.fixture(scope="module")
def whole(scene: Path, options: UpscaleOptions, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    output = tmp_path_factory.mktemp("unbroken") / "out.tif"
    result = upscale(scene, output, options)
    return Whole(scene, options, (*contents(output), result.moved_values))


def contents(path: Path) -> tuple[bytes, bytes]:
    with gdal_env(), rasterio.open(path) as dataset:
        return dataset.read().tobytes(), dataset.dataset_mask().tobytes()


def on(scheduler: str, options: UpscaleOptions, **changes: Any) -> UpscaleOptions:
    return replace(options, scheduler=scheduler, threads=None, **changes)


def test_two_workers_do_as_one_process(cluster: Cluster, whole: Whole, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    output = tmp_path / "out.tif"
    how = on(cluster.address, whole.options)
    result = upscale(whole.scene, output, how, progress=lambda *now: seen.append(now))
    assert (*contents(output), result.moved_values) == whole.made
    assert [path.name for path in tmp_path.iterdir()] == ["out.tif"]
    done = [tiles for tiles, _ in seen]
    assert done == sorted(done)
    assert seen[-1] == (result.tiles, result.tiles)
    assert len(set(done)) >= 6


def test_workers_mix_alike(cluster: Cluster, options: UpscaleOptions, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    spectra, ground = rng.random((40, 3)), rng.random((3, 60 * 14))
    source = write_geotiff(tmp_path / "a.tif", (spectra @ ground).reshape(40, 60, 14).astype("f4"))
    one, two = tmp_path / "one.tif", tmp_path / "two.tif"
    assert upscale(source, one, options).pseudo_bands == 32
    assert upscale(source, two, on(cluster.address, options)).pseudo_bands == 32
    assert contents(one) == contents(two)


def test_a_worker_may_be_killed(cluster: Cluster, whole: Whole, tmp_path: Path) -> None:
    cluster.have_workers(2)
    pids = cluster.pids()
    killed: list[str] = []

    def kill_one(done: int, total: int) -> None:
        if 0 < done < total and not killed:
            # on a slow machine all may have finished what they had by now, with more to come
            killed.append([*cluster.busy(), *pids][0])
            cluster.kill(pids[killed[0]])

    output = tmp_path / "out.tif"
    result = upscale(whole.scene, output, on(cluster.address, whole.options), progress=kill_one)
    assert len(killed) == 1
    assert (*contents(output), result.moved_values) == whole.made


def test_when_all_workers_die_what_is_finished_is_kept_and_the_run_goes_on_without_them(
    cluster: Cluster, whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.have_workers(2)
    monkeypatch.setattr(connection, "WORKER_S", 0.5)
    pids = list(cluster.pids().values())

    def kill_all(done: int, total: int) -> None:
        while 0 < done < total and pids:
            cluster.kill(pids.pop())

    output = tmp_path / "out.tif"
    with (
        pytest.warns(HsisrWarning, match="finished so far; the same command with --resume goes on"),
        pytest.raises(ResourceError, match=r"scheduler tcp://.* has no workers; start some"),
    ):
        upscale(whole.scene, output, on(cluster.address, whole.options), progress=kill_all)
    assert not output.exists()
    result = upscale(whole.scene, output, replace(whole.options, resume=True))
    assert (*contents(output), result.moved_values) == whole.made
    assert [path.name for path in tmp_path.iterdir()] == ["out.tif"]


def test_the_scenes_of_an_archive_and_one_that_fails(
    cluster: Cluster, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.have_workers(2)
    monkeypatch.chdir(tmp_path)
    for name in ("a.tif", "b.tif"):
        Path(name).write_bytes(scene.read_bytes())
    Path("broken.tif").write_bytes(b"no TIFF at all")
    common = ["upscale", "a.tif", "broken.tif", "b.tif", "-m", "nearest", "-s", "2"]
    done = hsisr(*common, "-o", "out", "--scheduler", cluster.address)
    assert done.exit_code == 1, done.stderr
    assert sorted(done.stdout.split()) == ["out/a_x2.tif", "out/b_x2.tif"]
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert [line.split(":")[1] for line in errors] == [" broken.tif"]
    assert done.stderr.splitlines()[-1] == "1 of 3 scenes failed"
    upscale(scene, "whole.tif", UpscaleOptions(scale=2, model="nearest"))
    for name in ("a", "b"):
        assert contents(Path("out", f"{name}_x2.tif")) == contents(Path("whole.tif"))


@pytest.mark.parametrize(
    ("private", "refusal"),
    [({}, None), ({"state": SimpleNamespace(tasks={})}, "nobody waits for this any more")],
)
def test_a_task_is_done_though_dask_does_not_say_whether_it_is_wanted(
    private: dict[str, Any], refusal: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = SimpleNamespace(address="tcp://w:1", get_current_task=lambda: "key", **private)
    monkeypatch.setattr("distributed.get_worker", lambda: worker)
    report = carry_out(pickle.dumps((lone_sum, (1, 2))), str(tmp_path), 0)
    assert (report.done, report.error and str(report.error)) == (None if refusal else 3, refusal)


def test_a_folder_that_a_worker_cannot_enter_is_one_that_it_does_not_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = SimpleNamespace(address="tcp://w:1", get_current_task=lambda: "key")
    monkeypatch.setattr("distributed.get_worker", lambda: worker)
    for folder in (tmp_path / "none", tmp_path / ("long" * 100)):
        report = carry_out(pickle.dumps((lone_sum, (1, 2))), str(folder), 0)
        assert f"does not see {folder}; workers need the same file system" in str(report.error)


def test_patience_without_workers_begins_when_none_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(connection, "time", Mock(monotonic=lambda: now[0]))
    client = Mock(status="running")
    client.nthreads.return_value = {"tcp://w:1": 1}
    monkeypatch.setattr(connection.Workers, "_is_fit", lambda *_: True)
    workers = connection.Workers(client, "tcp://s:1")
    assert workers.count() == 1
    client.nthreads.return_value = {}
    now[0] += 10 * connection.WORKER_S  # a large scene was finished meanwhile
    assert workers._there() == []
    now[0] += connection.WORKER_S + 1
    with pytest.raises(ResourceError, match="no workers"):
        workers._there()


@pytest.mark.parametrize("step", ["begin", "finish"])
def test_no_memory_for_what_the_command_itself_does_beside_workers_ends_it(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = Mock()
    workers.results = lambda _, tasks: ((task, Report(done=Mock(tiles=1))) for task in tasks)
    monkeypatch.setattr(connection, "connected", lambda _: nullcontext(workers))
    monkeypatch.setattr(run._Run, step, Mock(side_effect=MemoryError("none left")))
    works = tuple(Work(Path(n), Path(n), tmp_path / f"{n}.tif") for n in ("a", "b"))
    selection = Selection(entries=works, total=2, shard=None, in_folder=True)
    options = UpscaleOptions(scale=2, model="nearest", scheduler="tcp://s:1")
    with pytest.raises(MemoryError, match="none left"):
        list(run.upscale_all(selection, options))


def lone_sum(numbers: tuple[int, int], _: object) -> int:
    return sum(numbers)


@pytest.mark.parametrize("address", ["here", "local:0", "local:x", "tcp://host", "foo://host:1"])
def test_an_address_that_means_nothing_is_refused_at_once(address: str) -> None:
    with pytest.raises(UsageError, match=r"expected tcp://host:port or local:N"):
        UpscaleOptions(scheduler=address)


def test_no_scheduler_answers(scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as dumb, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        for place in (dumb, free):
            address = f"tcp://127.0.0.1:{place.getsockname()[1]}"
            common = ["upscale", str(scene), "-m", "bicubic", "--scheduler", address]
            done = hsisr(*common, "-o", tmp_path / "out.tif")
            assert done.exit_code == ResourceError.exit_code
            assert done.stderr.startswith(f"error: no Dask scheduler at {address}")
            assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []

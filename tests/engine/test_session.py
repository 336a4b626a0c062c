"""One model, read and prepared once, for all scenes of a run; options checked before any scene."""

import json
import pickle
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hsisr.commands.archive.run import Done, upscale_all
from hsisr.commands.archive.select import select
from hsisr.commands.job import Job
from hsisr.commands.python import arrays
from hsisr.commands.python.dataarray import upscale_dataarray
from hsisr.commands.upscale import plan_upscale, upscale
from hsisr.engine import machine, session
from hsisr.engine.machine import torch_threads
from hsisr.engine.options import SelectOptions, UpscaleOptions
from hsisr.engine.session import Session
from hsisr.errors import HsisrError, HsisrWarning, ResourceError, UsageError, WeightsError
from hsisr.resume.record import provenance_of
from tests.networks import OVERLAPPING, tiny_weights
from tests.program import assert_holds, metadata_at, values_of
from tests.scenes import counts, numbered, write_geotiff, write_tif


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> UpscaleOptions:
    path = tiny_weights(tmp_path_factory.mktemp("weights"), **OVERLAPPING)
    return UpscaleOptions(scale=2, model=str(path), threads=1)


@pytest.fixture
def scenes(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "lr"
    folder.mkdir()
    sizes = ((13, 11), (7, 20), (13, 11))
    return [
        write_geotiff(folder / f"{n}.tif", numbered(5, *size) * 9 + 2000 + n)
        for n, size in enumerate(sizes)
    ]


def test_weights_are_read_once_for_all_scenes_and_results_are_those_of_single_runs(
    tiny: UpscaleOptions, scenes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[UpscaleOptions] = []
    original = session.model_named

    def counted(options: UpscaleOptions) -> session.Model:
        read.append(options)
        return original(options)

    monkeypatch.setattr(session, "model_named", counted)
    selection = select(SelectOptions(sources=scenes, output=tmp_path / "hr"), tiny)
    (tmp_path / "hr").mkdir()
    done = list(upscale_all(selection, tiny))
    assert len(read) == 1
    for scene, outcome in zip(scenes, done, strict=True):
        assert isinstance(outcome, Done)
        alone = upscale(scene, tmp_path / "alone.tif", replace(tiny, overwrite=True))
        assert_holds(outcome.result.output, values_of(alone.output))


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"precision": "float8"}, UsageError, "precision 'float8': expected auto, float32"),
        ({"device": "gpu"}, UsageError, "device 'gpu': expected auto, cpu, cuda, cuda:N or mps"),
        ({"device": "cuda:77"}, ResourceError, "device 'cuda:77' is not there"),
        ({"precision": "float16", "device": "cpu"}, UsageError, "float16 needs a GPU"),
        ({"overlap": 8}, UsageError, "overlap 8: expected less than the tile of the weights, 8 LR"),
        ({"overlap": 4, "tile": 4}, UsageError, "overlap 4: expected less than tile 4"),
        ({"batch_size": 0}, UsageError, "batch-size 0: expected at least 1"),
        ({"model": "no-such"}, WeightsError, "no-such"),
    ],
)
def test_options_are_checked_before_scene_and_output_are_looked_at(
    tiny: UpscaleOptions, tmp_path: Path, change: dict[str, Any], kind: type[HsisrError], words: str
) -> None:
    (tmp_path / "hr.tif").write_text("is there")
    for make in (upscale, plan_upscale):
        with pytest.raises(kind, match=words):
            make(tmp_path / "no-such.tif", tmp_path / "hr.tif", replace(tiny, **change))


def test_tiles_and_overlaps_may_exceed_the_scene(tiny: UpscaleOptions, tmp_path: Path) -> None:
    small = write_geotiff(tmp_path / "small.tif", numbered(5, 3, 2) + 2000)
    result = upscale(small, tmp_path / "hr.tif", replace(tiny, tile=7, overlap=6))
    assert result.output_shape == (5, 6, 4)
    scene = write_geotiff(tmp_path / "lr.tif", numbered(5, 30, 20))
    # the first estimate counts tables that stay, too
    _, *plans = [plan_upscale(scene, "hr.tif", replace(tiny, tile=n)) for n in (30, 30, 100_000)]
    assert plans[0].peak_memory_bytes == plans[1].peak_memory_bytes
    assert plans[0].tiles == plans[1].tiles == 1


def test_a_processor_computes_no_more_tiles_at_once_than_it_has_threads(
    tiny: UpscaleOptions, tmp_path: Path
) -> None:
    scene = write_geotiff(tmp_path / "lr.tif", numbered(5, 30, 20))
    _, *plans = [plan_upscale(scene, "hr.tif", replace(tiny, batch_size=n)) for n in (1, 1, 9)]
    assert plans[0].peak_memory_bytes == plans[1].peak_memory_bytes


def test_strips_of_dask_arrays_take_the_threads_that_were_asked_for(
    tiny: UpscaleOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    import xarray as xr  # loads much

    array = xr.DataArray(numbered(5, 13, 11) + 2000, dims=("band", "y", "x")).chunk(y=7)
    lazy = upscale_dataarray(array, tiny, model=tiny.model)
    lazy = pickle.loads(pickle.dumps(lazy))  # noqa: S301 - as another process gets it
    at_once: list[int] = []

    def computed(job: Job, **how: Any) -> Any:
        at_once.append(job.plan.batch_size)
        return original(job, **how)

    original = arrays.computed
    monkeypatch.setattr("hsisr.commands.python.dataarray.computed", computed)
    with torch_threads(3):
        lazy.compute(scheduler="sync")
    assert {*at_once} == {1}


def test_small_tiles_say_what_they_cost(tiny: UpscaleOptions, tmp_path: Path) -> None:
    scene = write_geotiff(tmp_path / "lr.tif", numbered(5, 40, 40))
    run = Session(replace(tiny, tile=2))
    with pytest.warns(HsisrWarning, match=r"^--tile 2 computes every pixel about \d+ times"):
        plan_upscale(scene, "hr.tif", session=run)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan_upscale(scene, "hr.tif", session=run)  # once is enough
        plan_upscale(scene, "hr.tif", replace(tiny, tile=8))


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("fma avx avx2 f16c avx512f", "float32"),
        ("avx512f avx512_bf16", "bfloat16"),
        ("amx_tile amx_bf16", "bfloat16"),
        ("asimd bf16 i8mm", "bfloat16"),
        (None, "float32"),
    ],
)
def test_automatic_precision_is_what_the_processor_has(
    flags: str | None, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "cpuinfo"
    if flags is not None:
        info.write_text(f"processor : 0\nflags : fpu {flags}\nbogomips : 1\n")
    monkeypatch.setattr(machine, "CPU_INFO", info)
    assert machine.automatic_precision(torch.device("cpu")) == precision


def test_automatic_precision_is_recorded_by_its_name(
    tiny: UpscaleOptions, scenes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsisr.engine.session.automatic_precision", lambda _: "bfloat16")
    upscale(scenes[0], tmp_path / "hr.tif", replace(tiny, precision="auto", device="cpu"))
    tags = provenance_of(metadata_at(tmp_path / "hr.tif"))
    assert '"precision": "bfloat16"' in tags["OPTIONS"]
    assert "auto" not in tags["OPTIONS"]


def test_a_session_is_not_used_for_other_options(tiny: UpscaleOptions, tmp_path: Path) -> None:
    scene, run = write_geotiff(tmp_path / "lr.tif", numbered()), Session(tiny)
    for change in ({"model": "bicubic"}, {"consistency": False}, {"precision": "bfloat16"}):
        with pytest.raises(UsageError, match="differs from the session's"):
            upscale(scene, tmp_path / "x.tif", replace(tiny, **change), session=run)


@pytest.mark.parametrize("suffix", [".tif", ".hdr", ".mat"])
def test_an_output_of_an_output_tells_of_its_own_making_only(tmp_path: Path, suffix: str) -> None:
    source = write_tif(tmp_path / "scene.tif", counts(2, 6, 5))
    once, twice = tmp_path / f"once{suffix}", tmp_path / f"twice{suffix}"
    upscale(source, once, UpscaleOptions(scale=2, model="bicubic", tile=5))
    upscale(once, twice, UpscaleOptions(scale=2, model="nearest"))
    found = provenance_of(metadata_at(twice))
    assert found.keys() == {"VERSION", "SOURCE", "MODEL", "OPTIONS", "CREATED"}
    assert (found["SOURCE"], found["MODEL"]) == (once.name, "nearest")
    assert "tile" not in json.loads(found["OPTIONS"])

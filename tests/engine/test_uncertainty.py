"""Standard errors: the same for every cut of a scene, whole or nothing, and right or said so."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from hsisr.commands.evaluation.evaluate import measure_coverage
from hsisr.commands.upscale import upscale
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.uncertainty import ErrorModel, Levels, StandardErrors, levels
from hsisr.errors import HsisrWarning, InputDataError, ResourceError, UsageError, WeightsError
from hsisr.io.geotiff.writer import GeoTiffWriter
from hsisr.io.open import open_scene
from tests.commands.runs import break_off
from tests.engine.test_mixing import Sharpen, correlated, mixing_of, plan_of
from tests.memory import MemoryScene, MemoryWriter, stitched
from tests.networks import tiny_weights
from tests.program import assert_holds, values_of
from tests.scenes import TRANSFORM, UTM, write_geotiff

SIZE, UNITS = 11, 3


def model(scale: int) -> ErrorModel:
    rng = torch.Generator().manual_seed(scale)

    def some(*shape: int) -> torch.Tensor:
        return 0.2 * torch.randn(*shape, generator=rng)

    return ErrorModel(
        centre=some(SIZE) - 1,
        deviation=torch.ones(SIZE),
        hidden=some(UNITS, SIZE),
        hidden_bias=some(UNITS),
        out=some(UNITS),
        linear=some(SIZE),
        bias=torch.tensor([-1.0]),
        place=1 + some(scale, scale).abs(),
        detail=torch.tensor([0.5]),
        factors=torch.tensor([1.1, 3.0]),
    )


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsisr.engine.uncertainty.model_of", lambda _: model(2))


def errors_of(values: npt.NDArray[Any], **how: Any) -> npt.NDArray[Any]:
    plan = plan_of(values, Sharpen(), mixing_of(values), **how)
    scene = MemoryScene(values, -1)
    errors = MemoryWriter(scene.metadata.finer(2))
    stitched(scene, plan, errors=StandardErrors(model(2), levels(scene), errors, whole=False))
    assert (errors.times == 1).all()
    return errors.cube


def test_every_cut_of_a_scene_has_the_same_errors() -> None:
    values = correlated(40, 44, 40)
    values[:, 20:23, 7:30] = -1
    whole = errors_of(values, tile=44, overlap=0)
    missing = np.repeat(np.repeat(values == -1, 2, axis=1), 2, axis=2)
    np.testing.assert_array_equal(np.isnan(whole), missing)
    assert (whole[~missing] > 0).all()
    cut = errors_of(values, tile=12, overlap=4, working_bytes=2 * 10**6)
    close = np.abs(cut - whole)[~missing] <= 0.02 * whole[~missing]
    assert close.mean() > 0.99  # tiles differ a little at their seams, and so do errors


def test_errors_follow_the_numbers_of_the_scene() -> None:
    values = correlated(40)
    one, other = errors_of(values), errors_of(values * 8)
    np.testing.assert_allclose(other, 8 * one, rtol=0.02)


def test_pixels_whose_values_are_all_equal_have_an_error_too() -> None:
    near = 1000 * torch.rand(1, 12, 12, generator=torch.Generator().manual_seed(0))
    level = Levels(torch.tensor([1e6]), torch.zeros(1, 4))
    values = torch.full((1, 8, 8), 7.0)
    found = model(2).standard_errors(values, near, near, torch.ones_like(near), level)
    assert (torch.isfinite(found) & (found > 0)).all()


def test_a_model_survives_being_stored() -> None:
    one = model(4)
    again = ErrorModel.from_dict(one.as_dict())
    for name in one.__dataclass_fields__:
        torch.testing.assert_close(getattr(again, name), getattr(one, name), rtol=1e-5, atol=1e-6)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    values = correlated(4, 70, 20)
    return write_geotiff(tmp_path / "a.tif", values, crs=UTM, transform=TRANSFORM)


@pytest.fixture
def options(tmp_path: Path) -> UpscaleOptions:
    return UpscaleOptions(scale=2, model=str(tiny_weights(tmp_path)), tile=32, overlap=4)


@pytest.mark.usefixtures("known")
def test_both_files_appear_of_a_resumed_run_too(
    source: Path, options: UpscaleOptions, tmp_path: Path
) -> None:
    options = replace(options, uncertainty=tmp_path / "a_error.tif")
    upscale(source, tmp_path / "whole.tif", options)
    with open_scene(tmp_path / "whole.tif") as one, open_scene(tmp_path / "a_error.tif") as two:
        assert one.metadata.shape == two.metadata.shape
        assert one.metadata.georeference == two.metadata.georeference
        assert two.metadata.stored.dtype == np.float32
        expected = two.read().values
    with pytest.raises(Exception, match="exists and is kept"):
        upscale(source, tmp_path / "b.tif", options)
    again = replace(options, uncertainty=tmp_path / "b_error.tif")
    break_off(source, tmp_path / "b.tif", again)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("b")]
    upscale(source, tmp_path / "b.tif", replace(again, resume=True))
    for name, numbers in (("b_error", expected), ("b", values_of(tmp_path / "whole.tif"))):
        assert_holds(tmp_path / f"{name}.tif", numbers)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("overwrite", [False, True])
def test_neither_file_appears_without_the_other(
    source: Path,
    options: UpscaleOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    overwrite: bool,
) -> None:
    output, errors = tmp_path / "b.tif", tmp_path / "e.tif"
    if overwrite:
        for path in (output, errors):
            path.write_bytes(path.name.encode())
    options = replace(options, uncertainty=errors, overwrite=overwrite)
    check = GeoTiffWriter._check

    def fail(writer: GeoTiffWriter) -> None:
        if writer.path == output:
            raise ResourceError("no space")
        check(writer)

    monkeypatch.setattr(GeoTiffWriter, "_check", fail)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HsisrWarning)
        with pytest.raises(ResourceError, match="no space"):
            upscale(source, output, options)
    given = {source, Path(str(options.model))}
    files = [path for path in tmp_path.iterdir() if path.is_file() and path not in given]
    left = {path.name: path.read_bytes() for path in files}
    assert left == ({"b.tif": b"b.tif", "e.tif": b"e.tif"} if overwrite else {})


def test_it_is_refused_first(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = UpscaleOptions(scale=2, model="bicubic", uncertainty=tmp_path / "e.tif")
    with pytest.raises(WeightsError, match="nothing is known of the error of bicubic"):
        upscale(source, tmp_path / "o.tif", options)
    monkeypatch.setattr("hsisr.engine.uncertainty.model_of", lambda _: model(2))
    for path in (tmp_path / "o.tif", tmp_path / "e.hdr", tmp_path.parent / "e.tif"):
        with pytest.raises(UsageError, match=r"expected another \.tif"):
            upscale(source, tmp_path / "o.tif", replace(options, uncertainty=path))
    with pytest.raises(UsageError, match="is an input of this run"):
        upscale(
            source,
            source.with_name("o.tif"),
            replace(options, uncertainty=source, overwrite=True),
        )


@pytest.mark.parametrize("wrong", [1.0, 2.0])
def test_coverage_of_errors_of_known_size(wrong: float) -> None:
    rng = np.random.default_rng(0)
    sigma = np.exp(rng.normal(0, 1, (3, 60, 70))).astype("f4")
    truth = rng.normal(0, 100, sigma.shape).astype("f4")
    guess = truth + rng.laplace(0, wrong * sigma).astype("f4")
    sigma[0, 0, 0] = np.nan
    told = MemoryScene(sigma)
    factors = {"HSISR_FACTOR_68": "1.139", "HSISR_FACTOR_95": "2.996"}
    told.metadata = replace(told.metadata, tags=factors)
    found = measure_coverage(MemoryScene(truth), MemoryScene(guess), told)
    expected = 100 * (1 - 0.32 ** (1 / wrong))
    assert found.values == sigma.size - 1
    assert found.figures["within_68"] == pytest.approx(expected, abs=1)
    assert found.fifths == pytest.approx([expected] * 5, abs=2.5)
    assert found.figures["error_score"] > 0
    ranks = [x[~np.isnan(sigma)].argsort().argsort() for x in (sigma, np.abs(guess - truth))]
    assert found.figures["error_rank"] == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=0.02)
    with pytest.raises(InputDataError, match="found no tags HSISR_FACTOR_68"):
        measure_coverage(MemoryScene(truth), MemoryScene(guess), MemoryScene(sigma))

"""Fixtures that every room's tests share."""

import os
from functools import cache
from importlib import import_module, metadata
from pathlib import Path

import pytest
from coverage import Coverage

PROJECT = Path(__file__).parents[1]


LIBRARIES = (
    *("distributed", "hypothesis.strategies", "matplotlib.pyplot", "rasterio", "skimage.metrics"),
    *("torch", "torch._dynamo", "xarray", "zarr"),
)
"""What takes long to load, and half as long again while coverage looks at each line."""


def pytest_configure(config: pytest.Config) -> None:
    """One worker a processor, so one thread a worker; it is to know before it loads numpy."""
    if config.getoption("numprocesses", None):
        os.environ["OMP_NUM_THREADS"] = "1"
        return
    if "PYTEST_XDIST_WORKER" in os.environ and (coverage := Coverage.current()):
        coverage.stop()
        for name in LIBRARIES:
            import_module(name)
        coverage.start()
    # what is installed stays the same, and registries ask for it thousands of times
    vars(metadata)["entry_points"] = cache(metadata.entry_points)
    from hypothesis import HealthCheck, settings

    # other programs may be at work beside the tests
    calm = [HealthCheck.too_slow]
    settings.register_profile("tests", settings.default, deadline=None, suppress_health_check=calm)
    settings.load_profile("tests")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What would be left out anyway need not load a driver of browsers."""
    return (collection_path.name == "clients" and "not clients" in config.option.markexpr) or None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real scenes beside the project; tests that need it are skipped without it."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real scenes beside the project")
    return folder


@pytest.fixture
def small_sample(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package's folder as far as the sample scene is concerned, which has 40 bands now."""
    from tests.scenes import write_small_sample

    package = write_small_sample(tmp_path_factory.mktemp("package"))
    monkeypatch.setattr("hsisr.commands.sample.files", lambda _: package)
    return package


@pytest.fixture
def no_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings leave out their picture, which takes longer than a few steps."""
    monkeypatch.setattr("hsisr.commands.training.record.draw_curve", lambda path, *_: path.touch())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder

"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

if "PYTEST_XDIST_WORKER" in os.environ:  # one worker a processor, so one thread a worker
    os.environ["OMP_NUM_THREADS"] = "1"

# other programs may be at work beside the tests
CALM = [HealthCheck.too_slow]
settings.register_profile("tests", settings.default, deadline=None, suppress_health_check=CALM)
settings.load_profile("tests")

PROJECT = Path(__file__).parents[1]


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
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder

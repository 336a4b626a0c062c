"""Whether torch's threads are told to sleep soon."""

import os
import subprocess
import sys

import pytest

from hsisr.cli import openmp as neighbours

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="libgomp is Linux's")


@pytest.fixture
def before_torch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Two cores, torch not loaded yet, nothing set; what is set is put back."""
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "to be put back")
        monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2})
    return monkeypatch


def use(monkeypatch: pytest.MonkeyPatch, *percent: float) -> None:
    def cpu_percent(interval: float, *, percpu: bool) -> list[float]:
        assert percpu
        assert interval > 0
        return list(percent)

    monkeypatch.setattr("psutil.cpu_percent", cpu_percent)


@pytest.mark.parametrize(
    ("percent", "told"),
    [
        ((0, 0, 100), True),
        ((60, 0, 0), True),
        ((20, 0, 20), False),
        ((0, 100, 0), False),  # of the second core this program has none
    ],
)
def test_a_busy_core_of_its_own_counts(
    percent: tuple[float, ...], told: bool, before_torch: pytest.MonkeyPatch
) -> None:
    use(before_torch, *percent)
    assert neighbours.sleep_beside_others() is told
    assert ("GOMP_SPINCOUNT" in os.environ) is told


def test_a_little_on_each_of_many_cores_is_nothing(before_torch: pytest.MonkeyPatch) -> None:
    before_torch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    use(before_torch, *[2.0] * 64)
    assert not neighbours.sleep_beside_others()


def test_a_system_that_does_not_tell_is_left_alone(before_torch: pytest.MonkeyPatch) -> None:
    def cpu_percent(*_: object, **__: object) -> None:
        raise PermissionError("/proc/stat")

    before_torch.setattr("psutil.cpu_percent", cpu_percent)
    assert not neighbours.sleep_beside_others()


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_what_the_user_has_set_stays(name: str, before_torch: pytest.MonkeyPatch) -> None:
    use(before_torch, 100, 100, 100)
    before_torch.setenv(name, "5")
    assert not neighbours.sleep_beside_others()
    assert os.environ[name] == "5"


def test_it_is_too_late_when_torch_is_loaded(before_torch: pytest.MonkeyPatch) -> None:
    use(before_torch, 100, 100, 100)
    before_torch.setitem(sys.modules, "torch", sys)
    assert not neighbours.sleep_beside_others()


def test_one_core_is_left_alone(before_torch: pytest.MonkeyPatch) -> None:
    use(before_torch, 100, 100, 100)
    before_torch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert not neighbours.sleep_beside_others()


@pytest.mark.parametrize("command", ["upscale", "train"])
def test_a_command_asks_before_it_loads_torch(command: str) -> None:
    program = (
        "import sys; from hsisr.cli import main, upscale, train;"
        f"{command}.sleep_beside_others = lambda: print('torch' in sys.modules);"
        f"sys.argv[1:] = [{command!r}, 'no-such.tif', '-o', 'x.tif']; main.program()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "False\n"
    assert done.returncode == 3, done.stderr

"""Memory that is freed stays with the process; what the user has set stays as it is."""

import os
import subprocess
import sys

import pytest

from hsisr.inference.freed_memory import LARGEST_KEPT

FAULTS = """
import resource, sys
from hsisr.inference.freed_memory import keep_freed_memory

kept = sys.argv[1] == "keep" and keep_freed_memory()

def once():
    b"x" * int(sys.argv[2])

once()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    once()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc alone")


def faults(what: str, size: int, **environment: str) -> tuple[bool, int]:
    """Whether memory is kept, and pages handed out for five arrays of that many bytes."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", FAULTS, what, str(size)]
    done = subprocess.run(
        command, env={**own, **environment}, capture_output=True, text=True, check=True
    )
    kept, pages = done.stdout.split()
    return bool(int(kept)), int(pages)


def test_an_array_that_comes_again_gets_the_memory_of_the_one_before() -> None:
    size = LARGEST_KEPT // 2
    kept, pages = faults("keep", size)
    if not kept:
        pytest.skip("this C library has no such setting")
    assert 5 * pages < faults("leave", size)[1]


def test_arrays_larger_than_a_layer_of_features_are_given_back() -> None:
    kept = faults("keep", LARGEST_KEPT // 2)[1]
    assert 5 * kept < faults("keep", 2 * LARGEST_KEPT)[1]


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_the_users_own_settings_stay(name: str) -> None:
    value = {"MALLOC_ARENA_MAX": "2", "GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}[name]
    assert faults("keep", 1000, **{name: value})[0] is False

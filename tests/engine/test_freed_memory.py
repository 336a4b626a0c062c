"""Freed memory stays, holes between what is in use do not; the user's own settings stay too."""

import mmap
import os
import platform
import subprocess
import sys

import pytest

from hsisr.engine.memory import LARGEST_KEPT

FAULTS = """
import resource, sys
from hsisr.engine.memory import tune_allocator

kept = sys.argv[1] == "keep" and tune_allocator()

def once():
    b"x" * int(sys.argv[2])

once()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    once()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
HOLES = """
import sys
from hsisr.engine.memory import HeapTrimmer, tune_allocator

def resident():
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1])

now = [0.0]
tune_allocator()
holes = HeapTrimmer(clock=lambda: now[0])
pieces = [b"x" * 2**18 for _ in range(400)]
del pieces[::2]  # every second one lies between two that stay
before = resident()
early = holes.trim()
now[0] = 3600.0
given = holes.trim(), before - resident(), holes.trim()
print(int(early), *map(int, given))
"""
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")


def answer(code: str, *arguments: str, **environment: str) -> list[int]:
    """The numbers that a program of its own prints, without settings of malloc but these."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, env={**own, **environment}, capture_output=True, text=True, check=True
    )
    return [int(number) for number in done.stdout.split()]


def faults(what: str, size: int, **environment: str) -> tuple[bool, int]:
    """Whether memory is kept, and pages handed out for five arrays of that many bytes."""
    kept, pages = answer(FAULTS, what, str(size), **environment)
    return bool(kept), pages


def test_an_array_that_comes_again_gets_the_memory_of_the_one_before() -> None:
    size = LARGEST_KEPT // 2
    kept, pages = faults("keep", size)
    assert kept
    assert 5 * pages < faults("leave", size)[1]


def test_arrays_larger_than_a_layer_of_features_are_given_back() -> None:
    kept = faults("keep", LARGEST_KEPT // 2)[1]
    assert 5 * kept < faults("keep", 2 * LARGEST_KEPT)[1]


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_the_users_own_settings_stay(name: str) -> None:
    value = {"MALLOC_ARENA_MAX": "2", "GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}[name]
    assert faults("keep", 1000, **{name: value})[0] is False


def test_holes_between_what_is_in_use_are_given_back_now_and_then() -> None:
    early, given, pages, again = answer(HOLES)
    assert (early, given, again) == (0, 1, 0)
    assert pages * mmap.PAGESIZE > 100 * 2**18


def test_holes_stay_where_the_user_has_set_malloc_up() -> None:
    _, given, _, _ = answer(HOLES, MALLOC_ARENA_MAX="2")
    assert not given

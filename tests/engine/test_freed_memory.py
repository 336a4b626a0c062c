"""Freed memory stays, holes between what is in use do not; the user's own settings stay too."""

import mmap
import os
import platform

import pytest

from hsisr.engine.memory import LARGEST_KEPT
from tests.program import ran

FAULTS = """
import resource, sys
from hsisr.engine.memory import tune_allocator

print(int(sys.argv[1] == "keep" and tune_allocator()))
for size in map(int, sys.argv[2:]):
    b"x" * size
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        b"x" * size
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
HOLES = """
import sys
from hsisr.engine.memory import HeapTrimmer, tune_allocator

def resident():
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1])

now = [0.0]
kept = tune_allocator()
holes = HeapTrimmer(clock=lambda: now[0])
pieces = [b"x" * 2**18 for _ in range(400)]
del pieces[::2]  # every second one lies between two that stay
before = resident()
early = holes.trim()
now[0] = 3600.0
given = holes.trim(), before - resident(), holes.trim()
print(int(kept), int(early), *map(int, given))
"""
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")


def answer(code: str, *arguments: str, **environment: str) -> list[int]:
    """The numbers that a program of its own prints, without settings of malloc but these."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    done = ran(code, *arguments, env={**own, **environment})
    assert done.returncode == 0, done.stderr
    return [int(number) for number in done.stdout.split()]


def test_the_memory_of_a_layer_of_features_stays_and_that_of_larger_arrays_is_given_back() -> None:
    """Pages handed out for five arrays of a size that comes again."""
    sizes = str(LARGEST_KEPT // 2), str(2 * LARGEST_KEPT)
    kept, small, large = answer(FAULTS, "keep", *sizes)
    assert kept
    assert 5 * small < answer(FAULTS, "leave", sizes[0])[1]
    assert 5 * small < large


def test_where_the_user_has_set_malloc_up_nothing_is_done() -> None:
    assert answer(FAULTS, "keep", GLIBC_TUNABLES="glibc.malloc.arena_max=2") == [0]
    kept, _, given, *_ = answer(HOLES, MALLOC_ARENA_MAX="2")
    assert (kept, given) == (0, 0)


def test_holes_between_what_is_in_use_are_given_back_now_and_then() -> None:
    kept, early, given, pages, again = answer(HOLES)
    assert (kept, early, given, again) == (1, 0, 1, 0)
    assert pages * mmap.PAGESIZE > 100 * 2**18

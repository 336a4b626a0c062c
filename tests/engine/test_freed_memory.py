"""Freed memory stays, holes between what is in use do not; the user's own settings stay too."""

import json
import mmap
import platform

import pytest

from hsisr.engine.machine import HeapTrimmer, tune_allocator
from tests.nursery import forked

PROGRAM = """
import json, os, resource, sys
from hsisr.engine.machine import LARGEST_KEPT, HeapTrimmer, tune_allocator

def faults(size):
    b"x" * size
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        b"x" * size
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1])

def left():
    return [faults(LARGEST_KEPT // 2)]

def kept():
    return [tune_allocator(), faults(LARGEST_KEPT // 2), faults(2 * LARGEST_KEPT)]

def holes():
    now = [0.0]
    tune_allocator()
    holes = HeapTrimmer(clock=lambda: now[0])
    pieces = [b"x" * 2**18 for _ in range(400)]
    del pieces[::2]  # every second one lies between two that stay
    before = resident()
    early = holes.trim()
    now[0] = 3600.0
    return [early, holes.trim(), before - resident(), holes.trim()]

for what in (left, kept, holes):  # each in a process that has done nothing before
    if os.fork() == 0:
        print(json.dumps([what.__name__, *what()]), flush=True)
        os._exit(0)
    os.wait()
"""
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")


@pytest.fixture(scope="module")
def found() -> dict[str, list[int]]:
    """What a program of its own finds."""
    done = forked(PROGRAM)
    assert done.returncode == 0, done.stderr
    return {name: numbers for name, *numbers in map(json.loads, done.stdout.splitlines())}


def test_the_memory_of_a_layer_of_features_stays_and_that_of_larger_arrays_is_given_back(
    found: dict[str, list[int]],
) -> None:
    """Pages handed out for five arrays of a size that comes again."""
    (left,), (kept, small, large) = found["left"], found["kept"]
    assert kept
    assert 5 * small < left
    assert 5 * small < large


def test_holes_between_what_is_in_use_are_given_back_now_and_then(
    found: dict[str, list[int]],
) -> None:
    early, given, pages, again = found["holes"]
    assert (early, given, again) == (False, True, False)
    assert pages * mmap.PAGESIZE > 100 * 2**18


@pytest.mark.parametrize("setting", ["GLIBC_TUNABLES=glibc.malloc.arena_max=2", "MALLOC_ARENA_MAX"])
def test_where_the_user_has_set_malloc_up_nothing_is_done(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _, value = setting.partition("=")
    monkeypatch.setenv(name, value or "2")
    now = [0.0]
    trimmer = HeapTrimmer(clock=lambda: now[0])
    now[0] = 3600.0
    assert (tune_allocator(), trimmer.trim()) == (False, False)

"""The faults: each breaks runs in one way, as often as asked, and counts what was lost."""

import functools
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio

from tests.faults.trial import Ended, Tally, Trial, ended, one_line, pixels

_SMALLEST_DISK = 60
"""KiB."""

Fault = Callable[[Trial, int, random.Random], Tally]


def _places(trial: Trial, name: str, count: int) -> Iterator[Path]:
    """A new folder for each try, as the place of the output; removed again."""
    for number in range(count):
        place = trial.fresh(f"{name}-{number}")
        trial.aim(place)
        yield place
        shutil.rmtree(place)


def _with_old(trial: Trial) -> "np.ndarray":
    """Put another file where the output goes."""
    done = trial.run("--no-consistency")
    if done.code != 0:
        raise RuntimeError(done.stderr)
    return pixels(trial.output)


def signalled(number: signal.Signals, *, replacing: bool) -> Fault:
    """Stopped by a signal at random moments, with a new output or in place of an old one."""
    code = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    more = ("--overwrite",) if replacing else ()

    def fault(trial: Trial, times: int, chance: random.Random) -> Tally:
        words = ", replacing an old output" if replacing else ""
        tally = Tally(f"{number.name} at a random moment{words}")
        for _ in _places(trial, f"{number.name}-{replacing}", times):
            old = _with_old(trial) if replacing else None
            process, started = trial.start(*more), time.monotonic()
            time.sleep(chance.uniform(0.0, trial.seconds))
            process.send_signal(number)
            done = trial.ended(process, started)
            begun = done.code not in (-number, 0)  # it may be stopped before it can listen
            wrong = one_line(done, (code,)) if begun else []
            wrong += trial.complaints(old)
            finished = done.code == 0
            if not finished:
                wrong += trial.resumed(*more)
            tally.judge(wrong, finished=finished)
        return tally

    return fault


_AT_A_RENAME = """
import os, re, sys, signal, shutil, pathlib
last_step = re.compile(r"[.]part(/replaced)?(/[^/]+)?$|[.]unfinished$")
count, number = [int(sys.argv.pop(1))], int(sys.argv.pop(1))
def at(real):
    def call(*a, **k):
        count[0] -= any(last_step.search(str(w)) is not None for w in a)
        if not count[0]: print("reached"); sys.stdout.flush(); os.kill(os.getpid(), number)
        return real(*a, **k)
    return call
os.link, shutil.rmtree = at(os.link), at(shutil.rmtree)
pathlib.Path.replace, pathlib.Path.rename = at(pathlib.Path.replace), at(pathlib.Path.rename)
import runpy; runpy.run_module("hsisr", run_name="__main__")
"""


def signalled_at_renames(number: signal.Signals) -> Fault:
    """A signal just before and after every rename by which an output comes into place."""
    code = {signal.SIGKILL: -9, signal.SIGTERM: 143}[number]

    def fault(trial: Trial, times: int, chance: random.Random) -> Tally:  # noqa: ARG001
        tally = Tally(f"{number.name} at every rename of the last step")
        for replacing in (False, True):
            more = ["--overwrite"] if replacing else []
            reached, place = True, 0
            while reached:
                place += 1
                folder = trial.fresh(f"{number.name}-rename-{replacing}-{place}")
                trial.aim(folder)
                old = _with_old(trial) if replacing else None
                words = [str(place), str(number.value), *trial.command(*more)[3:]]
                words = [sys.executable, "-c", _AT_A_RENAME, *words]
                done = subprocess.run(words, capture_output=True, text=True, check=False)
                reached = "reached" in done.stdout
                if reached:
                    wrong = one_line(Ended(done.returncode, done.stderr), (code,))
                    if number is signal.SIGKILL:
                        wrong += _complaints_after_recovery(trial, old)
                    else:
                        wrong += trial.complaints(old)
                    tally.judge(wrong + trial.resumed(*more), finished=False)
                shutil.rmtree(folder)
        return tally

    return fault


def _complaints_after_recovery(trial: Trial, old: "np.ndarray | None") -> list[str]:
    """What is more than one file is not replaced in one step: the next command puts it right."""
    if trial.output.suffix != ".tif":
        other = trial.run("--resume", "--tile", "24")  # refused, and writes nothing
        if other.code == 0:
            return ["a run with other settings went on with these strips"]
    return trial.complaints(old)


def file_size_limit(trial: Trial, times: int, chance: random.Random) -> Tally:
    tally = Tally("limit on the size of files (`ulimit -f`)")
    for _ in _places(trial, "fsize", times):
        limit = chance.randrange(1_000, 500_000)

        def small(limit: int = limit) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        done = trial.run(limits=small)
        _judge(tally, trial, done, one_line(done, (0, 5)))
    return tally


def _judge(
    tally: Tally,
    trial: Trial,
    done: Ended,
    wrong: list[str],
    make_room: Callable[[], object] = list,
) -> None:
    """Count a try; one that failed is resumed once there is room."""
    wrong += trial.complaints()
    if done.code != 0:
        make_room()
        wrong += trial.resumed()
    tally.judge(wrong, finished=done.code == 0)


def memory_limit(trial: Trial, times: int, chance: random.Random) -> Tally:
    tally = Tally("limit on memory (`ulimit -v`)")

    def succeeds(limit: int, _: Path) -> bool:
        return trial.run("--overwrite", limits=_may_take(limit)).code == 0

    _, enough = _halved(trial, 2**26, 2**32, succeeds)
    for _ in _places(trial, "memory", times):
        done = trial.run(limits=_may_take(int(chance.uniform(0.6, 1.0) * enough)))
        # where not even the libraries can be loaded, it is they who speak
        loaded = any(line.startswith("error: ") for line in done.stderr.splitlines())
        _judge(tally, trial, done, one_line(done, (0, 5)) if loaded else [])
    return tally


def _may_take(limit: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _halved(
    trial: Trial, short: int, enough: int, succeeds: Callable[[int, Path], bool]
) -> tuple[int, int]:
    """Two limits close to each other: with one a run fails, with the other it succeeds."""
    for place in _places(trial, "enough", 7):
        middle = (short + enough) // 2
        if succeeds(middle, place):
            enough = middle
        else:
            short = middle
    return short, enough


def _mount(*words: str) -> bool:
    mount = shutil.which("mount")
    return mount is not None and subprocess.run([mount, *words], check=False).returncode == 0


@contextmanager
def _small_disk(place: Path, options: str) -> Iterator[bool]:
    """A disk of its own under a folder; False where this user may not mount one."""
    mounted = _mount("-t", "tmpfs", "-o", options, "tmpfs", str(place))
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(place)], check=True)


def disk_full(trial: Trial, times: int, chance: random.Random) -> Tally:
    tally = Tally("disk full")

    def succeeds(size: int, place: Path) -> bool:
        with _small_disk(place, f"size={size}k") as mounted:
            return not mounted or trial.run().code == 0

    most, _ = _halved(trial, _SMALLEST_DISK, 2**13, succeeds)
    if most == _SMALLEST_DISK:
        return Tally(tally.fault, skipped="needs the right to mount a small disk")
    for place in _places(trial, "disk", times):
        with _small_disk(place, f"size={chance.randint(_SMALLEST_DISK, most)}k"):
            done = trial.run()
            more = functools.partial(_mount, "-o", "remount,size=64m", str(place))
            _judge(tally, trial, done, one_line(done, (0, 5)), more)
    return tally


def read_only(trial: Trial, times: int, chance: random.Random) -> Tally:  # noqa: ARG001
    tally = Tally("read-only folder")
    for place in _places(trial, "readonly", times):
        with _small_disk(place, "ro") as mounted:
            if not mounted and os.getuid() == 0:
                return Tally(tally.fault, skipped="nothing is read-only for this user")
            place.chmod(0o755 if mounted else 0o555) if not mounted else None
            done = trial.run()
            wrong = one_line(done, (5,)) + trial.complaints()
            if not mounted:
                place.chmod(0o755)
            tally.judge(wrong, finished=False)
    return tally


def input_changed(how: str) -> Fault:
    """The input is cut off, written anew or taken away while it is read."""

    def fault(trial: Trial, times: int, chance: random.Random) -> Tally:
        tally = Tally(f"input {how} while it is read")
        whole = trial.scene.read_bytes()
        for _ in _places(trial, f"input-{how.split(maxsplit=1)[0]}", times):
            process = trial.start()
            trial.wait_for_strips(process, chance.randint(1, 6))
            if how == "truncated":
                os.truncate(trial.scene, chance.randrange(len(whole)))
            elif how == "removed":
                trial.scene.unlink()
            else:
                with rasterio.open(trial.scene, "r+") as file:
                    file.write(np.zeros((1, 30, 30), np.uint16), [3], window=((0, 30), (0, 30)))
            done = ended(process)
            trial.scene.write_bytes(whole)
            _judge(tally, trial, done, one_line(done, (0, 3)))
        return tally

    return fault


def two_at_once(trial: Trial, times: int, chance: random.Random) -> Tally:
    tally = Tally("two runs on one output")
    for _ in _places(trial, "two", times):
        first = trial.start()
        time.sleep(chance.uniform(0.0, 0.5 * trial.seconds))
        second = trial.start()
        both = [ended(first), ended(second)]
        wrong = [words for done in both for words in one_line(done, (0, 1))]
        if sorted(done.code for done in both) != [0, 1]:
            wrong.append(f"exit codes {[done.code for done in both]}, expected 0 and 1")
        hidden = [path.name for path in trial.output.parent.iterdir() if path.name[0] == "."]
        wrong += trial.complaints() + [f"{name} is left" for name in hidden]
        tally.judge(wrong, finished=True)
    return tally


FAULTS: dict[str, Fault] = {
    "kill": signalled(signal.SIGKILL, replacing=False),
    "kill-replacing": signalled(signal.SIGKILL, replacing=True),
    "kill-renames": signalled_at_renames(signal.SIGKILL),
    "term-renames": signalled_at_renames(signal.SIGTERM),
    "term": signalled(signal.SIGTERM, replacing=False),
    "interrupt": signalled(signal.SIGINT, replacing=True),
    "disk-full": disk_full,
    "file-size": file_size_limit,
    "read-only": read_only,
    "truncated": input_changed("truncated"),
    "changed": input_changed("written anew"),
    "removed": input_changed("removed"),
    "two": two_at_once,
    "memory": memory_limit,
}
"""Every fault, by the name that the command takes."""

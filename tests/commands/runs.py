"""Runs of one scene, with --skip-existing or broken off, and what came of them."""

import os
import time
import warnings
from pathlib import Path

import pytest

from hsisr.commands.archive.run import Done, Outcome, Skipped, upscale_all
from hsisr.commands.archive.select import Failure, select
from hsisr.commands.upscale import upscale
from hsisr.engine.options import SelectOptions, UpscaleOptions
from hsisr.errors import HsisrWarning, OutputExistsError
from tests.scenes import counts, write_tif

BICUBIC = UpscaleOptions(scale=2, model="bicubic")


def age(path: Path, seconds: float = 60) -> Path:
    """Say of a file that it was written before now."""
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def old_scene(path: Path) -> Path:
    """A scene of 3 bands, 20 rows, 16 columns, a minute old."""
    path.parent.mkdir(exist_ok=True)
    return age(write_tif(path, counts(3, 20, 16)))


def once(scene: Path, out: Path, options: UpscaleOptions = BICUBIC) -> Outcome:
    wanted = SelectOptions(sources=[scene, Path("nowhere.tif")], output=out)
    selection = select(wanted, options)  # two sources, so that the output is a folder
    first, _ = upscale_all(selection, options, skip_existing=True)
    return first


def made(scene: Path, out: Path, options: UpscaleOptions = BICUBIC) -> Path:
    outcome = once(scene, out, options)
    assert isinstance(outcome, Done), outcome
    return outcome.result.output


def break_off(scene: Path | str, output: Path, options: UpscaleOptions, after: int = 1) -> None:
    """Begin a run, and let it fail when more tiles than that are finished."""

    def stop(done: int, _: int) -> None:
        if done > after:
            raise InterruptedError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HsisrWarning)
        with pytest.raises(InterruptedError):
            upscale(scene, output, options, progress=stop)


def assert_left_out(outcome: Outcome, reason: str) -> None:
    assert isinstance(outcome, Skipped)
    assert outcome.reason == reason


def assert_kept(reason: str, scene: Path, out: Path, options: UpscaleOptions = BICUBIC) -> None:
    """A run finds something else in place of its GeoTIFF, and does not touch it."""
    output = out / f"{scene.stem}_x2.tif"
    before = output.read_bytes()
    outcome = once(scene, out, options)
    assert isinstance(outcome, Failure)
    assert isinstance(outcome.error, OutputExistsError)
    assert str(outcome.error) == f"{output} {reason}, and is kept; --overwrite replaces it"
    assert output.read_bytes() == before

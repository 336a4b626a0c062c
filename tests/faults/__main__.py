"""Break the program in every way, count what is lost: `python -m tests.faults --times 50`."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.faults import FAULTS
from tests.faults.trial import Tally, Trial

_NAMES = {"GeoTIFF": "out.tif", "ENVI": "out.hdr", "Zarr": "out.zarr"}
_ENOUGH = {"Zarr": ("kill", "kill-replacing", "kill-renames", "term-renames", "disk-full")}
"""Faults of an output where not all are tried: those that its own way of writing decides."""


def main() -> int:
    """Try the faults; a Markdown table on stdout."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="tries of the first; others a fifth")
    parser.add_argument("--only", default=",".join(FAULTS), help="faults between commas")
    parser.add_argument("--outputs", default=",".join(_NAMES), help="formats between commas")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments")
    asked = parser.parse_args()
    known = {*FAULTS, *_NAMES}
    if unknown := {*asked.only.split(","), *asked.outputs.split(",")} - known:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
    tallies: list[tuple[str, Tally]] = []
    for kind in asked.outputs.split(","):
        faults = [f for f in asked.only.split(",") if f in _ENOUGH.get(kind, FAULTS)]
        with tempfile.TemporaryDirectory() as folder:
            trial = Trial(Path(folder), _NAMES[kind])
            for fault in faults:
                most = fault == "kill" and not tallies
                times = asked.times if most else max(1, asked.times // 5)
                started = time.monotonic()
                tally = FAULTS[fault](trial, times, random.Random(asked.seed))
                tallies.append((kind, tally))
                sys.stderr.write(f"{_row(kind, tally)} {time.monotonic() - started:.0f} s\n")
                sys.stderr.writelines(f"{kind}: {words}\n" for words in tally.losses)
    sys.stdout.write("| output | fault | tried | result there all the same | lost |\n")
    sys.stdout.write("| --- | --- | ---: | ---: | ---: |\n")
    sys.stdout.writelines(f"{_row(kind, tally)}\n" for kind, tally in tallies)
    return int(any(tally.losses for _, tally in tallies))


def _row(kind: str, tally: Tally) -> str:
    if tally.skipped:
        return f"| {kind} | {tally.fault} | 0 ({tally.skipped}) | | |"
    lost = len(tally.losses)
    return f"| {kind} | {tally.fault} | {tally.tried} | {tally.finished} | {lost} |"


if __name__ == "__main__":
    sys.exit(main())

"""Lines and files of the package and its tests, as a table.

`python docs/benchmarks/size.py`, for another checkout `python docs/benchmarks/size.py PATH`. Blank
lines, comments and docstrings count.
"""

import sys
from pathlib import Path


def main(root: Path) -> None:
    rooms = [Path(room) for room in ("hsisr", "tests")]
    rooms[1:1] = sorted(p.relative_to(root) for p in (root / "hsisr").iterdir() if p.is_dir())
    print("| room | lines | files |\n| --- | ---: | ---: |")
    for room in rooms:
        if files := sorted((root / room).rglob("*.py")):
            lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
            print(f"| {room.as_posix()} | {lines:,} | {len(files)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2])

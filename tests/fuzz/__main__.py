"""Fuzz one reader by Atheris; what is found belongs into the corpus, with its fix."""

import argparse
import re
import resource
import shutil
import sys
from pathlib import Path
from random import Random

MEMORY_BYTES = 1 << 30
CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", help="a folder of tests/fuzz/corpus")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--findings", type=Path, default=Path("build/fuzz"))
    options = parser.parse_args()
    fuzz(options.target, options.seconds, options.findings / options.target)


def fuzz(name: str, seconds: int, findings: Path) -> None:
    """Fuzz a target; what breaks the law is written to `findings`."""
    import atheris

    with atheris.instrument_imports(include=["hsisr"]):
        from tests.fuzz.law import LawBrokenError, place_of
        from tests.fuzz.mutators import MUTATORS
        from tests.fuzz.targets import TARGETS, run, warm_up

    target, findings = TARGETS[name], findings.absolute()
    folder, grown = findings / "work", findings / "grown"
    shutil.rmtree(folder, ignore_errors=True)  # what a run left that was killed
    for place in (folder, grown):
        place.mkdir(parents=True, exist_ok=True)
    warm_up(target, CORPUS / name, folder)
    _limit_memory()
    seen: set[str] = set()

    def one(data: bytes) -> None:
        try:
            run(target, data, folder)
        except LawBrokenError as error:
            where = place_of(error)
            if where not in seen:
                seen.add(where)
                file = findings / re.sub(r"[^A-Za-z0-9.]+", "-", where)
                file.write_bytes(data)
                sys.stderr.write(f"LAW BROKEN {where}: {error}\n  input: {file}\n")

    def change(data: bytes, most: int, seed: int) -> bytes:
        def mutate(part: bytes) -> bytes:
            return bytes(atheris.Mutate(part, max(most, len(part) + 1)))

        return MUTATORS[name](data, Random(seed), mutate)[:most]

    arguments = [
        *(sys.argv[0], str(grown), str(CORPUS / name), f"-max_total_time={seconds}"),
        *("-timeout=0", "-rss_limit_mb=2048", "-print_final_stats=1", "-len_control=0"),
        *(f"-artifact_prefix={findings}/", "-reload=0", "-max_len=8192"),
    ]
    mutator = {"custom_mutator": change} if name in MUTATORS else {}
    atheris.Setup(arguments, one, **mutator)
    atheris.Fuzz()


def _limit_memory() -> None:
    """Let the process ask for this much more than it has, and no more."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()

"""The table of wrong calls in the documentation: what each prints, and its exit code.

    python docs/releasing/wrong_calls.py > docs/src/reference/wrong-calls.md

Every call is made in a folder with the sample scene, in this process.
"""

import os
import shlex
import tempfile
from pathlib import Path

from typer.testing import CliRunner

from hsisr.cli.main import app

CALLS = (
    "scene.tif -o finer.tif",
    "upscal indian-pines.hdr",
    "upscale",
    "upscale scene.tif",
    "upscale indian-pines.hdr finer.tif",
    "upscale indian-pines.hdr --scale 3",
    "upscale indian-pines.hdr --scale four",
    "upscale indian-pines.hdr --scal 4",
    "upscale indian-pines.hdr --model dacn-any-x8",
    "upscale indian-pines.hdr --model dacn-any",
    "upscale indian-pines.hdr --model weights.pt",
    "upscale indian-pines.hdr --bad-bands remove",
    "upscale indian-pines.hdr --dtype complex64",
    "upscale indian-pines.hdr -o finer.jpg",
    "upscale indian-pines.hdr -o there.tif",
    "upscale indian-pines.hdr -o indian-pines.hdr",
    "upscale indian-pines.hdr -o nowhere/finer.tif",
    "upscale indian-pines.hdr --format PNG",
    "upscale indian-pines.hdr --device abacus",
    "upscale indian-pines.hdr --quicklook look.pdf",
    "upscale text.tif",
    "upscale empty.tif",
    "upscale indian-pines.hdr --variable cube",
    "upscale two.mat",
    "evaluate indian-pines.hdr",
    "evaluate indian-pines.hdr indian-pines.hdr --min quality=30",
    "degrade indian-pines.hdr --scale 7 -o coarse.hdr",
    "view indian-pines.hdr -o page.pdf",
    "view indian-pines.hdr --window 500,500 -o page.html",
    "train nothing/",
)

HEAD = """\
# Wrong calls and what they say

What a person may type in the first ten minutes. A wrong call is one line on stderr that says what
was found, what was expected and what to do; nothing is written, and the exit code tells the kind of
mistake ([exit codes](exit-codes.md)). `python docs/releasing/wrong_calls.py` prints this page.

| call | says | exit code |
| --- | --- | --- |"""


def main() -> None:
    import numpy as np
    from scipy.io import savemat

    runner = CliRunner()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        runner.invoke(app, ["sample"])
        Path("there.tif").write_text("precious")
        Path("text.tif").write_text("no picture")
        Path("empty.tif").touch()
        cube = np.ones((9, 8, 7))
        savemat("two.mat", {"one": cube, "other": cube})
        print(HEAD)
        for call in CALLS:
            done = runner.invoke(app, shlex.split(call))
            said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
            words = " ".join(said).removeprefix("error: ").replace("|", "\\|")
            print(f"| `hsisr {call}` | {words.replace(folder + '/', '')} | {done.exit_code} |")
        os.chdir("/")


if __name__ == "__main__":
    main()

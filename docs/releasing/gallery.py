"""The gallery of the documentation: every given scene degraded by 4 and brought back.

For each scene one picture (observed, bicubic, hsisr and truth side by side, and the spectra of the
pixel at which the network adds most detail), a page that shows them all, and the picture in README:

    python docs/releasing/gallery.py ../shared/data/dev/*.mat ../shared/data/dev/*.tif

The scenes are not part of the repository; only these rendered pictures are.
"""

import io
import re
from contextlib import closing
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from matplotlib.figure import Figure, SubFigure
from PIL import Image

from hsisr.commands.evaluation.wald import Trial, degraded
from hsisr.commands.options import WaldOptions
from hsisr.io.base import Scene
from hsisr.io.open import open_scene
from hsisr.tiling import Window
from hsisr.view.figure import Quicklook, bicubic_values, draw_quicklook, valid_values
from hsisr.view.maps import detail_maps

DOCS = Path(__file__).parents[1] / "src"
FOLDER = DOCS / "images/gallery"
PAGE, README = DOCS / "reference/weights.md", DOCS.parents[1] / "README.md"
MARKS = ("<!-- picture, by docs/releasing/gallery.py -->\n", "<!-- end of picture -->\n")
SHOWN = """\
![Observed, bicubic, hsisr and truth of a scene never trained on, and the spectra of a \
pixel](docs/src/images/gallery/{scene}.jpg)

*A scene that the network was never trained on, averaged to 4 times larger pixels and brought
back; made by [`docs/releasing/gallery.py`](docs/releasing/gallery.py) like the others of the
[gallery](docs/src/gallery.md). It is shown here because its gain is the median of the
remote-sensing scenes; the spectra are those of the pixel where the network adds most detail, right
or wrong. Scene: {credit}.*
"""
CREDITS = {
    "abu": "AVIRIS, NASA/JPL; Airport-Beach-Urban set, Kang et al., TGRS 2017",
    "cave": "CAVE multispectral images, Yasuma et al. 2010, Columbia University",
    "enmap": "EnMAP, DLR",
    "hydice": "HYDICE; Kang et al., TGRS 2017",
    "pavia": "ROSIS, Pavia Centre",
}
SCALE, DPI, QUALITY = 4, 130, 82
WIDE, PANEL = 11, 2.6
"""Inches of a picture and of a panel's width, so small that text is legible on a page."""


def main(scenes: Annotated[list[Path], typer.Argument()]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = []
    for scene in sorted(scenes):
        with degraded(scene, WaldOptions(scale=SCALE)) as trial:
            model = trial.upscaled(None, consistency=True).model
            picture(FOLDER / f"{scene.stem}.jpg", trial, model)
        rows.append(
            f"## {scene.stem}\n\n![{scene.stem}: observed, bicubic, hsisr, truth and spectra of "
            f"a pixel](images/gallery/{scene.stem}.jpg)\n\n*{credit_of(scene.stem)}; {model}.*\n"
        )
        typer.echo(scene.stem)
    (DOCS / "gallery.md").write_text(f"{INTRODUCTION}\n{chr(10).join(rows)}", encoding="utf-8")
    show_in_readme(median_scene(PAGE.read_text(encoding="utf-8")))


def median_scene(page: str) -> str:
    """The remote-sensing scene with the median x4 gain, by the page of released weights."""
    head, *rows = re.split(r"\| \*\*", page)
    column = (
        next(line for line in head.splitlines() if "x4, dB" in line).split("|").index(" x4, dB ")
    )
    own = next(block for block in rows if block.startswith("Remote sensing, area averages"))
    cells = [line.split("|") for line in own.splitlines()[1:] if not line.startswith("| mean")]
    gains = sorted((float(row[column]), row[1].strip()) for row in cells if len(row) > column)
    return Path(gains[(len(gains) - 1) // 2][1]).stem


def show_in_readme(scene: str) -> None:
    """Put the picture of a scene, and its credit, between the marks."""
    before, rest = README.read_text(encoding="utf-8").split(MARKS[0])
    words = SHOWN.format(scene=scene, credit=credit_of(scene))
    README.write_text(f"{before}{MARKS[0]}{words}{MARKS[1]}{rest.split(MARKS[1])[1]}", "utf-8")


def credit_of(scene: str) -> str:
    return next((text for key, text in CREDITS.items() if scene.startswith(key)), "")


INTRODUCTION = """\
# Gallery

Scenes that the released networks were not trained on, averaged to 4 times larger pixels and
brought back, so that there is a truth to compare with. All panels of a picture are stretched alike.
The spectra are those of the pixel where the network adds most detail to bicubic interpolation. Made
by `docs/releasing/gallery.py`.

No scene was left out: these are all that the [weights are judged by](reference/weights.md), which
says which of them come from the same collections as training scenes.
"""


def picture(path: Path, trial: Trial, model: str) -> None:
    """Four crops, and the spectra of a pixel under them."""
    with (
        closing(open_scene(trial.folder / "lr.tif")) as observed,
        closing(open_scene(trial.folder / "hr.tif")) as result,
    ):
        rows, cols = trial.truth.metadata.rows, trial.truth.metadata.cols
        heights = [PANEL * rows / cols + 1, 2.8]
        figure = Figure(figsize=(WIDE, sum(heights)), layout="constrained")
        (upper,), (lower,) = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)
        draw_quicklook(
            upper, Quicklook(observed=observed, result=result, truth=trial.truth, name=model)
        )
        row, col = detail_maps(observed, result).most_detail()
        spectra(lower, observed, result, trial.truth, (row, col))
    content = io.BytesIO()
    figure.savefig(content, dpi=DPI)
    with Image.open(content) as image:
        image.convert("RGB").save(path, quality=QUALITY)


def spectra(
    figure: SubFigure, observed: Scene, result: Scene, truth: Scene, place: tuple[int, int]
) -> None:
    """Spectra of the upper left HR pixel of an observed pixel."""
    axes = figure.subplots()
    bands = list(range(truth.metadata.bands))
    row, col = place
    lr, hr = Window(row, col, 1, 1), Window(row * SCALE, col * SCALE, 1, 1)
    known = truth.metadata.spectral_axis.wavelengths_nm
    x = np.array(known) if known else np.arange(1, len(bands) + 1)
    order = np.argsort(x)
    steps = np.diff(x[order])
    gaps = np.flatnonzero(steps > 6 * np.median(steps)) + 1
    lines = {
        "truth": (valid_values(truth, hr, bands), "tab:gray", 3.0),
        "observed": (valid_values(observed, lr, bands), "black", 1.0),
        "bicubic": (bicubic_values(observed, lr, bands, SCALE)[:, :1, :1], "tab:orange", 1.2),
        "hsisr": (valid_values(result, hr, bands), "tab:blue", 1.2),
    }
    for name, (values, colour, width) in lines.items():
        drawn = [np.insert(each[order], gaps, np.nan) for each in (x * 1.0, values.ravel())]
        axes.plot(*drawn, color=colour, lw=width, label=name)
    axes.set_xlabel("wavelength, nm" if known else "band")
    axes.set_ylabel("stored number")
    axes.set_title(f"spectra of row {hr.row}, column {hr.col}", fontsize=10)
    axes.legend(ncols=4, fontsize=9, frameon=False)


if __name__ == "__main__":
    typer.run(main)

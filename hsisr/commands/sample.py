"""The sample scene that comes with hsisr, written out as ENVI.

A crop of the Indian Pines scene (AVIRIS, 12 June 1992): M. F. Baumgardner, L. L. Biehl and
D. A. Landgrebe, "220 Band AVIRIS Hyperspectral Image Data Set: June 12, 1992 Indian Pine Test
Site 3", Purdue University Research Repository, 2015, doi 10.4231/R7RX991C, CC-BY 3.0.
"""

from importlib.resources import files
from pathlib import Path

import numpy as np

from hsisr.io.base import TargetOptions
from hsisr.io.write import create_writer
from hsisr.scene.metadata import SceneMetadata, SpectralAxis, StoredNumbers

CREDIT = (
    "Indian Pines crop, AVIRIS 1992: Baumgardner, Biehl and Landgrebe, Purdue University "
    "Research Repository, doi 10.4231/R7RX991C, CC-BY 3.0"
)


def write_sample(output: str | Path, *, overwrite: bool = False) -> Path:
    """Write the sample scene, 60 x 60 pixels and 200 bands of uint16, as an ENVI pair.

    `output` is the header, or a folder that gets `indian-pines.hdr`; the header's path is returned.
    """
    output = Path(output)
    if output.is_dir():
        output /= "indian-pines.hdr"
    folder = files("hsisr") / "sample_scene"
    with (folder / "indian-pines.npz").open("rb") as file, np.load(file) as archive:
        numbers, centres, widths = (archive[k] for k in ("cube", "wavelengths_nm", "fwhm_nm"))
    metadata = SceneMetadata(
        rows=numbers.shape[1],
        cols=numbers.shape[2],
        stored=StoredNumbers(dtype=np.dtype(np.uint16)),
        spectral_axis=SpectralAxis(
            count=len(numbers),
            wavelengths_nm=tuple(centres.tolist()),
            fwhm_nm=tuple(widths.tolist()),
        ),
        header={"sensor type": "AVIRIS", "acquisition time": "1992-06-12"},
        tags={"CREDIT": CREDIT},
    )
    options = TargetOptions(format="ENVI", overwrite=overwrite)
    with create_writer(output, metadata, options) as writer:
        writer.write(numbers, row=0, col=0, band=0)
    return writer.path

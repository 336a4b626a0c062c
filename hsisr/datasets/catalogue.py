"""Public scenes by name: where they are, how to know them, what they hold, whose they are."""

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from hsisr.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """One file to download, and how to know that it is the right one."""

    name: str
    """In the cache."""
    urls: tuple[str, ...]
    """Tried in this order."""
    size: int | None = None
    """Bytes, where known."""
    git_blob: str | None = None
    """Identity as git counts it: sha1 of `blob <size>\\0` and the bytes; where known."""
    archive: bool = False
    """A zip file of scenes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A public scene, or a set of scenes."""

    name: str
    title: str
    file: RemoteFile
    shape: tuple[int, int, int] | None = None
    """(bands, rows, cols) of a single scene; checked after reading where known."""
    variable: str | None = None
    """Of a .mat file."""
    axes: str | None = None
    """Axis order of the file, if it is not to be guessed."""
    citation: str
    terms: str
    photographs: bool = False
    """Colour photographs, from which recipes take spatial detail alone."""
    skip: tuple[str, ...] = field(default=())
    """Members of an archive that are left out, by part of their path."""


_EHU: Final = "https://www.ehu.eus/ccwintco/uploads/"
_CAVE_PATH: Final = "databases/multispectral/zip/complete_ms_data.zip"
_EHU_TERMS: Final = (
    "distributed by the Computational Intelligence Group, UPV/EHU, for research without a named "
    "licence; credit the data's origin"
)
_PAVIA: Final = (
    "ROSIS scenes of Pavia, acquired over northern Italy by DLR in the HySens project; provided by "
    "P. Gamba, Telecommunications and Remote Sensing Laboratory, Pavia University"
)
_AVIRIS: Final = "AVIRIS data: NASA/JPL-Caltech"

DATASETS: Final = {
    entry.name: entry
    for entry in (
        Dataset(
            name="paviau",
            title="Pavia University, ROSIS, 103 bands",
            file=RemoteFile(
                name="PaviaU.mat",
                urls=(f"{_EHU}e/ee/PaviaU.mat",),
                git_blob="6eecc933bedec1130bb046483dd12e25cf091b24",
            ),
            shape=(103, 610, 340),
            variable="paviaU",
            citation=_PAVIA,
            terms=_EHU_TERMS,
        ),
        Dataset(
            name="paviac",
            title="Pavia Centre, ROSIS, 102 bands",
            file=RemoteFile(name="Pavia.mat", urls=(f"{_EHU}e/e3/Pavia.mat",)),
            shape=(102, 1096, 715),
            variable="pavia",
            citation=_PAVIA,
            terms=_EHU_TERMS,
        ),
        Dataset(
            name="indianpines",
            title="Indian Pines, AVIRIS, 200 bands without water absorption",
            file=RemoteFile(
                name="Indian_pines_corrected.mat",
                urls=(f"{_EHU}6/67/Indian_pines_corrected.mat",),
            ),
            shape=(200, 145, 145),
            variable="indian_pines_corrected",
            citation=(
                "Baumgardner, Biehl, Landgrebe: 220 Band AVIRIS Hyperspectral Image Data Set: "
                "June 12, 1992 Indian Pine Test Site 3, Purdue University Research Repository, "
                "doi 10.4231/R7RX991C"
            ),
            terms="CC-BY 3.0",
        ),
        Dataset(
            name="salinas",
            title="Salinas Valley, AVIRIS, 204 bands without water absorption",
            file=RemoteFile(
                name="Salinas_corrected.mat", urls=(f"{_EHU}a/a3/Salinas_corrected.mat",)
            ),
            shape=(204, 512, 217),
            variable="salinas_corrected",
            citation=_AVIRIS,
            terms=_EHU_TERMS,
        ),
        Dataset(
            name="cave",
            title="CAVE multispectral images, 31 bands of 400-700 nm, indoor scenes",
            file=RemoteFile(
                name="complete_ms_data.zip",
                urls=(
                    f"https://cave.cs.columbia.edu/old/{_CAVE_PATH}",
                    f"https://www.cs.columbia.edu/CAVE/{_CAVE_PATH}",
                ),
                size=405_988_465,
                archive=True,
            ),
            citation=(
                "Yasuma, Mitsunaga, Iso, Nayar: Generalized Assorted Pixel Camera, IEEE TIP 19 "
                "(2010); Columbia University"
            ),
            terms="distributed by Columbia University for research; credit the paper",
            skip=("watercolors_ms", "__MACOSX"),  # 8-bit RGBA; archiver's dust
        ),
        Dataset(
            name="ucmerced",
            title="UC Merced Land Use, 2100 aerial photographs of 256 x 256 pixels, 0.3 m",
            file=RemoteFile(
                name="UCMerced_LandUse.zip",
                urls=("https://weegee.vision.ucmerced.edu/datasets/UCMerced_LandUse.zip",),
                archive=True,
            ),
            photographs=True,
            citation=(
                "Yang, Newsam: Bag-of-Visual-Words and Spatial Extensions for Land-Use "
                "Classification, ACM SIGSPATIAL GIS 2010; pictures of the USGS National Map"
            ),
            terms="pictures: USGS National Map, public domain; credit the paper",
            skip=("__MACOSX",),
        ),
    )
}
"""Name -> dataset."""


def dataset_named(name: str) -> Dataset:
    """Look a dataset up.

    Raises:
        UsageError: There is none of that name.

    >>> dataset_named("paviau").shape
    (103, 610, 340)
    """
    if (entry := DATASETS.get(name.lower())) is None:
        near = get_close_matches(name.lower(), DATASETS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"no dataset {name!r}; {hint}known: {', '.join(sorted(DATASETS))}")
    return entry

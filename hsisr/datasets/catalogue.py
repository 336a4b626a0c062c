"""Public scenes by name: where they are, how to know them, what they hold, whose they are."""

from dataclasses import dataclass, field
from typing import Final

from hsisr.errors import UsageError, did_you_mean


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
_OPENGEOS: Final = "https://github.com/opengeos/datasets/releases/download/netcdf/"
_EMIT: Final = "EMIT_L2A_RFL_001_20240404T161230_2409511_009"
_PACE: Final = "PACE_OCI.20240423T184658.L2.OC_AOP.V1_0_0.NRT"
_NEON_TILES: Final = (
    "https://storage.googleapis.com/neon-aop-products/2021/FullSite/D02/2021_SERC_5/L3/"
    "Spectrometer/Reflectance/"
)
_NEON: Final = "NEON_D02_SERC_DP3_368000_4306000_reflectance"
_PLANET: Final = "https://storage.googleapis.com/open-cogs/planet-stac/release1-basic-radiance/"
_TANAGER: Final = "20250511_074311_00_4001_basic_radiance"
_NASA_TERMS: Final = "NASA Earth science data: free and open; credit the data set"
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
            name="emit",
            title="EMIT L2A reflectance of 2024-04-04, 285 bands",
            file=RemoteFile(name=f"{_EMIT}.nc", urls=(f"{_OPENGEOS}{_EMIT}.nc",)),
            shape=(285, 1280, 1242),
            citation=(
                "Green: EMIT L2A Estimated Surface Reflectance and Uncertainty and Masks 60 m "
                "V001, NASA LP DAAC, doi 10.5067/EMIT/EMITL2ARFL.001"
            ),
            terms=_NASA_TERMS,
        ),
        Dataset(
            name="pace",
            title="PACE OCI L2 remote sensing reflectance of 2024-04-23",
            file=RemoteFile(name=f"{_PACE}.nc", urls=(f"{_OPENGEOS}{_PACE}.nc",)),
            citation=(
                "NASA Ocean Biology Processing Group: PACE OCI Level-2 Apparent Optical "
                "Properties, version 1.0, NASA OB.DAAC"
            ),
            terms=_NASA_TERMS,
        ),
        Dataset(
            name="neon",
            title="NEON AOP reflectance tile of the site SERC, 2021, 1 km x 1 km, 1 m, 426 bands",
            file=RemoteFile(name=f"{_NEON}.h5", urls=(f"{_NEON_TILES}{_NEON}.h5",)),
            shape=(426, 1000, 1000),
            citation=(
                "NEON (National Ecological Observatory Network): Spectrometer orthorectified "
                "surface directional reflectance - mosaic (DP3.30006.001)"
            ),
            terms="NEON data policy: CC0 1.0; credit NEON",
        ),
        Dataset(
            name="tanager",
            title="Tanager basic radiance of 2025-05-11, coast of Abu Dhabi",
            file=RemoteFile(name=f"{_TANAGER}.h5", urls=(f"{_PLANET}{_TANAGER}.h5",)),
            citation="Planet Labs PBC: Tanager Core Imagery, open data",
            terms="CC-BY 4.0, Planet Labs PBC",
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
    """A dataset by its name; UsageError: there is none of that name.

    >>> dataset_named("paviau").shape
    (103, 610, 340)
    """
    if (entry := DATASETS.get(name.lower())) is None:
        hint = did_you_mean(name.lower(), DATASETS)
        raise UsageError(f"no dataset {name!r}; {hint}known: {', '.join(sorted(DATASETS))}")
    return entry

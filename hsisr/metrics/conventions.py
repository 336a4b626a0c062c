"""Named conventions: the same word (PSNR, SSIM, SAM...) means other sums in other papers.

A convention is a row of data; `hsisr.metrics.scoring` carries it out. Every figure has a sentence
that defines it, so that a number never travels without its meaning.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

from hsisr.errors import UsageError
from hsisr.metrics.local import GAUSSIAN_11, UNIFORM_7, Kernel

FIGURES: Final = ("mpsnr", "mssim", "sam", "cc", "ergas", "rmse", "uiqi")
"""Names of the figures, in the order in which they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convention:
    """How to count; `peak` below is the largest valid value of the reference (or of its group)."""

    name: str
    source: str
    """Where the definitions come from."""
    group_size: int | None = None
    """Bands scored together before taking the mean over groups; None: all bands at once."""
    group_step: int = 1
    live_bands_only: bool = False
    """Leave out bands that the bad-band list names and those that are constant."""
    normalise: bool = False
    """Divide both images by the peak of the reference first."""
    clip: bool = False
    """Clip the normalised estimate to [0, 1] first."""
    psnr: Literal["band", "cube"] = "band"
    """Mean over bands of the PSNR of a band, or PSNR of the error over all bands."""
    ssim_kernel: Kernel = UNIFORM_7
    ssim_range: Literal["spread", "peak"] = "spread"
    """Maximum minus minimum of the reference (or of its group), or the peak."""
    sam_zeros: Literal["skip", "tiny"] = "skip"
    sam_floor: float = 0.0
    """Spectra not longer than this are skipped."""
    single_precision: bool = False
    """PSNR and SAM in float32 steps, as the published code computes them."""
    cc: Literal["band", "cube"] = "band"
    """Mean over bands of the coefficient of a band, or one coefficient over all values."""
    rmse: Literal["band", "cube", "band/peak"] = "band"
    """Mean over bands of the RMSE, RMSE over all values, or the first divided by the peak."""

    def groups(self, bands: int) -> tuple[range, ...]:
        """Bands scored together, as 0-based ranges; one group if there are too few for the rule.

        >>> CONVENTIONS["dacn"].groups(103)
        (range(0, 32), range(24, 56), range(48, 80))
        """
        size = self.group_size
        if size is None or bands < size:
            return (range(bands),)
        starts = range(0, bands - size + 1, self.group_step)
        return tuple(range(start, start + size) for start in starts)


_DACN: Final = Convention(
    name="dacn",
    source="Muhammad et al., DACN, arXiv 2506.05041, published notebooks",
    group_size=32,
    group_step=24,
    sam_floor=1e-10,
    single_precision=True,
    cc="cube",
    rmse="band/peak",
)

CONVENTIONS: Final = {
    convention.name: convention
    for convention in (
        Convention(
            name="hsisr",
            source="hsisr: full spectrum, valid pixels and live bands only, no clipping",
            live_bands_only=True,
        ),
        _DACN,
        replace(
            _DACN,
            name="dacn-whole",
            source=f"{_DACN.source}; the same functions on all bands at once",
            group_size=None,
        ),
        Convention(
            name="sspsr",
            source="Jiang et al., SSPSR, IEEE TCI 6 (2020), published metrics.py",
            normalise=True,
            ssim_range="peak",
            rmse="cube",
        ),
        Convention(
            name="mcnet",
            source="Li et al., MCNet, Remote Sensing 12 (2020), published eval.py and test.py",
            normalise=True,
            clip=True,
            psnr="cube",
            ssim_kernel=GAUSSIAN_11,
            ssim_range="peak",
            sam_zeros="tiny",
            rmse="cube",
        ),
    )
}
"""Name -> convention; `hsisr` is the default."""


def convention_named(name: str) -> Convention:
    """Look a convention up.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in CONVENTIONS:
        raise UsageError(
            f"no convention {name!r}; choose one of {', '.join(sorted(CONVENTIONS))} "
            "with --convention"
        )
    return CONVENTIONS[name]


def definitions(convention: Convention, scale: int | None) -> dict[str, str]:
    """One sentence per figure of `FIGURES`: what exactly is computed."""
    peak = _DIVIDED if convention.normalise else "maximum of the reference"
    clip = _CLIPPED if convention.clip else ""
    mean = "; mean over band groups" if convention.group_size else ""
    ratio = "scale" if scale is None else str(scale)
    step = _step_words(convention)
    sentences = {
        "mpsnr": f"{_PSNR[convention.psnr]}, in dB, peak = {peak}{clip}{step}",
        "mssim": f"mean over bands of SSIM (Wang et al. 2004), {_ssim_words(convention)}{clip}",
        "sam": f"mean angle between the spectra of a pixel, in degrees, {_sam_words(convention)}",
        "cc": _CC[convention.cc],
        "ergas": f"100 / {ratio} * sqrt(mean over bands of (RMSE / mean of the reference)^2); "
        "bands of mean zero left out",
        "rmse": f"{_RMSE[convention.rmse]}{clip}",
        "uiqi": "mean over bands of the universal image quality index (Wang and Bovik 2002), "
        "8x8 windows that slide by 1 and hold valid pixels only",
    }
    return {name: sentence + mean for name, sentence in sentences.items()}


def band_definitions(convention: Convention) -> dict[str, str]:
    """One sentence per figure that exists for a single band; angles and ERGAS need all of them."""
    peak, unit = _DIVIDED, "after that division"
    if not convention.normalise:
        peak = "maximum of the reference over the bands scored together"
        unit = "in the unit of the values"
    mean = "; mean over the groups that hold the band" if convention.group_size else ""
    clip = _CLIPPED if convention.clip else ""
    sentences = {
        "psnr": f"10 log10(peak^2 / MSE of the band) in dB, peak = {peak}{clip}",
        "ssim": f"SSIM (Wang et al. 2004), {_ssim_words(convention)}{clip}",
        "cc": "Pearson's correlation of the band",
        "rmse": f"root mean squared error of the band, {unit}{clip}",
        "uiqi": "universal image quality index (Wang and Bovik 2002) of the band, 8x8 windows",
    }
    return {name: sentence + mean for name, sentence in sentences.items()}


_DIVIDED: Final = "1 (both images divided by the maximum of the reference)"
_CLIPPED: Final = ", estimate clipped to [0, 1]"
_PSNR: Final = {
    "band": "mean over bands of 10 log10(peak^2 / MSE of the band)",
    "cube": "10 log10(peak^2 / MSE over all bands)",
}
_CC: Final = {
    "band": "mean over bands of Pearson's correlation; constant bands left out",
    "cube": "Pearson's correlation of all values of all bands taken as one list",
}
_RMSE: Final = {
    "band": "mean over bands of the root mean squared error, in the unit of the values",
    "cube": "root mean squared error over all values, divided by the maximum of the reference",
    "band/peak": "mean over bands of the root mean squared error / maximum of the reference",
}


def _ssim_words(convention: Convention) -> str:
    kernel = convention.ssim_kernel
    divisor = "n - 1" if kernel.sample_covariance else "n"
    spread = {"spread": "maximum - minimum of the reference", "peak": "the peak"}
    return (
        f"window {kernel.name}, covariance / {divisor}, windows of valid pixels only, "
        f"range = {spread[convention.ssim_range]}"
    )


def _sam_words(convention: Convention) -> str:
    if convention.sam_zeros == "tiny":
        return "zeros replaced by 2.2204e-16; pixels valid in all scored bands"
    floor = convention.sam_floor
    zero = f"spectra not longer than {floor:g}" if floor else "zero spectra"
    step = _step_words(convention)
    return f"{zero} left out and counted; pixels valid in all scored bands{step}"


def _step_words(convention: Convention) -> str:
    return ", in single precision" if convention.single_precision else ""

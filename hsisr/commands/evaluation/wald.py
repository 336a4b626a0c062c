"""Wald's protocol: degrade a scene, super-resolve it back, compare with the scene itself.

Wald, Ranchin and Mangolini, PE&RS 63 (1997). The scene is its own truth, so no finer one is
needed; what holds at the coarser scale is taken to hold at the scene's own.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsisr.commands.degrade import degrade
from hsisr.commands.evaluation.evaluate import compared_numbers, figures_as_csv, score_pair
from hsisr.commands.options import DegradeOptions, WaldOptions
from hsisr.degradation import degradation_named
from hsisr.errors import InputDataError
from hsisr.io.base import Scene
from hsisr.io.open import cropped_to_multiple, open_scene, open_with
from hsisr.io.paths import scene_path
from hsisr.metrics import report as reports
from hsisr.metrics.conventions import FIGURES, convention_named
from hsisr.view.figure import check_picture

if TYPE_CHECKING:
    from hsisr.commands.upscale import UpscaleResult

PLAIN = "bicubic"
"""An interpolation that every model is shown beside, without agreement with the LR scene."""
BASELINE = "baseline"
"""Back-projected bicubic, which learns nothing; gains are stated over it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaldReport:
    """A model's figures on a scene, beside those of plain bicubic and of the baseline."""

    scene: Path
    scale: int
    method: str
    convention: str
    model: str
    numbers: str
    """What was compared: stored numbers or physical values."""
    cropped_to: tuple[int, int]
    """Rows and columns that were scored; the scene's last ones are left out if they do not fit."""
    scores: reports.Scores
    consistency: bool
    """Whether the model's result was made to agree with the degraded scene."""
    plain: reports.Scores
    """Of bicubic without back-projection."""
    baseline: reports.Scores
    """Of back-projected bicubic."""
    thresholds: tuple[reports.Threshold, ...]

    @property
    def gain(self) -> dict[str, float]:
        """Model minus baseline, figure by figure."""
        return self._less(self.baseline)

    def _less(self, other: reports.Scores) -> dict[str, float]:
        return {name: self.scores.values[name] - other.values[name] for name in FIGURES}

    @property
    def values(self) -> Mapping[str, float]:
        """The model's figures."""
        return self.scores.values

    @property
    def undefined(self) -> Mapping[str, str]:
        """Why a figure is missing."""
        return self.scores.undefined

    @property
    def failed(self) -> tuple[reports.Threshold, ...]:
        """The limits that the model's figures do not keep."""
        return tuple(limit for limit in self.thresholds if not limit.holds(self.scores.values))

    def as_dict(self, *, per_band: bool = False) -> dict[str, Any]:
        """Plain values for JSON; infinities are "inf", undefined figures null."""
        found = reports.scores_as_json(self.scores, per_band=per_band)
        return {
            "scene": str(self.scene),
            "protocol": "Wald: degrade, super-resolve, compare with the scene itself",
            "degradation": degradation_named(self.method).definition,
            "scale": self.scale,
            "convention": self.convention,
            "source": convention_named(self.convention).source,
            "numbers": self.numbers,
            "rows": self.cropped_to[0],
            "cols": self.cropped_to[1],
            "model": self.model,
            **found,
            "consistency": self.consistency,
            PLAIN: reports.scores_as_json(self.plain)["scores"],
            "gain": _plain(self._less(self.plain)),
            BASELINE: reports.scores_as_json(self.baseline)["scores"],
            "gain_over_baseline": _plain(self.gain),
            "thresholds": reports.verdicts_as_json(self.thresholds, self.values),
        }

    def as_table(self, *, per_band: bool = False) -> str:
        """Model, plain bicubic, baseline and the gain over the baseline as aligned text."""
        text = reports.table(
            [
                reports.Column(self.model, self.scores.values),
                reports.Column(f"plain {PLAIN}", self.plain.values),
                reports.Column(BASELINE, self.baseline.values),
                reports.Column("gain over baseline", self.gain, "+"),
            ]
        )
        return f"{text}\n\n{reports.band_table(self.scores)}" if per_band else text

    def as_csv(self, *, per_band: bool = False) -> str:
        """The same, or the model's figures of every band, as comma-separated text."""
        if per_band:
            return reports.bands_as_csv(self.scores)
        return figures_as_csv(
            reports.Column(self.model, {name: self.scores.values[name] for name in FIGURES}),
            reports.Column(f"plain {PLAIN}", self.plain.values),
            reports.Column("gain", self._less(self.plain)),
            reports.Column(BASELINE, self.baseline.values),
            reports.Column("gain over baseline", self.gain),
        )


def _plain(figures: Mapping[str, float]) -> dict[str, Any]:
    return {name: reports.jsonable(value) for name, value in figures.items()}


def evaluate_by_wald(source: str | Path, options: WaldOptions | None = None) -> WaldReport:
    """Judge a model on a scene that is its own truth.

    Works in a temporary folder, in float32, so that no rounding stands between the models.
    """
    source, options = scene_path(source), options or WaldOptions()
    if options.picture is not None:
        check_picture(options.picture, overwrite=options.overwrite)
    with degraded(source, options) as trial:
        name, scores = trial.scored(options.model, consistency=options.consistency)
        trial.draw(name, scores)
        _, plain = trial.scored(PLAIN, consistency=False)
        _, baseline = trial.scored(BASELINE, consistency=True)
        return WaldReport(
            scene=source,
            scale=options.scale,
            method=options.method,
            convention=options.convention,
            model=name,
            numbers=compared_numbers(trial.truth, trial.truth),
            cropped_to=(trial.truth.metadata.rows, trial.truth.metadata.cols),
            scores=scores,
            consistency=options.consistency,
            plain=plain,
            baseline=baseline,
            thresholds=options.thresholds,
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Trial:
    """A scene that waits, degraded, for models to bring it back; see `degraded`."""

    truth: Scene
    """What can be scored of the scene."""
    folder: Path
    """Temporary, with the degraded scene in it."""
    options: WaldOptions

    def upscaled(self, model: str | None, *, consistency: bool) -> "UpscaleResult":
        """Bring the degraded scene back; the result stays until the next one or the end."""
        from hsisr.commands.upscale import upscale  # torch loads only here
        from hsisr.engine.options import UpscaleOptions

        chosen = UpscaleOptions(
            scale=self.options.scale,
            model=model,
            consistency=consistency,
            device=self.options.device,
            overwrite=True,
        )
        return upscale(self.folder / "lr.tif", self.folder / "hr.tif", chosen)

    def scored(self, model: str | None, *, consistency: bool) -> tuple[str, reports.Scores]:
        """Bring it back and score it; returns the model's resolved name too."""
        result = self.upscaled(model, consistency=consistency)
        return result.model, self.scores(result.output, self.options.convention)

    def draw(self, name: str, scores: reports.Scores) -> None:
        """Draw the result at hand, where the options ask for a picture."""
        if self.options.picture is None:
            return
        from hsisr.view.maps import write_picture

        with (
            closing(open_scene(self.folder / "lr.tif")) as observed,
            closing(open_scene(self.folder / "hr.tif")) as estimate,
        ):
            write_picture(
                self.options.picture,
                reference=self.truth,
                observed=observed,
                estimate=estimate,
                scores=scores,
                name=name,
                overwrite=self.options.overwrite,
            )

    def scores(self, estimate: Path, convention: str) -> reports.Scores:
        """An estimate against the truth."""
        with closing(open_scene(estimate)) as guess:
            return score_pair(self.truth, guess, convention=convention, scale=self.options.scale)


@contextmanager
def degraded(source: Path, options: WaldOptions) -> Iterator[Trial]:
    """Degrade a scene into a temporary folder, for as many models as are to be tried on it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hsisr-wald-")))
        opened = open_with(source, options)
        truth = _truth(stack.enter_context(closing(opened)), options.scale)
        how = DegradeOptions(
            scale=options.scale,
            method=options.method,
            crop=True,
            dtype="float32",
            variable=options.variable,
            axes=options.axes,
            nodata=options.nodata,
        )
        degrade(source, folder / "lr.tif", how)
        yield Trial(truth=truth, folder=folder, options=options)


def _truth(scene: Scene, scale: int) -> Scene:
    """The part of the scene that can be degraded and scored."""
    rows, cols = scene.metadata.rows, scene.metadata.cols
    if min(rows, cols) < 2 * scale:
        raise InputDataError(
            f"{scene.path}: found {rows} x {cols} pixels, expected at least "
            f"{2 * scale} x {2 * scale} for scale {scale}; choose a smaller --scale"
        )
    return cropped_to_multiple(scene, scale)

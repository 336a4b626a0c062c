"""Judge an estimate: against a reference, against the scene it was made from, or both."""

import warnings
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.commands.evaluation.agreement import FIGURES as LR_FIGURES
from hsisr.commands.evaluation.agreement import (
    Agreement,
    measure_agreement,
    paired_strips,
    require_same_grid,
    strip_windows,
)
from hsisr.commands.options import EvaluateOptions
from hsisr.commands.python.calls import chosen_options, keywords_of
from hsisr.errors import HsisrError, InputDataError, UsageError, warn
from hsisr.io.base import Scene, comparable_as_stored, in_physical_unit, same_unit
from hsisr.io.open import open_scene, options_of_kind, part_of
from hsisr.io.paths import scene_path
from hsisr.io.views import infinite_numbers, warn_of_fill, warn_of_infinite, watched_for_digits
from hsisr.metrics import report as reports
from hsisr.metrics.conventions import FIGURES, convention_named
from hsisr.metrics.coverage import FACTORS, Coverage, CoverageSums
from hsisr.metrics.coverage import FIGURES as ERROR_FIGURES
from hsisr.metrics.scoring import PairStatistics, ScoreAccumulator
from hsisr.resume.record import provenance_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The verdict on an estimate."""

    estimate: Path
    reference: Path | None
    observed: Path | None
    convention: str
    scale: int | None
    numbers: str
    """What was compared: stored numbers or physical values."""
    scores: reports.Scores | None
    """Against the reference."""
    agreement: Agreement | None
    """With the observed scene."""
    thresholds: tuple[reports.Threshold, ...]
    coverage: Coverage | None = None
    """Of the standard errors, against the reference."""

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in self.values.items())
        return f"Report({self.estimate.name!r}: {figures})"

    @property
    def values(self) -> dict[str, float]:
        """All figures by name; NaN where undefined."""
        return {
            **(self.scores.values if self.scores else {}),
            **(self.agreement.figures if self.agreement else {}),
            **(self.coverage.figures if self.coverage else {}),
        }

    @property
    def undefined(self) -> Mapping[str, str]:
        """Why a figure is missing."""
        return self.scores.undefined if self.scores else {}

    @property
    def failed(self) -> tuple[reports.Threshold, ...]:
        """The limits that a figure does not keep."""
        return tuple(limit for limit in self.thresholds if not limit.holds(self.values))

    def as_dict(self, *, per_band: bool = False) -> dict[str, Any]:
        """Plain values for JSON; infinities are "inf", undefined figures null."""
        found: dict[str, Any] = {
            "reference": self.reference and str(self.reference),
            "estimate": str(self.estimate),
            "observed": self.observed and str(self.observed),
            "convention": self.convention,
            "source": convention_named(self.convention).source,
            "scale": self.scale,
            "numbers": self.numbers,
        }
        if self.scores:
            found |= reports.scores_as_json(self.scores, per_band=per_band)
        if self.agreement:
            found["agreement"] = self.agreement.as_dict()
        if self.coverage:
            found["uncertainty"] = self.coverage.as_dict()
        found["thresholds"] = reports.verdicts_as_json(self.thresholds, self.values)
        return found

    def as_table(self, *, per_band: bool = False) -> str:
        """The figures as aligned text."""
        text = reports.table([reports.Column(self.estimate.name, self.values)])
        if per_band and self.scores:
            text += f"\n\n{reports.band_table(self.scores)}"
        return text

    def as_csv(self, *, per_band: bool = False) -> str:
        """The figures, or those of every band, as comma-separated text."""
        if per_band and self.scores:
            return reports.bands_as_csv(self.scores)
        return figures_as_csv(reports.Column("value", self.values))


def figures_as_csv(*columns: reports.Column) -> str:
    """Figures as comma-separated text, one line per figure, one column per estimate."""
    rows = (
        (
            name,
            reports.UNITS.get(name, ""),
            *(reports.jsonable(one.values[name]) for one in columns),
        )
        for name in columns[0].values
    )
    return reports.as_csv(("figure", "unit", *(column.title for column in columns)), rows)


@keywords_of(EvaluateOptions)
def evaluate(
    reference: str | Path | None,
    estimate: str | Path,
    options: EvaluateOptions | None = None,
    **keywords: Any,
) -> Report:
    """Judge an estimate against a reference, against the scene it was made from, or both.

    Reads both files twice, strip by strip: once for ranges and valid bands, once for the scores.

    Args:
        reference: The true scene on the same grid, or None where only `observed` is given.
        estimate: What was made.
        options: How; keywords change it.
        keywords: Fields of `EvaluateOptions`, such as observed, scale, convention or minimum.

    Returns:
        The figures by name in `values`, and the agreement with the observed scene.

    Raises:
        InputDataError: A scene cannot be read, or the grids do not fit.
        UsageError: There is nothing to judge by, or an option is unknown or impossible.
        OutputExistsError: The picture exists and `overwrite` is off.
    """
    options = chosen_options(EvaluateOptions, options, keywords)
    truth = None if reference is None else scene_path(reference)
    estimate = scene_path(estimate)
    _require_something_to_judge_by(truth, options)
    if options.picture is not None:
        from hsisr.view.figure import check_picture

        check_picture(options.picture, overwrite=options.overwrite)
    known_files = [path for path in (truth, options.observed) if path is not None]
    files = {estimate: options.estimate_variable, **dict.fromkeys(known_files, options.variable)}
    axes, alone = axes_of(files, options.axes), len(known_files) == 1
    with ExitStack() as stack:
        guess = stack.enter_context(closing(_opened_estimate(estimate, options, axes[estimate])))
        observed = _opened(stack, options.observed, options, axes, alone=alone)
        known = _opened(stack, truth, options, axes, alone=alone)
        agreement = None if observed is None else measure_agreement(observed, guess)
        scale = _ratio(options.scale, agreement)
        scores = None
        if known is not None:
            scores = score_pair(known, guess, convention=options.convention, scale=scale)
        coverage = None
        if known is not None and options.uncertainty is not None:
            errors = part_of(open_scene(scene_path(options.uncertainty)), options)
            stack.enter_context(closing(errors))
            coverage = measure_coverage(known, guess, errors)
        if options.picture is not None:
            from hsisr.view.maps import write_picture

            write_picture(
                options.picture,
                reference=known,
                observed=observed,
                estimate=guess,
                scores=scores,
                overwrite=options.overwrite,
            )
        against = known or observed or guess
        return Report(
            estimate=estimate,
            reference=truth,
            observed=options.observed,
            convention=options.convention,
            scale=scale,
            numbers=compared_numbers(against, guess),
            scores=scores,
            agreement=agreement,
            thresholds=options.thresholds,
            coverage=coverage,
        )


def axes_of(files: Mapping[Path, str | None], axes: str | None) -> dict[Path, str | None]:
    """The order of axes to open each file with; of each, the variable to be opened is given.

    It is for all whose kind takes one; of several, not for those that hsisr wrote, whose order
    their reader finds. Where none takes one, it is for all, and they refuse it.
    """
    takers = [file for file in files if options_of_kind(file, None, axes)[1]]
    if len(takers) > 1:
        own = [file for file in takers if _is_own(file, files[file])]
        return {file: axes if file in takers and file not in own else None for file in files}
    return {file: axes if file in (takers or files) else None for file in files}


def _is_own(file: Path, variable: str | None) -> bool:
    variable = options_of_kind(file, variable, None)[0]
    with (
        warnings.catch_warnings(action="ignore"),
        suppress(HsisrError),
        open_scene(file, variable=variable) as scene,
    ):
        return bool(provenance_of(scene.metadata))
    return False


def _opened(
    stack: ExitStack,
    path: Path | None,
    options: EvaluateOptions,
    axes: Mapping[Path, str | None],
    *,
    alone: bool,
) -> Scene | None:
    """Open a known file; of two, only those whose kind takes `variable` get it."""
    if path is None:
        return None
    variable = options.variable if alone else options_of_kind(path, options.variable, None)[0]
    scene = open_scene(path, variable=variable, axes=axes[path], nodata=options.nodata)
    scene = stack.enter_context(closing(part_of(watched_for_digits(scene), options)))
    return warn_of_fill(scene) if options.nodata is None else scene


def _opened_estimate(path: Path, options: EvaluateOptions, axes: str | None) -> Scene:
    """The estimate, to which `nodata` applies where its file names no such number."""
    how = {"variable": options.estimate_variable, "axes": axes}
    try:
        scene = open_scene(path, **how)
    except (InputDataError, UsageError) as error:  # the estimate has an option of its own
        raise type(error)(str(error).replace("--variable", "--estimate-variable")) from error
    if options.nodata is not None and scene.metadata.stored.nodata is None:
        scene.close()
        scene = open_scene(path, **how, nodata=options.nodata)
    part = part_of(watched_for_digits(scene), options)
    return warn_of_fill(part) if options.nodata is None else part


def _ratio(given: int | None, agreement: Agreement | None) -> int | None:
    """Of pixel sizes: the given one, which has to be that of the observed scene, or that."""
    if agreement is None:
        return given
    if given not in (None, agreement.scale):
        raise UsageError(
            f"found --scale {given}, but the pixels of the scene of --lr are {agreement.scale} "
            "times as large as the estimate's; leave --scale out"
        )
    return agreement.scale


def compared_numbers(one: Scene, other: Scene) -> str:
    """What of two scenes is compared, in words."""
    return "stored numbers" if comparable_as_stored(one, other) else "physical values"


def score_pair(
    reference: Scene, estimate: Scene, *, convention: str = "hsisr", scale: int | None = None
) -> reports.Scores:
    """Score one opened scene against another on the same grid."""
    require_same_grid(reference, estimate)
    statistics = PairStatistics(reference.metadata.bands)
    infinite, total = np.zeros(2, np.int64), np.zeros(2)
    none_said = reference.metadata.stored.nodata, estimate.metadata.stored.nodata
    for strip in paired_strips(reference, estimate):
        statistics.add(strip.reference, strip.reference_valid, strip.predicted_valid)
        numbers = strip.reference, strip.predicted
        infinite += list(map(infinite_numbers, numbers, none_said))
        total += [np.abs(one, where=strip.valid, out=np.zeros_like(one)).sum() for one in numbers]
    warn_of_infinite(reference, infinite[0])
    warn_of_infinite(estimate, infinite[1])
    _warn_about_lost(statistics, estimate)
    _warn_about_sizes(total, estimate)
    scoring = ScoreAccumulator(
        convention_named(convention),
        statistics,
        scale=scale,
        good=reference.metadata.spectral_axis.good,
    )
    for strip in paired_strips(reference, estimate):
        scoring.add(strip.reference, strip.predicted, strip.valid)
    return scoring.scores()


def measure_coverage(reference: Scene, estimate: Scene, uncertainty: Scene) -> Coverage:
    """Compare errors with standard errors, over values that are data in all three scenes."""
    for scene in (estimate, uncertainty):
        require_same_grid(reference, scene)
    told = provenance_of(uncertainty.metadata)
    try:
        factors = float(told[FACTORS[0]]), float(told[FACTORS[1]])
    except (LookupError, ValueError) as error:
        raise InputDataError(
            f"{uncertainty.path}: found no tags HSISR_{FACTORS[0]} and HSISR_{FACTORS[1]}, "
            "expected a file of hsisr upscale --uncertainty"
        ) from error
    sums = CoverageSums(reference.metadata.bands, factors)
    for window in strip_windows(reference.metadata):
        truth, guess, errors = (s.read(window) for s in (reference, estimate, uncertainty))
        valid = truth.valid & guess.valid & errors.valid
        x, y, sigma = truth.values, guess.values, errors.values
        if not same_unit(reference, estimate):
            x, y, sigma = (
                in_physical_unit(values, scene)
                for values, scene in ((x, reference), (y, estimate), (sigma, uncertainty))
            )
        sums.add(np.abs(x - y), sigma, valid)
    return sums.coverage()


def _require_something_to_judge_by(reference: Path | None, options: EvaluateOptions) -> None:
    if options.uncertainty is not None and reference is None:
        raise UsageError("--uncertainty needs a REFERENCE, which is not given")
    measured = {*(FIGURES if reference else ()), *(LR_FIGURES if options.observed else ())}
    measured |= {*(ERROR_FIGURES if options.uncertainty else ())}
    if not measured:
        raise UsageError(
            "found one scene only, expected something to judge it by: "
            "name a REFERENCE before it, or the observed scene with --lr"
        )
    for limit in options.thresholds:
        if limit.figure not in measured:
            need = "--lr OBSERVED" if limit.figure in LR_FIGURES else "a REFERENCE"
            need = "--uncertainty FILE" if limit.figure in ERROR_FIGURES else need
            raise UsageError(f"the limit {limit} needs {need}, which is not given")


def _warn_about_lost(statistics: PairStatistics, estimate: Scene) -> None:
    if statistics.lost:
        part = statistics.lost / max(1, int(statistics.reference_count.sum()))
        warn(
            f"{estimate.path.name} has no data for {statistics.lost} values ({part:.2%}) that "
            "the reference has; they are not scored"
        )


_OTHER_UNIT: Final = 100
"""How many times as large as a reference's the numbers of an estimate hardly are."""


def _warn_about_sizes(total: npt.NDArray[np.float64], estimate: Scene) -> None:
    reference, other = total
    if reference and other and not 1 / _OTHER_UNIT < reference / other < _OTHER_UNIT:
        warn(
            f"the numbers of {estimate.path.name} are {other / reference:.3g} times as large as "
            "the reference's; look for another unit, or a scale that only one file names"
        )

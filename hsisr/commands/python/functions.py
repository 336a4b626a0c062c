"""The commands as functions with keywords: `hsisr.upscale("scene.tif", "out.tif", scale=2)`.

A keyword is a field of the command's options dataclass, which may be given instead.
"""

from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, overload

from hsisr.commands import degrade as degrading
from hsisr.commands.degrade import DegradeResult
from hsisr.commands.evaluation import evaluate as evaluating
from hsisr.commands.evaluation.evaluate import Report
from hsisr.commands.info import SceneInfo, describe
from hsisr.commands.options import DegradeOptions, EvaluateOptions, PartOptions, TrainOptions
from hsisr.commands.python.calls import Advance, Progress, chosen_options, keywords_of, shown
from hsisr.engine.options import UpscaleOptions
from hsisr.errors import UsageError
from hsisr.io.paths import scene_path

if TYPE_CHECKING:
    from xarray import DataArray

    from hsisr.commands.job import UpscaleResult
    from hsisr.commands.training.record import TrainResult
    from hsisr.engine.session import Session
    from hsisr.training.state import Progress as Steps
    from hsisr.training.state import Record


@overload
def upscale(
    source: str | Path,
    output: str | Path | None = None,
    options: UpscaleOptions | None = None,
    *,
    session: "Session | None" = None,
    progress: Progress = None,
    **keywords: Any,
) -> "UpscaleResult": ...


@overload
def upscale(
    source: "DataArray",
    output: None = None,
    options: UpscaleOptions | None = None,
    *,
    progress: Progress = None,
    **keywords: Any,
) -> "DataArray": ...


@keywords_of(UpscaleOptions)
def upscale(
    source: "str | Path | DataArray",
    output: str | Path | None = None,
    options: UpscaleOptions | None = None,
    *,
    session: "Session | None" = None,
    progress: Progress = None,
    **keywords: Any,
) -> "UpscaleResult | DataArray":
    """Make a scene with `scale` times smaller pixels.

    A file becomes a file: CRS, bounds, wavelengths and every other field are carried over, invalid
    pixels stay invalid, and the output appears whole or not at all. An `xarray.DataArray` becomes
    one: see `upscale_dataarray`.

    Args:
        source: A scene in any supported format, or a DataArray with bands, rows and columns.
        output: The file to make; its suffix names the format. None for a DataArray, and for
            NAME_x4 beside the scene, in its format where that can be written.
        options: How; keywords change it.
        session: The model, ready, for many files alike.
        progress: True for a bar in a notebook or on a terminal, or a function that is called with
            the tiles finished and the tiles in all.
        keywords: Fields of `UpscaleOptions`, such as scale, model, tile, dtype or overwrite.

    Returns:
        For a file what was made and how; for a DataArray the finer one.

    Raises:
        InputDataError: The scene cannot be read.
        OutputExistsError: The output exists and `overwrite` is off.
        WeightsError: The model cannot be found or used.
        ResourceError: The machine lacks space, memory or a device.
        UsageError: The options are unknown, impossible or contradict the scene.

    Example:
        >>> hsisr.upscale("scene.tif", "finer.tif", scale=4, progress=True)  # doctest: +SKIP
        UpscaleResult('finer.tif': 200 bands, 60 x 60 -> 240 x 240, dacn-equivariant-x4-7, 8.3 s)
    """
    if not isinstance(source, (str, Path)) or not isinstance(output, (str, Path, NoneType)):
        if output is not None or not hasattr(source, "coords"):
            found = " and ".join(type(one).__name__ for one in (source, output) if one is not None)
            raise UsageError(
                f"found {found}, expected the name of a scene and of an output, "
                "or a DataArray alone; hsisr.upscale_array takes NumPy arrays"
            )
        from hsisr.commands.python.dataarray import upscale_dataarray

        return upscale_dataarray(source, options, progress=progress, **keywords)
    from hsisr.commands.archive.select import output_beside
    from hsisr.commands.upscale import upscale as run

    if session is not None:
        from hsisr.engine.session import Session

        if not isinstance(session, Session):
            raise UsageError(f"found {type(session).__name__} for session, expected a Session")
        options = session.options if options is None else options
    chosen = chosen_options(UpscaleOptions, options, keywords)
    if output is None:
        output = output_beside(scene_path(source), chosen)
    with shown(progress, Path(source).name) as advance:
        return run(source, output, chosen, session=session, progress=advance)


@keywords_of(PartOptions)
def info(source: str | Path, options: PartOptions | None = None, **keywords: Any) -> SceneInfo:
    """What is in a scene: size, numbers, wavelengths, nodata, place; pixels are only sampled.

    Args:
        source: A scene in any supported format.
        options: How it is read, and what of it; keywords change it.
        keywords: Fields of `PartOptions`, such as variable, axes, nodata, window or bands.

    Raises:
        InputDataError: It cannot be read.
        UsageError: The options are unknown, impossible or contradict the scene.
    """
    return describe(scene_path(source), chosen_options(PartOptions, options, keywords))


@keywords_of(DegradeOptions)
def degrade(
    source: str | Path, output: str | Path, options: DegradeOptions | None = None, **keywords: Any
) -> DegradeResult:
    """Make a scene with `scale` times larger pixels, as a coarser sensor would have seen it.

    Args:
        source: A scene in any supported format.
        output: The file to make; its suffix names the format.
        options: How; keywords change it.
        keywords: Fields of `DegradeOptions`, such as scale, method or crop.

    Raises:
        InputDataError: The scene cannot be read, or its sides do not divide by the scale.
        OutputExistsError: The output exists and `overwrite` is off.
        ResourceError: The output cannot be written.
        UsageError: The options are unknown, impossible or contradict the scene.
    """
    return degrading.degrade(source, output, chosen_options(DegradeOptions, options, keywords))


@keywords_of(EvaluateOptions)
def evaluate(
    reference: str | Path | None,
    estimate: str | Path,
    options: EvaluateOptions | None = None,
    **keywords: Any,
) -> Report:
    """Judge an estimate against a reference, against the scene it was made from, or both.

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
    chosen = chosen_options(EvaluateOptions, options, keywords)
    return evaluating.evaluate(reference, estimate, chosen)


class _Observer:
    def __init__(self, advance: Advance) -> None:
        self._advance = advance

    def stepped(self, progress: "Steps", total: int, loss: float, rate: float) -> None:  # noqa: ARG002
        """A step is done."""
        self._advance(progress.step, total)

    def validated(self, record: "Record", progress: "Steps") -> None:
        """A validation is done."""


@keywords_of(TrainOptions)
def train(
    scenes: str | Path | Sequence[str | Path] = (),
    options: TrainOptions | None = None,
    *,
    progress: Progress = None,
    **keywords: Any,
) -> "TrainResult":
    """Train a network, or adapt released weights; writes weights, model card and run.json.

    Args:
        scenes: Files and folders to learn from; empty where `dataset` names a public scene.
        options: What and how; keywords change it.
        progress: True for a bar in a notebook or on a terminal, or a function that is called with
            the steps done and the steps in all.
        keywords: Fields of `TrainOptions`, such as scale, model, init, recipe, max_minutes or out.

    Raises:
        UsageError: The options are unknown, impossible or contradict the data.
        InputDataError: A scene cannot be read or used.
        WeightsError: The weights to start from cannot be used.
        OutputExistsError: The folder holds a run, and neither `resume` nor `overwrite` is given.
        ResourceError: The machine lacks something.
        HsisrError: Training broke down.
    """
    from hsisr.commands.training import train as training

    named = {"scenes": scenes} if scenes else {}
    chosen = chosen_options(TrainOptions, options, {**named, **keywords})
    with shown(progress, "training", "steps") as advance:
        return training.train(chosen, observer=advance and _Observer(advance))

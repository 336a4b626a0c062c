"""Commands that take more from Python than options: DataArrays, sessions, progress of their own."""

from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, overload

from hsisr.commands.options import TrainOptions
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
        session: The model, ready, for many files alike; not for DataArrays.
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
        UpscaleResult('finer.tif': 200 bands, 60 x 60 -> 240 x 240, dacn-equivariant-x4-8, 8.3 s)
    """
    if not isinstance(source, (str, Path)) or not isinstance(output, (str, Path, NoneType)):
        if output is not None or not hasattr(source, "coords"):
            found = " and ".join(type(one).__name__ for one in (source, output) if one is not None)
            raise UsageError(
                f"found {found}, expected the name of a scene and of an output, "
                "or a DataArray alone; hsisr.upscale_array takes NumPy arrays"
            )
        if session is not None:
            raise UsageError(
                "found a session, which is for scenes in files; of DataArrays keep the network, as "
                "in model=hsisr.load_model('dacn-any-x4')"
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

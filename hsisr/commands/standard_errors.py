"""The file with a standard error for every value of an output: what it is, and that it is right."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from hsisr.commands.coverage import FACTORS
from hsisr.commands.job import Job
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.session import Model
from hsisr.engine.uncertainty import ErrorModel, StandardErrors, levels, model_of
from hsisr.errors import UsageError, WeightsError
from hsisr.io.async_writer import writing_async
from hsisr.io.atomic import refuse_existing
from hsisr.io.base import SceneWriter, TargetOptions
from hsisr.io.paths import RemotePath
from hsisr.io.write import create_writer
from hsisr.resume.provenance import PREFIX


def check_uncertainty(output: Path, options: UpscaleOptions, model: Model) -> None:
    """Refuse early what `writing_errors` could not write.

    Raises:
        UsageError: The file is not a GeoTIFF in the folder of the output, or the output is remote
            or on a map grid.
        OutputExistsError: It exists and `overwrite` is off.
        WeightsError: Nothing is known of the model's error.
    """
    path = options.uncertainty
    if path is None:
        return
    if isinstance(output, RemotePath) or options.ortho:
        where = "a remote output" if isinstance(output, RemotePath) else "--ortho"
        raise UsageError(f"found --uncertainty with {where}; leave one of them out")
    here = path.resolve().parent == output.resolve().parent and path.name != output.name
    if not here or path.suffix.lower() not in (".tif", ".tiff"):
        raise UsageError(
            f"--uncertainty {path}: expected another .tif in {output.parent}, the folder of the "
            "output, so that both appear together"
        )
    _known(model)
    if not options.resume:
        refuse_existing((path,), overwrite=options.overwrite)


def _known(model: Model) -> ErrorModel:
    found = None if model.sha256 is None else model_of(model.sha256)
    if found is None:
        raise WeightsError(
            f"--uncertainty: nothing is known of the error of {model.name}; expected weights that "
            "are released with a model of it"
        )
    return found


@contextmanager
def writing_errors(job: Job, output: SceneWriter) -> Iterator[StandardErrors | None]:
    """What takes the standard errors of a run; the file appears when `output` is committed."""
    path = job.options.uncertainty
    if path is None:
        yield None
        return
    model, result = _known(job.session.model), job.metadata
    level = levels(job.scene.whole).subset(job.bands)
    stored = replace(result.stored, dtype=np.dtype(np.float32), nodata=np.nan, offsets=None)
    tags = dict(zip(FACTORS, model.factors.tolist(), strict=True))
    told = {
        f"{PREFIX}STANDARD_ERROR_OF": job.output.name,
        **{f"{PREFIX}{name}": f"{factor:.4g}" for name, factor in tags.items()},
    }
    metadata = replace(result, stored=stored, tags={**result.tags, **told}, geolocation=None)
    target = TargetOptions(format="GTiff", threads=job.target.threads)
    grown = output.companion(path)
    with writing_async(create_writer(grown, metadata, target)) as writer:
        yield StandardErrors(model, level, writer, whole=result.stored.dtype.kind != "f")

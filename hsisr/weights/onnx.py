"""Networks as ONNX files, for programs without PyTorch."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from hsisr.errors import ResourceError, WeightsError
from hsisr.io.atomic import TemporaryPlace, resource_errors
from hsisr.weights.store import METADATA_KEY, LoadedWeights

TOLERANCE: Final = 1e-4
"""Largest difference from PyTorch, in normalised numbers, that an exported network may have."""
_SIZES: Final = ((1, 12, 10), (2, 17, 9))
"""Tiles, rows and columns that the export is traced with, and that it is checked with."""


def export_onnx(weights: LoadedWeights, path: Path, *, overwrite: bool = False) -> float:
    """Write a network as ONNX: inputs `lr` and `zero`, output `hr`, any number of rows and columns.

    The descriptor and the model card travel as JSON under the metadata key `hsisr`. The file is
    run by onnxruntime, on sizes that it was not traced with, and compared with PyTorch before it
    appears.

    Returns:
        The largest difference from PyTorch, in normalised numbers.

    Raises:
        ResourceError: `onnx`, `onnxscript` or `onnxruntime` is not installed, or the file cannot
            be written.
        WeightsError: The network cannot be exported, or gives other numbers there.
        OutputExistsError: The file is there already.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ResourceError(
            f"ONNX needs {error.name}; install it with pip install 'hsisr[onnx]'"
        ) from error
    place = TemporaryPlace(path, overwrite=overwrite)
    try:
        file = place.file(path.name)
        model = _exported(weights)
        facts = {"descriptor": asdict(weights.descriptor), "card": dict(weights.card)}
        onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(facts, sort_keys=True)})
        with resource_errors(path):
            onnx.save(model, str(file))
        difference = _difference(weights, file)
        if not difference <= TOLERANCE:
            raise WeightsError(
                f"{weights.name}: as ONNX it differs from PyTorch by {difference:.2g}, expected at "
                f"most {TOLERANCE:g}; this network cannot be exported"
            )
        place.commit([(file, path)])
    finally:
        place.discard()
    return difference


def _exported(weights: LoadedWeights) -> Any:
    lr, zero = _inputs(weights, _SIZES[0])
    with torch.no_grad():
        weights.network(lr, zero)  # what layers compute once is no part of the graph
    dynamic = torch.export.Dim.DYNAMIC
    try:
        with _quietly():
            program = torch.onnx.export(
                weights.network,
                (lr, zero),
                dynamo=True,
                input_names=["lr", "zero"],
                output_names=["hr"],
                dynamic_shapes={"lr": {0: dynamic, 2: dynamic, 3: dynamic}, "zero": {}},
            )
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(
            f"{weights.name}: PyTorch cannot export this network: {reason}"
        ) from error
    if program is None:
        raise WeightsError(f"{weights.name}: PyTorch exported nothing")
    return program.model_proto


def _inputs(weights: LoadedWeights, size: tuple[int, int, int]) -> tuple[torch.Tensor, ...]:
    count, rows, cols = size
    draw, bands = torch.Generator().manual_seed(0), weights.descriptor.group_size
    lr = torch.randn(max(2, count), bands, rows, cols, generator=draw)
    return lr, torch.randn(1, bands, 1, 1, generator=draw)


def _difference(weights: LoadedWeights, file: Path) -> float:
    """Largest difference between onnxruntime and PyTorch over some sizes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    differences = []
    for size in _SIZES:
        inputs = _inputs(weights, size)
        with torch.inference_mode():
            expected = weights.network(*inputs).numpy()
        given = dict(zip(("lr", "zero"), (tensor.numpy() for tensor in inputs), strict=True))
        wanted = {entry.name for entry in session.get_inputs()}  # some networks use no zero
        found = session.run(None, {name: given[name] for name in wanted})[0]
        differences.append(float(np.abs(found - expected).max()))
    return max(differences)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporter says of its steps and of its own deprecations."""
    talk = io.StringIO()
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(talk), redirect_stderr(talk):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

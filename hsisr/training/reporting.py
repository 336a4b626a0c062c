"""What a run leaves behind beside its weights: run.json, a learning curve, TensorBoard events."""

import importlib.util
import io
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hsisr.io.atomic import replace_file
from hsisr.metrics.report import jsonable, picture_label
from hsisr.training.distributed import Workers
from hsisr.training.state import Progress, Record

_LOG_EVERY = 20


class RunLog:
    """Keeps run.json up to date: `facts`, known before the first step, and every validation."""

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path = path
        self.facts = dict(facts)

    def stepped(self, progress: Progress, total: int, loss: float, rate: float) -> None:
        """Nothing: a step is too short to be written down."""

    def validated(self, record: Record, progress: Progress) -> None:  # noqa: ARG002
        """Write what is known so far."""
        self.write(progress, {"ending": "running"})

    def write(self, progress: Progress, more: Mapping[str, Any]) -> None:
        """Write the whole file anew."""
        table = {
            **self.facts,
            **more,
            "steps": progress.step,
            "seconds": round(progress.seconds, 3),
            "best_step": progress.best_step,
            "validations": [
                {
                    key: jsonable(v) if isinstance(v, float) else v
                    for key, v in asdict(record).items()
                }
                for record in progress.history
            ],
        }
        text = json.dumps(table, indent=2, allow_nan=False, default=str)
        replace_file(self.path, f"{text}\n".encode())


def machine(device: torch.device, workers: Workers) -> dict[str, Any]:
    """Hardware and versions of a run, as plain values."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else machine_name()
    return {
        "hardware": {
            "device": f"{device.type}: {name}",
            "threads": torch.get_num_threads(),
            "processes": workers.count,
        },
        "versions": {
            "hsisr": version("hsisr"),
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
    }


def machine_name() -> str:
    """What the processor calls itself, where the system says so."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        named = []
    return f"{named[0] if named else platform.machine()}, {os.cpu_count() or 1} cores"


def draw_curve(path: Path, history: Sequence[Record], title: str) -> None:
    """A PNG with loss and validation score over the steps, bicubic as a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    steps = [r.step for r in history]
    upper.plot(steps, [r.score for r in history], marker=".", label="network")
    upper.plot(steps, [r.bicubic for r in history], linestyle="--", label="bicubic")
    baseline = [r.baseline if r.baseline is not None else math.nan for r in history]
    upper.plot(steps, baseline, linestyle=":", label="bicubic that agrees")
    upper.set_ylabel("validation MPSNR (dB)")
    upper.legend()
    upper.set_title(picture_label(title))
    losses = [(r.step, r.loss) for r in history if r.loss is not None]
    lower.plot([s for s, _ in losses], [loss for _, loss in losses], marker=".")
    if all(loss > 0 for _, loss in losses) and losses:
        lower.set_yscale("log")
    lower.set_ylabel("training loss")
    lower.set_xlabel("step")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    replace_file(path, content.getvalue())


def tensorboard_installed() -> bool:
    """Whether the optional package is there."""
    return importlib.util.find_spec("tensorboard") is not None


class TensorBoard:
    """Scalars and pictures for TensorBoard, which needs the `train` extra, in a folder."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder))

    def stepped(self, progress: Progress, total: int, loss: float, rate: float) -> None:  # noqa: ARG002
        """Note loss and learning rate, now and then."""
        if progress.step % _LOG_EVERY == 0:
            self._writer.add_scalar("loss", loss, progress.step)
            self._writer.add_scalar("learning rate", rate, progress.step)

    def validated(self, record: Record, progress: Progress) -> None:  # noqa: ARG002
        """Note the scores."""
        pairs = {"network": record.score, "bicubic": record.bicubic}
        self._writer.add_scalars("MPSNR", pairs, record.step)
        pairs = {"network": record.sam, "bicubic": record.bicubic_sam}
        self._writer.add_scalars("SAM", pairs, record.step)
        self._writer.flush()

    def show(self, step: int, picture: npt.NDArray[np.float32]) -> None:
        """Keep a picture, shape (3, rows, cols), from 0 to 1."""
        self._writer.add_image("truth, bicubic, network", picture, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()

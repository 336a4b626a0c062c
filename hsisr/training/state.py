"""The training state: everything a run needs to go on as if it had never stopped.

One safetensors file with the tensors and, in its header, the rest as JSON: no pickle. It is
written beside its place, flushed to the disk and renamed, so that a complete state is always
there, whenever the machine stops. Patches are a function of seed and step, so the state of a
random generator is not part of it.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from hsisr.errors import InputDataError
from hsisr.io.atomic import replace_file

_KEY = "hsisr_training_state"
_VERSION = 1
_DAMAGED: Final = (
    *(OSError, SafetensorError, KeyError, ValueError, TypeError, RecursionError),
    msgspec.ValidationError,
)
_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
_Finite = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]
_Size = Annotated[float, msgspec.Meta(ge=0, le=1e300)]
_Score = Annotated[float, msgspec.Meta(ge=-1e300)]
"""Infinite where a network hits every number."""
BASELINE: Final = "bicubic that agrees with the LR pixels"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One validation."""

    step: _Count
    seconds: _Size
    """Of training, pauses not counted."""
    loss: _Finite | None
    """Mean training loss since the validation before; None before the first step."""
    learning_rate: _Size
    score: _Score
    """MPSNR of the network over the validation windows, in dB."""
    bicubic: _Score
    """MPSNR of bicubic interpolation over the same windows, in dB."""
    sam: _Finite
    """Mean spectral angle of the network, in degrees."""
    bicubic_sam: _Finite
    baseline: _Score | None = None
    """MPSNR of back-projected bicubic, in dB; None in states of before 0.2."""
    baseline_sam: _Finite | None = None

    @property
    def gain(self) -> tuple[float, float, str]:
        """In dB and degrees, and over what: the baseline, or bicubic where it is not known."""
        if self.baseline is None or self.baseline_sam is None:
            return self.score - self.bicubic, self.sam - self.bicubic_sam, "bicubic interpolation"
        return self.score - self.baseline, self.sam - self.baseline_sam, BASELINE


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a run has come."""

    step: _Count = 0
    seconds: _Size = 0.0
    validated_step: Annotated[int, msgspec.Meta(ge=-1)] = -1
    """Step of the last validation; -1 before the first."""
    best_step: _Count = 0
    best_score: _Score | None = None
    waiting: _Count = 0
    """Validations since the best one."""
    history: list[Record] = field(default_factory=list)
    loss_sum: _Finite = 0.0
    """Of the losses since the last validation."""
    loss_count: _Count = 0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainingState:
    """What is saved."""

    progress: Progress
    fingerprint: dict[str, Any]
    """What must be the same for a run to be continued: scenes, recipe, network, seed."""
    tensors: dict[str, dict[str, torch.Tensor]]
    """By part (network, average, best) and name."""
    optimiser: dict[int, dict[str, torch.Tensor]]
    """By the number of the parameter and the name of the quantity."""


def save_state(path: Path, state: TrainingState) -> None:
    """Write a state, whole or not at all."""
    flat = {f"{part}/{n}": t for part, named in state.tensors.items() for n, t in named.items()}
    for number, named in state.optimiser.items():
        flat |= {f"optimiser/{number}/{name}": tensor for name, tensor in named.items()}
    # a copy each: the parts may share memory, which safetensors refuses
    own = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in flat.items()}
    rest = {"progress": asdict(state.progress), "fingerprint": state.fingerprint}
    replace_file(path, save(own, {_KEY: json.dumps({"version": _VERSION, **rest})}))


def load_state(path: Path, *, tensors: bool = True) -> TrainingState:
    """Read a state back; without `tensors` it has no weights and optimiser, and takes no time.

    Raises:
        InputDataError: It is not a training state, or not a whole one.
    """
    try:
        with safe_open(path, "pt") as file:
            found = json.loads((file.metadata() or {})[_KEY])
            names = file.keys() if tensors else ()
            flat = {name: file.get_tensor(name) for name in names}
        if found["version"] != _VERSION:
            raise InputDataError(
                f"{path}: a training state of version {found['version']}, expected {_VERSION}; "
                "continue it with the hsisr that wrote it, or start anew with --overwrite"
            )
        return _unpacked(found, flat)
    except _DAMAGED as error:
        if isinstance(error, InputDataError):
            raise
        raise InputDataError(
            f"{path}: not a training state of hsisr ({error}); start anew with --overwrite"
        ) from error


def _unpacked(found: dict[str, Any], flat: dict[str, torch.Tensor]) -> TrainingState:
    tensors: dict[str, dict[str, torch.Tensor]] = {}
    optimiser: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in flat.items():
        part, rest = name.split("/", 1)
        if part == "optimiser":
            number, quantity = rest.split("/")
            optimiser.setdefault(int(number), {})[quantity] = tensor
        else:
            tensors.setdefault(part, {})[rest] = tensor
    return TrainingState(
        progress=_progress(found["progress"]),
        fingerprint=msgspec.convert(found["fingerprint"], dict[str, Any]),
        tensors=tensors,
        optimiser=optimiser,
    )


def _progress(found: Any) -> Progress:
    """How far the run had come; `save_state` writes every field."""
    if lacking := sorted({own.name for own in fields(Progress)} - {*found}):
        raise ValueError(f"its progress lacks {', '.join(lacking)}")
    progress = msgspec.convert(found, Progress)
    steps = [record.step for record in progress.history]
    last = max(progress.validated_step, progress.best_step, *steps[-1:])
    if steps != sorted(steps) or last > progress.step:
        raise ValueError(f"it has done {progress.step} steps, and validated {last}")
    return progress

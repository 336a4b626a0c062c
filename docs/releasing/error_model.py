"""Fit the model of the error of released weights, and put it beside them.

    python docs/releasing/error_model.py NAME train/*.mat train/*.npy train/*.tif
        --photographs uc-merced-0.6m.npz
    python docs/releasing/error_model.py NAME --of OLDER

Every scene, every scene averaged 2 x 2 before, and every 50th photograph under random spectra is
degraded by area averages and brought back by the weights, so that the error of each value is known;
`hsisr.engine.uncertainty` says what it is explained by. The fit maximises the likelihood of
Laplace's distribution, all scenes alike. The factors for 68 and 95 % are those of scenes that the
fit did not see: a fifth of them is left out at a time. Scenes that are kept apart to judge with
have no place here; see `docs/benchmarks/uncertainty.py`. Weights with the numbers of older ones,
for other tiles, take over the model of those.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from hsisr.commands.degrade import degrade
from hsisr.commands.evaluation.wald import degraded
from hsisr.commands.options import DegradeOptions, WaldOptions
from hsisr.datasets.photographs import coloured, read_photographs
from hsisr.engine.reading import fill_invalid
from hsisr.engine.uncertainty import (
    FILE,
    REACH,
    ErrorModel,
    levels,
    mirrored,
    neighbours,
    pixel_features,
)
from hsisr.errors import HsisrError
from hsisr.io.base import Scene
from hsisr.io.open import open_scene
from hsisr.weights import CatalogueEntry, load_weights, released_folder, resolve

PIXELS = 6000
"""LR pixels of a scene, of all bands together."""
UNITS = 12
EVERY, BANDS = 50, 32
"""Photographs taken, and bands made of them."""
FOLDS = 5
SHARES = (0.68, 0.95)
STEPS = 600


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """LR pixels of a scene: features, and of each HR pixel in it error and squared detail.

    Errors are in units of the square root of the band's level, squared details in those of their
    mean over the LR pixel; both of shape (n, scale, scale).
    """

    features: torch.Tensor
    errors: torch.Tensor
    details: torch.Tensor


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("name", help="of released weights")
    parser.add_argument("scenes", type=Path, nargs="*", help="to fit on")
    parser.add_argument("--of", metavar="OLDER", help="take over the model of the same numbers")
    parser.add_argument("--photographs", type=Path, help="as for `hsisr train`")
    own = parser.parse_args(arguments)
    entry = resolve(own.name)
    if not isinstance(entry, CatalogueEntry):
        parser.error(f"{own.name}: expected the name of released weights")
    path = released_folder() / FILE
    table = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if own.of:
        older, newer = load_weights(resolve(own.of)), load_weights(entry)
        others = older.network.state_dict()
        for name, tensor in newer.network.state_dict().items():
            if not torch.equal(tensor, others[name]):
                parser.error(f"{own.of}: {name} has other numbers than in {own.name}")
        table[entry.sha256] = {**table[older.sha256], "weights": entry.name}
    else:
        model = fitted(samples_of(own, entry))
        table[entry.sha256] = {"weights": entry.name, **model.as_dict()}
        sys.stdout.write(f"{entry.name}: factors {model.factors.tolist()}\n")
    rows = [f"{json.dumps(key)}: {json.dumps(table[key])}" for key in sorted(table)]
    path.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    return 0


def samples_of(own: argparse.Namespace, entry: CatalogueEntry) -> list[Sample]:
    """Of every scene that the weights can be tried on."""
    samples = []
    with tempfile.TemporaryDirectory(prefix="hsisr-uncertainty-") as folder:
        for scene in chain(own.scenes, more(own.scenes, own.photographs, Path(folder))):
            try:
                samples.append(sample(scene, entry))
                sys.stderr.write(f"{scene.name}\n")
            except HsisrError as error:
                sys.stderr.write(f"left out: {error}\n")
    return samples


def more(scenes: Sequence[Path], photographs: Path | None, folder: Path) -> Iterator[Path]:
    """Scenes of half the resolution, and photographs, one at a time in a folder."""
    for scene in scenes:
        half = folder / f"{scene.stem}-half.tif"
        how = DegradeOptions(scale=2, crop=True, dtype="float32", axes=axes_of(scene))
        degrade(scene, half, how)
        yield half
        half.unlink()
    if photographs is None:
        return
    rng, images = np.random.default_rng(0), read_photographs([photographs]).images
    for number in range(0, len(images), EVERY):
        path = folder / f"photograph-{number}.npy"
        np.save(path, coloured(images[number].astype(np.float32) / 255, BANDS, rng))
        yield path
        path.unlink()


def sample(source: Path, entry: CatalogueEntry) -> Sample:
    """Degrade a scene, bring it back, and look at some of its pixels."""
    options = WaldOptions(scale=entry.scale, model=entry.name, axes=axes_of(source))
    with degraded(source, options) as trial:
        trial.upscaled(entry.name, consistency=True)
        with (
            closing(open_scene(trial.folder / "lr.tif")) as observed,
            closing(open_scene(trial.folder / "hr.tif")) as result,
        ):
            return compared(observed, result, trial.truth, entry.scale)


def axes_of(scene: Path) -> str | None:
    """The axis order of the `.npy` scenes of the training data."""
    if scene.suffix != ".npy":
        return None
    return "rcb" if scene.name.startswith("indian-pines") else "brc"


def compared(observed: Scene, result: Scene, truth: Scene, scale: int) -> Sample:
    """What the pixels of a result follow from, and how wrong they are."""
    level = levels(observed)
    lr, hr, true = observed.read(), result.read(), truth.read()
    values = torch.from_numpy(fill_invalid(lr.values, lr.valid, REACH))
    beside, valid = neighbours(values, range(len(values))), lr.valid.astype(np.float32)
    near, beside, known = (
        mirrored(part, (REACH, REACH), (REACH, REACH))
        for part in (values, beside, torch.from_numpy(valid))
    )
    bands, rows, cols = lr.values.shape
    blocks = bands, rows, scale, cols, scale
    found = torch.from_numpy(hr.values.reshape(blocks))
    detail = (found - found.mean(dim=(2, 4), keepdim=True)).square()
    added = detail.mean(dim=(2, 4))
    seen = (hr.valid & true.valid).reshape(blocks).all(axis=(2, 4)) & lr.valid
    seen &= (level.gradient > 0).numpy()[:, None, None]
    rng = np.random.default_rng(0)
    places = np.argwhere(seen)
    b, r, c = torch.from_numpy(rng.permutation(places)[:PIXELS]).unbind(dim=1)
    error = torch.from_numpy(np.abs(true.values - hr.values).reshape(blocks))
    error = error.permute(0, 1, 3, 2, 4)[b, r, c] / level.gradient[b].sqrt()[:, None, None]
    share = detail.permute(0, 1, 3, 2, 4)[b, r, c] / added[b, r, c].clamp_min(1e-30)[:, None, None]
    return Sample(pixel_features(near, beside, known, added, level)[b, r, c], error, share)


def fitted(samples: Sequence[Sample]) -> ErrorModel:
    """The model of all samples, with factors of those left out."""
    ratios = []
    for fold in range(FOLDS):
        model = fit([s for n, s in enumerate(samples) if n % FOLDS != fold])
        ratios += [ratio(model, s) for s in samples[fold::FOLDS]]
    factors = [torch.stack([torch.quantile(r, q) for r in ratios]).median() for q in SHARES]
    return replace_factors(fit(samples), torch.stack(factors))


def replace_factors(model: ErrorModel, factors: torch.Tensor) -> ErrorModel:
    """The same model with other factors."""
    return ErrorModel(
        **{n: getattr(model, n) for n in model.__dataclass_fields__} | {"factors": factors}
    )


def ratio(model: ErrorModel, sample: Sample) -> torch.Tensor:
    """Errors over their standard errors, of some pixels."""
    with torch.no_grad():
        whole = model.log_error(sample.features).exp()[:, None, None]
        found = sample.errors / (whole * model.inside(sample.details))
    return found.flatten()[:: max(1, found.numel() // 50_000)]


def fit(samples: Sequence[Sample]) -> ErrorModel:
    """Coefficients by gradient descent; standard errors are root mean squares in the mean."""
    torch.manual_seed(0)
    features = torch.cat([s.features for s in samples])
    weights = torch.cat([torch.full((len(s.features),), 1 / len(s.features)) for s in samples])
    weights /= weights.sum()
    centre, deviation = features.mean(dim=0), features.std(dim=0).clamp_min(1e-3)
    size = len(centre)
    free = {
        "hidden": torch.randn(UNITS, size) / size**0.5,
        "hidden_bias": torch.zeros(UNITS),
        "out": torch.zeros(UNITS),
        "linear": torch.zeros(size),
        "bias": torch.zeros(1),
        "place": torch.zeros(samples[0].errors.shape[1:]),
        "detail": torch.zeros(1),
    }
    for tensor in free.values():
        tensor.requires_grad_()
    fixed = {"centre": centre, "deviation": deviation, "factors": torch.ones(2)}
    errors = torch.cat([s.errors for s in samples])
    details = torch.cat([s.details for s in samples])

    def made() -> ErrorModel:
        place = free["place"].exp()
        symmetric = (place + place.flip(0) + place.flip(1) + place.flip(0, 1)) / 4
        return ErrorModel(
            **{
                **free,
                **fixed,
                "place": (symmetric + symmetric.T) / 2,
                "detail": free["detail"].exp(),
            }
        )

    optimiser = torch.optim.Adam(free.values(), lr=1e-2, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    generator = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        some = torch.multinomial(weights, 4096, replacement=True, generator=generator)
        model = made()
        scale = model.log_error(features[some])[:, None, None] + model.inside(details[some]).log()
        loss = (scale + errors[some] * (-scale).exp()).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    model = made()
    return ErrorModel(**{n: getattr(model, n).detach() for n in model.__dataclass_fields__})


if __name__ == "__main__":
    raise SystemExit(main())

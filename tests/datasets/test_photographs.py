"""Photographs become bands; patches are seen as sensors see them; runs of bands are their means."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hsisr.commands.options import TrainOptions
from hsisr.commands.training.train import train
from hsisr.datasets import photographs
from hsisr.datasets.observation import observed
from hsisr.datasets.patches import Augmentation, pseudo_patch
from hsisr.datasets.training_scenes import area_average, scene_from_arrays
from hsisr.degradation import mtf
from hsisr.errors import HsisrWarning
from hsisr.tiling import Window
from hsisr.weights import load_weights
from tests.datasets.test_patches import patches, scene
from tests.scenes import write_tif
from tests.training.small import texture


def pictures(count: int = 3, side: int = 48) -> NDArray[np.uint8]:
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (count, 3, side, side), dtype=np.uint8)


@pytest.mark.parametrize("seed", range(6))
def test_bands_keep_the_edges_of_the_photograph(seed: int) -> None:
    rgb = np.zeros((3, 6, 8), np.float32)
    rgb[:, :, 4:] = np.array([0.5, 0.7, 0.2], np.float32)[:, None, None]
    cube = photographs.coloured(rgb, 40, np.random.default_rng(seed))
    assert cube.shape == (40, 6, 8)
    assert cube.min() >= 0
    assert np.ptp(cube[:, :, :4], axis=(1, 2)).max() == 0
    assert np.ptp(cube[:, :, 4:], axis=(1, 2)).max() == 0
    assert (np.abs(cube[:, 0, 3] - cube[:, 0, 4]) > 0).any()


def test_materials_make_bands_of_more_than_three_kinds() -> None:
    rgb = pictures(1)[0].astype(np.float32) / 255
    linear, of_materials = (
        np.linalg.matrix_rank(make(rgb, 40, np.random.default_rng(3)).reshape(40, -1), tol=1e-3)
        for make in (photographs._mixed, photographs._of_materials)
    )
    assert linear == 3
    assert of_materials > 4


def test_photographs_are_read_from_a_folder_or_one_file(tmp_path: Path) -> None:
    images = pictures(2, 32)
    np.savez(tmp_path / "photos.npz", images=images)
    folder = tmp_path / "photos" / "field"
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number}.png")
    Image.fromarray(images[0, :, :20, :20].transpose(1, 2, 0)).save(folder / "other-size.png")
    of_file = photographs.read_photographs([tmp_path / "photos.npz"])
    of_folder = photographs.read_photographs(photographs.photograph_files(tmp_path / "photos"))
    assert np.array_equal(of_file.images, of_folder.images)
    coarse = photographs.read_photographs([tmp_path / "photos.npz"], side=16).images
    assert np.array_equal(coarse, area_average(images.astype(np.float32), 2).round())


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_without_blur_and_noise_a_sensor_sees_area_averages(scale: int) -> None:
    hr = texture(5, 6 * scale, 7 * scale)
    seen = observed(hr, scale, np.random.default_rng(0), 0.0, 0.0)
    assert np.allclose(seen, area_average(hr, scale), rtol=1e-5)


def test_a_blur_is_a_sensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsisr.datasets.observation._GAINS", (0.25, 0.25))
    hr = texture(5, 32, 40)
    seen = observed(hr, 4, np.random.default_rng(0), 1.0, 0.0)
    assert np.allclose(seen, mtf(0.25)(hr, 4), rtol=1e-5)


def test_noise_is_in_the_lr_patch_alone_and_differs_from_band_to_band() -> None:
    hr = np.zeros((40, 96, 96), np.float32)
    seen = observed(hr, 4, np.random.default_rng(0), 0.0, 1.0)
    strengths = seen.std((1, 2))
    assert abs(seen.mean()) < 0.01
    assert strengths.min() > 0
    assert strengths.max() > 1.5 * strengths.min()


def test_a_run_of_bands_is_normalised_as_a_scene_of_its_means_would_be() -> None:
    one = scene(40, 32, 48, 4)
    runs = [(0, 3), (3, 8), (8, 9), (20, 40)]
    means = np.stack([one.values[a:b].mean(0) for a, b in runs])
    other = scene_from_arrays("means", means, np.ones(means.shape, np.bool_), 4, one.split)
    window = Window(4, 8, 16, 16)
    found = pseudo_patch(one, window, runs)
    expected = other.cut(window) - other.statistics.mean[:, None, None]
    expected /= other.statistics.deviation[:, None, None]
    assert np.allclose(found.hr, expected, atol=1e-4)


def test_batches_of_photographs_are_normalised_pairs_and_follow_from_their_number() -> None:
    own = photographs.Photographs(name="photos", images=pictures())
    source = patches([scene(12, 48, 60, 4)], 4, photographs=own, photograph_share=1.0)
    batch = source.batch(3, 0, 4)
    assert batch.hr.shape == (4, 8, 32, 32)
    assert np.allclose(batch.lr, area_average(batch.hr, 4), atol=1e-5)
    assert np.abs(batch.lr.mean((2, 3))).max() < 2
    assert np.array_equal(source.batch(3, 0, 4).hr, batch.hr)
    assert np.array_equal(source.batch(3, 2, 1).hr[0], batch.hr[2])


def test_patches_may_be_of_runs_blurred_and_noisy_at_once() -> None:
    chances = Augmentation(pseudo_share=1.0, blur_share=1.0, noise_share=1.0)
    batch = patches([scene(40, 96, 96, 4)], 4, augmentation=chances).batch(0, 0, 3)
    assert np.isfinite(batch.lr).all()
    assert not np.allclose(batch.lr, area_average(batch.hr, 4), atol=1e-3)


def test_patches_may_be_of_resampled_scenes() -> None:
    home = [scene(12, 96, 96, 4)]
    chances = Augmentation(band_steps=2, resampled_share=1.0)
    sharp, found = (
        patches(home, 4, **kind).batch(0, 0, 8) for kind in ({}, {"augmentation": chances})
    )
    assert np.allclose(found.lr, area_average(found.hr, 4), atol=1e-5)
    changed = [
        not np.array_equal(one, other) for one, other in zip(found.hr, sharp.hr, strict=True)
    ]
    assert sum(changed) > 4
    # nearest neighbours have numbers of the sharp patch, blurred patches do not
    kept = [np.isin(one, other).all() for one, other in zip(found.hr, sharp.hr, strict=True)]
    assert 0 < sum(kept) < 8


SETTINGS = (
    *("steps=2", "validate_every=1", "batch_size=2", "crop_lr_px=6", "least_crop_lr_px=4"),
    *("network.features=2", "network.heads=1", "network.stages=1", "network.blocks=1"),
    "precision=float32",
)


def test_the_aerial_recipe_trains_from_scenes_and_photographs(tmp_path: Path) -> None:
    np.savez(tmp_path / "photos.npz", images=pictures())
    tif = write_tif(tmp_path / "scene.tif", np.rint(texture(36, 48, 40)).astype(np.uint16))
    options = TrainOptions(
        scenes=(tif,),
        photographs=tmp_path / "photos.npz",
        recipe="aerial",
        settings=SETTINGS,
        scale=2,
        out=tmp_path / "run",
        device="cpu",
    )
    result = train(options)
    assert result.weights is not None
    assert load_weights(result.weights).descriptor.arch == "dacn-equivariant"
    assert "photos.npz (3 photographs)" in result.weights.with_suffix(".md").read_text()


def test_a_recipe_without_its_photographs_says_so(tmp_path: Path) -> None:
    tif = write_tif(tmp_path / "scene.tif", np.rint(texture(36, 48, 40)).astype(np.uint16))
    options = TrainOptions(
        scenes=(tif,), recipe="aerial", settings=SETTINGS, scale=2, out=tmp_path / "run"
    )
    with pytest.warns(HsisrWarning, match="--photographs"):
        train(options)

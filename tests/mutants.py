"""Small wrong changes that tests must catch: `python -m tests.mutants [ROOM/ | N ...]`."""

import importlib
import multiprocessing
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import Phase, settings

ROOT = Path(__file__).parents[1]
CAUGHT = 99
"""Exit code of a process whose tests failed, which no exception gives."""
TABLE = r"""
degradation.py: values[band] = blurred / weight -> values[band] = blurred
    test_degradation.py invalid_numbers_never_leak
degradation.py: near = 1.5 * x**3 - 2.5 * x**2 + 1.0 -> near = 1.25 * x**3 - 2.25 * x**2 + 1.0
    test_degradation.py bicubic_has_the_weights_of_matlabs_imresize
degradation.py: - (size - 1) / 2 -> - size / 2
    test_degradation.py a_blob_does_not_move
degradation.py: math.sqrt(-2.0 * math.log(gain)) -> math.sqrt(-1.0 * math.log(gain))
    test_degradation.py mtf_has_its_gain_at_the_lr_nyquist_frequency
degradation.py: good[above : above + rows], scale) -> good[:rows], scale)
    test_degradation.py strips_equal_the_whole
engine/consistency.py: += wanted - _mean(planes) -> += 0.99 * (wanted - _mean(planes))
    engine/test_consistency.py block_means_are_the_observed
engine/consistency.py: (mean * len(planes)).round() - rounded.sum(dim=0) -> torch.zeros_like(mean)
    engine/test_consistency.py sums_are_exact_in_every_type
engine/consistency.py: held = (under | (planes > limits[1])).sum( -> held = under.sum(
    engine/test_consistency.py only_numbers_that_the_type_cannot_hold_are_counted
engine/consistency.py: torch.where(done, shift, better) -> better
    engine/test_consistency.py a_part_agrees_as_it_does_in_the_whole
engine/consistency.py: exact = low + (held - low) * (wanted / got) -> exact = 1.01 * held
    engine/test_consistency.py dark_blocks_held_at_the_floor_keep_their_mean_whatever_the_unit
engine/consistency.py: bounds = max(limits[0], floor), limits[1] -> bounds = limits
    engine/test_consistency.py no_value_falls_below_the_floor_of_its_band_and_none_is_counted
models/interpolation.py: left -= seen -> left -= 0.5 * seen
    engine/test_consistency.py rounds_on_the_lr_grid_equal_the_rounds_of_the_definition
models/interpolation.py: return kernel.radius * (rounds + 1) -> return kernel.radius
    engine/test_stitcher.py interpolation_in_strips_and_panels_equals_that_of_the_whole
models/interpolation.py: centre = (phase + 0.5) / scale - 0.5 -> centre = phase / scale - 0.5
    models/test_interpolation.py a_blob_does_not_move
models/interpolation.py: 3 * math.sin(x) * math.sin(x / 3) -> 2 * math.sin(x) * math.sin(x / 2)
    models/test_interpolation.py inside_gdal_warps_to_the_same_numbers
models/interpolation.py: rounds=10 -> rounds=5
    engine/test_consistency.py it_is_bicubic
tiling.py: += ramp -> = ramp
    tiling/test_windows.py tapers_add_up_to_one_everywhere
tiling.py: range(0, last, size - overlap) -> range(0, last, size)
    tiling/test_windows.py windows_cover_the_axis_and_share_the_overlap
tiling.py: self.row * scale, self.col * scale -> self.row * scale, self.col
    tiling/test_windows.py scaling_a_window_keeps_its_ground
tiling.py: *forward[-2:0:-1] -> *forward[-1:0:-1]
    datasets/test_patches.py few_bands_fill_a_group_there_and_back
engine/mixing.py: RIDGE = 1e-2 -> RIDGE = 10.0
    engine/test_mixing.py bands_get_their_own_detail_back_and_agree
engine/mixing.py: shape * scale[missing] + centre[missing] -> centre[missing]
    engine/test_mixing.py a_band_without_data_in_a_window_takes_its_neighbours_shape
engine/mixing.py: _SPIKE * spread -> 1e9 * spread
    engine/test_mixing.py a_spike_in_one_band_stays_in_that_band
engine/mixing.py: _GAIN = 0.005 -> _GAIN = 0.9
    engine/test_mixing.py as_many_pseudo_bands_as_the_scene_needs
engine/stitch.py: values.mul_(torch.from_numpy(group.weights)[:, None, None]) -> values.mul_(1.0)
    engine/test_stitcher.py a_network_that_repeats_pixels_is_not_changed_by_tiles_groups_and
engine/finish.py: plane[: len(above)] += above -> plane[: len(above)] += 0
    engine/test_stitcher.py a_network_that_repeats_pixels_is_not_changed_by_tiles_groups_and
engine/reading.py: return max(halo, _FILL_ROUNDS) -> return 0
    engine/test_stitcher.py tiles_around_holes_agree_with_the_whole
engine/reading.py: delta**2 * self._count * n / both -> 0
    engine/test_stitcher.py statistics_in_strips_equal_those_of_the_whole
engine/reading.py: told &= plane != plane.dtype.type(nodata) -> pass
    engine/test_odd_numbers.py nodata_is_neither_infinite_nor_a_spike
resume/run.py: contiguousarray(array), -> contiguousarray(array)[..., ::-1],
    engine/test_journal.py strips_done_in_any_order_by_many_make_the_same_scene
resume/run.py: if has_changed(then["input"], now["input"]): -> if False:
    commands/test_unfinished.py another_input_and_other_settings
resume/run.py: if differing := _differing(old, new): -> if differing := _differing({}, {}):
    commands/test_unfinished.py another_input_and_other_settings
resume/record.py: if _value(self.options, n) != _value(other.options, n) -> if False
    commands/test_completion.py what_other_options_or_weights_made_is_kept
resume/record.py: if self.weights_sha256 != other.weights_sha256: -> if False:
    commands/test_completion.py what_other_options_or_weights_made_is_kept
resume/completion.py: if changed or set(source_states(work)) != set(record.source): -> if changed:
    commands/test_completion.py the_output_of_another_input_is_kept
commands/archive/select.py: entries[self.number - 1 :: self.of] -> entries[self.number :: self.of]
    commands/test_archive.py every_entry_is_in_exactly_one_shard
commands/archive/select.py: return Shard(place + 1, count) -> return Shard(task, count)
    commands/test_archive.py every_task_of_a_job_array_has_a_shard
commands/evaluation/wald.py: scored(PLAIN, consistency=False) -> scored(PLAIN, consistency=True)
    cli/test_evaluate.py wald_scores_a_model_beside_plain_bicubic
scene/georeference.py: Affine.translation(col, row) -> Affine.translation(row, col)
    scene/test_scene.py a_window_lies_where_its_first_pixel_lies
scene/georeference.py: (offset + 0.5) * scale - 0.5 -> offset * scale
    scene/test_scene.py control_points_scale_from_the_corner_and_polynomials_from_the_centre
scene/georeference.py: Affine.scale(1.0 / scale) -> Affine.scale(scale)
    scene/test_scene.py a_finer_grid_keeps_corners
scene/metadata.py: of and tuple(of[b] for b in bands) -> of and of[: len(bands)]
    scene/test_scene.py metadata_follow_the_grid_and_the_bands
scene/georeference.py: (np.arange(start, end) + 0.5) / scale - 0.5 -> np.arange(start, end) / scale
    products/test_places.py a_plane_of_positions_is_met_exactly
scene/georeference.py: np.ptp(known) > 180 -> np.ptp(known) > 500
    products/test_places.py positions_cross_the_date_line
io/write.py: np.where(values[hits] < stored.nodata, -1, 1).astype(rounded.dtype) -> 0
    scene/test_scene.py a_valid_number_never_becomes_nodata_and_an_invalid_one_always_does
io/write.py: rounded = np.rint(values, dtype -> rounded = np.floor(values, dtype
    scene/test_scene.py
io/write.py: numbers.shape)] = empty -> numbers.shape)] = 0
    scene/test_scene.py a_valid_number_never_becomes_nodata_and_an_invalid_one_always_does
scene/metadata.py: (1e3, "micrometers -> (1e2, "micrometers
    io/test_envi_headers.py fields_of_the_bands_are_read
metrics/figures.py: 20 * np.log10(ratio) -> 10 * np.log10(ratio)
    metrics/test_scoring.py the_values_of_the_published_functions_are_met
metrics/figures.py: return 100.0 / scale * math.sqrt -> return 100.0 * scale * math.sqrt
    metrics/test_scoring.py the_values_of_the_published_functions_are_met
metrics/figures.py: np.asarray(xy - x * y / n) -> np.asarray(xy)
    metrics/test_scoring.py moments_do_not_depend_on_their_centre
metrics/local.py: return pixels / (pixels - 1) if -> return 1.0 if
    metrics/test_scoring.py psnr_and_ssim_equal_scikit_image
metrics/figures.py: counted = valid.all(axis=0) -> counted = valid.any(axis=0)
    metrics/test_scoring.py invalid_numbers_have_no_say
training/losses.py: for axis in (ROWS, COLS)] -> for axis in (ROWS, ROWS)]
    training/test_losses.py the_terms_are_those_of_the_paper
training/losses.py: (t * deviation + mean for t in -> (t for t in
    training/test_losses.py the_angle_is_that_of_stored_numbers
training/losses.py: narrow(axis, 0, last) & valid -> narrow(axis, 0, last) | valid
    training/test_losses.py what_is_masked_has_no_part_in_any_term
datasets/patches.py: home.row + int( -> int(
    datasets/test_patches.py no_judging_pixel_is_ever_taught
datasets/patches.py: statistics.mean[chosen] -> statistics.mean[: len(chosen)]
    datasets/test_patches.py patches_are_normalised_as_the_runner_does_on_the_lr_scene
datasets/patches.py: if turn & 4: -> if turn & 8:
    datasets/test_patches.py the_eight_orientations_are_different_and_square
datasets/observation.py: lr += _noise(lr.shape, rng) -> lr += 0
    datasets/test_photographs.py noise_is_in_the_lr_patch_alone_and_differs_from_band_to_band
datasets/splits.py: if not any(overlap_px(w, t) for t in test) -> if w not in test
    datasets/test_patches.py patches_share_no_pixel
io/envi/georeference.py: x - (ref_x - 1) * width -> x - ref_x * width
    io/test_envi_headers.py the_place_is_the_right_one
io/envi/georeference.py: Affine.rotation(rotation) -> Affine.rotation(-rotation)
    io/test_envi_headers.py the_place_is_the_right_one
io/geotiff/gdal.py: dataset.offsets = stored.offsets -> dataset.offsets = stored.scales
    io/test_geotiff_writer.py every_field_is_where_gdal_and_enmap_box_look
io/geotiff/gdal.py: offsets=tuple(offsets) if scaled else None -> offsets=None
    io/test_raster.py scale_offset_and_unit
io/geotiff/gdal.py: row=p.row, col=p.col, x=p.x -> row=p.col, col=p.row, x=p.x
    io/test_raster.py ground_control_points
io/views.py: _RANGES * (high - low) -> 0 * (high - low)
    io/test_nodata.py numbers_of_a_scene_and_named_fill
io/spectral.py: tuple(own and w != 0 for own -> tuple(own for own
    io/test_envi.py a_band_of_wavelength_zero_is_not_there
io/stac/bands.py: axis.wavelengths_nm or found -> found
    commands/test_stac.py the_file_goes_before_its_item_and_the_user_before_both
"""
"""Two lines each: file below `hsisr/`, text -> what takes its place; file below `tests/`, and the
beginning of the name of a test in it."""


@dataclass(frozen=True, slots=True)
class Mutant:
    file: str
    before: str
    after: str
    tests: str
    names: str

    def made(self, copy: Path) -> str:
        """What the tests say to the change, which is undone afterwards."""
        path = copy / "hsisr" / self.file
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if self.before not in text:
            return "OUTDATED"
        path.write_text(text.replace(self.before, self.after), encoding="utf-8")
        process = multiprocessing.get_context("fork").Process(target=self.test, args=(copy,))
        process.start()
        process.join()
        path.write_text(text, encoding="utf-8")
        words = {0: "SURVIVED", CAUGHT: "caught"}
        return words.get(process.exitcode or 0, f"PYTEST {process.exitcode}")

    def test(self, copy: Path) -> None:
        os.chdir(copy)
        sys.path.insert(0, str(copy))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        options = ["-qx", "-p", "no:cacheprovider", "-m", "not shared and not slow"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is imported below
        if self.names:
            options += ["-k", self.names]
        code = pytest.main([*options, f"tests/{self.tests}"])
        sys.exit(CAUGHT if code == pytest.ExitCode.TESTS_FAILED else code)


def mutants() -> list[Mutant]:
    lines = TABLE.strip().splitlines()
    found = []
    for change, tests in zip(lines[::2], lines[1::2], strict=True):
        file, _, texts = change.partition(": ")
        before, _, after = texts.partition(" -> ")
        path, _, names = tests.strip().partition(" ")
        found.append(Mutant(file, before, after, path, names))
    return found


def main(chosen: list[str]) -> int:
    for library in ("torch", "rasterio", "scipy.io", "h5py", "xarray", "pystac"):
        importlib.import_module(library)  # once, not in every process
    settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate))
    settings.load_profile("mutants")  # nobody wants the smallest example
    sys.dont_write_bytecode = True
    missed = 0
    with tempfile.TemporaryDirectory(prefix="hsisr-mutants-") as folder:
        copy = Path(folder, "hsisr")
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        for number, mutant in enumerate(mutants(), start=1):
            if chosen and not any(word == str(number) or word in mutant.file for word in chosen):
                continue
            word = mutant.made(copy)
            missed += word != "caught"
            print(f"{number:3d} {word:8s} {mutant.file}: {mutant.after}", flush=True)  # noqa: T201
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""The sample scene, upscaled, averages back to itself."""

import numpy as np

import hsisr
from hsisr.commands.sample import write_sample

scene_path = write_sample(".")
hsisr.upscale(scene_path, "finer.tif", hsisr.UpscaleOptions(scale=4, model="bicubic"))

with hsisr.open_scene(scene_path) as before, hsisr.open_scene("finer.tif") as after:
    observed, finer = before.read().values, after.read().values

bands, rows, cols = observed.shape
means = finer.reshape(bands, rows, 4, cols, 4).mean(axis=(2, 4), dtype=np.float64)
print("largest difference:", np.abs(means - observed).max())

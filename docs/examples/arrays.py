"""NumPy arrays and DataArrays, without a file."""

import numpy as np
import xarray as xr

import hsisr
from hsisr.commands.sample import write_sample

with hsisr.open_scene(write_sample(".")) as scene:
    cube = scene.read().values  # float32, (bands, rows, cols)
    wavelengths = scene.metadata.spectral_axis.wavelengths_nm

finer = hsisr.upscale_array(cube, axes="brc", wavelengths=wavelengths, scale=2, model="bicubic")
print("array:", finer.shape, finer.dtype)

array = xr.DataArray(
    cube,
    dims=("band", "y", "x"),
    coords={"wavelength": ("band", np.asarray(wavelengths)), "x": np.arange(60) * 20.0 + 10},
)
lazy = hsisr.upscale(array.chunk(y=20), scale=2, model="bicubic")
print("DataArray:", dict(lazy.sizes), "first x", lazy.x.values[:3])
print("equal:", np.array_equal(lazy.values, finer))

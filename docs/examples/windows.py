"""Read a scene by windows, whatever its format."""

import hsisr
from hsisr.commands.sample import write_sample
from hsisr.tiling import Window

with hsisr.open_scene(write_sample(".")) as scene:
    print(scene.format, scene.metadata.shape)
    cube = scene.read(Window(row=10, col=20, rows=5, cols=5), bands=[28, 18, 9])

print(cube.values.shape, cube.values.dtype, cube.spectral_axis.wavelengths_nm)

"""A metric: one row of the conventions, here SSIM in 9 x 9 pixels and one PSNR of all bands."""

import hsisr
from hsisr.commands.sample import write_sample
from hsisr.metrics.conventions import CONVENTIONS, Convention
from hsisr.metrics.local import uniform

# a row of hsisr itself is written into the table
CONVENTIONS["mine"] = Convention(
    name="mine",
    source="this page",
    psnr="cube",
    ssim_kernel=uniform(9, sample_covariance=True),
)

scene = write_sample("truth.hdr")
hsisr.degrade(scene, "lr.tif", scale=2)
hsisr.upscale("lr.tif", "estimate.tif", scale=2, model="bicubic")
report = hsisr.evaluate(scene, "estimate.tif", convention="mine", scale=2)
print(report.as_table())
print(report.as_dict()["definitions"]["mssim"])

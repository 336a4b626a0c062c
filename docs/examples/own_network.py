"""A network of one's own: bilinear interpolation and what three convolutions add to it."""

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.descriptor import ModelDescriptor


class ThreeLayers(nn.Module):
    def __init__(self, bands: int, scale: int, width: int = 32) -> None:
        super().__init__()
        self.scale = scale
        self.layers = nn.Sequential(
            nn.Conv2d(bands, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, bands * scale**2, 3, padding=1),
            nn.PixelShuffle(scale),
        )

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:  # noqa: ARG002
        """Shape (n, bands, rows, cols) -> (n, bands, rows * scale, cols * scale), normalised."""
        base = functional.interpolate(lr, scale_factor=self.scale, mode="bilinear")
        detail: torch.Tensor = self.layers(lr)
        return base + detail


def build(descriptor: ModelDescriptor) -> nn.Module:
    return ThreeLayers(descriptor.group_size, descriptor.scale, **descriptor.hparams)


if __name__ == "__main__":
    import hsisr

    hsisr.register_model("three-layers", build)
    cube = torch.rand(40, 20, 20).numpy()
    print(hsisr.upscale_array(cube, axes="brc", scale=2, model="three-layers").shape)

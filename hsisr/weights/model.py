"""Released or trained weights as a network for one's own programs."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from hsisr.errors import WeightsError
from hsisr.models.descriptor import ModelDescriptor
from hsisr.weights import resolve
from hsisr.weights.store import LoadedWeights, load_weights


class LoadedModel(nn.Module):
    """A network and what is known of its weights; in evaluation mode, float32, on the processor."""

    def __init__(self, weights: LoadedWeights) -> None:
        super().__init__()
        self.network, self.weights = weights.network, weights
        self.name, self.path, self.sha256 = weights.name, weights.path, weights.sha256
        self.descriptor: ModelDescriptor = weights.descriptor
        self.card: Mapping[str, str] = dict(weights.card)
        self.trained = weights.trained

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """Upscale band groups, normalised as the descriptor says; see `BandGroupNetwork.forward`.

        Nothing is tiled, normalised or made to agree with the observed pixels here.
        """
        hr: torch.Tensor = self.network(lr, zero)
        return hr

    def of_scale(self, scale: int) -> LoadedWeights:
        """The weights as the engine takes them.

        Raises:
            WeightsError: They are for another scale.
        """
        if scale != self.descriptor.scale:
            raise WeightsError(
                f"{self.name} is for scale {self.descriptor.scale}, found scale {scale}; give the "
                "one scale or other weights"
            )
        self.network.eval()
        return self.weights

    def __repr__(self) -> str:
        size = sum(parameter.numel() for parameter in self.parameters())
        return (
            f"LoadedModel({self.name!r}: {self.descriptor.arch}, x{self.descriptor.scale}, groups "
            f"of {self.descriptor.group_size} bands, {size:,} parameters)"
        )


def load_model(name_or_path: str | Path) -> LoadedModel:
    """Load released weights by name, or a safetensors file, as a network.

    Its `descriptor` says scale, band group, tile, margin and normalisation; `card` how it was made.

    Raises:
        WeightsError: There is nothing of that name, or it cannot be used.

    Example:
        >>> hsisr.load_model("dacn-any-x4")  # doctest: +SKIP
        LoadedModel('dacn-any-x4': dacn-any, x4, groups of 32 bands, 695,536 parameters)
    """
    if not isinstance(name_or_path, (str, Path)):
        raise WeightsError(f"found {name_or_path!r}, expected the name of weights or of a file")
    return LoadedModel(load_weights(resolve(name_or_path)))

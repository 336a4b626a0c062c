"""Save a network so that `hsisr upscale --model` can run it."""

from pathlib import Path

from hsisr.models.dacn import dacn_descriptor
from hsisr.models.registry import build
from hsisr.weights import load_weights, save_weights

descriptor = dacn_descriptor(scale=4)
network = build(descriptor)  # train it here
save_weights(Path("my-dacn.safetensors"), network, descriptor)

print(load_weights(Path("my-dacn.safetensors")).descriptor.arch)

"""Seconds per training step of `dacn`: hsisr beside a plain port and beside Keras.

One step is a batch of 144 x 144 x 32 patches through the network, the loss of the paper
(equations 17-19), its gradients and Adam. All take turns in one run; each in a process of its own.
Keras is run in three ways: as the published notebooks set it (`Model.fit`, one thread for each
operation, deterministic operations); by `Model.fit` with all threads (Keras 3 then compiles the
step by XLA on its own account); and by a hand-written step in a TensorFlow graph.

    python docs/benchmarks/training.py --rounds 3 --keras PYTHON

PYTHON is an interpreter that has TensorFlow 2.18, which the published code uses; the network
described in the paper is built with it from Keras' own layers. Without it, Keras is left out.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

PATCH_HR_PX, BANDS = 144, 32
KERAS_WAYS = {
    "Keras as published float32": "published",
    "Keras fit float32": "fit",
    "Keras graph float32": "graph",
}


def torch_step(
    scale: int, batch: int, threads: int, *, plain: bool, half: bool
) -> Callable[[], object]:
    """A step by torch: as hsisr does it, or layer by layer in torch's default memory format."""
    import torch

    from hsisr.models.dacn import dacn_descriptor
    from hsisr.models.registry import build
    from hsisr.training.losses import Loss, squared_weights
    from hsisr.training.start import in_channels_last

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = build(dacn_descriptor(scale))
    if not plain:
        network = in_channels_last(network)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    loss = Loss(distance="mse", spatial=1.0, spectral=1.0)
    hr = torch.rand(batch, BANDS, PATCH_HR_PX, PATCH_HR_PX)
    lr = torch.nn.functional.avg_pool2d(hr, scale)

    def layer_by_layer(x: torch.Tensor) -> torch.Tensor:
        blocks, upsampling, output = (
            network.get_submodule(name) for name in ("blocks", "upsampling", "output")
        )
        result: torch.Tensor = output(upsampling(blocks(x)))
        return result

    def step() -> object:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            estimate = layer_by_layer(lr) if plain else network(lr)
        total = loss(estimate.float(), hr) + 1e-4 * squared_weights(network.parameters())
        total.backward()  # type: ignore[no-untyped-call]
        return optimiser.step()

    return step


KERAS = """
import sys
import time
scale, batch, threads, steps = map(int, sys.argv[1:5])
way = sys.argv[5]
by_fit = way != "graph"
import tensorflow as tf
from tensorflow.keras import layers
if way == "published":
    tf.keras.utils.set_random_seed(65)
    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_inter_op_parallelism_threads(1)
    threads = 1
tf.config.threading.set_intra_op_parallelism_threads(threads)
side = 144 // scale
x = start = layers.Input((side, side, 32))
for f in (32, 64, 128):
    y = layers.LeakyReLU(negative_slope=0.1)(layers.BatchNormalization()(
        layers.Conv2D(f, 3, padding="same")(x)))
    tokens = layers.Reshape((-1, f))(y)
    seen = layers.MultiHeadAttention(4, f // 4)(tokens, tokens)
    tokens = layers.LayerNormalization(epsilon=1e-3)(layers.Add()([tokens, seen]))
    y = layers.Reshape((side, side, f))(tokens)
    squeeze, excite = layers.Dense(f // 2, activation="relu"), layers.Dense(f)
    pooled = [p()(y) for p in (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)]
    weights = layers.Activation("sigmoid")(layers.Add()([excite(squeeze(p)) for p in pooled]))
    y = layers.Multiply()([y, layers.Reshape((1, 1, f))(weights)])
    x = layers.Concatenate()([y, layers.Conv2D(f, 1, padding="same")(x)])
for f in (256, 128, 16)[:scale.bit_length() - 1]:
    y = layers.Conv2DTranspose(f, 4, strides=2, padding="same")(x)
    y = layers.LeakyReLU(negative_slope=0.1)(layers.BatchNormalization()(y))
    x = layers.Concatenate()([y, layers.Conv2DTranspose(f, 4, strides=2, padding="same")(x)])
network = tf.keras.Model(start, layers.Conv2D(32, 3, padding="same")(x))
optimiser = tf.keras.optimizers.Adam(1e-3)
hr = tf.random.uniform((batch, 144, 144, 32))
lr = tf.nn.avg_pool2d(hr, scale, scale, "VALID")

def gradients(t):
    return (*tf.image.image_gradients(t), t[..., 1:] - t[..., :-1])

def loss_of(truth, estimate):
    loss = tf.reduce_mean(tf.square(truth - estimate))
    for a, b in zip(gradients(truth), gradients(estimate)):
        loss += tf.reduce_mean(tf.square(a - b))
    return loss + 1e-4 * tf.add_n([tf.reduce_sum(tf.square(w)) for w in network.trainable_weights])

if by_fit:
    network.compile(optimizer=optimiser, loss=loss_of)

@tf.function
def step():
    with tf.GradientTape() as tape:
        loss = loss_of(hr, network(lr, training=True))
    found = tape.gradient(loss, network.trainable_weights)
    optimiser.apply_gradients(zip(found, network.trainable_weights))
    return loss

def train(count):
    if by_fit:
        data = tf.data.Dataset.from_tensors((lr, hr)).repeat(count)
        network.fit(data, epochs=1, verbose=0)
        return
    for _ in range(count):
        float(step())

train(1)
started = time.monotonic()
train(steps)
print("seconds", (time.monotonic() - started) / steps)
"""


def timed(arguments: argparse.Namespace, way: str) -> float:
    """Seconds per step of one way, in a process of its own."""
    sizes = [str(n) for n in (arguments.scale, arguments.batch, arguments.threads, arguments.steps)]
    command = [sys.executable, __file__, "--one", way]
    command += ["--scale", sizes[0], "--batch", sizes[1], "--threads", sizes[2]]
    command += ["--steps", sizes[3]]
    if way.startswith("Keras"):
        command = [arguments.keras, "-c", KERAS, *sizes, KERAS_WAYS[way]]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split("seconds")[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--steps", type=int, default=3, help="per round, after one to warm up")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keras", metavar="PYTHON", help="an interpreter that has TensorFlow")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        step = torch_step(
            arguments.scale,
            arguments.batch,
            arguments.threads,
            plain="plain" in arguments.one,
            half="bfloat16" in arguments.one,
        )
        step()
        started = time.monotonic()
        for _ in range(arguments.steps):
            step()
        print("seconds", (time.monotonic() - started) / arguments.steps)
        return
    ways = ["plain port float32", "hsisr float32", "plain port bfloat16", "hsisr bfloat16"]
    if arguments.keras:
        ways = [*KERAS_WAYS, *ways]
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(arguments.rounds):
        for way in ways:
            found[way].append(timed(arguments, way))
    print(f"{platform.processor() or platform.machine()}, {arguments.threads} threads, x", end="")
    print(f"{arguments.scale}, {arguments.batch} patches per step\n")
    print(f"| way | seconds per step | {ways[0]} takes so many times longer |")
    print("| --- | --- | --- |")
    for way in ways:
        ratios = [a / b for a, b in zip(found[ways[0]], found[way], strict=True)]
        print(
            f"| {way} | {statistics.median(found[way]):.2f} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) |"
        )


if __name__ == "__main__":
    main()

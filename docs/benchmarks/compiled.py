"""What torch.compile would gain over the fast forms: seconds per tile, and seconds to compile.

Trained networks as they are, the fast forms that hsisr runs, and the trained ones compiled by
Inductor with frozen weights, in turns, on the tile and as many at once as `hsisr upscale` takes.
Compiling needs a C++ compiler on the machine.

    python docs/benchmarks/compiled.py --threads 1
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch._inductor import config

from hsisr.benchmark.speed.run import in_precision, taking_turns
from hsisr.engine.memory import tile_bytes, tiles_that_pay
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.registry import for_inference
from hsisr.weights import default_for, load_weights, resolve

CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scales", type=int, nargs="+", default=[4])
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    config.freezing = True
    print("| network | precision | compile, s | trained, ms | hsisr, ms | compiled, ms |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for scale in options.scales:
        entry = default_for(scale)
        if entry is None:
            parser.error(f"no weights are released for --scales {scale}")
        released = load_weights(resolve(entry.name, scale))
        for precision in (torch.float32, torch.bfloat16):
            _row(released.network.eval(), released.descriptor, precision, options.rounds)


def _row(
    network: nn.Module, descriptor: ModelDescriptor, precision: torch.dtype, rounds: int
) -> None:
    side = descriptor.tile_lr_px + 2 * descriptor.margin_lr_px
    fast = for_inference(network, precision)
    taken = tile_bytes(fast, descriptor.group_size, side)
    many = tiles_that_pay(side, taken, CPU, precision)
    lr = torch.rand(many, descriptor.group_size, side, side)
    zero = torch.zeros(1, descriptor.group_size, 1, 1)
    torch.compiler.reset()
    kinds: dict[str, Callable[..., torch.Tensor]] = {
        "trained": network,
        "hsisr": fast,
        "compiled": torch.compile(network),
    }

    def call(kind: Callable[..., torch.Tensor]) -> torch.Tensor:
        with in_precision(precision, CPU):
            return kind(lr, zero)

    started = time.perf_counter()
    with torch.inference_mode():
        call(kinds["compiled"])
    compiling = time.perf_counter() - started
    subjects = {name: (lambda kind=kind: call(kind)) for name, kind in kinds.items()}
    seconds = taking_turns(subjects, rounds, CPU)
    cells = [f"{statistics.median(own) * 1e3 / many:.1f}" for own in seconds.values()]
    name, kind = f"{descriptor.arch} x{descriptor.scale}", str(precision).removeprefix("torch.")
    print(f"| {name} | {kind} | {compiling:.0f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

"""Networks on a GPU against themselves on the processor: what to run first where there is one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsisr.engine.mixing import measure_scene
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.plan import Plan
from hsisr.engine.session import Session
from hsisr.engine.upscaler import NetworkUpscaler, Transfers
from hsisr.errors import WeightsError
from hsisr.models.fast.cuda_graph import SETTLED_AFTER, Graphed
from hsisr.models.interpolation import Trim
from hsisr.models.registry import for_inference
from hsisr.weights import load_weights, resolve
from tests.memory import MemoryScene, layout_of, stitched

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

CPU = torch.device("cpu")
TRIM = Trim(2, 2, 0, 1)
DEFAULT, WITHOUT_FAST_FORM = "dacn-equivariant-x4", "dacn-any-x4"
NEAR = {torch.float32: 5e-3, torch.bfloat16: 5e-2, torch.float16: 1e-2}
"""Of the range: convolutions take TF32 for float32 on a GPU."""


@pytest.fixture(params=[DEFAULT, WITHOUT_FAST_FORM])
def made(request: pytest.FixtureRequest) -> NetworkUpscaler:
    weights = load_weights(resolve(request.param, 4))
    plain = replace(weights.descriptor, normalisation="none")
    return NetworkUpscaler(for_inference(weights.network), plain, CPU)


def on_gpu(made: NetworkUpscaler, precision: torch.dtype = torch.float32) -> NetworkUpscaler:
    device = torch.device("cuda", torch.cuda.current_device())
    weights = load_weights(resolve(f"{made.descriptor.arch}-x4", 4))
    return replace(
        made,
        network=for_inference(weights.network.to(device), precision),
        device=device,
        precision=precision,
        transfers=Transfers(device),
    )


def tiles(made: NetworkUpscaler, n: int, seed: int = 0) -> torch.Tensor:
    bands = made.descriptor.group_size
    smooth = torch.rand(n, bands, 5, 6, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(smooth, (20, 24), mode="bicubic")


def bands(made: NetworkUpscaler) -> tuple[int, ...]:
    return tuple(range(made.descriptor.group_size))


def close(found: torch.Tensor, expected: torch.Tensor, near: float) -> None:
    span = float(expected.max() - expected.min())
    torch.testing.assert_close(found, expected, rtol=0, atol=near * span)


@pytest.mark.parametrize("precision", NEAR, ids=str)
def test_tiles_are_as_on_the_processor(made: NetworkUpscaler, precision: torch.dtype) -> None:
    gpu, lr = on_gpu(made, precision), tiles(made, 3)
    expected = made.run(lr, bands(made), TRIM)
    close(gpu.run(lr, bands(made), TRIM), expected, NEAR[precision])
    close(gpu.begin(lr, bands(made), TRIM)(), expected, NEAR[precision])


@pytest.mark.parametrize("made", [DEFAULT], indirect=True)
@pytest.mark.parametrize("precision", NEAR, ids=str)
def test_a_graph_is_as_the_plain_network(made: NetworkUpscaler, precision: torch.dtype) -> None:
    gpu = on_gpu(made, precision)
    graphed = gpu.network
    assert isinstance(graphed, Graphed)
    plain = replace(gpu, network=graphed.plain)
    for _ in range(SETTLED_AFTER):
        gpu.run(tiles(made, 2), bands(made), TRIM)
    assert len(graphed._graphs) == 1, "see pytest --log-level=INFO for the reason"
    found = [gpu.run(tiles(made, 2, seed), bands(made), TRIM) for seed in range(4)]
    for seed, hr in enumerate(found):
        expected = plain.run(tiles(made, 2, seed), bands(made), TRIM)
        close(hr, expected, NEAR[precision] / 10)


def test_two_batches_under_way_equal_one(made: NetworkUpscaler) -> None:
    gpu = on_gpu(made)
    for seed in range(SETTLED_AFTER + 4):
        waits = [gpu.begin(tiles(made, 4, 2 * seed + k), bands(made), TRIM) for k in (0, 1)]
        found = [wait() for wait in waits]
        for k, hr in enumerate(found):
            expected = gpu.run(tiles(made, 4, 2 * seed + k), bands(made), TRIM)
            close(hr, expected, NEAR[torch.float32] / 10)
            assert hr.is_pinned()


def test_a_tile_that_is_not_finite_is_seen_when_it_is_waited_for(made: NetworkUpscaler) -> None:
    gpu, lr = on_gpu(made), tiles(made, 3)
    lr[1, 0, 4, 4] = torch.nan
    wait = gpu.begin(lr, bands(made), TRIM)
    with pytest.raises(WeightsError, match="returned values that are not finite"):
        wait()


def planned(device: str, scene: MemoryScene) -> Plan:
    options = UpscaleOptions(scale=4, model=DEFAULT, device=device, tile=16, overlap=4)
    return Session(options).plan(layout_of(scene), measure_scene(scene, None), (3,), 10**9)


def test_a_scene_is_close_to_that_of_the_processor() -> None:
    rng = np.random.default_rng(0)
    ground = rng.random((1, 50, 70)).cumsum(1).cumsum(2)
    cube = (ground * rng.uniform(1, 2, (40, 1, 1))).astype(np.float32)
    cube[:, 20:30, 5:40] = np.nan
    scene, found = MemoryScene(cube), []
    for device in ("cpu", "cuda"):
        plan = planned(device, scene)
        assert plan.ahead == (device == "cuda")
        found.append(torch.from_numpy(stitched(scene, plan).cube))
    expected, gpu = found
    assert torch.equal(expected.isnan(), gpu.isnan())
    close(gpu.nan_to_num(), expected.nan_to_num(), NEAR[torch.float32])

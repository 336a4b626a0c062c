"""The script that turns a run into released weights, on a small run."""

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hsisr.commands.training.train import train
from hsisr.models.dacn_any import AnySize, DacnAny
from hsisr.models.dacn_equivariant import DacnEquivariant, EquivariantSize
from hsisr.models.registry import build
from hsisr.weights import load_weights, released, save_weights
from tests.commands.test_train import options, smooth
from tests.networks import lively_equivariant
from tests.scenes import write_tif

RELEASING = Path(__file__).parents[2] / "docs" / "releasing"


# four steps are no training; what is judged here is the release
pytestmark = [
    pytest.mark.filterwarnings("ignore:the weights lose:hsisr.errors.HsisrWarning"),
]


@pytest.fixture
def script() -> dict[str, Any]:
    return runpy.run_path(str(RELEASING / "release.py"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "weights"
    place.mkdir()
    (place / "catalogue.toml").write_text("# what this is\n")
    return place


def test_a_run_becomes_weights_with_card_and_entry(
    script: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    scene = write_tif(tmp_path / "cave-small.tif", smooth(36, 48, 40))
    run = train(options(scene, command=f"hsisr train {tmp_path}/scenes/cave-small.tif -s 2"))
    judge = write_tif(tmp_path / "enmap-judge.tif", smooth(8, 24, 24, seed=3))
    for _ in range(2):  # releasing again replaces
        words = [str(run.out), "--default", "--weights", str(folder), "--judge", str(judge)]
        assert script["main"](words) == 0
    (entry,) = released(folder)
    assert (entry.name, entry.default) == ("dacn-any-x2", True)
    new, trained = load_weights(entry), load_weights(run.out / "dacn-any-x2.safetensors")
    assert entry.path.stat().st_size < 0.7 * trained.path.stat().st_size
    for mine, theirs in zip(new.network.parameters(), trained.network.parameters(), strict=True):
        assert torch.equal(mine, theirs.half().float())
    card = entry.card.read_text()
    assert "| enmap-judge.tif | EnMAP |" in card
    assert "public; no licence stated |" in card
    assert str(tmp_path) not in card
    assert "`hsisr train scenes/cave-small.tif -s 2`" in card
    assert (folder / "catalogue.toml").read_text().startswith("# what this is\n")


@pytest.mark.slow
def test_released_again_only_the_tile_and_the_scores_change(
    script: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    run = train(options(write_tif(tmp_path / "cave-small.tif", smooth(36, 48, 40))))
    judges = [write_tif(tmp_path / f"{n}-j.tif", smooth(8, 24, 24)) for n in ("enmap", "cave")]
    more = ["--weights", str(folder), "--judge"]
    script["main"]([str(run.out), "--default", "--alias", "newest", *more, str(judges[0])])
    (entry,) = released(folder)
    first, card = load_weights(entry), entry.card.read_text()
    again = ["--again", entry.name, "--tiles", "24,3,2", "--name", "newer"]
    assert script["main"]([*again, *more, str(judges[1])]) == 0
    entry, old = released(folder)
    assert (entry.name, entry.alias, entry.default) == ("newer", "newest", True)
    assert (old.alias, old.default, old.path) == ("", False, first.path)
    second = load_weights(entry)
    tiles = replace(first.descriptor, tile_lr_px=24, overlap_lr_px=3, margin_lr_px=2)
    assert second.descriptor == tiles
    for mine, theirs in zip(second.network.parameters(), first.network.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    now = entry.card.read_text()
    assert "| cave-j.tif |" in now
    assert "| enmap-j.tif |" not in now
    assert now.startswith("# newer\n")
    assert now.split("## ")[-1] == card.split("## ")[-1]
    assert now.count("## ") == card.count("## ")


@pytest.mark.parametrize("scale", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (4, 8))])
@torch.no_grad()
def test_all_patterns_give_what_was_trained_and_blocks_can_be_left_out(
    scale: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    descriptor = DacnAny.descriptor(scale, AnySize(width=8, blocks=3, heads=2, window=4))
    network, lr = build(descriptor).eval(), torch.randn(1, 32, 6, 5)
    path = save_weights(tmp_path / "whole.safetensors", network, descriptor)
    main = runpy.run_path(str(RELEASING / "leaner.py"))["main"]
    for name, more in (("all", ["--basis", "72"]), ("some", ["--basis", "9", "--without", "1"])):
        main([str(path), *more, "-o", str(tmp_path / f"{name}.safetensors")])
    same, small = (load_weights(tmp_path / f"{name}.safetensors") for name in ("all", "some"))
    torch.testing.assert_close(same.network(lr), network(lr), rtol=1e-4, atol=1e-5)
    assert small.descriptor.hparams == {**descriptor.hparams, "basis": 9, "blocks": 2}
    last, kept = (n.state_dict() for n in (network, small.network))
    for name, tensor in kept.items():
        if name.startswith("blocks.1."):
            assert torch.equal(tensor, last[name.replace("blocks.1.", "blocks.2.")])


def test_wider_weights_do_on_pairs_of_bands_what_they_did_on_bands(tmp_path: Path) -> None:
    size = EquivariantSize(features=4, stages=1, blocks=1, heads=2, patterns=2, filters=1)
    descriptor = DacnEquivariant.descriptor(2, size)
    network, lr = lively_equivariant(2, size), torch.randn(1, 32, 9, 8)
    path = save_weights(tmp_path / "narrow.safetensors", network, descriptor)
    main = runpy.run_path(str(RELEASING / "widen.py"))["main"]
    wider = tmp_path / "wide.safetensors"
    main([str(path), "--patterns", "3", "--filters", "2", "-o", str(wider)])
    wide = load_weights(wider)
    assert (wide.descriptor.group_size, wide.descriptor.hparams["filters"]) == (64, 2)
    pairs, zero = (x.repeat_interleave(2, dim=1) for x in (lr, torch.rand(1, 32, 1, 1)))
    torch.testing.assert_close(
        wide.network.eval()(pairs, zero),
        network.eval()(lr, zero[:, ::2]).repeat_interleave(2, dim=1),
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_mean_lies_between_its_weights_and_takes_other_cells(tmp_path: Path) -> None:
    size = EquivariantSize(features=4, stages=1, blocks=1, heads=2, patterns=2)
    descriptor, lr = DacnEquivariant.descriptor(2, size), torch.randn(1, 32, 20, 20)
    networks = [lively_equivariant(2, size) for _ in range(2)]
    with torch.no_grad():
        for sign, network in zip((1, -1), networks, strict=True):
            network.entry.kernel.add_(sign * 0.1 * torch.ones_like(network.entry.kernel))
    files = [
        str(save_weights(tmp_path / f"{n}.safetensors", network, descriptor))
        for n, network in enumerate(networks)
    ]
    main = runpy.run_path(str(RELEASING / "mean.py"))["main"]
    main([*files, "--set", "cells=16", "-o", str(tmp_path / "mean.safetensors")])
    found, middle = load_weights(tmp_path / "mean.safetensors"), lively_equivariant(2, size)
    assert found.descriptor.hparams == {**descriptor.hparams, "cells": 16}
    for (name, tensor), expected in zip(
        found.network.state_dict().items(), middle.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(tensor, expected, msg=name)
    assert not torch.allclose(found.network(lr), middle(lr))
    with pytest.raises(SystemExit):
        main([files[0], str(tmp_path / "mean.safetensors"), "-o", str(tmp_path / "no")])


def test_the_page_shows_what_the_cards_say(script: dict[str, Any]) -> None:
    weights = script["WEIGHTS"]
    assert script["gains"](weights) in script["PAGE"].read_text()
    assert script["gains"](weights, means=True) in script["README"].read_text()


def test_a_scene_of_unknown_origin_is_not_released(
    script: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    scene = write_tif(tmp_path / "found-somewhere.tif", smooth(36, 48, 40))
    run = train(options(scene))
    words = [str(run.out), "--weights", str(folder), "--judge", str(scene)]
    with pytest.raises(SystemExit, match="no origin and terms"):
        script["main"](words)
    assert [path.name for path in folder.iterdir()] == ["catalogue.toml"]

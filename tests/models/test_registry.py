import subprocess
import sys
from dataclasses import replace

import pytest

from hsisr.errors import WeightsError
from hsisr.models.dacn import Dacn, dacn_descriptor
from hsisr.models.registry import build


def test_a_known_name_builds_its_network() -> None:
    assert isinstance(build(dacn_descriptor(2)), Dacn)


def test_only_the_network_that_is_run_is_imported() -> None:
    script = (
        "import sys, torch; from hsisr.models.registry import for_inference; "
        "from hsisr.weights import load_weights, resolve; "
        "for_inference(load_weights(resolve('dacn-any-x4')).network); "
        "own = {'hsisr.models.dacn', 'hsisr.models.dacn_any'} & sys.modules.keys(); "
        "print(sorted(own), any('literature.' in name for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "['hsisr.models.dacn_any'] False\n"


def test_a_mistyped_name_is_answered_with_the_near_one() -> None:
    with pytest.raises(WeightsError, match=r"no network architecture 'dcan'; did you mean 'dacn'"):
        build(replace(dacn_descriptor(2), arch="dcan"))


def test_a_strange_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(WeightsError, match=r"no network architecture 'swin'; known: .*dacn, "):
        build(replace(dacn_descriptor(2), arch="swin"))

from dataclasses import replace

import pytest

from hsisr.errors import WeightsError
from hsisr.models.dacn import Dacn, dacn_descriptor
from hsisr.models.registry import build


def test_a_known_name_builds_its_network() -> None:
    assert isinstance(build(dacn_descriptor(2)), Dacn)


def test_a_mistyped_name_is_answered_with_the_near_one() -> None:
    with pytest.raises(WeightsError, match=r"no network architecture 'dcan'; did you mean 'dacn'"):
        build(replace(dacn_descriptor(2), arch="dcan"))


def test_a_strange_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(WeightsError, match=r"no network architecture 'swin'; known: .*dacn, "):
        build(replace(dacn_descriptor(2), arch="swin"))

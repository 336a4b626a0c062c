import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsisr.errors import WeightsError
from hsisr.models.dacn import Dacn
from hsisr.models.descriptor import SCALES, ModelDescriptor
from hsisr.models.registry import build

FIELDS = asdict(Dacn.descriptor(4))


@given(
    scale=st.sampled_from(SCALES),
    size=st.integers(9, 400),
    normalisation=st.sampled_from(["none", "band"]),
    wavelengths=st.none() | st.tuples(st.floats(300, 500), st.floats(500, 2600)),
)
def test_a_descriptor_survives_json(
    scale: int, size: int, normalisation: str, wavelengths: tuple[float, float] | None
) -> None:
    changes = {"scale": scale, "group_size": size, "normalisation": normalisation}
    made = ModelDescriptor.from_dict(FIELDS | changes | {"wavelengths_nm": wavelengths})
    assert ModelDescriptor.from_dict(json.loads(json.dumps(asdict(made)))) == made


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"scale": 3}, r"scale 3, expected one of \(2, 4, 8\)"),
        ({"group_overlap": 32}, "group overlap 32 of 32 bands"),
        ({"overlap_lr_px": 36}, "tile overlap 36 of 36 pixels"),
        ({"margin_lr_px": -1}, "margin_lr_px is -1, expected int >= 0"),
        ({"normalisation": "scene"}, "normalisation is 'scene', expected 'none' or 'band'"),
        ({"arch": None, "scale": "4"}, "arch is None, expected str, got null; scale is '4'"),
        ({"tile_lr_px": 36.0}, r"tile_lr_px is 36\.0, expected int"),
    ],
)
def test_impossible_values_are_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(WeightsError, match=f"impossible model descriptor: {complaint}"):
        ModelDescriptor.from_dict(FIELDS | change)


def test_unknown_and_missing_keys_are_refused() -> None:
    with pytest.raises(WeightsError, match="unknown key 'colour'"):
        ModelDescriptor.from_dict(FIELDS | {"colour": "red"})
    with pytest.raises(WeightsError, match="missing 1 required keyword-only argument: 'arch'"):
        ModelDescriptor.from_dict({key: value for key, value in FIELDS.items() if key != "arch"})


@pytest.mark.parametrize(
    ("name", "answer"), [("dcan", r"; did you mean 'dacn'"), ("swin", "; known: .*dacn, ")]
)
def test_unknown_names_are_answered_with_near_or_known_ones(name: str, answer: str) -> None:
    with pytest.raises(WeightsError, match=f"no network architecture '{name}'{answer}"):
        build(replace(Dacn.descriptor(2), arch=name))

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.metaworld.model import from_mujoco, model_xml, to_mujoco
from sim.metaworld.table import Prop

METRES = st.floats(-2.0, 2.0)


@given(st.tuples(METRES, METRES, METRES))
def test_points_survive_the_way_to_metaworlds_frame_and_back(point: tuple[float, float, float]) -> None:
    np.testing.assert_array_equal(from_mujoco(to_mujoco(point)), point)


def test_forward_is_metaworlds_y_and_left_its_minus_x() -> None:
    np.testing.assert_array_equal(to_mujoco((1.0, 0.0, 0.0)), [0.0, 1.0, 0.0])
    np.testing.assert_array_equal(to_mujoco((0.0, 1.0, 0.0)), [-1.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("prop", "size", "touches", "is_free"),
    [
        (Prop("a", "pad", "box", (0.1, 0.2, 0.3), (0, 0, 0)), "0.2 0.1 0.3", "0", False),
        (Prop("a", "pad", "cylinder", (0.1, 0.1, 0.3), (0, 0, 0), is_solid=True), "0.1 0.3", "1", False),
        (Prop("a", "pad", "sphere", (0.1, 0.1, 0.1), (0, 0, 0), is_free=True), "0.1", "1", True),
    ],
)
def test_a_prop_is_written_as_mujoco_reads_it(prop: Prop, size: str, touches: str, is_free: bool) -> None:
    root = ElementTree.fromstring(model_xml([prop], Path("/assets"), 64))
    body = root.find("worldbody/body[@name='prop_a']")
    assert body is not None
    geom = body.find("geom")
    assert geom is not None
    assert (geom.get("size"), geom.get("contype"), geom.get("conaffinity")) == (size, touches, touches)
    assert (body.find("freejoint") is not None) is is_free
    assert (body.get("mocap") == "true") is not is_free

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.robots.level import estimate_up, rotation_to_z

directions = st.tuples(*[st.floats(-1, 1)] * 3).map(np.array).filter(lambda v: np.linalg.norm(v) > 0.1)


def unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v)


@given(directions)
def test_the_rotation_takes_up_to_z_and_is_a_rotation(direction: np.ndarray) -> None:
    up = unit(direction)
    R = rotation_to_z(up)
    np.testing.assert_allclose(R @ up, [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(R) == pytest.approx(1.0)


def test_up_is_the_normal_that_level_surfaces_share_not_the_nominal_one() -> None:
    rng = np.random.default_rng(0)
    up = unit(np.array([0.1, -0.9, -0.45]))
    level = up + rng.normal(0, 0.03, (3000, 3))
    wall = np.array([1.0, 0.0, 0.0]) + rng.normal(0, 0.03, (6000, 3))
    clutter = rng.normal(0, 1, (2000, 3))
    normals = np.concatenate([level, wall, clutter])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    found = estimate_up([normals[::2], normals[1::2]], np.array([0.0, -1.0, 0.0]))
    assert np.degrees(np.arccos(found @ up)) < 1.0


def test_too_few_normals_that_point_up_are_refused() -> None:
    with pytest.raises(ValueError, match="normals"):
        estimate_up([], np.array([0.0, 0.0, 1.0]))

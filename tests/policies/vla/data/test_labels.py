from __future__ import annotations

import numpy as np
import pytest

from embodied.geometry import transform
from policies.vla.data.labels import columns_of, destinations, onset_weights, places_in_pictures


def moves(*speeds: float) -> np.ndarray:
    return np.array([[speed, 0.0, 0.0] for speed in speeds])


def places(n: int) -> np.ndarray:
    return np.stack([np.arange(n), np.zeros(n), np.zeros(n)], axis=1).astype(np.float64)


def test_a_motion_leads_to_where_the_tool_rests_next() -> None:
    reached = destinations(places(8), moves(1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0))
    # Two motions: to 2, where it waits, and to the end of the episode.
    np.testing.assert_array_equal(reached[:, 0], [2, 2, 2, 3, 4, 7, 7, 7])
    # It rested before it began.
    np.testing.assert_array_equal(destinations(places(3), moves(0.0, 1.0, 1.0))[:, 0], [0, 2, 2])


def test_one_slow_step_and_a_slow_creep_are_told_apart() -> None:
    reached = destinations(places(6), moves(1.0, 0.05, 1.0, 0.09, 0.05, 0.01))
    np.testing.assert_array_equal(reached[:, 0], [3, 3, 3, 3, 4, 5])


def test_an_arm_that_never_moves_is_where_it_goes() -> None:
    np.testing.assert_array_equal(destinations(places(3), moves(0.0, 0.0, 0.0)), places(3))


def test_frames_count_more_the_more_the_action_changes() -> None:
    actions = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.5], [1.0, 0.5], [1.0, 0.5], [1.0, 0.5]])
    # The first change counts at its own frame and for two more, whatever comes in them.
    np.testing.assert_allclose(onset_weights(actions, 5.0, 3), [1.0, 1.0, 5.0, 5.0, 5.0, 3.0, 1.0])
    np.testing.assert_allclose(onset_weights(actions, 5.0, 1), [1.0, 1.0, 5.0, 3.0, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(onset_weights(actions, 1.0, 3), np.ones(7))
    np.testing.assert_array_equal(onset_weights(np.zeros((2, 2)), 5.0, 3), np.ones(2))


def one_place(point: tuple[float, float, float], T_base_camera: np.ndarray) -> np.ndarray:
    """Return where a picture 20 wide and 10 high shows a point of the robot."""
    places = places_in_pictures(
        np.array([point]), T_base_camera[None, None], np.array([[[10.0, 10.0, 9.5, 4.5]]]), (10, 20)
    )
    return places[0, 0]


def test_a_point_is_found_in_the_picture_by_shares_of_its_size() -> None:
    straight = np.eye(4)
    np.testing.assert_allclose(one_place((0.0, 0.0, 2.0), straight), [0.5, 0.5])
    np.testing.assert_allclose(one_place((0.8, 0.8, 2.0), straight), [0.7, 0.9])
    # The camera stands at (0, 0, 3) and looks down, its right along x: image down is -y.
    above = transform(np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 3.0]))
    np.testing.assert_allclose(one_place((0.5, 0.25, 0.5), above), [0.6, 0.4])


@pytest.mark.parametrize(
    "point",
    [(0.0, 0.0, -2.0), (0.0, 0.0, 0.0), (2.01, 0.0, 2.0), (-2.01, 0.0, 2.0), (0.0, 1.01, 2.0), (0.0, -1.01, 2.0)],
)
def test_a_point_that_is_not_in_the_picture_is_not_known(point: tuple[float, float, float]) -> None:
    assert np.isnan(one_place(point, np.eye(4))).all()
    assert np.isnan(one_place((0.0, 0.0, 2.0), np.full((4, 4), np.nan))).all()


def test_each_frame_has_the_cameras_of_its_time() -> None:
    moved = transform(np.eye(3), np.array([0.2, 0.0, 0.0]))
    cameras = np.array([[np.eye(4), np.eye(4)], [np.eye(4), moved]])
    shares = places_in_pictures(
        np.array([[0.0, 0.0, 1.0]] * 2), cameras, np.full((2, 2, 4), [10.0, 10.0, 9.5, 4.5]), (10, 20)
    )
    np.testing.assert_allclose(shares[:, :, 0], [[0.5, 0.5], [0.5, 0.4]])


def test_columns_are_found_by_name_or_not_at_all() -> None:
    assert columns_of(("c", "a", "b"), ("a", "b")) == [1, 2]
    assert columns_of(("a",), ("a", "b")) is None

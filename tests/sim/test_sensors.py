from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from embodied.geometry import yaw_of
from sim.sensors import (
    DepthNoiseSettings,
    DepthSensor,
    OdometryNoiseSettings,
    OdometrySensor,
    PoseNoiseSettings,
    PoseSensor,
    anonymise_segments,
)

SHAPE = (96, 96)
FOCAL_PX = 128.0


def depth_sensor(seed: int = 0, **settings: float) -> DepthSensor:
    return DepthSensor(DepthNoiseSettings(**settings), np.random.default_rng(seed))


def flat(depth_m: float) -> np.ndarray:
    return np.full(SHAPE, depth_m, dtype=np.float32)


@pytest.mark.parametrize("depth_m", [0.8, 1.5, 3.0])
def test_depth_errors_grow_as_the_model_says(depth_m: float) -> None:
    errors = depth_sensor().measure(flat(depth_m), FOCAL_PX) / 1000.0 - depth_m
    sigma = 0.0012 + 0.0019 * (depth_m - 0.4) ** 2
    quantum = depth_m**2 * 0.125 / (0.075 * 580.0)
    expected = np.sqrt(sigma**2 + quantum**2 / 12.0)
    assert errors.std() == pytest.approx(expected, rel=0.1)
    assert abs(errors.mean()) < 0.1 * expected + 0.0005


def test_far_depth_comes_in_the_steps_of_the_disparity() -> None:
    measured = np.unique(depth_sensor().measure(flat(5.0), FOCAL_PX))
    # Steps of an eighth of a pixel are 7 cm apart at 5 m.
    assert np.diff(measured).min() > 50


def test_without_noise_depth_is_true_to_the_millimetre() -> None:
    depth_m = np.linspace(0.4, 7.9, 96 * 96, dtype=np.float32).reshape(SHAPE)
    measured = depth_sensor(scale=0.0).measure(depth_m, FOCAL_PX)
    assert measured.dtype == np.uint16
    np.testing.assert_allclose(measured / 1000.0, depth_m, atol=0.00051)


@pytest.mark.parametrize("depth_m", [0.0, 0.2, 9.0])
def test_what_is_out_of_range_gives_no_depth(depth_m: float) -> None:
    assert not depth_sensor().measure(flat(depth_m), FOCAL_PX).any()


def test_depth_is_lost_beside_edges_and_nowhere_else_on_a_wall() -> None:
    depth_m = flat(2.0)
    depth_m[:, 48:] = 3.0
    lost = depth_sensor().measure(depth_m, FOCAL_PX) == 0
    for column in (47, 48):
        assert 0.2 < lost[:, column].mean() < 0.5
    assert not lost[:, :46].any()
    assert not lost[:, 50:].any()


def test_depth_is_mostly_lost_on_a_grazing_surface() -> None:
    # A floor seen from 5 cm above: depth h f / (v - horizon).
    rows = np.arange(1, 97, dtype=np.float32)[::-1]
    depth_m = np.repeat((0.05 * FOCAL_PX / rows)[:, None], 96, axis=1).astype(np.float32)
    measurable = (depth_m > 0.3) & (depth_m < 8.0)
    lost = depth_sensor().measure(depth_m, FOCAL_PX) == 0
    assert lost[measurable].mean() > 0.3


def test_depth_noise_is_new_in_each_frame_and_the_same_for_a_seed() -> None:
    first, again = depth_sensor(7), depth_sensor(7)
    frames = [first.measure(flat(2.0), FOCAL_PX) for _ in range(3)]
    repeated = [again.measure(flat(2.0), FOCAL_PX) for _ in range(3)]
    np.testing.assert_array_equal(frames, repeated)
    assert (frames[0] != frames[1]).mean() > 0.3


def test_measuring_leaves_the_truth_untouched() -> None:
    depth_m = flat(2.0)
    depth_sensor().measure(depth_m, FOCAL_PX)
    assert (depth_m == 2.0).all()


def test_a_large_image_has_the_same_noise() -> None:
    depth_m = np.full((1200, 1000), 1.5, dtype=np.float32)
    first, second = (sensor.measure(depth_m, FOCAL_PX) / 1000.0 - 1.5 for sensor in [depth_sensor()] * 2)
    sigma = np.hypot(0.0012 + 0.0019 * 1.1**2, 1.5**2 * 0.125 / (0.075 * 580.0) / np.sqrt(12.0))
    assert first.std() == pytest.approx(sigma, rel=0.1)
    assert not np.array_equal(first, second)


def test_wheels_tell_the_speed_but_for_a_small_share() -> None:
    sensor = OdometrySensor(OdometryNoiseSettings(), np.random.default_rng(0))
    measured = np.array([sensor.measure(np.array([0.5, 0.0, -1.0])) for _ in range(2000)])
    assert measured.dtype == np.float32
    np.testing.assert_allclose(measured.mean(axis=0), [0.5, 0.0, -1.0], atol=1e-3)
    np.testing.assert_allclose(measured.std(axis=0), [0.005, 0.0, 0.01], rtol=0.1)
    exact = OdometrySensor(OdometryNoiseSettings(scale=0.0), np.random.default_rng(0))
    np.testing.assert_allclose(exact.measure(np.array([0.5, 0.1, -1.0])), [0.5, 0.1, -1.0], rtol=1e-6)


def pose_errors(seed: int, n: int, **settings: float) -> np.ndarray:
    sensor = PoseSensor(PoseNoiseSettings(**settings), np.random.default_rng(seed))
    poses = [sensor.measure(1.0, 2.0, 0.5, 0.2) for _ in range(n)]
    return np.array([(T[0, 3] - 1.0, T[1, 3] - 2.0, yaw_of(T) - 0.5) for T in poses])


def test_pose_drifts_slowly_with_the_spread_that_is_set() -> None:
    errors = np.concatenate([pose_errors(seed, 400, jitter_m=0.0, jitter_rad=0.0) for seed in range(12)])
    np.testing.assert_allclose(errors.std(axis=0), [0.015, 0.015, 0.007], rtol=0.25)
    one = pose_errors(0, 400, jitter_m=0.0, jitter_rad=0.0)
    assert np.abs(np.diff(one, axis=0)).max() < 0.006


@given(seed=st.integers(0, 10_000))
def test_pose_error_never_leaves_its_bounds(seed: int) -> None:
    errors = pose_errors(seed, 50, jitter_m=0.0, jitter_rad=0.0)
    assert (np.abs(errors) <= np.array([0.03, 0.03, 0.014]) + 1e-9).all()


def test_pose_jitter_is_white() -> None:
    errors = pose_errors(3, 4000, drift_m=0.0, drift_rad=0.0)
    np.testing.assert_allclose(errors.std(axis=0), [0.003, 0.003, 0.0017], rtol=0.1)
    following = np.corrcoef(errors[:-1, 0], errors[1:, 0])[0, 1]
    assert abs(following) < 0.06


def test_without_noise_the_pose_is_true() -> None:
    assert np.abs(pose_errors(0, 5, scale=0.0)).max() < 1e-12


@given(
    ids=hnp.arrays(np.int32, (12, 12), elements=st.integers(0, 6)),
    seed=st.integers(0, 1000),
    min_px=st.integers(1, 20),
)
def test_segments_are_the_instances_under_other_numbers(ids: np.ndarray, seed: int, min_px: int) -> None:
    labels_by_id = {i: f"thing {i}" for i in range(1, 7)}
    seen = anonymise_segments(ids, labels_by_id, np.random.default_rng(seed), min_px)
    assert seen.segments.dtype == np.uint16
    assert sorted(np.unique(seen.segments[seen.segments > 0])) == list(range(1, len(seen.labels) + 1))
    for instance_id, label in labels_by_id.items():
        mask = ids == instance_id
        if mask.sum() >= min_px:
            number = seen.labels.index(label) + 1
            np.testing.assert_array_equal(seen.segments == number, mask)
        else:
            assert label not in seen.labels
    assert not seen.segments[ids == 0].any()


def test_the_number_of_a_segment_does_not_tell_its_identity() -> None:
    ids = np.repeat(np.arange(1, 9, dtype=np.int32), 32).reshape(16, 16)
    labels_by_id = dict.fromkeys(range(1, 9), "chair")
    rng = np.random.default_rng(0)
    numbers = np.array([anonymise_segments(ids, labels_by_id, rng).segments[::2, 0] for _ in range(200)])
    # Each of eight equal things gets each number equally often.
    counts = np.array([[(numbers[:, thing] == number).sum() for number in range(1, 9)] for thing in range(8)])
    assert counts.min() >= 8
    assert counts.max() <= 48

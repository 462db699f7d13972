from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from embodied.errors import ConfigurationError
from fake_policy import INTERFACE, NETWORK, FakeBackend, record_of, words_of
from policies.vla.acting import Actor
from policies.vla.action_codec import ROTATION_NAMES, ActionCodec, n_network_actions
from policies.vla.config import NetworkConfig, RotationConfig
from policies.vla.normaliser import Bounds, Normaliser

NAMES = ("tool_up", *ROTATION_NAMES, "gripper")
SIX = RotationConfig(form="axis_angle", unit_rad=0.1)
LOW, HIGH = (-0.5, -1.0, -0.2, 0.0, -1.0), (0.5, 1.0, 0.2, 0.0, 1.0)
"""Of actions in shares of a tenth of a radian, never turned about the third axis."""


def codec(form: str, low: Any, high: Any, unit_rad: float = 1.0) -> ActionCodec:
    """Of a rotation alone, within the bounds."""
    bounds = Bounds(low=tuple(np.broadcast_to(low, 3).tolist()), high=tuple(np.broadcast_to(high, 3).tolist()))
    return ActionCodec(ROTATION_NAMES, bounds, RotationConfig(form=form, unit_rad=unit_rad))  # type: ignore[arg-type]


def six_of(rotation: Rotation) -> np.ndarray:
    return rotation.as_matrix()[..., :2, :].reshape(*rotation.as_matrix().shape[:-2], 6).astype(np.float32)


def numbers(low: float, high: float, *shape: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, shape, elements=st.floats(low, high))


@given(vectors=numbers(-3.0 / math.sqrt(3.0), 3.0 / math.sqrt(3.0), 5, 3), unit_rad=st.floats(0.01, 2.0))
def test_any_rotation_vector_comes_back(vectors: np.ndarray, unit_rad: float) -> None:
    decoded = codec("axis_angle", -4.0 / unit_rad, 4.0 / unit_rad, unit_rad).decode(
        six_of(Rotation.from_rotvec(vectors))
    )
    assert decoded.dtype == np.float32
    np.testing.assert_allclose(decoded * unit_rad, vectors, atol=1e-5)


@given(angles=numbers(-1.5, 1.5, 5, 3), turned=st.sampled_from([0.0, 1.6, -1.6]))
def test_any_angles_come_back(angles: np.ndarray, turned: float) -> None:
    angles[:, 0] += turned
    decoded = codec("roll_pitch_yaw", -3.2, 3.2).decode(six_of(Rotation.from_euler("xyz", angles)))
    np.testing.assert_allclose(decoded, angles, atol=1e-4)


@given(six=numbers(-1.0, 1.0, 4, 6), form=st.sampled_from(["axis_angle", "roll_pitch_yaw"]))
def test_whatever_the_six_numbers_are_the_robot_stays_within_the_bounds(six: np.ndarray, form: str) -> None:
    low, high = np.array([-1.0, 0.5, 0.0]), np.array([1.0, 0.7, 0.0])
    decoded = codec(form, low, high).decode(six)
    assert np.isfinite(decoded).all()
    assert (decoded >= low - 1e-6).all()
    assert (decoded <= high + 1e-6).all()


@pytest.mark.parametrize(
    ("form", "turn"),
    [
        ("axis_angle", [0.0, 3.3, 0.1]),
        ("axis_angle", [-3.3, 0.0, 0.1]),
        ("roll_pitch_yaw", [3.3, 0.2, -4.0]),
        ("roll_pitch_yaw", [0.1, 2.0, 0.2]),
        ("roll_pitch_yaw", [0.1, 0.2, 12.0]),
    ],
)
def test_a_rotation_is_written_as_it_was_demonstrated(form: str, turn: list[float]) -> None:
    """Beyond half a turn there is a shorter way to write it, from which the bounds are far."""
    rotation = Rotation.from_rotvec(turn) if form == "axis_angle" else Rotation.from_euler("xyz", turn)
    for unit_rad in (1.0, 0.1):
        middle = np.array(turn) / unit_rad
        decoded = codec(form, middle - 0.3 / unit_rad, middle + 0.2 / unit_rad, unit_rad).decode(six_of(rotation))
        np.testing.assert_allclose(decoded, middle, atol=1e-4)


@pytest.mark.parametrize("pitch", [-math.pi / 2.0, math.pi / 2.0])
def test_where_roll_and_yaw_turn_about_one_axis_the_rotation_stays(pitch: float) -> None:
    six = np.round(six_of(Rotation.from_euler("xyz", [[0.3, pitch, 0.0], [-2.0, pitch, 1.0]])), 6)
    decoded = codec("roll_pitch_yaw", -4.0, 4.0).decode(six)
    np.testing.assert_allclose(six_of(Rotation.from_euler("xyz", decoded)), six, atol=1e-3)


def test_six_numbers_that_span_no_plane_are_no_rotation() -> None:
    for flat in ([0.0] * 6, [0.1, 0.2, 0.0, 0.2, 0.4, 0.0]):
        for form in ("axis_angle", "roll_pitch_yaw"):
            np.testing.assert_array_equal(codec(form, -1.0, 1.0).decode(np.array([flat])), [[0.0, 0.0, 0.0]])


def network(rotations: RotationConfig = SIX) -> NetworkConfig:
    return msgspec.structs.replace(NETWORK, rotations=rotations)


def actor(rotations: RotationConfig = SIX) -> Actor:
    record = record_of(network(rotations), msgspec.structs.replace(INTERFACE, action_names=NAMES))
    record = msgspec.structs.replace(record, normaliser=Normaliser(actions=Bounds(low=LOW, high=HIGH)))
    return Actor(FakeBackend(record), words=words_of)


def test_an_actor_gives_the_robot_its_own_numbers() -> None:
    interface = msgspec.structs.replace(INTERFACE, action_names=NAMES)
    assert [n_network_actions(network(r), interface) for r in (SIX, RotationConfig())] == [8, 5]
    ours = actor()
    ours.warm_up()
    ours.begin("go", "a")
    picture = np.zeros((32, 32, 3), dtype=np.uint8)
    actions = np.concatenate([ours.act([picture], step) for step in range(6)])
    assert actions.shape == (6 * INTERFACE.chunk_steps, 5)
    assert (actions >= np.array(LOW, dtype=np.float32)).all()
    assert (actions <= np.array(HIGH, dtype=np.float32)).all()
    assert (np.ptp(actions, axis=0) > 0.0).tolist() == [True, True, True, False, True]


def test_numbers_as_given_are_only_brought_to_their_bounds() -> None:
    bounds = Bounds(low=LOW, high=HIGH)
    plain = ActionCodec(NAMES, bounds, RotationConfig())
    assert (plain.bounds, plain.n_numbers) == (bounds, 5)
    values = np.random.default_rng(0).uniform(-1.5, 1.5, (4, 5))
    np.testing.assert_array_equal(plain.decode(values), bounds.denormalise(values))


@pytest.mark.parametrize(
    ("names", "changed", "text"),
    [
        (
            ("tool_up", "gripper"),
            {},
            "form: axis_angle expects tool_roll, .* side by side among the actions, got tool_up",
        ),
        (("tool_yaw", "tool_pitch", "tool_roll"), {"form": "roll_pitch_yaw"}, "form: roll_pitch_yaw expects tool_roll"),
        (("tool_roll", "tool_pitch", "gripper", "tool_yaw"), {}, "form: axis_angle expects tool_roll"),
        (NAMES, {"unit_rad": 0.0}, "unit_rad: expected above 0, got 0.0"),
        (NAMES, {"unit_rad": math.nan}, "unit_rad: expected above 0, got nan"),
        (NAMES, {"unit_rad": math.inf, "form": "as_given"}, "unit_rad: expected above 0, got inf"),
    ],
)
def test_rotations_that_are_not_there_are_refused(names: tuple[str, ...], changed: dict[str, Any], text: str) -> None:
    rotations = msgspec.structs.replace(SIX, **changed)
    with pytest.raises(ConfigurationError, match=rf"^network\.rotations\.{text}"):
        n_network_actions(network(rotations), msgspec.structs.replace(INTERFACE, action_names=names))


def test_a_policy_that_was_written_before_has_them_as_given() -> None:
    before = msgspec.to_builtins(network())
    del before["rotations"]
    assert msgspec.convert(before, NetworkConfig).rotations == RotationConfig()

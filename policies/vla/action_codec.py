"""From what the network gives to a robot's actions. No torch in here: exported policies act without it.

Where ``NetworkConfig.rotations`` says so, the network has six numbers in place of an action's three of rotation.
``policies/vla/rotations.py`` makes them for the training; here they become three again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from embodied.arrays import Float
from embodied.errors import ConfigurationError
from policies.vla.config import Interface, NetworkConfig, RotationConfig
from policies.vla.normaliser import Bounds

ROTATION_NAMES = ("tool_roll", "tool_pitch", "tool_yaw")
"""What an action calls the numbers of a rotation, in order."""
SIX_NAMES = tuple(f"tool_rotation_{i}" for i in range(6))
"""What stands in their place."""
DEGENERATE = 1e-6
"""Two rows that are shorter, or closer to parallel, span no plane."""
_TURN = 2.0 * np.pi


def check_rotations(rotations: RotationConfig) -> None:
    """Refuse settings that cannot work.

    Raises:
        ConfigurationError: The unit is not a finite number above 0.
    """
    if not 0.0 < rotations.unit_rad < np.inf:
        raise ConfigurationError(f"network.rotations.unit_rad: expected above 0, got {rotations.unit_rad}")


def rotation_start(action_names: Sequence[str], rotations: RotationConfig) -> int | None:
    """Return where the three numbers of the rotation begin, None where actions stay as they are given.

    Raises:
        ConfigurationError: Six numbers are asked for, and there is no rotation.
    """
    check_rotations(rotations)
    if rotations.form == "as_given":
        return None
    names = tuple(action_names)
    for start in range(len(names) - 2):
        if names[start : start + 3] == ROTATION_NAMES:
            return start
    raise ConfigurationError(
        f"network.rotations.form: {rotations.form} expects {', '.join(ROTATION_NAMES)} side by side among the actions, "
        f"got {', '.join(names)}"
    )


def n_network_actions(network: NetworkConfig, interface: Interface) -> int:
    """Return how many numbers an action has in the network.

    Raises:
        ConfigurationError: See ``rotation_start``.
    """
    start = rotation_start(interface.action_names, network.rotations)
    return len(interface.action_names) + (0 if start is None else 3)


class ActionCodec:
    """The network's numbers of an action, and the robot's."""

    def __init__(self, action_names: Sequence[str], bounds: Bounds, rotations: RotationConfig) -> None:
        """Find the rotation, if it is to be six numbers.

        Args:
            action_names: The robot's, in order.
            bounds: Of the robot's actions in the demonstrations.
            rotations: How the network has rotations.

        Raises:
            ConfigurationError: See ``rotation_start``.
        """
        self._start = rotation_start(action_names, rotations)
        self._form, self._unit = rotations.form, rotations.unit_rad
        self.bounds = bounds
        """Of the network's numbers; the six lie between -1 and 1 by themselves."""
        if self._start is not None:
            low, high = (_replaced(each, self._start, one) for each, one in ((bounds.low, -1.0), (bounds.high, 1.0)))
            self.bounds = Bounds(low=low, high=high)
            turns = slice(self._start, self._start + 3)
            self._low, self._high = np.array(bounds.low[turns]), np.array(bounds.high[turns])

    @property
    def n_numbers(self) -> int:
        """Of an action in the network."""
        return len(self.bounds.low)

    def decode(self, numbers: Float[np.ndarray, "*rows n"]) -> Float[np.ndarray, "*rows n_actions"]:
        """Return the robot's actions, float32, in real units and within the bounds of the demonstrations.

        Args:
            numbers: Normalised. The six of a rotation need not be orthonormal.
        """
        actions = self.bounds.denormalise(numbers)
        if self._start is None:
            return actions
        before, six, after = np.split(actions, (self._start, self._start + 6), axis=-1)
        turn = self._as_demonstrated(_matrix_from_six(six.astype(np.float64))) / self._unit
        return np.concatenate([before, np.clip(turn, self._low, self._high).astype(np.float32), after], axis=-1)

    def _as_demonstrated(self, matrix: Float[np.ndarray, "*rows 3 3"]) -> Float[np.ndarray, "*rows 3"]:
        """Return three numbers for each rotation, radians, of the several ways to write it one within the bounds.

        Otherwise a rotation just beyond half a turn would be clipped to the other end of the demonstrations.
        """
        low, high = self._low * self._unit, self._high * self._unit
        if self._form == "axis_angle":
            vector = Rotation.from_matrix(matrix.reshape(-1, 3, 3)).as_rotvec().reshape(matrix.shape[:-1])
            angle = np.linalg.norm(vector, axis=-1, keepdims=True)
            whole = vector * np.divide(_TURN, angle, out=np.zeros_like(angle), where=angle > 0.0)
            ways = np.stack([vector, vector - whole, vector + whole])
        else:
            angles = _roll_pitch_yaw(matrix)
            ways = np.stack([angles, angles * (1.0, -1.0, 1.0) + np.pi])
            ways -= _TURN * np.round((ways - 0.5 * (low + high)) / _TURN)
        beyond = np.linalg.norm(ways - np.clip(ways, low, high), axis=-1)
        return np.take_along_axis(ways, beyond.argmin(axis=0)[None, ..., None], axis=0)[0]


def _replaced(values: tuple[float, ...], start: int, one: float) -> tuple[float, ...]:
    """Return values with six times the same in place of the three of the rotation."""
    return (*values[:start], *[one] * 6, *values[start + 3 :])


def _matrix_from_six(six: Float[np.ndarray, "*rows 6"]) -> Float[np.ndarray, "*rows 3 3"]:
    """Return matrices by Gram and Schmidt's method, as ``rotations.matrix_from_six`` does in torch."""
    first, second = six[..., :3], six[..., 3:]
    sizes = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    spans = np.linalg.norm(np.cross(first, second), axis=-1) > DEGENERATE * (1.0 + sizes)
    six = np.where(spans[..., None], six, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    x, y = _unit(six[..., :3]), six[..., 3:]
    y = _unit(y - (x * y).sum(axis=-1, keepdims=True) * x)
    return np.stack([x, y, np.cross(x, y)], axis=-2)


def _unit(vectors: Float[np.ndarray, "*rows 3"]) -> Float[np.ndarray, "*rows 3"]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _roll_pitch_yaw(matrix: Float[np.ndarray, "*rows 3 3"]) -> Float[np.ndarray, "*rows 3"]:
    """Return the angles of R = Rz(yaw) Ry(pitch) Rx(roll), with the pitch between -pi/2 and pi/2."""
    roll = np.arctan2(matrix[..., 2, 1], matrix[..., 2, 2])
    pitch = np.arcsin(np.clip(-matrix[..., 2, 0], -1.0, 1.0))
    # Where the pitch is a quarter turn any roll will do, but the yaw has to go with it.
    column = np.cos(roll)[..., None] * matrix[..., 1] - np.sin(roll)[..., None] * matrix[..., 2]
    return np.stack([roll, pitch, np.arctan2(-column[..., 0], column[..., 1])], axis=-1)

"""Rotations in forms that a network can learn: the first two rows of their matrices, six numbers without jumps.

Zhou et al. 2019, "On the Continuity of Rotation Representations in Neural Networks", arXiv 1812.07035, section 4.2;
rows instead of columns, as ``pytorch3d.transforms`` has it, which does the work where it is installed. All functions
take any leading axes, and keep type and device.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from policies.vla.action_codec import DEGENERATE, ROTATION_NAMES, SIX_NAMES


@functools.cache
def _pytorch3d() -> Any:
    """Return ``pytorch3d.transforms``, or None without it."""
    try:
        from pytorch3d import transforms
    except ImportError:
        return None
    return transforms


def matrix_from_axis_angle(vector: Tensor) -> Tensor:
    """Map rotation vectors (..., 3), axis times angle in radians, to matrices (..., 3, 3)."""
    if (library := _pytorch3d()) is not None:
        return library.axis_angle_to_matrix(vector)
    angle = vector.norm(dim=-1)[..., None, None]
    zero = torch.zeros_like(vector[..., 0])
    x, y, z = vector.unbind(-1)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(*vector.shape[:-1], 3, 3)
    # Rodrigues' formula; sin(a) / a and (1 - cos(a)) / a² by sinc, which knows what they are at 0.
    first, second = torch.sinc(angle / torch.pi), 0.5 * torch.sinc(angle / (2 * torch.pi)) ** 2
    return torch.eye(3, dtype=vector.dtype, device=vector.device) + first * cross + second * cross @ cross


def axis_angle_from_matrix(matrix: Tensor) -> Tensor:
    """Map matrices (..., 3, 3) to rotation vectors (..., 3), none longer than pi."""
    if (library := _pytorch3d()) is not None:
        return library.matrix_to_axis_angle(matrix)
    quaternion = _quaternion_from_matrix(matrix)
    real, imaginary = quaternion[..., :1], quaternion[..., 1:]
    length = imaginary.norm(dim=-1, keepdim=True)
    tiny = length < torch.finfo(matrix.dtype).tiny ** 0.5
    # angle / sin(angle / 2), which is 2 where the angle is 0.
    ratio = torch.where(tiny, 2.0, 2.0 * torch.atan2(length, real) / length.masked_fill(tiny, 1.0))
    return ratio * imaginary


def _quaternion_from_matrix(matrix: Tensor) -> Tensor:
    """Map matrices (..., 3, 3) to unit quaternions (..., 4), real part first and not negative.

    The outer product of a quaternion with itself is linear in the matrix; of its rows, which are all multiples of the
    quaternion, the longest is the most exact.
    """
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in matrix.unbind(-2))
    outer = torch.stack(
        [
            1 + a + e + i, h - f, c - g, d - b,
            h - f, 1 + a - e - i, b + d, c + g,
            c - g, b + d, 1 - a + e - i, f + h,
            d - b, c + g, f + h, 1 - a - e + i,
        ],
        dim=-1,
    ).reshape(*matrix.shape[:-2], 4, 4)  # fmt: skip
    longest = outer.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)
    row = outer.gather(-2, longest[..., None, None].expand(*longest.shape, 1, 4)).squeeze(-2)
    return functional.normalize(torch.where(row[..., :1] < 0, -row, row), dim=-1)


def matrix_from_roll_pitch_yaw(angles: Tensor) -> Tensor:
    """Map roll, pitch, yaw (..., 3) in radians to matrices (..., 3, 3).

    About the fixed axes x, then y, then z (REP-103): R = Rz(yaw) Ry(pitch) Rx(roll).
    """
    if (library := _pytorch3d()) is not None:
        return library.euler_angles_to_matrix(angles.flip(-1), "ZYX")
    (sr, sp, sy), (cr, cp, cy) = torch.sin(angles).unbind(-1), torch.cos(angles).unbind(-1)
    rows = [
        cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr,
        sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr,
        -sp, cp * sr, cp * cr,
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).reshape(*angles.shape[:-1], 3, 3)


def roll_pitch_yaw_from_matrix(matrix: Tensor) -> Tensor:
    """Map matrices (..., 3, 3) to roll, pitch, yaw (..., 3) with the pitch between -pi/2 and pi/2."""
    # asin has no value just above 1, where rounding may bring an entry.
    matrix = matrix.clamp(-1.0, 1.0)
    if (library := _pytorch3d()) is not None:
        return library.matrix_to_euler_angles(matrix, "ZYX").flip(-1)
    roll = torch.atan2(matrix[..., 2, 1], matrix[..., 2, 2])
    pitch = torch.asin(-matrix[..., 2, 0])
    yaw = torch.atan2(matrix[..., 1, 0], matrix[..., 0, 0])
    return torch.stack([roll, pitch, yaw], dim=-1)


def six_from_matrix(matrix: Tensor) -> Tensor:
    """Map matrices (..., 3, 3) to six numbers (..., 6): (1, 0, 0, 0, 1, 0) for no rotation."""
    if (library := _pytorch3d()) is not None:
        return library.matrix_to_rotation_6d(matrix)
    return matrix[..., :2, :].flatten(-2)


def matrix_from_six(six: Tensor) -> Tensor:
    """Map any six numbers (..., 6) to matrices (..., 3, 3) by Gram and Schmidt's method.

    Numbers that span no plane, which no rotation is nearest to, become no rotation.
    """
    first, second = six[..., :3], six[..., 3:]
    area = torch.linalg.cross(first, second).norm(dim=-1, keepdim=True)
    spans = area > DEGENERATE * (1.0 + first.norm(dim=-1, keepdim=True) * second.norm(dim=-1, keepdim=True))
    six = torch.where(spans, six, six.new_tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]))
    if (library := _pytorch3d()) is not None:
        return library.rotation_6d_to_matrix(six)
    x = functional.normalize(six[..., :3], dim=-1)
    y = six[..., 3:]
    y = functional.normalize(y - (x * y).sum(dim=-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-2)


class ActionRotations:
    """Actions with their rotation as six numbers, and back; actions without a rotation stay as they are."""

    def __init__(
        self,
        action_names: Sequence[str],
        form: Literal["axis_angle", "roll_pitch_yaw"] = "axis_angle",
        unit_rad: float = 1.0,
    ) -> None:
        """Find the rotation by its names (``ROTATION_NAMES``).

        Args:
            action_names: Of all numbers of an action, in order.
            form: What the three numbers are.
            unit_rad: What a 1 among them stands for, where an action is in shares of a largest step.

        Raises:
            ValueError: Only some of the three names are there, they do not stand together, or the unit is not above 0.
        """
        names = tuple(action_names)
        found = [name for name in ROTATION_NAMES if name in names]
        if found and names[names.index(found[0]) :][:3] != ROTATION_NAMES:
            raise ValueError(f"action_names: expected {', '.join(ROTATION_NAMES)} together or not at all, got {names}")
        if unit_rad <= 0.0:
            raise ValueError(f"unit_rad: expected above 0, got {unit_rad}")
        self._start = names.index(found[0]) if found else None
        self._form, self._unit = form, unit_rad
        self._n_actions = len(names)
        self.names = names
        """Of the numbers that ``encode`` gives."""
        if self._start is not None:
            self.names = names[: self._start] + SIX_NAMES + names[self._start + 3 :]

    def encode(self, actions: Tensor) -> Tensor:
        """Map actions (..., n) to what a network learns (..., n + 3), or to themselves without a rotation.

        Raises:
            ValueError: Not as many numbers as names.
        """
        _check_last("actions", actions, self._n_actions)
        if self._start is None:
            return actions
        before, turn, after = actions.tensor_split((self._start, self._start + 3), dim=-1)
        to_matrix = matrix_from_axis_angle if self._form == "axis_angle" else matrix_from_roll_pitch_yaw
        return torch.cat([before, six_from_matrix(to_matrix(turn * self._unit)), after], dim=-1)

    def decode(self, targets: Tensor) -> Tensor:
        """Map what a network gives (..., n + 3) back to actions (..., n); its six numbers need not be orthonormal.

        Raises:
            ValueError: Not as many numbers as ``names``.
        """
        _check_last("targets", targets, len(self.names))
        if self._start is None:
            return targets
        before, six, after = targets.tensor_split((self._start, self._start + 6), dim=-1)
        from_matrix = axis_angle_from_matrix if self._form == "axis_angle" else roll_pitch_yaw_from_matrix
        return torch.cat([before, from_matrix(matrix_from_six(six)) / self._unit, after], dim=-1)


def _check_last(name: str, numbers: Tensor, expected: int) -> None:
    if numbers.shape[-1] != expected:
        raise ValueError(f"{name}: expected {expected} numbers each, got {numbers.shape[-1]}")

"""What the bridge asks of any simulator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Protocol, runtime_checkable

import numpy as np

from embodied.arrays import DepthMetres, Float, Image, Int, Transform, Vector3
from embodied.messages import Intrinsics
from sim.robot import StepResult
from sim.scene import Scene


@dataclass(frozen=True)
class Reading:
    """What the robot's camera would see without any error: truth, which the bridge turns into an observation."""

    rgb: Image
    depth_m: DepthMetres
    """True depth along the optical axis, float32, 0 where nothing was hit."""
    instance_ids: Int[np.ndarray, "height width"]
    """int32; 0 is the stage, and where nothing was hit."""


@runtime_checkable
class Simulator(Protocol):
    """A world with one robot in it.

    Order of calls: built with a scene, at its start pose; then ``observe`` and ``step`` in any order, ``load`` for the
    next scene, ``close`` at last, after which only ``close`` may be called. Time passes in ``step`` alone. The same
    scene and the same calls give the same readings: a simulator has no chance of its own, noise is the bridge's.
    """

    name: str
    """What the robot is called in the sessions' records."""

    @property
    def intrinsics(self) -> Intrinsics:
        """The camera."""
        ...

    @property
    def T_base_camera(self) -> Transform:
        """Where the camera sits on the robot, optical frame."""
        ...

    @property
    def T_world_base(self) -> Transform:
        """Where the robot truly is."""
        ...

    @property
    def labels(self) -> Mapping[int, str]:
        """Category of each instance of the scene."""
        ...

    def load(self, scene: Scene) -> None:
        """Put a scene in place, which may be the present one, and the robot at its start pose."""
        ...

    def observe(self) -> Reading:
        """Return what the camera sees now, in arrays of its own."""
        ...

    def limited(self, twists: Float[np.ndarray, "n_steps 3"]) -> Float[np.ndarray, "n_steps 3"]:
        """Return the twists that the robot would really carry out where nothing is in the way, float32."""
        ...

    def step(self, twist: Vector3, period_s: float) -> StepResult:
        """Hold a twist (forward m/s, left m/s, counter-clockwise rad/s) for a period.

        The twist is limited first. The robot never passes through anything; what stops it sets ``collided``.
        """
        ...

    def close(self) -> None:
        """Release what the simulator holds; a second time does nothing."""
        ...

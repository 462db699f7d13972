"""What the bridge asks of any simulator, and what a simulator answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, NamedTuple, Optional, Protocol, Tuple, TypeVar, runtime_checkable

import numpy as np

from embodied.arrays import DepthMetres, Float, Image, Int, Transform
from embodied.messages import Intrinsics

WorldT_contra = TypeVar("WorldT_contra", contravariant=True)
"""What a simulator loads: ``sim.scene.Scene`` where robots drive, ``sim.manipulation.TaskEpisode`` where arms work."""

WHEEL_ACTIONS = ("forward_m_s", "left_m_s", "turn_rad_s")
"""What a robot on wheels is told, and feels: its twist. A robot that can do more has more names behind these."""


@dataclass(frozen=True)
class Camera:
    """One of the robot's cameras."""

    name: str
    intrinsics: Intrinsics


@dataclass(frozen=True)
class View:
    """What one camera would see without any error: truth, which the bridge turns into an observation."""

    rgb: Image
    depth_m: Optional[DepthMetres]
    """True depth along the optical axis, float32, 0 where nothing was hit; None: a camera without depth."""
    instance_ids: Optional[Int[np.ndarray, "height width"]]
    """int32; 0 is the stage, and where nothing was hit; None: no instance masks."""
    T_base_camera: Transform
    """Where the camera is now, optical frame: one at a wrist moves."""


@dataclass(frozen=True)
class Reading:
    """What all cameras see at one instant."""

    views: Tuple[View, ...]
    """In the order of ``Simulator.cameras``."""


@dataclass(frozen=True)
class ActionSpace:
    """What the robot can be told."""

    names: Tuple[str, ...]
    """With units where there are any; deltas of an arm's tool are named as their environment defines them."""
    low: Float[np.ndarray, " n_actions"]
    """float32: the least of each that is carried out."""
    high: Float[np.ndarray, " n_actions"]
    """float32: the greatest."""


def checked_action(action: np.ndarray, space: ActionSpace) -> Float[np.ndarray, " n_actions"]:
    """Return an action as float32.

    Raises:
        ValueError: It has another length than the space, or is not finite.
    """
    values = np.asarray(action, dtype=np.float32)
    if values.shape != (len(space.names),):
        raise ValueError(f"action: expected {len(space.names)} numbers ({', '.join(space.names)}), got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"action: expected finite numbers, got {values.tolist()}")
    return values


class StepResult(NamedTuple):
    """What became of one action."""

    measured: Float[np.ndarray, " n_proprioception"]
    """float32: what the robot feels, in the order of ``proprioception_names``. Wheels: the mean twist of the period,
    in the body frame half-way through the turn."""
    collided: bool = False
    """A bumper touched something; always False where there is none."""
    success: bool = False
    """The world's task is done in this instant; always False where there is no task. It never reaches the robot."""
    ended: bool = False
    """The world takes no more steps."""


@runtime_checkable
class Simulator(Protocol[WorldT_contra]):
    """A world with one robot in it.

    Order of calls: built with a world, at its start; then ``observe`` and ``step`` in any order, ``load`` for the next
    world, ``close`` at last, after which only ``close`` may be called. Time passes in ``step`` alone. The same world
    and the same calls give the same readings: a simulator has no chance of its own, noise is the bridge's.
    """

    name: str
    """What the robot is called in the sessions' records."""

    @property
    def cameras(self) -> Tuple[Camera, ...]:
        """The cameras, which stay the same for the simulator's life."""
        ...

    @property
    def action_space(self) -> ActionSpace:
        """What the robot can be told; it stays the same for the simulator's life."""
        ...

    @property
    def proprioception_names(self) -> Tuple[str, ...]:
        """What the robot feels; it stays the same for the simulator's life."""
        ...

    @property
    def control_period_s(self) -> Optional[float]:
        """For how long one action is held; None: for as long as ``step`` is told."""
        ...

    @property
    def instruction(self) -> str:
        """What the robot is told to do in the present world; empty for a robot without a task."""
        ...

    @property
    def T_world_base(self) -> Transform:
        """Where the robot truly is."""
        ...

    @property
    def labels(self) -> Mapping[int, str]:
        """Category of each instance of the present world; empty where there are no instance masks."""
        ...

    def load(self, world: WorldT_contra) -> None:
        """Put a world in place, which may be the present one, and the robot at its start.

        Raises:
            ValueError: There is no such world.
        """
        ...

    def observe(self) -> Reading:
        """Return what the cameras see now, in arrays of their own."""
        ...

    def measured(self) -> Float[np.ndarray, " n_proprioception"]:
        """Return what the robot feels now, float32."""
        ...

    def limited(self, actions: Float[np.ndarray, "n_steps n_actions"]) -> Float[np.ndarray, "n_steps n_actions"]:
        """Return the actions that the robot would really carry out where nothing is in the way, float32."""
        ...

    def step(self, action: np.ndarray, period_s: float) -> StepResult:
        """Hold an action (n_actions,) for a period, which is ``control_period_s`` unless that is None.

        The action is limited first. The robot never passes through anything.

        Raises:
            ValueError: The action is refused by ``checked_action``, or the world has ended.
        """
        ...

    def close(self) -> None:
        """Release what the simulator holds; a second time does nothing."""
        ...


@runtime_checkable
class Demonstrator(Protocol):
    """A simulator that can play the expert as well.

    The expert knows the simulator's state, so it serves to record demonstrations and for nothing else.
    """

    def expert_action(self) -> Float[np.ndarray, " n_actions"]:
        """Return what the expert does in the present state, float32; what it remembers is cleared by ``load``."""
        ...

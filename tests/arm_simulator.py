"""A simulator of one small task, drawn in a few lines: a tool over a table that has to go to the red square.

Two cameras: one above the table with depth and instances, one at the tool with colour alone, which moves.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Optional, Tuple

import numpy as np

from embodied.arrays import Float, Transform
from embodied.geometry import camera_mount, intrinsics_from_fov
from sim.manipulation import TaskEpisode
from sim.simulator import ActionSpace, Camera, Reading, StepResult, View, checked_action

TASK = "reach"
STEP_M = 0.05
"""What an action of 1 moves the tool by in one period."""
SIZE_PX = 32
TABLE_M = 1.0
N_STEPS = 40
"""The episode ends after as many."""
CLOSE_M = 0.06
_HIGH = np.ones(3, dtype=np.float32)


class ArmSimulator:
    """``Simulator`` and ``Demonstrator``."""

    name = "arm"
    cameras = (
        Camera("above", intrinsics_from_fov(SIZE_PX, SIZE_PX, 1.0)),
        Camera("wrist", intrinsics_from_fov(SIZE_PX // 2, SIZE_PX // 2, 1.0)),
    )
    action_space = ActionSpace(("dx", "dy", "gripper"), -_HIGH, _HIGH)
    proprioception_names = ("tool_x_m", "tool_y_m", "gripper")
    control_period_s: Optional[float] = 0.05
    labels = MappingProxyType({1: "square", 2: "tool"})

    def __init__(self) -> None:
        self._episode: Optional[TaskEpisode] = None
        self._closed = False

    @property
    def instruction(self) -> str:
        """What to do."""
        return "go to the red square"

    @property
    def T_world_base(self) -> Transform:
        """Where the arm stands."""
        return np.eye(4)

    def load(self, world: TaskEpisode) -> None:
        """Draw where the square lies."""
        self._check(loaded=False)
        if world.task != TASK:
            raise ValueError(f"task: expected {TASK!r}, got {world.task!r}")
        self._episode = world
        self._square = np.random.default_rng(world.seed).uniform(0.15, 0.85, 2)
        self._tool = np.array([0.5, 0.05])
        self._gripper = 0.0
        self._n_steps = 0

    def observe(self) -> Reading:
        """Draw the table from above, and what is under the tool."""
        self._check()
        rgb, ids = self._drawn()
        depth_m = np.where(ids == 2, np.float32(0.8), np.float32(1.0))
        at_tool = camera_mount(float(self._tool[0]), 0.0, 0.3, 1.2)
        at_tool[1, 3] = self._tool[1]
        u, v = self._pixels(self._tool)
        patch = np.pad(rgb, ((8, 8), (8, 8), (0, 0)))[v : v + 16, u : u + 16].copy()
        return Reading((View(rgb, depth_m, ids, camera_mount(0.5, 0.0, 1.0, 1.5)), View(patch, None, None, at_tool)))

    def measured(self) -> Float[np.ndarray, " 3"]:
        """Return where the tool is."""
        return np.array([*self._tool, self._gripper], dtype=np.float32)

    def limited(self, actions: Float[np.ndarray, "n_steps 3"]) -> Float[np.ndarray, "n_steps 3"]:
        """Cut to -1 to 1."""
        return np.clip(actions, -1.0, 1.0).astype(np.float32)

    def step(self, action: np.ndarray, period_s: float) -> StepResult:
        """Move the tool."""
        self._check()
        values = self.limited(checked_action(action, self.action_space)[None])[0]
        if self._n_steps >= N_STEPS:
            raise ValueError(f"step: expected at most {N_STEPS} in an episode, got one more")
        self._n_steps += 1
        self._tool = np.clip(self._tool + STEP_M * values[:2], 0.0, TABLE_M)
        self._gripper = float(values[2])
        near = bool(np.linalg.norm(self._tool - self._square) < CLOSE_M)
        return StepResult(self.measured(), success=near, ended=self._n_steps >= N_STEPS)

    def expert_action(self) -> Float[np.ndarray, " 3"]:
        """Go straight to the square."""
        return np.append((self._square - self._tool) / STEP_M, 0.0).astype(np.float32)

    def close(self) -> None:
        """Remember that it is closed."""
        self._closed = True

    def _check(self, loaded: bool = True) -> None:
        if self._closed:
            raise ValueError("simulator: expected an open one, got one that was closed")
        if loaded and self._episode is None:
            raise ValueError("simulator: expected load before anything else")

    @staticmethod
    def _pixels(position_m: np.ndarray) -> Tuple[int, int]:
        u, v = np.minimum(position_m / TABLE_M * SIZE_PX, SIZE_PX - 1).astype(int).tolist()
        return u, v

    def _drawn(self) -> Tuple[np.ndarray, np.ndarray]:
        rgb = np.full((SIZE_PX, SIZE_PX, 3), 120, dtype=np.uint8)
        ids = np.zeros((SIZE_PX, SIZE_PX), dtype=np.int32)
        for number, position_m, colour in ((1, self._square, (220, 30, 30)), (2, self._tool, (20, 20, 20))):
            u, v = self._pixels(position_m)
            rows, columns = slice(max(v - 2, 0), v + 3), slice(max(u - 2, 0), u + 3)
            rgb[rows, columns], ids[rows, columns] = colour, number
        return rgb, ids

"""Tasks of memory at Meta-World's table, as a simulator."""

from __future__ import annotations

import zlib
from typing import Mapping, Optional, Tuple

import numpy as np

from embodied.arrays import Float, Transform
from embodied.errors import ConfigurationError
from sim.manipulation import TaskEpisode
from sim.metaworld.arm import CONTROL_PERIOD_S, REACH_M
from sim.metaworld.model import TABLE_HEIGHT_M, assets_directory, from_mujoco
from sim.metaworld.rendering import OffscreenCamera, front_intrinsics, import_mujoco
from sim.metaworld.table import MemoryTask, Trial
from sim.metaworld.tasks import TASKS
from sim.metaworld.waypoints import OPEN, WaypointFollower
from sim.metaworld.world import TableWorld
from sim.simulator import ActionSpace, Camera, Reading, StepResult, View, checked_action
from sim.simulator_settings import MetaworldSettings

ACTION_NAMES = ("tool_forward", "tool_left", "tool_up", "gripper")
"""Displacements of the tool as shares of the greatest, and the gripper from open (-1) to closed (1)."""
PROPRIOCEPTION_NAMES = ("tool_x_m", "tool_y_m", "tool_z_m", "gripper_opening")
"""The tool in the frame ``base``; the gripper from closed (0) to open (1)."""

_T_BASE_MUJOCO = np.eye(4)
"""Meta-World's world turned about the vertical, and its origin lowered from the table top to the floor."""
_T_BASE_MUJOCO[:3, :3] = np.stack([from_mujoco(axis) for axis in np.eye(3)], axis=1)
_T_BASE_MUJOCO[2, 3] = TABLE_HEIGHT_M


class MetaworldSimulator:
    """``Simulator`` and ``Demonstrator``. Base and world are one frame: the floor below the robot's shoulder.

    While the robot is held, at the beginning of every episode, actions are taken and do nothing.
    """

    name = "metaworld"

    def __init__(self, settings: Optional[MetaworldSettings] = None) -> None:
        """Open nothing yet but check that it could be.

        Raises:
            ConfigurationError: MuJoCo or Meta-World is not installed here, or the picture has no size.
        """
        self.settings = settings or MetaworldSettings()
        if self.settings.image_px < 1:
            raise ConfigurationError(f"image_px: expected 1 or more, got {self.settings.image_px}")
        assets_directory()
        import_mujoco()
        self._camera = Camera("front", front_intrinsics(self.settings.image_px))
        highest = np.ones(len(ACTION_NAMES), dtype=np.float32)
        self._actions = ActionSpace(ACTION_NAMES, -highest, highest)
        self._task: Optional[MemoryTask] = None
        self._world: Optional[TableWorld] = None
        self._view: Optional[OffscreenCamera] = None
        self._trial: Optional[Trial] = None
        self._is_closed = False

    @property
    def cameras(self) -> Tuple[Camera, ...]:
        """One, across the table."""
        return (self._camera,)

    @property
    def action_space(self) -> ActionSpace:
        """The tool's displacement and the gripper."""
        return self._actions

    @property
    def proprioception_names(self) -> Tuple[str, ...]:
        """Where the tool is and how far the gripper is open."""
        return PROPRIOCEPTION_NAMES

    @property
    def control_period_s(self) -> float:
        """Four of Meta-World's own steps."""
        return CONTROL_PERIOD_S

    @property
    def instruction(self) -> str:
        """What the robot is told."""
        return self._task.instruction if self._task is not None else ""

    @property
    def T_world_base(self) -> Transform:
        """The robot stands in the origin."""
        return np.eye(4)

    @property
    def labels(self) -> Mapping[int, str]:
        """Category of each prop."""
        props = self._task.props if self._task is not None else ()
        return {index + 1: prop.category for index, prop in enumerate(props)}

    @property
    def n_held_steps(self) -> int:
        """For how many steps the robot is held in the present episode."""
        return self._running()[1].n_held_steps

    @property
    def is_held(self) -> bool:
        """Whether the next action will do nothing."""
        return self._n_steps < self.n_held_steps

    def load(self, world: TaskEpisode) -> None:
        """Lay out an episode; its seed decides the layout and, apart from it, the answer.

        Raises:
            ValueError: There is no such task, or the seed is negative.
        """
        self.load_answer(world, self.answer_of(world))

    def answer_of(self, world: TaskEpisode) -> int:
        """Return the answer that an episode's seed gives; for evaluations, it is the truth.

        Raises:
            ValueError: There is no such task, or the seed is negative.
        """
        answer_seed = self._seeds(world)[1]
        return int(np.random.default_rng(answer_seed).integers(TASKS[world.task].n_answers))

    def load_answer(self, world: TaskEpisode, answer: int, believed: Optional[int] = None) -> None:
        """Lay out an episode with an answer of one's own in place of its seed's, all else being equal.

        Args:
            world: The episode.
            answer: From 0 to below the task's ``n_answers``.
            believed: What the expert takes for the answer; the true one if None. An expert that always believes the
                same is the best there is without a memory.

        Raises:
            ValueError: There is no such task or answer, or the seed is negative.
        """
        layout_seed = self._seeds(world)[0]
        task = TASKS[world.task]
        believed = answer if believed is None else believed
        for name, value in (("answer", answer), ("believed", believed)):
            if not 0 <= value < task.n_answers:
                raise ValueError(f"{name}: expected 0 to {task.n_answers - 1}, got {value}")
        if self._is_closed:
            raise ValueError("simulator: expected an open one, got one that was closed")
        if task is not self._task:
            self._release()
            self._world = TableWorld(task.props, self.settings.image_px)
            self._task = task
        self._trial = task.deal(np.random.default_rng(layout_seed), answer)
        player = task.deal(np.random.default_rng(layout_seed), believed)
        self._expert = WaypointFollower(player.waypoints(), REACH_M)
        self._n_steps = 0
        self._verdict: Optional[bool] = None
        self._show()

    def observe(self) -> Reading:
        """Render what the camera sees."""
        world, _ = self._running()
        if self._view is None:
            self._view = OffscreenCamera(world.model, world.data, self.settings.image_px)
        rgb, depth_m = self._view.render()
        T_base_camera = _T_BASE_MUJOCO @ self._view.T_mujoco_camera
        if not self.settings.depth:
            return Reading((View(rgb, None, None, T_base_camera),))
        geoms = self._view.render_props(depth_m)
        instance_ids = np.where(geoms >= 0, world.instance_of_geom[geoms], 0).astype(np.int32)
        return Reading((View(rgb, depth_m, instance_ids, T_base_camera),))

    def measured(self) -> Float[np.ndarray, " n_proprioception"]:
        """Return where the tool is in the frame ``base``, and how far the gripper is open."""
        world, _ = self._running()
        tool_base_m = world.tool_m + [0.0, 0.0, TABLE_HEIGHT_M]
        return np.append(tool_base_m, world.gripper_opening).astype(np.float32)

    def limited(self, actions: Float[np.ndarray, "n_steps n_actions"]) -> Float[np.ndarray, "n_steps n_actions"]:
        """Return the actions cut to -1 to 1."""
        wanted = np.asarray(actions, dtype=np.float32)
        if wanted.ndim != 2 or wanted.shape[1] != len(ACTION_NAMES):
            raise ValueError(f"actions: expected shape (n_steps, {len(ACTION_NAMES)}), got {wanted.shape}")
        return np.clip(wanted, self._actions.low, self._actions.high)

    def step(self, action: np.ndarray, period_s: float) -> StepResult:
        """Hold an action for one control period."""
        world, trial = self._running()
        if not np.isclose(period_s, CONTROL_PERIOD_S):
            raise ValueError(f"period_s: expected {CONTROL_PERIOD_S}, got {period_s}")
        if self._has_ended():
            raise ValueError("step: expected an episode that goes on, got one that has ended")
        command = self.limited(checked_action(action, self._actions)[None])[0]
        if self._n_steps < trial.n_held_steps:
            self._n_steps += 1
            self._show()
        else:
            world.move(command, self._judge)
            self._n_steps += 1
        return StepResult(self.measured(), success=self._verdict is True, ended=self._has_ended())

    def expert_action(self) -> Float[np.ndarray, " n_actions"]:
        """Return what one who saw the cue does now: wait while held, then go from waypoint to waypoint."""
        world, trial = self._running()
        if self._n_steps < trial.n_held_steps:
            return np.array([0.0, 0.0, 0.0, OPEN], dtype=np.float32)
        return self._expert.action(world.tool_m, self._n_steps)

    def close(self) -> None:
        """Free the pictures' context and the model."""
        self._release()
        self._trial = None
        self._is_closed = True

    def _seeds(self, world: TaskEpisode) -> Tuple[np.random.SeedSequence, np.random.SeedSequence]:
        if world.task not in TASKS:
            raise ValueError(f"task: expected one of {', '.join(TASKS)}, got {world.task!r:.80}")
        if world.seed < 0:
            raise ValueError(f"seed: expected 0 or more, got {world.seed}")
        # With its name in it, the same seed of two tasks has answers that are independent of each other.
        layout, answer = np.random.SeedSequence([world.seed, zlib.crc32(world.task.encode())]).spawn(2)
        return layout, answer

    def _running(self) -> Tuple[TableWorld, Trial]:
        if self._is_closed:
            raise ValueError("simulator: expected an open one, got one that was closed")
        if self._world is None or self._trial is None:
            raise ValueError("simulator: expected an episode to be loaded, got none")
        return self._world, self._trial

    def _show(self) -> None:
        world, trial = self._running()
        world.reset(lambda: trial.show(self._n_steps, world))

    def _judge(self) -> None:
        world, trial = self._running()
        if self._verdict is None:
            self._verdict = trial.judge(world)

    def _has_ended(self) -> bool:
        assert self._task is not None
        assert self._trial is not None
        limit = self._trial.n_held_steps + self._task.max_free_steps
        return self._verdict is False or self._n_steps >= limit

    def _release(self) -> None:
        if self._view is not None:
            self._view.close()
        self._view = self._world = self._task = None

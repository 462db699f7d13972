"""Tasks of memory at a small table, as a simulator."""

from __future__ import annotations

import zlib
from typing import Mapping, NamedTuple, Optional, Tuple

import numpy as np

from embodied.arrays import Float, Transform
from embodied.errors import ConfigurationError
from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose
from sim.manipulation import TaskEpisode
from sim.simulator import ActionSpace, Camera, Reading, StepResult, View, checked_action
from sim.simulator_settings import TabletopSettings
from sim.tabletop.drawing import Canvas, Layer
from sim.tabletop.look import Look
from sim.tabletop.solids import Prism, rectangle
from sim.tabletop.task import MemoryTask, Thing, Trial
from sim.tabletop.tasks import DARK, TASKS
from sim.tabletop.tool import CONTROL_PERIOD_S, REACH_M, Tool

ACTION_NAMES = ("tool_forward", "tool_left", "tool_up", "gripper")
"""Displacements of the tool as shares of the greatest, and the gripper from open (-1) to closed (1)."""
PROPRIOCEPTION_NAMES = ("tool_x_m", "tool_y_m", "tool_z_m", "gripper_opening")
"""The tool in the frame ``base``; the gripper from closed (0) to open (1)."""

TOUCH_M = 0.05
"""How near the tool has to come to the middle of a thing's top."""
STILL_M = 0.006
"""How far it may go in a control period in which it touches."""

_FOV_RAD = float(np.radians(40.0))
_T_BASE_CAMERA = planar_pose(1.38, 0.0, np.pi) @ camera_mount(0.0, 0.0, 0.72, float(np.radians(34.0)))
"""Across the table, looking at the robot."""
_TABLE = rectangle(0.45, 0.0, 0.5, 0.55)
_LAMP_OFF, _LAMP_ON = (Thing((0.3, -0.3), 0.035, 0.03, color, is_round=True) for color in (DARK, (0.55, 1.0, 0.6)))
"""Lights up when the robot may move."""

_TRAVEL_M, _HOVER_M = 0.13, 0.02
"""Heights of the expert's tool: on its way, and above what it touches."""
_OVER_M = 0.03
"""How far from above a place it may begin to go down."""
_GAIN = 0.6
"""Share of the way that the expert commands in one control step: the tool follows with a lag."""


class _Episode(NamedTuple):
    """What is laid out."""

    task: MemoryTask
    trial: Trial
    believed: Tuple[int, ...]
    """The places that the expert goes to, in order."""
    look: Look
    canvas: Canvas


class TabletopSimulator:
    """``Simulator`` and ``Demonstrator``. Base and world are one frame.

    While the robot is held, at the beginning of every episode, actions are taken and do nothing.
    """

    name = "tabletop"
    action_space: ActionSpace = ActionSpace(
        ACTION_NAMES, np.full(4, -1.0, dtype=np.float32), np.full(4, 1.0, dtype=np.float32)
    )
    proprioception_names: Tuple[str, ...] = PROPRIOCEPTION_NAMES
    control_period_s: Optional[float] = CONTROL_PERIOD_S
    labels: Mapping[int, str] = {}
    """None: the camera has no instance masks."""

    def __init__(self, settings: Optional[TabletopSettings] = None) -> None:
        """Take the settings.

        Raises:
            ConfigurationError: The picture has no size.
        """
        self.settings = settings or TabletopSettings()
        px = self.settings.image_px
        if px < 1:
            raise ConfigurationError(f"image_px: expected 1 or more, got {px}")
        self.cameras: Tuple[Camera, ...] = (Camera("front", intrinsics_from_fov(px, px, _FOV_RAD)),)
        self._episode: Optional[_Episode] = None
        self._is_closed = False

    @property
    def instruction(self) -> str:
        """What the robot is told."""
        return self._episode.task.instruction if self._episode is not None else ""

    @property
    def T_world_base(self) -> Transform:
        """The robot stands in the origin."""
        return np.eye(4)

    @property
    def n_held_steps(self) -> int:
        """For how many steps the robot is held in the present episode."""
        return self._running().trial.n_held_steps

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
        return int(np.random.default_rng(_seeds(world)[1]).integers(TASKS[world.task].n_answers))

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
        layout_seed, _, look_seed = _seeds(world)
        task = TASKS[world.task]
        believed = answer if believed is None else believed
        for name, value in (("answer", answer), ("believed", believed)):
            if not 0 <= value < task.n_answers:
                raise ValueError(f"{name}: expected 0 to {task.n_answers - 1}, got {value}")
        if self._is_closed:
            raise ValueError("simulator: expected an open one, got one that was closed")
        trial = task.deal(np.random.default_rng(layout_seed), answer)
        goals = task.deal(np.random.default_rng(layout_seed), believed).wanted
        look = Look.draw(np.random.default_rng(look_seed))
        table = Prism(_TABLE, -0.04, 0.0, look.table)
        canvas = Canvas(self.cameras[0].intrinsics, _T_BASE_CAMERA, table, look.light, look.background)
        self._episode = _Episode(task, trial, goals, look, canvas)
        self._tool = Tool(look.home_m)
        self._n_steps = 0
        self._touched: Tuple[int, ...] = ()
        self._touching: Optional[int] = None
        self._verdict: Optional[bool] = None
        self._drawn: Optional[Tuple[Tuple[Thing, ...], Layer]] = None

    def observe(self) -> Reading:
        """Draw what the camera sees."""
        canvas, things = self._running().canvas, self._things()
        # Between two frames there is mostly only the arm that moves.
        if self._drawn is None or self._drawn[0] != things:
            self._drawn = things, canvas.layer([thing.prism() for thing in things])
        layer = canvas.layer(self._tool.prisms(), self._drawn[1])
        return Reading((View(canvas.picture(layer), None, None, _T_BASE_CAMERA.copy()),))

    def measured(self) -> Float[np.ndarray, " n_proprioception"]:
        """Return where the tool is, and how far the gripper is open."""
        self._running()
        return np.append(self._tool.position_m, self._tool.gripper_opening).astype(np.float32)

    def limited(self, actions: Float[np.ndarray, "n_steps n_actions"]) -> Float[np.ndarray, "n_steps n_actions"]:
        """Return the actions cut to -1 to 1."""
        wanted = np.asarray(actions, dtype=np.float32)
        if wanted.ndim != 2 or wanted.shape[1] != len(ACTION_NAMES):
            raise ValueError(f"actions: expected shape (n_steps, {len(ACTION_NAMES)}), got {wanted.shape}")
        return np.clip(wanted, self.action_space.low, self.action_space.high)

    def step(self, action: np.ndarray, period_s: float) -> StepResult:
        """Hold an action for one control period.

        Raises:
            ValueError: The action is refused, the period is another one, or the episode has ended.
        """
        trial = self._running().trial
        command = self.limited(checked_action(action, self.action_space)[None])[0]
        if abs(period_s - CONTROL_PERIOD_S) > 1e-9:
            raise ValueError(f"period_s: expected {CONTROL_PERIOD_S}, got {period_s}")
        if self._has_ended():
            raise ValueError("step: expected an episode that goes on, got one that has ended")
        collided = False
        if not self.is_held:
            collided = self._tool.move(command, [thing for thing in trial.left if thing.is_solid])
            self._judge(trial)
        self._n_steps += 1
        return StepResult(self.measured(), collided, success=self._verdict is True, ended=self._has_ended())

    def expert_action(self) -> Float[np.ndarray, " n_actions"]:
        """Return what one who saw the cue does now: wait while held, then go over the next place and down to it."""
        _, trial, believed, *_ = self._running()
        if self.is_held:
            return np.array([0.0, 0.0, 0.0, -1.0], dtype=np.float32)
        x_m, y_m, top_m = trial.places_m[believed[min(len(self._touched), len(believed) - 1)]]
        is_over = np.hypot(x_m - self._tool.position_m[0], y_m - self._tool.position_m[1]) < _OVER_M
        goal_m = np.array([x_m, y_m, top_m + _HOVER_M if is_over else _TRAVEL_M])
        move = _GAIN * (goal_m - self._tool.position_m) / REACH_M
        move /= max(1.0, float(np.abs(move).max()))
        return np.append(move, -1.0).astype(np.float32)

    def close(self) -> None:
        """Forget the episode."""
        self._episode = self._drawn = None
        self._is_closed = True

    def _things(self) -> Tuple[Thing, ...]:
        trial = self._running().trial
        if self.is_held:
            return (*trial.shown[self._n_steps], _LAMP_OFF)
        return (*trial.left, _LAMP_ON)

    def _judge(self, trial: Trial) -> None:
        """Note what is touched anew: one place out of order loses."""
        distances = np.linalg.norm(np.array(trial.places_m) - self._tool.position_m, axis=1)
        nearest = int(distances.argmin())
        if distances[nearest] > TOUCH_M:
            self._touching = None
        elif self._tool.step_m < STILL_M and nearest != self._touching and self._verdict is None:
            self._touching = nearest
            self._touched += (nearest,)
            if self._touched != trial.wanted[: len(self._touched)]:
                self._verdict = False
            elif self._touched == trial.wanted:
                self._verdict = True

    def _has_ended(self) -> bool:
        episode = self._running()
        limit = episode.trial.n_held_steps + episode.task.max_free_steps
        return self._verdict is False or self._n_steps >= limit

    def _running(self) -> _Episode:
        if self._is_closed:
            raise ValueError("simulator: expected an open one, got one that was closed")
        if self._episode is None:
            raise ValueError("simulator: expected an episode, got none; load one first")
        return self._episode


def _seeds(world: TaskEpisode) -> Tuple[np.random.SeedSequence, ...]:
    """Return the seeds of layout, answer and look.

    Raises:
        ValueError: There is no such task, or the seed is negative.
    """
    if world.task not in TASKS:
        raise ValueError(f"task: expected one of {', '.join(TASKS)}, got {world.task!r:.80}")
    if world.seed < 0:
        raise ValueError(f"seed: expected 0 or more, got {world.seed}")
    # With its name in it, the same seed of two tasks has answers that are independent of each other.
    return tuple(np.random.SeedSequence([world.seed, zlib.crc32(world.task.encode())]).spawn(3))

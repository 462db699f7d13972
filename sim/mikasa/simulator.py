"""MIKASA-Robo as a simulator of tasks.

ManiSkill's world has z up and metres, as ours; the robot's root is ``base``, which stands on the table. Its cameras'
pixels begin at a corner, its quaternions are w, x, y, z: converted here and nowhere else.
"""

from __future__ import annotations

import warnings
from typing import Any, Mapping, Optional, Tuple

import numpy as np

from embodied.arrays import Float, Transform
from embodied.errors import ConfigurationError
from embodied.geometry import intrinsics_from_fov, invert, matrix_from_quaternion, transform
from sim.manipulation import TaskEpisode
from sim.mikasa.experts import EXPERTS, PLAYERS, Expert, n_hidden_steps
from sim.mikasa.library import CAMERA, make_environment, mikasa_library, take_picture
from sim.simulator import ActionSpace, Camera, Reading, StepResult, View, checked_action
from sim.simulator_settings import MikasaSettings

ACTION_NAMES = ("tool_forward", "tool_left", "tool_up", "tool_roll", "tool_pitch", "tool_yaw", "gripper")
"""Shares of 0.1 m and of 0.1 rad, in axes parallel to those of ``base``; as the environment has it, positive angles are
clockwise. The gripper goes from closed (-1) to open (1)."""
PROPRIOCEPTION_NAMES = (
    "tool_x_m", "tool_y_m", "tool_z_m", "gripper_opening", "tool_qx", "tool_qy", "tool_qz", "tool_qw",
    *(f"joint_{number}_rad" for number in range(1, 8)),
)  # fmt: skip
"""The tool in the frame ``base``; the gripper from closed (0) to open (1)."""
CONTROL_PERIOD_S = 0.05
FOV_RAD = float(np.pi / 2)
OPEN_FINGER_M = 0.04
MAX_SEED = 2**32 - 1


class MikasaSimulator:
    """``Simulator`` and ``Demonstrator``. An episode ends with the number of steps that MIKASA gives its task.

    Success is MIKASA's, but for one thing: a touch of the cue, while it is shown, is none. In the long tasks there is
    time for it, and who does so needs no memory.
    """

    name = "mikasa"
    control_period_s: Optional[float] = CONTROL_PERIOD_S
    proprioception_names: Tuple[str, ...] = PROPRIOCEPTION_NAMES

    def __init__(self, settings: Optional[MikasaSettings] = None) -> None:
        """Load the libraries, and make the task ready that the settings name.

        Raises:
            ConfigurationError: MIKASA-Robo is not installed here or cannot render, or there is no such task.
        """
        self.settings = settings or MikasaSettings()
        self._library = mikasa_library()
        px = self.settings.image_px
        self._camera = Camera("front", intrinsics_from_fov(px, px, FOV_RAD))
        highest = np.ones(len(ACTION_NAMES), dtype=np.float32)
        self._actions = ActionSpace(ACTION_NAMES, -highest, highest)
        self._environment: Any = None
        self._expert: Optional[Expert] = None
        self._task = ""
        self._is_loaded = False
        self._is_closed = False
        if self.settings.prepare:
            try:
                self._open(self.settings.prepare)
            except ValueError as error:
                raise ConfigurationError(str(error)) from error
            # The driver compiles what it draws with at the first picture, which takes seconds.
            take_picture(self._environment)

    @property
    def cameras(self) -> Tuple[Camera, ...]:
        """One, opposite the robot."""
        return (self._camera,)

    @property
    def action_space(self) -> ActionSpace:
        """The tool's displacement and turn, and the gripper."""
        return self._actions

    @property
    def instruction(self) -> str:
        """What the robot is told, in MIKASA's words."""
        return str(self._environment.LANGUAGE_INSTRUCTION) if self._is_loaded else ""

    @property
    def T_world_base(self) -> Transform:
        """The robot's root in ManiSkill's world."""
        self._check_loaded()
        return _transform(self._environment.agent.robot.pose)

    @property
    def labels(self) -> Mapping[int, str]:
        """None: the camera has no instance masks."""
        return {}

    def load(self, world: TaskEpisode) -> None:
        """Lay out an episode.

        Raises:
            ValueError: There is no such task or seed.
        """
        if not 0 <= world.seed <= MAX_SEED:
            raise ValueError(f"seed: expected 0 to {MAX_SEED}, got {world.seed}")
        if self._is_closed:
            raise ValueError("simulator: expected an open one, got one that was closed")
        self._open(world.task)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Built anew: what the solver of contacts remembers of the episode before would change this one.
            self._environment.reset(seed=world.seed, options={"reconfigure": True})
        self._max_steps = int(self._library.spec(world.task).max_episode_steps)
        self._n_steps = 0
        self._expert = EXPERTS[world.task](self._environment)
        self._rgb: Optional[np.ndarray] = None
        self._is_loaded = True

    def _open(self, task: str) -> None:
        if task not in EXPERTS:
            raise ValueError(f"task: expected one of {', '.join(EXPERTS)}, got {task}")
        if task != self._task:
            self._release()
            self._environment = make_environment(self._library, task, self.settings.image_px)
            self._task = task

    def observe(self) -> Reading:
        """Take a picture, once an instant."""
        self._check_loaded()
        if self._rgb is None:
            self._rgb = np.array(take_picture(self._environment), dtype=np.uint8)
        camera = self._environment.scene.sensors[CAMERA].camera
        T_camera_world = np.eye(4)
        T_camera_world[:3] = camera.get_extrinsic_matrix()[0].cpu().numpy()
        T_base_camera = invert(self.T_world_base) @ invert(_rigid(T_camera_world))
        return Reading((View(self._rgb.copy(), None, None, T_base_camera),))

    def measured(self) -> Float[np.ndarray, " n_proprioception"]:
        """Return where the tool and the joints are."""
        self._check_loaded()
        agent = self._environment.agent
        T_base_tool = invert(self.T_world_base) @ _transform(agent.tcp.pose)
        joints = agent.robot.get_qpos()[0].cpu().numpy()
        opening = float(joints[7:9].mean()) / OPEN_FINGER_M
        w, x, y, z = agent.tcp.pose.q[0].cpu().numpy()
        return np.array([*T_base_tool[:3, 3], opening, x, y, z, w, *joints[:7]], dtype=np.float32)

    def limited(self, actions: Float[np.ndarray, "n_steps n_actions"]) -> Float[np.ndarray, "n_steps n_actions"]:
        """Return the actions within their limits; the turn is shortened as a whole, as the controller does it."""
        kept = np.clip(actions, -1.0, 1.0).astype(np.float32)
        length = np.linalg.norm(kept[:, 3:6], axis=1, keepdims=True)
        kept[:, 3:6] /= np.maximum(length, 1.0)
        return kept

    def step(self, action: np.ndarray, period_s: float) -> StepResult:
        """Let the robot follow an action for one control period.

        Raises:
            ValueError: The action is refused, the period is another one, or the episode has ended.
        """
        self._check_loaded()
        wanted = checked_action(action, self._actions)
        if abs(period_s - CONTROL_PERIOD_S) > 1e-9:
            raise ValueError(f"period_s: expected {CONTROL_PERIOD_S}, got {period_s}")
        if self._n_steps >= self._max_steps:
            raise ValueError(
                f"step: expected an episode that goes on, got one that has ended with step {self._n_steps}"
            )
        *_, info = self._environment.step(self.limited(wanted[None])[0])
        self._n_steps += 1
        self._rgb = None
        success = bool(info["success"][0]) and self._n_steps >= n_hidden_steps(self._environment)
        return StepResult(self.measured(), success=success, ended=self._n_steps >= self._max_steps)

    def expert_action(self) -> Float[np.ndarray, " n_actions"]:
        """Return what the expert does now."""
        self._check_loaded()
        assert self._expert is not None, "it is made with the episode"
        return self._expert.action()

    def cast(self, player: str) -> None:
        """Have one act until the next ``load`` who does not know the cue.

        Raises:
            ValueError: Nobody is called so in this task.
        """
        self._check_loaded()
        known = [name for name, tasks in PLAYERS.items() if self._task in tasks]
        if player not in known:
            raise ValueError(f"player: expected one of {', '.join(known) or 'none'} in {self._task}, got {player!r}")
        self._expert = PLAYERS[player][self._task](self._environment)

    def close(self) -> None:
        """Release the environment."""
        self._release()
        self._is_closed = True

    def _release(self) -> None:
        if self._environment is not None:
            self._environment.close()
        self._environment, self._expert, self._task = None, None, ""
        self._is_loaded = False

    def _check_loaded(self) -> None:
        if self._is_closed:
            raise ValueError("simulator: expected an open one, got one that was closed")
        if not self._is_loaded:
            raise ValueError("simulator: expected an episode, got none; load one first")


def _transform(pose: Any) -> Transform:
    """Return a pose of ManiSkill's as a matrix."""
    w, x, y, z = pose.q[0].cpu().numpy().astype(np.float64)
    return transform(matrix_from_quaternion(np.array([x, y, z, w])), pose.p[0].cpu().numpy().astype(np.float64))


def _rigid(T: Transform) -> Transform:
    """Return the transform next to a float32 one whose rotation is one to the last digit."""
    u, _, vt = np.linalg.svd(T[:3, :3])
    exact = np.array(T, dtype=np.float64)
    exact[:3, :3] = u @ vt
    return exact

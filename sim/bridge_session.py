"""One session of a simulated robot: chunks of actions in, observations out. No sockets, no waiting."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Literal, NamedTuple, Optional, Tuple

import msgspec
import numpy as np

from embodied.action_queue import ActionQueue, ActionQueueSettings
from embodied.arrays import Float, Transform
from embodied.clock import NANOSECONDS, ManualClock
from embodied.config import Config
from embodied.geometry import yaw_of
from embodied.messages import ActionChunk, ActionReply, CameraFrame, Observation, SessionEnd, SessionStart
from sim.sensors import (
    ActionNoise,
    ActionNoiseSettings,
    DepthNoiseSettings,
    DepthSensor,
    OdometryNoiseSettings,
    OdometrySensor,
    PoseNoiseSettings,
    PoseSensor,
    anonymise_segments,
)
from sim.simulator import WHEEL_ACTIONS, ActionSpace, Camera, Demonstrator, Reading, Simulator, View

Refusal = Literal["halted", "wrong_session", "not_newer", "stale", "malformed", "busy", "ended"]

_N_WHEELS = len(WHEEL_ACTIONS)
DISTURBED = (*WHEEL_ACTIONS, "tool_forward", "tool_left", "tool_up")
"""What a demonstration's disturbance acts on: where the robot goes, and not what it holds."""
_HOLDING = "gripper"
"""Begins the names of what a robot that stands still goes on doing; everything else is motion, and stops."""


class SessionSettings(Config):
    """How observations are made and commands obeyed."""

    control_period_s: float = 0.2
    """Simulated time for which each action is held, where the simulator leaves that open; an observation follows."""
    max_chunk_steps: int = 64
    """Longer chunks are refused."""
    max_demonstration_steps: int = 1000
    """An expert that has not done its task by then is stopped."""
    n_settling_steps: int = 5
    """How long a demonstration goes on when the task is done, so that its end is seen."""
    min_segment_px: int = 12
    """Segments with fewer pixels are not reported."""
    depth_noise: DepthNoiseSettings = DepthNoiseSettings()
    """Errors of the depth camera."""
    pose_noise: PoseNoiseSettings = PoseNoiseSettings()
    """Errors of the localisation of a robot on wheels; an arm knows where it stands."""
    odometry_noise: OdometryNoiseSettings = OdometryNoiseSettings()
    """Errors of the wheels."""
    action_noise: ActionNoiseSettings = ActionNoiseSettings()
    """How demonstrations are disturbed."""
    ahead: bool = False
    """From the first chunk on time passes by itself, with the wall clock: chunks are taken while one is carried out,
    and where none comes in time, the robot stands still. Otherwise time waits for chunks, as it does for an expert."""
    real_time_factor: float = 1.0
    """``ahead``: the robot's time over the wall clock's, at most."""
    queue: ActionQueueSettings = ActionQueueSettings()
    """``ahead``: how chunks are taken."""


class Frame(NamedTuple):
    """An observation, and the truth it was made from."""

    observation: Observation
    reading: Reading
    """Never leaves the bridge."""
    success: bool
    """Nor does this: the world's task is done in this instant."""
    render_s: float
    noise_s: float


class BridgeSession:
    """Simulated time passes only in ``advance``, one control period a call: in lock-step with the chunks, or always."""

    def __init__(
        self,
        simulator: Simulator[Any],
        session: str,
        stamp_ns: int,
        seed: Tuple[int, ...],
        settings: SessionSettings,
        *,
        demonstrate: bool = False,
        world_frame: str = "map",
    ) -> None:
        """Begin where the simulator stands.

        Args:
            simulator: At the start of a world.
            session: Name of the session.
            stamp_ns: What the robot's clock shows.
            seed: Of all noise.
            settings: Noise and limits.
            demonstrate: The simulator's expert acts until its task is done; chunks are refused.
            world_frame: Sessions in the same world share its name.

        Raises:
            ValueError: A demonstration is asked for, and the simulator has no expert; or time is not to pass.
        """
        if not 0.0 < settings.real_time_factor < np.inf:
            raise ValueError(f"real_time_factor: expected a positive number, got {settings.real_time_factor}")
        if demonstrate and not isinstance(simulator, Demonstrator):
            raise ValueError(f"demonstrate: expected a simulator with an expert, got {simulator.name}")
        self.session = session
        self.start_ns = stamp_ns
        self.seq = -1
        """Of the last observation."""
        self.halted = ""
        """Why the robot was halted; empty while it obeys."""
        self.demonstrated = demonstrate
        """Whether the simulator's expert acts."""
        self.ended = False
        """Whether the world takes no more steps."""
        self.control_period_s = simulator.control_period_s or settings.control_period_s
        """Simulated time for which each action is held."""
        self._wheeled = simulator.action_space.names[:_N_WHEELS] == WHEEL_ACTIONS
        self._n_left = settings.max_demonstration_steps if demonstrate else 0
        self._world_frame = world_frame
        self._simulator = simulator
        self._settings = settings
        self._clock = ManualClock(stamp_ns)
        depth_seed, pose_seed, segment_seed, odometry_seed, action_seed = np.random.SeedSequence(seed).spawn(5)
        self._depth = DepthSensor(settings.depth_noise, np.random.default_rng(depth_seed))
        self._pose = PoseSensor(settings.pose_noise, np.random.default_rng(pose_seed))
        self._odometry = OdometrySensor(settings.odometry_noise, np.random.default_rng(odometry_seed))
        self._segment_rng = np.random.default_rng(segment_seed)
        amplitudes = _disturbed_by(simulator.action_space)
        self._action_noise = ActionNoise(settings.action_noise, amplitudes, np.random.default_rng(action_seed))
        self._pending: List[Float[np.ndarray, " n_actions"]] = []
        period_ns = round(self.control_period_s * NANOSECONDS)
        self._queue = ActionQueue(period_ns, settings.queue) if settings.ahead and not demonstrate else None
        self._time_goes_on = False
        self._last_commanded = np.zeros(len(simulator.action_space.names), dtype=np.float32)
        self._last_chunk = -1

    @property
    def now_ns(self) -> int:
        """The robot's clock."""
        return self._clock.now_ns()

    @property
    def busy(self) -> bool:
        """Whether time is to pass: actions wait to be executed, or it passes by itself."""
        return bool(self._pending) or self._n_left > 0 or self._time_goes_on

    @property
    def step_wall_s(self) -> float:
        """How long a step takes at least, on the wall clock; 0 while time waits for chunks."""
        return self.control_period_s / self._settings.real_time_factor if self._time_goes_on else 0.0

    @property
    def action_counts(self) -> Dict[str, int]:
        """What became of the chunks of a session that takes them ahead of time; else empty."""
        return {} if self._queue is None else dict(self._queue.counts)

    @property
    def _stands(self) -> bool:
        """Whether the robot has nothing to carry out from now on."""
        return not self._queue.has_more(self.now_ns) if self._queue is not None else not self.busy

    def opening(self) -> SessionStart:
        """Return the message that opens the session."""
        return SessionStart(
            session=self.session,
            robot=self._simulator.name,
            stamp_ns=self.start_ns,
            world_frame=self._world_frame,
            instruction=self._simulator.instruction,
            action_names=self._simulator.action_space.names,
            proprioception_names=self._simulator.proprioception_names,
            control_period_s=self.control_period_s,
        )

    def closing(self) -> SessionEnd:
        """Return the message that closes the session."""
        return SessionEnd(session=self.session, stamp_ns=self.now_ns, n_observations=self.seq + 1)

    def first(self) -> Frame:
        """Observe once from where the robot stands."""
        assert self.seq == -1, "the first observation was made already"
        measured = self._simulator.measured()
        return self._observe(
            measured=measured, commanded=None, intended=None, collided=False, success=False, elapsed_s=0.0
        )

    def accept(self, chunk: ActionChunk) -> ActionReply:
        """Take a chunk to be executed, or refuse it; a refusal's reason begins with a ``Refusal``."""
        refusal = self._refusal(chunk)
        if refusal is not None:
            kind, text = refusal
            return ActionReply(seq=chunk.seq, accepted=False, reason=f"{kind}: {text}")
        if self._queue is not None:
            return self._accept_ahead(chunk, self._queue)
        period_ns = round(self.control_period_s * NANOSECONDS)
        n_in_time = (chunk.valid_until_ns - self.now_ns) // period_ns + 1
        commanded = self._simulator.limited(chunk.actions[:n_in_time])
        self._last_chunk = chunk.seq
        self._pending = list(commanded)
        return ActionReply(seq=chunk.seq, accepted=True, commanded=commanded)

    def _accept_ahead(self, chunk: ActionChunk, queue: ActionQueue) -> ActionReply:
        start_ns = self.now_ns if chunk.start_ns is None else chunk.start_ns
        put = queue.put(self._simulator.limited(chunk.actions), start_ns, self.now_ns, chunk.valid_until_ns)
        self._last_chunk = chunk.seq
        if not len(put.actions):
            reason = f"stale: {put.n_late} actions are over and {put.n_beyond} too late, now it is {self.now_ns}"
            return ActionReply(seq=chunk.seq, accepted=False, reason=reason, n_late=put.n_late)
        self._time_goes_on = True
        return ActionReply(seq=chunk.seq, accepted=True, commanded=put.actions, n_late=put.n_late)

    def _refusal(self, chunk: ActionChunk) -> Optional[Tuple[Refusal, str]]:
        if chunk.session != self.session:
            return "wrong_session", f"expected {self.session!r}, got {chunk.session!r}"
        if self.halted:
            return "halted", self.halted
        if self.ended:
            return "ended", "the world takes no more steps"
        if self.demonstrated:
            return "busy", "the simulator's expert acts"
        if self._pending:
            return "busy", f"chunk {self._last_chunk} is being executed"
        if chunk.seq <= self._last_chunk:
            return "not_newer", f"expected more than {self._last_chunk}, got {chunk.seq}"
        if not 0 <= chunk.observation_seq <= self.seq:
            return "malformed", f"observation_seq: expected 0 to {self.seq}, got {chunk.observation_seq}"
        shape, limit = chunk.actions.shape, self._settings.max_chunk_steps
        n_actions = len(self._simulator.action_space.names)
        if len(shape) != 2 or shape[1] != n_actions or not 1 <= shape[0] <= limit:
            return "malformed", f"actions: expected shape (1 to {limit}, {n_actions}), got {shape}"
        # The greatest numbers of a longer type are not finite any more as the float32 that a simulator takes.
        if chunk.actions.dtype.kind != "f" or not (np.abs(chunk.actions) <= np.finfo(np.float32).max).all():
            return "malformed", "actions: expected finite floating-point numbers that fit into float32"
        if self.now_ns > chunk.valid_until_ns:
            return "stale", f"valid until {chunk.valid_until_ns}, now it is {self.now_ns}"
        return None

    def halt(self, reason: str) -> None:
        """Stop the robot and drop what it was about to do."""
        self.halted = self.halted or reason or "no reason given"
        self._stop()

    def _stop(self) -> None:
        self._pending = []
        self._n_left = 0
        self._time_goes_on = False
        if self._queue is not None:
            self._queue.clear()

    def advance(self) -> Frame:
        """Execute the next action and observe. Call only while ``busy``."""
        assert self.busy, "there is nothing to execute"
        action, intended = self._next_action()
        self._last_commanded = action
        step = self._simulator.step(action, self.control_period_s)
        self._clock.advance(self.control_period_s)
        if step.ended:
            self.ended = True
            self._stop()
        elif step.success:
            self._n_left = min(self._n_left, self._settings.n_settling_steps)
        measured = step.measured
        if self._wheeled:
            measured = np.array(measured, dtype=np.float32)
            measured[:_N_WHEELS] = self._odometry.measure(measured[:_N_WHEELS])
        return self._observe(
            measured=measured,
            commanded=action,
            intended=intended,
            collided=step.collided,
            success=step.success,
            elapsed_s=self.control_period_s,
        )

    def _next_action(self) -> Tuple[np.ndarray, Optional[np.ndarray]]:
        """Return what to do, and what was intended where that is something else; both (n_actions,)."""
        if self._queue is not None:
            action = self._queue.take(self.now_ns)
            return self._standing_still() if action is None else action, None
        if not self.demonstrated:
            return self._pending.pop(0), None
        assert isinstance(self._simulator, Demonstrator), "checked when the session began"
        self._n_left -= 1
        wanted = np.asarray(self._simulator.expert_action(), dtype=np.float32)
        wanted, disturbed = self._simulator.limited(np.stack([wanted, self._action_noise.disturb(wanted)]))
        return disturbed, wanted if self._action_noise.active else None

    def _standing_still(self) -> np.ndarray:
        """Return the action of a robot that stands and holds what it holds, (n_actions,)."""
        holds = np.array([name.startswith(_HOLDING) for name in self._simulator.action_space.names])
        return self._simulator.limited(np.where(holds, self._last_commanded, np.float32(0.0))[None])[0]

    def _observe(
        self,
        *,
        measured: Float[np.ndarray, " n_proprioception"],
        commanded: Optional[Float[np.ndarray, " n_actions"]],
        intended: Optional[Float[np.ndarray, " n_actions"]],
        collided: bool,
        success: bool,
        elapsed_s: float,
    ) -> Frame:
        began_s = time.perf_counter()
        reading = self._simulator.observe()
        rendered_s = time.perf_counter()
        cameras = tuple(self._camera(camera, view) for camera, view in zip(self._simulator.cameras, reading.views))
        self.seq += 1
        observation = Observation(
            session=self.session,
            seq=self.seq,
            stamp_ns=self.now_ns,
            T_world_base=self._believed_pose(elapsed_s),
            cameras=cameras,
            proprioception=measured,
            action=commanded,
            intended_action=intended,
            collided=collided,
            awaiting_action=self._stands and not (self.halted or self.ended or self.demonstrated),
        )
        return Frame(observation, reading, success, rendered_s - began_s, time.perf_counter() - rendered_s)

    def _camera(self, camera: Camera, view: View) -> CameraFrame:
        """Return what crosses the wire of what one camera saw."""
        frame = CameraFrame(
            name=camera.name, intrinsics=camera.intrinsics, T_base_camera=view.T_base_camera, rgb=view.rgb
        )
        if view.instance_ids is not None:
            seen = anonymise_segments(
                view.instance_ids, self._simulator.labels, self._segment_rng, self._settings.min_segment_px
            )
            frame = msgspec.structs.replace(frame, segments=seen.segments, segment_labels=seen.labels)
        if view.depth_m is not None:
            depth = self._depth.measure(view.depth_m, camera.intrinsics.fx_px)
            frame = msgspec.structs.replace(frame, depth=depth)
        return frame

    def _believed_pose(self, elapsed_s: float) -> Transform:
        T_world_base = self._simulator.T_world_base
        if not self._wheeled:
            return T_world_base
        x_m, y_m = float(T_world_base[0, 3]), float(T_world_base[1, 3])
        return self._pose.measure(x_m, y_m, yaw_of(T_world_base), elapsed_s)


def _disturbed_by(actions: ActionSpace) -> Float[np.ndarray, " n_actions"]:
    """Return half the range of each number of an action that a disturbance acts on, 0 for the others."""
    moves = np.array([name in DISTURBED for name in actions.names])
    return np.where(moves, 0.5 * (actions.high - actions.low), 0.0)


class StageTimes:
    """Mean time a frame spends in each stage."""

    def __init__(self) -> None:
        self._total_s: Dict[str, float] = {}
        self.n_frames = 0

    def add(self, **seconds: float) -> None:
        """Count one frame."""
        self.n_frames += 1
        for name, duration_s in seconds.items():
            self._total_s[name] = self._total_s.get(name, 0.0) + duration_s

    @property
    def mean_ms(self) -> Dict[str, float]:
        """Milliseconds a frame by stage."""
        return {name: 1000.0 * total / max(self.n_frames, 1) for name, total in self._total_s.items()}

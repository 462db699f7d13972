"""One session of a simulated robot: chunks of commands in, observations out. No sockets, no waiting."""

from __future__ import annotations

import time
from typing import Dict, List, Literal, NamedTuple, Optional, Tuple

import numpy as np

from embodied.arrays import Vector3
from embodied.clock import NANOSECONDS, ManualClock
from embodied.config import Config
from embodied.geometry import yaw_of
from embodied.messages import ActionChunk, ActionReply, CameraFrame, Observation, SessionEnd, SessionStart
from sim.sensors import (
    DepthNoiseSettings,
    DepthSensor,
    OdometryNoiseSettings,
    OdometrySensor,
    PoseNoiseSettings,
    PoseSensor,
    anonymise_segments,
)
from sim.simulator import Reading, Simulator

Refusal = Literal["halted", "wrong_session", "not_newer", "stale", "malformed", "busy"]


class SessionSettings(Config):
    """How observations are made and commands obeyed."""

    control_period_s: float = 0.2
    """Simulated time for which each twist is held; an observation follows each."""
    max_chunk_steps: int = 64
    """Longer chunks are refused."""
    min_segment_px: int = 12
    """Segments with fewer pixels are not reported."""
    depth_noise: DepthNoiseSettings = DepthNoiseSettings()
    """Errors of the depth camera."""
    pose_noise: PoseNoiseSettings = PoseNoiseSettings()
    """Errors of the localisation."""
    odometry_noise: OdometryNoiseSettings = OdometryNoiseSettings()
    """Errors of the wheels."""


class Frame(NamedTuple):
    """An observation, and the truth it was made from."""

    observation: Observation
    reading: Reading
    """Never leaves the bridge."""
    render_s: float
    noise_s: float


class BridgeSession:
    """Runs in lock-step: simulated time passes only in ``advance``, one control period a call."""

    def __init__(
        self, simulator: Simulator, session: str, stamp_ns: int, seed: Tuple[int, ...], settings: SessionSettings
    ) -> None:
        self.session = session
        self.start_ns = stamp_ns
        self.seq = -1
        """Of the last observation."""
        self.halted = ""
        """Why the robot was halted; empty while it obeys."""
        self._simulator = simulator
        self._settings = settings
        self._clock = ManualClock(stamp_ns)
        depth_seed, pose_seed, segment_seed, odometry_seed = np.random.SeedSequence(seed).spawn(4)
        self._depth = DepthSensor(settings.depth_noise, np.random.default_rng(depth_seed))
        self._pose = PoseSensor(settings.pose_noise, np.random.default_rng(pose_seed))
        self._odometry = OdometrySensor(settings.odometry_noise, np.random.default_rng(odometry_seed))
        self._segment_rng = np.random.default_rng(segment_seed)
        self._pending: List[Vector3] = []
        self._last_chunk = -1

    @property
    def now_ns(self) -> int:
        """The robot's clock."""
        return self._clock.now_ns()

    @property
    def busy(self) -> bool:
        """Whether commands wait to be executed."""
        return bool(self._pending)

    def opening(self) -> SessionStart:
        """Return the message that opens the session."""
        return SessionStart(session=self.session, robot=self._simulator.name, stamp_ns=self.start_ns)

    def closing(self) -> SessionEnd:
        """Return the message that closes the session."""
        return SessionEnd(session=self.session, stamp_ns=self.now_ns, n_observations=self.seq + 1)

    def first(self) -> Frame:
        """Observe once from where the robot stands."""
        assert self.seq == -1, "the first observation was made already"
        standing = np.zeros(3, dtype=np.float32)
        return self._observe(measured=standing, commanded=None, collided=False, elapsed_s=0.0)

    def accept(self, chunk: ActionChunk) -> ActionReply:
        """Take a chunk to be executed, or refuse it; a refusal's reason begins with a ``Refusal``."""
        refusal = self._refusal(chunk)
        if refusal is not None:
            kind, text = refusal
            return ActionReply(seq=chunk.seq, accepted=False, reason=f"{kind}: {text}")
        period_ns = round(self._settings.control_period_s * NANOSECONDS)
        n_in_time = (chunk.valid_until_ns - self.now_ns) // period_ns + 1
        commanded = self._simulator.limited(chunk.twists[:n_in_time])
        self._last_chunk = chunk.seq
        self._pending = list(commanded)
        return ActionReply(seq=chunk.seq, accepted=True, commanded=commanded)

    def _refusal(self, chunk: ActionChunk) -> Optional[Tuple[Refusal, str]]:
        if chunk.session != self.session:
            return "wrong_session", f"expected {self.session!r}, got {chunk.session!r}"
        if self.halted:
            return "halted", self.halted
        if self._pending:
            return "busy", f"chunk {self._last_chunk} is being executed"
        if chunk.seq <= self._last_chunk:
            return "not_newer", f"expected more than {self._last_chunk}, got {chunk.seq}"
        if not 0 <= chunk.observation_seq <= self.seq:
            return "malformed", f"observation_seq: expected 0 to {self.seq}, got {chunk.observation_seq}"
        shape, limit = chunk.twists.shape, self._settings.max_chunk_steps
        if len(shape) != 2 or shape[1] != 3 or not 1 <= shape[0] <= limit:
            return "malformed", f"twists: expected shape (1 to {limit}, 3), got {shape}"
        if chunk.twists.dtype.kind != "f" or not np.isfinite(chunk.twists).all():
            return "malformed", "twists: expected finite floating-point numbers"
        if self.now_ns > chunk.valid_until_ns:
            return "stale", f"valid until {chunk.valid_until_ns}, now it is {self.now_ns}"
        return None

    def halt(self, reason: str) -> None:
        """Stop the robot and drop what it was about to do."""
        self.halted = self.halted or reason or "no reason given"
        self._pending = []

    def advance(self) -> Frame:
        """Execute the next twist and observe. Call only while ``busy``."""
        assert self._pending, "there is nothing to execute"
        twist = self._pending.pop(0)
        period_s = self._settings.control_period_s
        step = self._simulator.step(twist, period_s)
        self._clock.advance(period_s)
        measured = self._odometry.measure(step.twist)
        return self._observe(measured=measured, commanded=twist, collided=step.collided, elapsed_s=period_s)

    def _observe(
        self,
        *,
        measured: Vector3,
        commanded: Optional[Vector3],
        collided: bool,
        elapsed_s: float,
    ) -> Frame:
        began_s = time.perf_counter()
        reading = self._simulator.observe()
        rendered_s = time.perf_counter()
        intrinsics = self._simulator.intrinsics
        seen = anonymise_segments(
            reading.instance_ids, self._simulator.labels, self._segment_rng, self._settings.min_segment_px
        )
        x_m, y_m, yaw_rad = self._true_pose()
        camera = CameraFrame(
            name="head",
            intrinsics=intrinsics,
            T_base_camera=self._simulator.T_base_camera,
            rgb=reading.rgb,
            depth=self._depth.measure(reading.depth_m, intrinsics.fx_px),
            segments=seen.segments,
            segment_labels=seen.labels,
        )
        self.seq += 1
        observation = Observation(
            session=self.session,
            seq=self.seq,
            stamp_ns=self.now_ns,
            T_world_base=self._pose.measure(x_m, y_m, yaw_rad, elapsed_s),
            cameras=(camera,),
            proprioception=measured,
            action=commanded,
            collided=collided,
            awaiting_action=not self._pending and not self.halted,
        )
        return Frame(observation, reading, rendered_s - began_s, time.perf_counter() - rendered_s)

    def _true_pose(self) -> Tuple[float, float, float]:
        T_world_base = self._simulator.T_world_base
        return float(T_world_base[0, 3]), float(T_world_base[1, 3]), yaw_of(T_world_base)


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

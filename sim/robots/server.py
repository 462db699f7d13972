"""The bridge process of a robot that is not simulated here: ``python -m sim.robots.server CONFIG.json``.

It streams what the robot sees over the same wires as the simulator's bridge. A recording waits for its consumers, so
nothing of it is lost.
"""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np

from embodied.config import Config
from embodied.geometry import R_BASE_OPTICAL, invert, transform
from embodied.messages import CameraFrame, Observation, SessionEnd, SessionStart
from embodied.process import ProcessConfig, ProcessLink, run_process
from embodied.security import Security
from embodied.transport import LatestPublisher, LosslessProducer
from sim.robots.folder import FolderConfig, FolderFrame, FolderRobot

T_BASE_CAMERA = transform(R_BASE_OPTICAL, np.zeros(3))
"""A hand-held camera is its own body: only the axes differ."""
_IDLE_S = 0.1


class RobotBridgeConfig(Config):
    """Settings of the robot's bridge process."""

    process: ProcessConfig
    pipe: str
    """Address of the lossless channel."""
    latest: str
    """Address of the channel of newest observations."""
    robot: FolderConfig
    """Which robot."""
    session: str = "recording"
    """Name of the session."""
    consumers: Tuple[str, ...] = ("memory", "recorder")
    """Who must be listening before the robot starts."""
    window: int = 8
    """Observations that may be on the way to one consumer."""
    max_frames: Optional[int] = None
    """Stop after so many frames."""
    connect_timeout_s: float = 30.0
    """How long the consumers may take to come."""
    send_timeout_s: float = 10.0
    """How long a consumer may take before it is lost."""
    security: Optional[Security] = None
    """Keys, for addresses off this machine."""


def to_observation(frame: FolderFrame, robot: FolderRobot, session: str, seq: int) -> Observation:
    """Return a frame as it goes over the wire."""
    camera = CameraFrame(
        name="camera", intrinsics=robot.intrinsics, T_base_camera=T_BASE_CAMERA, rgb=frame.rgb, depth=frame.depth
    )
    return Observation(
        session=session,
        seq=seq,
        stamp_ns=frame.stamp_ns,
        T_world_base=frame.T_world_camera @ invert(T_BASE_CAMERA),
        cameras=(camera,),
        proprioception=np.zeros(3, dtype=np.float32),
    )


def stream(
    config: RobotBridgeConfig,
    robot: FolderRobot,
    producer: LosslessProducer,
    latest: LatestPublisher,
    link: ProcessLink,
) -> int:
    """Send one session from its start to its end; return the number of observations."""
    start_ns = config.robot.start_ns
    producer.send(SessionStart(session=config.session, robot=robot.name, stamp_ns=start_ns), config.send_timeout_s)
    n_sent, last_ns = 0, start_ns
    for frame in robot.frames():
        if link.stopping or n_sent == config.max_frames:
            break
        observation = to_observation(frame, robot, config.session, n_sent)
        producer.send(observation, config.send_timeout_s)
        latest.publish(observation)
        n_sent, last_ns = n_sent + 1, frame.stamp_ns
        link.worked(frames=float(n_sent), expected=float(len(robot)))
    end = SessionEnd(session=config.session, stamp_ns=last_ns, n_observations=n_sent)
    producer.send(end, config.send_timeout_s)
    producer.flush(config.send_timeout_s, durable=True)
    return n_sent


def main(config: RobotBridgeConfig, link: ProcessLink) -> None:
    """Play the robot once, then stay until told to stop, so that the group stays whole."""
    robot = FolderRobot(config.robot)
    robot.connect()
    with (
        LosslessProducer(
            config.pipe, consumers=config.consumers, window=config.window, security=config.security
        ) as producer,
        LatestPublisher(config.latest, security=config.security) as latest,
    ):
        link.ready()
        producer.wait_for_consumers(config.connect_timeout_s)
        n_sent = stream(config, robot, producer, latest, link)
        link.worked(frames=float(n_sent), expected=float(len(robot)), done=1.0)
        robot.close()
        while not link.stopping:
            link.wait(_IDLE_S)


if __name__ == "__main__":
    run_process(main, RobotBridgeConfig)

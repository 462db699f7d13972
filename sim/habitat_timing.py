"""Frames of a scene dataset by habitat-sim itself, and what they cost. Runs in habitat-sim's own interpreter.

    python -m sim.habitat_timing JOB.json

``JOB.json`` is a ``HabitatJob``; the answer is written as a ``.npz`` file to its ``out``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Dict, List, Tuple

import msgspec
import numpy as np

from embodied.config import Config
from sim.habitat_simulator import agent_state, habitat_library, open_dataset
from sim.simulator_settings import CameraSettings, HabitatSettings


class HabitatJob(Config):
    """What to render."""

    dataset: str
    """A ``*.scene_dataset_config.json``."""
    scene_name: str
    """Which scene of it."""
    camera: CameraSettings
    """Colour, depth and semantic sensor."""
    poses: Tuple[Tuple[float, float, float], ...]
    """Of the robot's base: x, y in metres, yaw in radians."""
    n_rounds: int
    """How often each pose is rendered."""
    out: str
    """The file to write: ``clock_ms`` and ``core_ms`` of each round and pose, and the images of the last round."""


def measure(job: HabitatJob) -> None:
    """Render and write."""
    simulator = open_dataset(habitat_library(), Path(job.dataset), job.scene_name, HabitatSettings(camera=job.camera))
    shape = (job.n_rounds, len(job.poses))
    clock_ms, core_ms = np.zeros(shape), np.zeros(shape)
    frames: Dict[str, List[np.ndarray]] = {}
    for round_index in range(job.n_rounds):
        for index, pose in enumerate(job.poses):
            state = agent_state(habitat_library(), pose)
            clock_s, core_s = time.perf_counter(), time.process_time()
            simulator.get_agent(0).set_state(state, reset_sensors=True)
            images = simulator.get_sensor_observations()
            clock_ms[round_index, index] = 1e3 * (time.perf_counter() - clock_s)
            core_ms[round_index, index] = 1e3 * (time.process_time() - core_s)
            if round_index == job.n_rounds - 1:
                for name, image in images.items():
                    frames.setdefault(name, []).append(np.array(image))
    simulator.close()
    rgb, depth, semantic = (np.stack(frames[name]) for name in ("rgb", "depth", "semantic"))
    np.savez(job.out, clock_ms=clock_ms, core_ms=core_ms, rgb=rgb, depth=depth, semantic=semantic)


if __name__ == "__main__":
    measure(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=HabitatJob))

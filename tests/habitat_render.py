"""Renders a dataset with habitat-sim. Runs in habitat-sim's own interpreter, which knows nothing of this project.

python habitat_render.py DATASET_CONFIG SCENE POSES.npz OUT.npz SIZE_PX

POSES.npz: ``positions`` (n, 3) and ``rotations_wxyz`` (n, 4) of the camera in Habitat's world; horizontal field 90 deg.
"""

from __future__ import annotations

import sys

import habitat_sim
import numpy as np


def main(dataset: str, scene: str, poses_path: str, out_path: str, size_px: int) -> None:
    settings = habitat_sim.SimulatorConfiguration()
    settings.scene_dataset_config_file = dataset
    settings.scene_id = scene
    settings.gpu_device_id = -1
    settings.load_semantic_mesh = False
    settings.enable_physics = False
    sensors = []
    for name, kind in (
        ("rgb", habitat_sim.SensorType.COLOR),
        ("depth", habitat_sim.SensorType.DEPTH),
        ("semantic", habitat_sim.SensorType.SEMANTIC),
    ):
        sensor = habitat_sim.CameraSensorSpec()
        sensor.uuid = name
        sensor.sensor_type = kind
        sensor.resolution = [size_px, size_px]
        sensor.hfov = 90
        sensor.position = [0.0, 0.0, 0.0]
        sensors.append(sensor)
    agent = habitat_sim.agent.AgentConfiguration()
    agent.sensor_specifications = sensors
    simulator = habitat_sim.Simulator(habitat_sim.Configuration(settings, [agent]))
    poses = np.load(poses_path)
    frames = {"rgb": [], "depth": [], "semantic": []}
    for position, rotation in zip(poses["positions"], poses["rotations_wxyz"]):
        state = habitat_sim.AgentState()
        state.position = position.astype(np.float32)
        state.rotation = np.quaternion(*rotation)
        simulator.get_agent(0).set_state(state)
        for name, image in simulator.get_sensor_observations().items():
            frames[name].append(np.asarray(image))
    simulator.close()
    np.savez(out_path, **{name: np.stack(images) for name, images in frames.items()})


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]))

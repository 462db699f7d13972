"""The bridge as a real process on a written scene."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from embodied.config import save_config
from embodied.errors import ConfigurationError
from embodied.messages import ActionRequest, Observation
from embodied.transport import LatestSubscriber, RpcClient, RpcServer
from sim.bridge import BridgeConfig
from sim.habitat_dataset import write_dataset
from sim.houses_simulator import CameraSettings, HousesSettings
from sim.operator_messages import GetOperatorStatus, OperatorResponse
from sim.server import open_world
from sim_scenes import furnished_room

DEADLINE_S = 20.0


def config_of(directory: Path, dataset: str, **changed: Any) -> BridgeConfig:
    addresses = {name: f"ipc://{directory}/{name}" for name in ("pipe", "latest", "actions", "operator")}
    simulator = HousesSettings(camera=CameraSettings(width_px=32, height_px=24))
    return BridgeConfig(**{**addresses, "dataset": dataset, "simulator": simulator, **changed})


def start(directory: Path, config: BridgeConfig) -> subprocess.Popen[str]:
    save_config(config, directory / "bridge.json")
    command = [sys.executable, "-m", "sim.server", str(directory / "bridge.json")]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def test_the_process_serves_a_written_scene_and_ends_when_asked(tmp_path: Path) -> None:
    dataset = write_dataset(furnished_room(), tmp_path / "scene")
    config = config_of(tmp_path, str(dataset))
    process = start(tmp_path, config)
    with RpcClient(config.operator, OperatorResponse) as operator, LatestSubscriber(config.latest, Observation):
        status = operator.call(GetOperatorStatus(), timeout_s=DEADLINE_S)
        assert status.session == ""
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, log


def test_an_address_in_use_is_one_clear_line(tmp_path: Path) -> None:
    config = config_of(tmp_path, str(write_dataset(furnished_room(), tmp_path / "scene")))
    with RpcServer(config.actions, ActionRequest):
        process = start(tmp_path, config)
        _, log = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    last = log.strip().splitlines()[-1]
    assert last.startswith("bridge: AddressInUse: ")
    assert "actions" in last


def test_a_house_without_a_dataset_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="dataset: expected a scene dataset"):
        open_world(config_of(tmp_path, ""))


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_missing_or_broken_scene_is_one_clear_line(tmp_path: Path, content: str | None) -> None:
    dataset = tmp_path / "x.scene_dataset_config.json"
    if content is not None:
        dataset.write_text(content)
    process = start(tmp_path, config_of(tmp_path, str(dataset)))
    _, log = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    last = log.strip().splitlines()[-1]
    assert last.startswith("bridge: SceneError: ")
    assert str(tmp_path) in last

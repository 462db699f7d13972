from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from embodied.config import Config, load_config, save_config
from sim.bridge import BridgeConfig
from sim.simulator_settings import (
    CameraSettings,
    HabitatSettings,
    HousesSettings,
    MetaworldSettings,
    MikasaSettings,
    TabletopSettings,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "settings",
    [
        HousesSettings(camera=CameraSettings(width_px=64)),
        HabitatSettings(camera=CameraSettings(width_px=64)),
        MetaworldSettings(image_px=64),
        MikasaSettings(image_px=64),
        TabletopSettings(image_px=64),
    ],
)
def test_the_bridge_is_told_which_simulator_by_its_settings(settings: Config, tmp_path: Path) -> None:
    addresses = {name: f"ipc://{tmp_path}/{name}" for name in ("pipe", "latest", "actions", "operator")}
    config = BridgeConfig(**addresses, simulator=settings)
    save_config(config, tmp_path / "bridge.json")
    assert load_config(tmp_path / "bridge.json", BridgeConfig) == config


def test_the_bridge_needs_no_library_of_a_simulator_that_it_does_not_open() -> None:
    heavy = {"embreex", "trimesh", "habitat_sim", "mujoco", "metaworld", "mani_skill"}
    code = f"import sys, sim.server; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Makes MIKASA-Robo's environments, simulated and rendered (by Vulkan, with lavapipe) on the processor."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from embodied.errors import ConfigurationError

CONTROL_MODE = "pd_ee_delta_pose"
CAMERA = "base_camera"
"""MIKASA's name for the camera that looks at the table."""
_LAVAPIPE = Path(sys.prefix) / "mesa" / "lavapipe.json"
"""Where an interpreter made for this project keeps a driver that needs no GPU."""


def mikasa_library() -> Any:
    """Return gymnasium with MIKASA's environments registered.

    Raises:
        ConfigurationError: This interpreter has none.
    """
    if _LAVAPIPE.exists():
        os.environ.setdefault("VK_ICD_FILENAMES", str(_LAVAPIPE))
    try:
        with warnings.catch_warnings():
            # SAPIEN tells that it brings its own Vulkan loader.
            warnings.simplefilter("ignore")
            import gymnasium
            import mikasa_robo_suite.vla.memory_envs  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "MIKASA-Robo is missing in this interpreter: name one that has it with --bridge-python or in "
            f"EMBODIED_MIKASA_PYTHON (docs/simulators.md): {error}"
        ) from error
    # ManiSkill collects garbage with every episode. What has been loaded by now is never any, and takes most of that.
    gc.freeze()
    return gymnasium


def make_environment(gymnasium: Any, task: str, image_px: int) -> Any:
    """Return an environment without its wrappers.

    It gives no observations of its own: pictures are taken when they are asked for, and the wrist's camera, which the
    tasks do without, costs nothing.

    Raises:
        ConfigurationError: There is no Vulkan driver that can render.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            environment = gymnasium.make(
                task,
                obs_mode="none",
                reward_mode="none",
                control_mode=CONTROL_MODE,
                sim_backend="cpu",
                render_backend="cpu",
                sensor_configs={"width": image_px, "height": image_px},
            ).unwrapped
        except RuntimeError as error:
            raise ConfigurationError(f"mikasa: {task} cannot be opened: {error}") from error
    return environment


def take_picture(environment: Any) -> Any:
    """Return what the camera sees now, uint8 of (height, width, 3)."""
    scene = environment.scene
    scene.update_render(update_sensors=True, update_human_render_cameras=False)
    sensor = scene.sensors[CAMERA]
    sensor.capture()
    picture = sensor.get_obs(rgb=True, depth=False, position=False, segmentation=False)
    return picture["rgb"][0].cpu().numpy()

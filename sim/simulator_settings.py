"""The settings of every simulator, without the libraries that they need: a launcher names one, its bridge opens it."""

from __future__ import annotations

from typing import Union

from embodied.config import Config
from sim.lighting_settings import LightingSettings
from sim.robot import RobotSettings


class CameraSettings(Config):
    """The camera of a robot on wheels."""

    width_px: int = 256
    """Width of the image."""
    height_px: int = 256
    """Height of the image."""
    horizontal_fov_rad: float = 1.5707963267948966
    """Angle between the left and the right edge."""
    height_m: float = 1.25
    """Above the floor."""
    pitch_rad: float = 0.3490658503988659
    """Downwards."""


class HousesSettings(Config, tag_field="simulator", tag="houses"):
    """A robot on wheels in our own renderer."""

    camera: CameraSettings = CameraSettings()
    """What it sees with."""
    robot: RobotSettings = RobotSettings()
    """What it moves."""
    lighting: LightingSettings = LightingSettings()
    """How houses are lit."""


class HabitatSettings(Config, tag_field="simulator", tag="habitat"):
    """The same robot in habitat-sim."""

    camera: CameraSettings = CameraSettings()
    """What it sees with."""
    robot: RobotSettings = RobotSettings()
    """What it moves."""
    gpu_device_id: int = -1
    """CUDA device that renders; -1 leaves it to EGL, which also has software."""


class MetaworldSettings(Config, tag_field="simulator", tag="metaworld"):
    """A Sawyer arm at a table, in MuJoCo."""

    image_px: int = 128
    """Width and height of the image."""
    depth: bool = True
    """Whether the camera gives depth and instances as well."""


class MikasaSettings(Config, tag_field="simulator", tag="mikasa"):
    """MIKASA-Robo's tasks, in ManiSkill."""

    image_px: int = 128
    """Width and height of the image."""
    prepare: str = ""
    """A task that is made ready at once, so that its first episode need not wait; empty for none."""


class TabletopSettings(Config, tag_field="simulator", tag="tabletop"):
    """Tasks of memory at a small table, drawn by numpy."""

    image_px: int = 128
    """Width and height of the image."""


SimulatorSettings = Union[HousesSettings, HabitatSettings, MetaworldSettings, MikasaSettings, TabletopSettings]

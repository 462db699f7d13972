"""What differs from seed to seed and means nothing: colours of the room, light, and where the tool begins."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from sim.tabletop.drawing import Light
from sim.tabletop.solids import Color
from sim.tabletop.task import Position

_HOME_M = np.array([0.46, 0.0, 0.19])
_HOME_JITTER_M = 0.012


@dataclass(frozen=True)
class Look:
    """How one episode looks."""

    table: Color
    background: Color
    light: Light
    home_m: Position

    @staticmethod
    def draw(rng: np.random.Generator) -> Look:
        """Draw one. No table is as saturated as the things on it, nor as dark or as bright."""
        table = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.05, 0.3), rng.uniform(0.45, 0.62))
        background = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.0, 0.25), rng.uniform(0.2, 0.4))
        yaw_rad, lean = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.15, 0.45)
        direction = np.array([lean * np.cos(yaw_rad), lean * np.sin(yaw_rad), 1.0])
        ambient = float(rng.uniform(0.5, 0.65))
        light = Light(direction / np.linalg.norm(direction), ambient, float(rng.uniform(0.95, 1.05)) - ambient)
        x_m, y_m, z_m = (_HOME_M + rng.uniform(-_HOME_JITTER_M, _HOME_JITTER_M, 3)).tolist()
        return Look(table, background, light, (x_m, y_m, z_m))

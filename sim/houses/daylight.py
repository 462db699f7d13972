"""The same house by day, in the evening and at night."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Literal, Tuple

import numpy as np

from sim.houses import textures
from sim.houses.stage import window_panes
from sim.scene import Light, Part, Region, Scene

TimeOfDay = Literal["lamps", "day", "evening", "night"]
"""``lamps``: all rooms lit from their ceiling, whatever the hour."""
CEILING_M = 2.25
_SKY, _SUNSET = (0.86, 0.94, 1.0), (1.0, 0.72, 0.5)
_BULB, _WARM = (1.0, 0.96, 0.9), (1.0, 0.8, 0.56)
_INSIDE_M = 0.3
"""Daylight comes from so far before a window: a lamp's own radius would hide it in the wall."""
_LAMPS = ("lamp", "floor lamp", "lantern", "candle")


def relit(scene: Scene, when: TimeOfDay) -> Scene:
    """Return a house as it is lit at some time of day; what is seen through its windows changes with it.

    By day light comes from the windows, in rooms without one from the ceiling. In the evening it is dusk, and ceilings
    and table lamps are lit; at night table lamps alone, and a dim ceiling in rooms that have none.

    Raises:
        ValueError: There is no such time of day.
    """
    ambients: Dict[str, Tuple[float, float, float]] = {
        "lamps": (1.0, 1.0, 1.0), "day": (1.02, 1.05, 1.1), "evening": (0.62, 0.52, 0.46), "night": (0.3, 0.3, 0.38),
    }  # fmt: skip
    gains = {"lamps": 1.0, "day": 0.65, "evening": 0.7, "night": 0.3}
    if when not in ambients:
        raise ValueError(f"when: expected one of {tuple(ambients)}, got {when!r}")
    panes = window_panes(scene.stage)
    parts = list(scene.stage.parts)
    for index, _ in panes:
        parts[index] = replace(parts[index], texture=_view(parts[index], when))
    lights: List[Light] = []
    for region in scene.regions:
        windows = [center for _, center in panes if _holds(region, center)]
        lights += _lights(scene, region, windows, when)
    return replace(
        scene,
        stage=replace(scene.stage, parts=tuple(parts)),
        lights=tuple(lights),
        ambient_rgb=ambients[when],
        lamp_gain=gains[when],
    )


def _lights(scene: Scene, region: Region, windows: List[np.ndarray], when: TimeOfDay) -> List[Light]:
    x0, y0, x1, y1 = region.rectangle_m
    middle = ((x0 + x1) / 2, (y0 + y1) / 2, CEILING_M)
    if when == "lamps":
        return [Light(middle, _BULB, 1.0)]
    if when == "day":
        return [_from_window(region, at, _SKY, 1.6) for at in windows] or [Light(middle, _BULB, 0.6)]
    lamps = [Light(at, _WARM, 0.7) for at in _lamps_in(scene, region)]
    if when == "evening":
        dusk = [_from_window(region, at, _SUNSET, 0.5) for at in windows]
        return [*dusk, *lamps, Light(middle, _WARM, 0.7)]
    return lamps or [Light(middle, _WARM, 0.25)]


def _from_window(region: Region, center: np.ndarray, color: Tuple[float, float, float], intensity: float) -> Light:
    x0, y0, x1, y1 = region.rectangle_m
    x, y, z = center.tolist()
    x, y = min(max(x, x0 + _INSIDE_M), x1 - _INSIDE_M), min(max(y, y0 + _INSIDE_M), y1 - _INSIDE_M)
    return Light((x, y, z), color, intensity)


def _lamps_in(scene: Scene, region: Region) -> List[Tuple[float, float, float]]:
    """Return where the flames and bulbs of a room are."""
    found = []
    for instance in scene.instances:
        template = scene.templates[instance.template]
        at = instance.T_world_object[:3, 3] + (0.0, 0.0, 0.82 * template.size_m[2])
        if template.category in _LAMPS and _holds(region, at):
            found.append((float(at[0]), float(at[1]), float(at[2])))
    return found


def _holds(region: Region, point: np.ndarray) -> bool:
    x0, y0, x1, y1 = region.rectangle_m
    return bool(x0 - 0.05 <= point[0] <= x1 + 0.05 and y0 - 0.05 <= point[1] <= y1 + 0.05)


def _view(part: Part, when: TimeOfDay) -> np.ndarray:
    """Return what a window shows: the same trees at every hour of a window, whose place is its seed."""
    place = np.round(part.vertices.mean(axis=0) * 100).astype(np.int64) % 100_000
    seen = textures.window(np.random.default_rng(place.tolist())).astype(float)
    tint = {"lamps": (1.0, 1.0, 1.0), "day": (1.0, 1.0, 1.0), "evening": (1.0, 0.62, 0.42), "night": (0.1, 0.11, 0.2)}
    return np.asarray(np.clip(seen * tint[when], 0, 255).astype(np.uint8))

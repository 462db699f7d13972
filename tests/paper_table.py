"""A table without physics: the tool goes wherever it is sent, and a free prop goes along between closed fingers."""

from __future__ import annotations

from typing import Dict, Optional, Sequence, Tuple

import numpy as np

from embodied.arrays import Vector3
from sim.metaworld.table import Color, MemoryTask, Position, Trial
from sim.metaworld.waypoints import Waypoint

GRASP_M = 0.02
STEP_M = 0.02


class PaperTable:
    """``Table`` as a task sees it."""

    def __init__(self, task: MemoryTask) -> None:
        self._props = {prop.name: prop for prop in task.props}
        self.places: Dict[str, Position] = {}
        self.colors: Dict[str, Color] = {prop.name: prop.color for prop in task.props}
        self._tool_m = np.array([0.5, 0.0, 0.25])
        self._is_closed = False

    @property
    def tool_m(self) -> Vector3:
        return self._tool_m

    @property
    def gripper_opening(self) -> float:
        return 0.0 if self._is_closed else 1.0

    @property
    def shown(self) -> Tuple[Dict[str, Position], Dict[str, Color]]:
        """All that can be seen of the props."""
        return dict(self.places), dict(self.colors)

    def place(self, name: str, position_m: Position) -> None:
        self.places[name] = position_m

    def paint(self, name: str, color: Color) -> None:
        self.colors[name] = color

    def position_of(self, name: str) -> Vector3:
        return np.array(self.places[name])

    def speed_of(self, name: str) -> float:
        return 0.0

    def go(self, tool_m: Vector3, gripper: float) -> None:
        """Move the tool there at once."""
        self._is_closed = gripper > 0.0
        for name, prop in self._props.items():
            if not prop.is_free:
                continue
            if self._is_closed and np.linalg.norm(self.position_of(name) - self._tool_m) < GRASP_M:
                self.places[name] = (float(tool_m[0]), float(tool_m[1]), float(tool_m[2]))
            elif not self._is_closed:
                self.places[name] = (*self.places[name][:2], prop.half_size_m[2])
        self._tool_m = np.asarray(tool_m, dtype=float)


def deal(task: MemoryTask, seed: int, answer: int) -> Trial:
    """Lay out an episode."""
    return task.deal(np.random.default_rng(seed), answer)


def watch(task: MemoryTask, trial: Trial) -> Tuple[PaperTable, Sequence[Tuple[Dict[str, Position], Dict[str, Color]]]]:
    """Let a trial show itself until the robot is let go; return the table, and what was shown step by step."""
    table = PaperTable(task)
    shown = []
    for step in range(trial.n_held_steps + 1):
        trial.show(step, table)
        shown.append(table.shown)
    return table, shown


def play(trial: Trial, table: PaperTable, waypoints: Sequence[Waypoint]) -> Optional[bool]:
    """Walk along waypoints until the trial is judged."""
    for waypoint in waypoints:
        start, end = table.tool_m.copy(), np.array(waypoint.tool_m)
        n_steps = max(1, int(np.ceil(np.linalg.norm(end - start) / STEP_M)))
        for share in np.linspace(0.0, 1.0, n_steps + 1)[1:]:
            table.go(start + share * (end - start), waypoint.gripper)
            verdict = trial.judge(table)
            if verdict is not None:
                return verdict
    return None

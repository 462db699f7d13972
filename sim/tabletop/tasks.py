"""The tasks of memory at the small table."""

from __future__ import annotations

from itertools import permutations
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from sim.tabletop.solids import Color
from sim.tabletop.task import MemoryTask, Place, Thing, Trial

COLORS: Tuple[Color, ...] = (
    (0.90, 0.08, 0.08),  # red
    (0.10, 0.72, 0.14),  # green
    (0.10, 0.20, 0.95),  # blue
    (1.00, 0.90, 0.05),  # yellow
    (0.90, 0.10, 0.85),  # magenta
    (0.05, 0.85, 0.95),  # cyan
    (1.00, 0.50, 0.00),  # orange
    (1.00, 1.00, 1.00),  # white
    (0.06, 0.06, 0.06),  # black
)
"""Tasks with fewer take the first."""
DARK: Color = (0.16, 0.16, 0.19)
LIT: Color = (1.0, 0.92, 0.2)

CUE_STEPS = DELAY_STEPS = (1, 6)
"""How long a cue is shown, and how long it has been gone when the robot is let go: from, and to below."""

_CUE_M: Place = (0.62, 0.0)
_CUBE_M = 0.028
_ROW_X_M, _SECOND_ROW_X_M = 0.66, 0.53
_SPACING_M = 0.135
_JITTER_M = 0.015
_PAD_RADIUS_M, _PAD_HEIGHT_M = 0.045, 0.012
_LAMP_M: Place = (0.56, 0.0)
_MAX_BLINKS = 4
_ON_STEPS, _OFF_STEPS = 2, 2
_N_ORDERED = 3
_ORDERS = tuple(permutations(range(_N_ORDERED)))


def _row(rng: np.random.Generator, n_places: int, x_m: float = _ROW_X_M) -> List[Place]:
    """Return places from left to right, each shifted a little at random."""
    lefts_m = _SPACING_M * ((n_places - 1) / 2.0 - np.arange(n_places))
    shifts_m = rng.uniform(-_JITTER_M, _JITTER_M, (n_places, 2))
    return [(x_m + float(dx), float(y + dy)) for y, (dx, dy) in zip(lefts_m, shifts_m)]


def _cube(place: Place, half_m: float, color: Color, *, is_solid: bool = True) -> Thing:
    return Thing(place, half_m, 2.0 * half_m, color, is_solid=is_solid)


def _pads(places: Sequence[Place], lit: Optional[int] = None) -> Tuple[Thing, ...]:
    return tuple(
        Thing(place, _PAD_RADIUS_M, _PAD_HEIGHT_M, LIT if index == lit else DARK, is_round=True)
        for index, place in enumerate(places)
    )


def _remember_color(n_colors: int) -> MemoryTask:
    """Make the task of MIKASA's RememberColor: a cube is shown, and one of its colour is to be touched."""

    def deal(rng: np.random.Generator, answer: int) -> Trial:
        n_behind = n_colors // 2 if n_colors > 5 else 0
        places = _row(rng, n_colors - n_behind) + _row(rng, n_behind, _SECOND_ROW_X_M)
        order = rng.permutation(n_colors).tolist()
        half_m = float(rng.uniform(0.9, 1.1) * _CUBE_M)
        cue, delay = rng.integers(CUE_STEPS[0], CUE_STEPS[1], 2).tolist()
        shown = ((_cube(_CUE_M, half_m, COLORS[answer]),),) * cue + ((),) * delay
        cubes = tuple(_cube(place, half_m, COLORS[color]) for place, color in zip(places, order))
        return Trial(shown, cubes, tuple(cube.top_m for cube in cubes), (order.index(answer),))

    instruction = "Touch the cube of the colour that was shown at the beginning."
    return MemoryTask(f"remember_color_{n_colors}", instruction, n_colors, 30, deal)


def _remember_place(rng: np.random.Generator, answer: int) -> Trial:
    places = _row(rng, 4)
    before, cue, delay = (int(rng.integers(*steps)) for steps in ((0, 3), CUE_STEPS, DELAY_STEPS))
    dark = _pads(places)
    shown = (dark,) * before + (_pads(places, answer),) * cue + (dark,) * delay
    return Trial(shown, dark, tuple(pad.top_m for pad in dark), (answer,))


def _remember_order(rng: np.random.Generator, answer: int) -> Trial:
    places = _row(rng, _N_ORDERED)
    before, cue, delay = (int(rng.integers(*steps)) for steps in ((0, 3), (2, 5), DELAY_STEPS))
    dark = _pads(places)
    shown = (dark,) * before
    for pad in _ORDERS[answer]:
        shown += (_pads(places, pad),) * cue + (dark,)
    return Trial(shown + (dark,) * delay, dark, tuple(pad.top_m for pad in dark), _ORDERS[answer])


def _count(rng: np.random.Generator, answer: int) -> Trial:
    pads = _pads(_row(rng, _MAX_BLINKS))
    moments = rng.permutation(_MAX_BLINKS)[: answer + 1].tolist()
    before, delay = (int(rng.integers(*steps)) for steps in ((0, 3), DELAY_STEPS))
    on, off = (pads + (Thing(_LAMP_M, 0.035, 0.05, color, is_round=True),) for color in (LIT, DARK))
    shown = (off,) * before
    for moment in range(_MAX_BLINKS):
        shown += (on if moment in moments else off,) * _ON_STEPS + (off,) * _OFF_STEPS
    return Trial(shown + (off,) * delay, off, tuple(pad.top_m for pad in pads), (answer,))


TASKS: Dict[str, MemoryTask] = {
    task.name: task
    for task in (
        *(_remember_color(n_colors) for n_colors in (3, 5, 9)),
        MemoryTask("remember_place", "Touch the pad that was lit.", 4, 30, _remember_place),
        MemoryTask(
            "remember_order",
            "Touch the three pads in the order in which they were lit.",
            len(_ORDERS),
            80,
            _remember_order,
        ),
        MemoryTask(
            "count",
            "Count how often the lamp blinked, and touch that pad: the first is on the robot's left.",
            _MAX_BLINKS,
            30,
            _count,
        ),
    )
}

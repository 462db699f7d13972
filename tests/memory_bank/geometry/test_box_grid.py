from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_bank.geometry.box_grid import BoxGrid


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_all_that_touches_is_found_after_any_moves_and_removals(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid, boxes = BoxGrid(), {}
    for _ in range(60):
        name = f"o{rng.integers(20)}"
        if name in boxes and rng.random() < 0.3:
            grid.drop(name)
            del boxes[name]
            continue
        low = rng.uniform(-20.0, 20.0, 3)
        boxes[name] = (low, low + rng.choice([0.1, 1.0, 8.0, 60.0]) * rng.random(3))
        grid.put(name, *boxes[name])
    assert len(grid) == len(boxes)
    for reach_m in (0.5, 5.0, 100.0):
        low = rng.uniform(-20.0, 20.0, 3)
        found = grid.near(low, low + reach_m)
        assert found <= set(boxes)
        assert {n for n, (a, b) in boxes.items() if (a <= low + reach_m).all() and (low <= b).all()} <= found


def test_what_is_far_away_is_not_looked_at() -> None:
    grid = BoxGrid()
    for i in range(1000):
        corner = np.array([10.0 * i, 0.0, 0.0])
        grid.put(f"o{i}", corner, corner + 0.5)
    assert grid.near(np.array([499.0, -1.0, 0.0]), np.array([501.0, 1.0, 1.0])) == {"o50"}


def test_a_box_as_large_as_a_town_is_told_everywhere_until_it_is_dropped() -> None:
    grid = BoxGrid()
    grid.put("o1", np.full(3, -500.0), np.full(3, 500.0))
    somewhere = np.array([3.0, 4.0, 5.0])
    assert grid.near(somewhere, somewhere) == {"o1"}
    grid.put("o1", somewhere, somewhere + 0.1)
    assert grid.near(somewhere + 50.0, somewhere + 51.0) == set()
    grid.drop("o1")
    assert grid.near(somewhere, somewhere) == set()


def test_a_corner_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        BoxGrid().put("o1", np.array([0.0, np.nan, 0.0]), np.ones(3))

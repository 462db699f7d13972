from __future__ import annotations

import msgspec
import numpy as np
import pytest

from policies.vla.normaliser import Bounds, Normaliser, quantile_bounds


def test_quantiles_become_minus_one_and_one_and_come_back() -> None:
    values = np.stack([np.arange(101.0), 5.0 - np.arange(101.0)], axis=1).astype(np.float32)
    bounds = quantile_bounds(values)
    assert bounds == Bounds(low=(1.0, -94.0), high=(99.0, 4.0))
    np.testing.assert_allclose(bounds.normalise(values[[1, 50, 99]])[:, 0], [-1.0, 0.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(bounds.denormalise(bounds.normalise(values[1:100])), values[1:100], atol=1e-4)


def test_what_lies_beyond_is_clipped_on_both_ways() -> None:
    bounds = Bounds(low=(0.0,), high=(2.0,))
    np.testing.assert_array_equal(bounds.normalise(np.array([[-5.0], [7.0]])), [[-1.0], [1.0]])
    np.testing.assert_array_equal(bounds.denormalise(np.array([[-5.0], [7.0]])), [[0.0], [2.0]])


def test_a_number_that_never_changes_comes_back_as_it_was() -> None:
    bounds = quantile_bounds(np.full((10, 1), 0.3, dtype=np.float32))
    assert bounds.normalise(np.array([[0.3]]))[0, 0] == 0.0
    np.testing.assert_allclose(bounds.denormalise(np.array([[-1.0], [0.7]])), 0.3)


def test_a_gripper_that_closes_once_in_a_thousand_steps_keeps_both_its_values() -> None:
    gripper = np.ones((1000, 1), dtype=np.float32)
    gripper[500] = -1.0
    assert quantile_bounds(gripper) == Bounds(low=(-1.0,), high=(1.0,))


def test_other_shapes_and_broken_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="values: expected 1 numbers each, got 2"):
        Bounds(low=(0.0,), high=(1.0,)).normalise(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="expected as many low as high, got 1 and 2"):
        Bounds(low=(0.0,), high=(1.0, 2.0))
    with pytest.raises(msgspec.ValidationError, match="expected finite low <= high"):
        msgspec.json.decode(b'{"actions": {"low": [2.0], "high": [1.0]}}', type=Normaliser)

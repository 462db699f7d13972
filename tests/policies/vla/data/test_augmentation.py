from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from policies.vla.data.augmentation import AugmentationConfig, Look, apply_look, draw_look, hue_rotation, move_places

OFF = AugmentationConfig()
ALL = AugmentationConfig(p_hue=1.0, brightness=0.2, contrast=0.2, saturation=0.2, crop=0.1, shift=0.05)


def pictures(n: int = 2, height: int = 24, width: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, height, width, 3)).astype(np.uint8)


def flat(*colour: int) -> np.ndarray:
    return np.full((1, 4, 4, 3), colour, dtype=np.uint8)


def looks(config: AugmentationConfig, n: int = 200) -> list[Look]:
    rng = np.random.default_rng(0)
    return [draw_look(config, rng, 24, 32) for _ in range(n)]


def plain(**changes: Any) -> Look:
    return Look(**{"colours": None, "offset": np.zeros(3, np.float32), "view": None, **changes})


def test_switched_off_it_gives_back_the_very_frames() -> None:
    frames = pictures()
    assert apply_look(frames, draw_look(OFF, np.random.default_rng(0), 24, 32)) is frames


def test_all_frames_of_an_episode_look_alike_and_two_episodes_do_not() -> None:
    one = pictures(1)
    rng = np.random.default_rng(0)
    first, second = (apply_look(np.concatenate([one, one]), draw_look(ALL, rng, 24, 32)) for _ in range(2))
    np.testing.assert_array_equal(first[0], first[1])
    assert (first != second).mean() > 0.5


def test_a_third_of_a_turn_exchanges_the_channels_and_grey_stays_grey() -> None:
    turned = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    matrix = hue_rotation(2.0 * np.pi / 3.0)
    assert np.allclose(matrix, turned) or np.allclose(matrix, np.transpose(turned))
    np.testing.assert_allclose(np.full(3, 90.0) @ hue_rotation(1.0), 90.0)
    np.testing.assert_allclose(hue_rotation(1.0) @ hue_rotation(-1.0), np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    ("config", "low", "high"),
    [
        (AugmentationConfig(brightness=0.2), 100 - 51, 100 + 51),
        (AugmentationConfig(contrast=0.2), 100 - 5.5, 100 + 5.5),
        (AugmentationConfig(saturation=0.5), 100, 100),
        (AugmentationConfig(p_hue=1.0), 100, 100),
    ],
)
def test_grey_moves_as_far_as_the_setting_says(config: AugmentationConfig, low: float, high: float) -> None:
    seen = np.array([apply_look(flat(100, 100, 100), look)[0, 0, 0] for look in looks(config)])
    assert (np.ptp(seen, axis=1) == 0).all()
    assert low <= seen.min() <= low + 2
    assert high - 2 <= seen.max() <= high


def test_saturation_moves_colours_from_and_to_grey() -> None:
    spread = [
        float(np.ptp(apply_look(flat(120, 80, 100), look)[0, 0, 0]))
        for look in looks(AugmentationConfig(saturation=0.5))
    ]
    assert min(spread) == pytest.approx(20, abs=2)
    assert max(spread) == pytest.approx(60, abs=2)


def test_hues_are_turned_as_often_as_the_setting_says() -> None:
    assert np.mean([look.colours is not None for look in looks(AugmentationConfig(p_hue=0.3), 1000)]) == pytest.approx(
        0.3, abs=0.05
    )


def test_a_view_interpolates_and_repeats_the_edge() -> None:
    ramp = np.broadcast_to(10 * np.arange(8, dtype=np.uint8)[None, None, :, None], (1, 6, 8, 3)).copy()
    seen = apply_look(ramp, plain(view=(0.0, 1.5, 0.5)))
    np.testing.assert_array_equal(seen[0, :, :, 0], np.tile([15, 20, 25, 30, 35, 40, 45, 50], (6, 1)))
    seen = apply_look(ramp, plain(view=(0.0, 3.0, 1.0)))
    np.testing.assert_array_equal(seen[0, 0, :, 0], [30, 40, 50, 60, 70, 70, 70, 70])
    seen = apply_look(ramp.transpose(0, 2, 1, 3), plain(view=(-2.0, 0.0, 1.0)))
    np.testing.assert_array_equal(seen[0, :, 0, 0], [0, 0, 0, 10, 20, 30, 40, 50])


@pytest.mark.parametrize("crop", [0.0, 0.2])
def test_a_place_moves_with_what_is_there_and_out_of_the_picture(crop: float) -> None:
    frames = np.zeros((1, 24, 32, 3), np.uint8)
    frames[0, 10:13, 20:23] = 240
    rows, columns = np.mgrid[:24, :32]
    n_seen = 0
    for look in looks(AugmentationConfig(crop=crop, shift=0.6), 40):
        (place,) = move_places(np.array([[21.5 / 32, 11.5 / 24]]), look, 24, 32)
        seen = apply_look(frames, look)[0, :, :, 0].astype(float)
        # A spot at the edge is smeared beyond it.
        is_whole = seen.sum() > 0 and not seen[[0, -1]].any() and not seen[:, [0, -1]].any()
        if is_whole:
            middle = [(seen * (columns + 0.5)).sum() / seen.sum() / 32, (seen * (rows + 0.5)).sum() / seen.sum() / 24]
            np.testing.assert_allclose(place, middle, atol=0.01)
            n_seen += 1
        elif not seen.any():
            assert np.isnan(place).all()
    assert 5 < n_seen < 35


def test_a_place_that_was_not_known_stays_so() -> None:
    assert np.isnan(move_places(np.full((1, 2), np.nan), plain(view=(0.0, 3.0, 1.0)), 24, 32)).all()


def test_crops_stay_inside_and_reach_from_the_whole_picture_to_the_smallest() -> None:
    views = np.array([look.view for look in looks(AugmentationConfig(crop=0.19))])
    zoom = views[:, 2]
    assert zoom.min() == pytest.approx(0.9, abs=0.01)
    assert zoom.max() == pytest.approx(1.0, abs=0.01)
    assert (views[:, :2] >= 0.0).all()
    assert (views[:, 0] + zoom * 23 <= 23 + 1e-9).all()
    assert (views[:, 1] + zoom * 31 <= 31 + 1e-9).all()


def test_shifts_go_to_all_sides_as_far_as_the_setting_says() -> None:
    views = np.array([look.view for look in looks(AugmentationConfig(shift=0.125)) if look.view is not None])
    # Of a picture that is 32 wide; by whole pixels, so that it stays sharp.
    assert {tuple(np.unique(views[:, axis]).tolist()) for axis in (0, 1)} == {tuple(range(-4, 5))}
    np.testing.assert_array_equal(views[:, 2], 1.0)

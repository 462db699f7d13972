from __future__ import annotations

import numpy as np
import pytest

from sim.texture_atlas import SRGB_TO_LINEAR, TextureAtlas


def looked_up(atlas: TextureAtlas, texture: int, u: float, v: float, level: int = 0) -> tuple[float, ...]:
    row = np.array([atlas.slot[texture] * atlas.n_levels + level], dtype=np.int32)
    color = atlas.lookup(row, np.array([u], dtype=np.float32), np.array([v], dtype=np.float32))
    return tuple(float(channel[0]) for channel in color)


PICTURE = np.zeros((2, 4, 3), dtype=np.uint8)
PICTURE[0, 0] = (255, 0, 0)
PICTURE[1, 3] = (0, 255, 0)


@pytest.mark.parametrize(
    ("u", "v", "color"),
    [
        (0.1, 0.9, (1, 0, 0)),
        (0.9, 0.1, (0, 1, 0)),
        (0.9, 0.9, (0, 0, 0)),
        (2.1, -3.1, (1, 0, 0)),
        (-0.1, 7.1, (0, 1, 0)),
    ],
)
def test_texels_are_found_from_the_lower_left_and_repeat(u: float, v: float, color: tuple[float, ...]) -> None:
    assert looked_up(TextureAtlas([PICTURE]), 0, u, v) == color


@pytest.mark.parametrize(("u", "v"), [(0.0, 0.0), (1.0, 1.0), (-1e-9, 1e-9), (1.0, 0.0)])
def test_the_rim_of_a_texture_belongs_to_it(u: float, v: float) -> None:
    grey = np.full((3, 5, 3), 128, dtype=np.uint8)
    assert looked_up(TextureAtlas([PICTURE, grey]), 1, u, v) == pytest.approx((float(SRGB_TO_LINEAR[128]),) * 3)


def test_smaller_copies_are_the_mean_of_the_light() -> None:
    checks = (np.indices((8, 8)).sum(axis=0) % 2 * 255).astype(np.uint8)
    atlas = TextureAtlas([np.repeat(checks[..., None], 3, axis=2), PICTURE])
    assert looked_up(atlas, 0, 0.3, 0.3, level=1) == pytest.approx((0.5, 0.5, 0.5))
    # A texture with fewer levels goes on showing its last one.
    assert looked_up(atlas, 1, 0.5, 0.5, level=3) == looked_up(atlas, 1, 0.5, 0.5, level=2)


def test_a_picture_used_twice_is_kept_once() -> None:
    assert TextureAtlas([PICTURE, PICTURE]).texels.shape == TextureAtlas([PICTURE]).texels.shape

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from embodied.report.strips import GAP_PX, LINE_PX, MAX_PICTURES, Strip, draw_strips, strips_jpeg


def shades(n: int, size: int = 10) -> list[np.ndarray]:
    return [np.full((size, size, 3), 10 * k, dtype=np.uint8) for k in range(n)]


def test_pictures_stand_in_the_order_of_time_and_lines_below_each_other() -> None:
    page = np.asarray(
        draw_strips(
            [Strip("a", shades(3), ["0", "4", "8"], True), Strip("b", shades(2), ["0", "4"], False)], height_px=30
        )
    )
    line = 30 + 2 * LINE_PX
    assert page.shape == (2 * line + GAP_PX, 3 * (30 + GAP_PX) + GAP_PX, 3)
    rows = [GAP_PX + LINE_PX + 15 + number * line for number in range(2)]
    columns = [GAP_PX + 15 + index * (30 + GAP_PX) for index in range(3)]
    assert [page[rows[0], column, 0] for column in columns] == [0, 10, 20]
    assert [page[rows[1], column, 0] for column in columns] == [0, 10, 255]


def test_of_many_pictures_some_are_shown_with_the_first_and_the_last() -> None:
    n = 150
    frames = [np.full((8, 8, 3), k, dtype=np.uint8) for k in range(n)]
    page = np.asarray(draw_strips([Strip("long", frames, [""] * n, True)], height_px=8))
    assert page.shape == (8 + LINE_PX + GAP_PX, MAX_PICTURES * (8 + GAP_PX) + GAP_PX, 3)
    shown = page[GAP_PX + LINE_PX + 4, GAP_PX + 4 :: 8 + GAP_PX, 0].tolist()
    assert (shown[0], shown[-1], sorted(shown)) == (0, n - 1, shown)


def test_a_jpeg_of_it_can_be_read() -> None:
    with Image.open(io.BytesIO(strips_jpeg([Strip("a", shades(1), [""], True)]))) as image:
        assert image.format == "JPEG"


def test_no_line_and_no_frame_are_refused() -> None:
    with pytest.raises(ValueError, match="strips: expected at least one"):
        draw_strips([])
    with pytest.raises(ValueError, match="strip 'a': expected a caption for each of 1 or more frames, got 0 frames"):
        draw_strips([Strip("a", [], [], True)])
    with pytest.raises(ValueError, match="got 2 frames and 1 captions"):
        draw_strips([Strip("a", shades(2), ["0"], True)])

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from embodied.report.charts import Axes, ChartPoint, line_chart, ticks


@pytest.mark.parametrize(
    ("low", "high", "step", "expected"),
    [
        (0.0, 1.0, 0.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (2.0, 4.0, 1.0, [2.0, 3.0, 4.0]),
        (-30.0, 970.0, 0.0, [0.0, 200.0, 400.0, 600.0, 800.0]),
        (3.0, 3.0, 0.0, [3.0]),
    ],
)
def test_ticks_are_round_and_lie_within(low: float, high: float, step: float, expected: list[float]) -> None:
    assert ticks(low, high, least_step=step) == pytest.approx(expected)


def test_points_stand_where_they_belong_with_their_bands_notes_and_names() -> None:
    line = [ChartPoint(0.0, 0.2, 0.1, 0.3, note="a & b"), ChartPoint(10.0, 0.8, 0.6, 1.0)]
    chart = line_chart({"<ours>": line, "theirs": [ChartPoint(5.0, 0.5)]}, Axes("frames", "right", y_range=(0.0, 1.0)))
    assert chart is not None
    root = ElementTree.fromstring(chart)
    circles = [c for c in root.iter("circle") if c.get("r") == "3"]
    (x0, y0), (x1, y1), (x2, y2) = ((float(c.get("cx", "")), float(c.get("cy", ""))) for c in circles)
    assert x2 == pytest.approx((x0 + x1) / 2, abs=0.1)
    assert y2 == pytest.approx((y0 + y1) / 2, abs=0.1)
    assert y0 > y1
    texts = [t.text for t in root.iter("text")]
    assert {"<ours>", "theirs", "frames", "right"} <= set(texts)
    assert [t.text for t in root.iter("title")][1:] == ["a & b"]
    assert len(list(root.iter("polygon"))) == 1


def test_nothing_to_draw_is_no_chart_and_one_point_is_one() -> None:
    assert line_chart({"ours": []}, Axes("x", "y")) is None
    assert line_chart({"ours": [ChartPoint(1.0, 1.0)]}, Axes("x", "y", goal=0.5, diagonal=True)) is not None

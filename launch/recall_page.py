"""The page of an evaluation of recall: its figures, the calibration curve, and every wrong answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from embodied.figures import MeasuredFigure
from embodied.report.markup import Markup, element, join

STYLE = """
body { margin: 0 auto; max-width: 1000px; padding: 24px; font: 15px/1.5 system-ui, sans-serif; color: #1b2330; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; } td, th { text-align: left; padding: 3px 10px 3px 0;
border-bottom: 1px solid #dfe3e9; vertical-align: top; } .bad { color: #c2271d; } .good { color: #15803d; }
svg text { font-size: 11px; fill: #5d6878; }
"""
SIDE = 340
BINS = 10


class Judged(Protocol):
    """What the page tells of one question."""

    house: int
    template: str
    question: str
    truth: str
    answer: str
    confidence: float
    right: bool


def write_page(path: Path, figures: Sequence[MeasuredFigure], results: Sequence[Judged]) -> None:
    """Write the page; it needs nothing but itself."""
    wrong = [result for result in results if not result.right]
    body = element(
        "body",
        element("h1", "What the memory answers"),
        _figures(figures),
        element("h2", "Calibration"),
        element("p", "How often answers given with a confidence were right; the area of a point shows how many."),
        calibration_curve(results),
        element("h2", f"Wrong answers: {len(wrong)} of {len(results)}"),
        _wrong(wrong),
    )
    head = element(
        "head", element("meta", charset="utf-8"), element("title", "Recall"), element("style", Markup(STYLE))
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n", encoding="utf-8")


def _figures(figures: Sequence[MeasuredFigure]) -> Markup:
    rows = []
    for figure in figures:
        verdict = "" if figure.met is None else ("met" if figure.met else "missed")
        peers = ", ".join(f"{name} {value:.3f}" for name, value in figure.peers.items())
        rows.append(
            element(
                "tr",
                element("td", figure.name),
                element("td", f"{figure.value:.3f}"),
                element("td", "" if figure.goal is None else f"{figure.goal:g}"),
                element("td", verdict, class_="good" if figure.met else "bad"),
                element("td", peers),
            )
        )
    head = element("tr", *(element("th", name) for name in ("figure", "value", "goal", "", "peers")))
    return element("table", head, *rows)


def calibration_curve(results: Sequence[Judged]) -> Markup:
    """Draw, for bins of confidence, the share of right answers."""
    confidence = np.array([result.confidence for result in results])
    right = np.array([result.right for result in results], dtype=float)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)

    def at(x: float, y: float) -> tuple[float, float]:
        return 40 + x * (SIDE - 60), SIDE - 30 - y * (SIDE - 60)

    points, places = [], []
    for number in range(BINS):
        inside = bins == number
        if not inside.any():
            continue
        x, y = at(float(confidence[inside].mean()), float(right[inside].mean()))
        places.append((x, y))
        radius = 3.0 + 9.0 * float(np.sqrt(inside.mean()))
        title = f"{inside.sum()} answers, confidence {confidence[inside].mean():.2f}, right {right[inside].mean():.2f}"
        points.append(element("circle", element("title", title), cx=x, cy=y, r=radius, fill="#2563eb", opacity=0.7))
    (x0, y0), (x1, y1) = at(0, 0), at(1, 1)
    axes = [
        element("line", x1=x0, y1=y0, x2=x1, y2=y1, stroke="#94a3b8", stroke_dasharray="4 4"),
        element("line", x1=x0, y1=y0, x2=x1, y2=y0, stroke="#1b2330"),
        element("line", x1=x0, y1=y0, x2=x0, y2=y1, stroke="#1b2330"),
        element("text", "confidence", x=x1 - 60, y=y0 + 24),
        element("text", "right", x=x0 - 12, y=y1 - 10),
        *(element("text", f"{v:.1f}", x=at(v, 0)[0] - 8, y=y0 + 13) for v in (0.0, 0.5, 1.0)),
        *(element("text", f"{v:.1f}", x=x0 - 24, y=at(0, v)[1] + 4) for v in (0.5, 1.0)),
    ]
    line = element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places), fill="none", stroke="#2563eb")
    return element("svg", *axes, line, *points, width=SIDE, height=SIDE, viewBox=f"0 0 {SIDE} {SIDE}")


def _wrong(wrong: Sequence[Judged]) -> Markup:
    head = element("tr", *(element("th", name) for name in ("house", "question", "answer", "truth")))
    rows = [
        element(
            "tr",
            element("td", str(result.house)),
            element("td", f"{result.template}: {result.question}"),
            element("td", join((f"{result.answer} ", element("small", f"({result.confidence:.2f})")))),
            element("td", result.truth),
        )
        for result in wrong
    ]
    return element("table", head, *rows)

"""The report of an evaluation: figures, tables by category and method, curves, calibration, and what went wrong.

All of it is made from the rows, so a continued evaluation reports on everything that is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from evaluation_rows import Failure, Row

from embodied.arrays import Float
from embodied.figures import MeasuredFigure, bootstrap_mean
from embodied.report import sections
from embodied.report.charts import Axes, ChartPoint, line_chart
from embodied.report.data import Figure
from embodied.report.markup import Markup, element, join, picture
from embodied.report.page import document, write_page
from embodied.report.wording import number

N_BINS = 10
N_CURVE_POINTS = 6
N_RESAMPLES = 2_000
MAX_FAILURES = 24
MAX_WRONG = 400
PICTURE_PX, WIDE_PX = 640, 1600
"""Longer side of a picture at most."""
CONFIDENCE, CORRECT = "confidence", "correct"
Shares = Float[np.ndarray, " n_answers"]


@dataclass(frozen=True)
class Curve:
    """A value of the rows drawn over another value of them."""

    value: str
    over: str
    """In as many parts of equal size as the rows allow."""


@dataclass(frozen=True)
class PageSettings:
    """What an evaluation wants of its report."""

    title: str
    introduction: str = ""
    values: tuple[str, ...] = ()
    """Which values the tables show, the one that counts most first; all of them by default."""
    curves: tuple[Curve, ...] = ()
    smaller_is_better: tuple[str, ...] = ()
    """Told beside the names of these values."""
    pictures: str = "The worst"
    """What the part with pictures is called."""
    wide_pictures: bool = False
    """Each takes the whole width of the page: for lines of pictures."""


@dataclass(frozen=True)
class Measured:
    """All that a report is made from."""

    rows: Sequence[Row]
    figures: Sequence[MeasuredFigure]
    failures: Sequence[tuple[str, Failure]]
    """With the key of the episode of each, the worst first."""
    settings: dict[str, str]
    versions: Sequence[str]
    """Commits whose code measured the rows."""


def write_evaluation(path: Path, wanted: PageSettings, measured: Measured) -> None:
    """Write the report, one file that needs nothing but itself."""
    n_episodes = len({row.episode for row in measured.rows})
    subtitle = f"episodes: {n_episodes}, rows: {len(measured.rows)}, commit: {', '.join(measured.versions)}"
    summary = [_tile(figure) for figure in measured.figures if figure.goal is not None]
    values = wanted.values or tuple(dict.fromkeys(name for row in measured.rows for name in row.values))
    parts = [
        ("about", "What this is", element("p", wanted.introduction) if wanted.introduction else None),
        ("figures", "Figures", figures_table(measured.figures)),
        ("tables", "By category and method", tables(measured.rows, values, wanted.smaller_is_better)),
        ("curves", "Curves", curves(measured.rows, values, wanted.curves)),
        ("calibration", "Calibration", calibration(measured.rows)),
        ("failures", wanted.pictures, _failures(measured.failures, wide=wanted.wide_pictures)),
        ("wrong", "What went wrong", _wrong(measured.rows)),
        ("settings", "Settings", sections.settings(measured.settings)),
    ]
    warnings = []
    if len(measured.versions) > 1:
        warnings.append("The rows were measured by more than one commit of the code; start anew with --restart.")
    write_page(path, document(wanted.title, subtitle, summary, parts, warnings))


def _tile(figure: MeasuredFigure) -> Figure:
    return Figure(
        name=figure.name,
        value=figure.value,
        unit=figure.unit,
        goal=figure.goal,
        higher_is_better=figure.higher_is_better,
        met=figure.met,
    )


def figures_table(figures: Sequence[MeasuredFigure]) -> Markup | None:
    """List the figures with their intervals, and those of others beside them."""
    if not figures:
        return None
    peers = list(dict.fromkeys(name for figure in figures for name in figure.peers))
    rows = [
        (
            figure.name,
            join((number(figure.value), f" {figure.unit}" if figure.unit else "")),
            _interval(figure.interval),
            "" if figure.goal is None else f"{'≥' if figure.higher_is_better else '≤'} {number(figure.goal)}",
            sections.verdict(figure.met),
            *(number(figure.peers[name]) if name in figure.peers else "" for name in peers),
        )
        for figure in figures
    ]
    return sections.table(("figure", "value", "95 % over episodes", "goal", "", *peers), rows)


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{number(interval[0])} to {number(interval[1])}"


def tables(rows: Sequence[Row], values: Sequence[str], smaller_is_better: Sequence[str] = ()) -> Markup | None:
    """Show the mean of each value with its 95 % interval over episodes, by method, and by category if there are any."""
    methods = list(dict.fromkeys(row.method for row in rows))
    categories = list(dict.fromkeys(row.category for row in rows))

    def named(value: str) -> str:
        return f"{value} (less is better)" if value in smaller_is_better else value

    def line(name: str, value: str, among: Sequence[Row]) -> tuple[Markup | str, ...]:
        return (name, *(_cell([r for r in among if r.method == method], value) for method in methods))

    if len(categories) < 2:
        lines = [line(named(value), value, rows) for value in values]
        return sections.table(("value", *methods), lines) if lines else None
    parts: list[Markup] = []
    for value in values:
        if not any(value in row.values for row in rows):
            continue
        measured = [c for c in categories if any(r.category == c and value in r.values for r in rows)]
        lines = [line(c or "–", value, [r for r in rows if r.category == c]) for c in measured]
        parts += [
            element("h3", named(value)),
            sections.table(("category", *methods), [*lines, line("all", value, rows)]),
        ]
    return join(parts) if parts else None


def _cell(rows: Sequence[Row], value: str) -> Markup | str:
    own = [row for row in rows if value in row.values]
    if not own:
        return ""
    mean, low, high = _mean(own, value)
    interval = f"{number(low)} to {number(high)}, " if len({row.episode for row in own}) > 1 else ""
    return join((number(mean), element("small", f"{interval}n = {len(own)}")))


def _mean(rows: Sequence[Row], value: str) -> tuple[float, float, float]:
    return bootstrap_mean([row.values[value] for row in rows], [row.episode for row in rows], n_resamples=N_RESAMPLES)


def curves(rows: Sequence[Row], values: Sequence[str], wanted: Sequence[Curve]) -> Markup | None:
    """Draw the values that were asked for, and how the first value settles while episodes are added."""
    charts = [_chart(rows, curve.value, curve.over, lambda own, c=curve: binned(own, c)) for curve in wanted]
    if values and len({row.episode for row in rows}) > 2:
        charts.append(_chart(rows, values[0], "episodes so far", lambda own: settling(own, values[0])))
    shown = [element("div", chart, class_="chartbox") for chart in charts if chart is not None]
    return element("div", *shown, class_="charts") if shown else None


def _chart(
    rows: Sequence[Row], value: str, over: str, points: Callable[[Sequence[Row]], list[ChartPoint]]
) -> Markup | None:
    methods = dict.fromkeys(row.method for row in rows)
    lines = {method: points([r for r in rows if r.method == method and value in r.values]) for method in methods}
    return line_chart({name: line for name, line in lines.items() if line}, Axes(over, value))


def binned(rows: Sequence[Row], curve: Curve) -> list[ChartPoint]:
    """Return the mean of a value, with its interval, in parts of the rows in the order of another value.

    Rows with the same value of the other stay in one part.
    """
    rows = sorted((row for row in rows if curve.over in row.values), key=lambda row: row.values[curve.over])
    if not rows:
        return []
    x = np.array([row.values[curve.over] for row in rows])
    edges = np.unique(np.quantile(x, np.linspace(0.0, 1.0, N_CURVE_POINTS + 1)[1:-1], method="higher"))
    part = np.searchsorted(edges, x, side="right")
    points = []
    for bin_number in np.unique(part):
        inside = [row for row, where in zip(rows, part, strict=True) if where == bin_number]
        mean, low, high = _mean(inside, curve.value)
        note = f"{len(inside)} rows: {number(mean)} ({number(low)} to {number(high)})"
        points.append(ChartPoint(float(x[part == bin_number].mean()), mean, low, high, note))
    return points


def settling(rows: Sequence[Row], value: str) -> list[ChartPoint]:
    """Return the mean of a value, with its interval, over the first two, three, … episodes."""
    episodes = list(dict.fromkeys(row.episode for row in rows))
    points = []
    for n in sorted(set(np.linspace(2, len(episodes), 20).astype(int))) if len(episodes) > 1 else []:
        first = set(episodes[:n])
        mean, low, high = _mean([row for row in rows if row.episode in first], value)
        points.append(ChartPoint(float(n), mean, low, high, f"{n} episodes: {number(mean)}"))
    return points


def calibration_error(told: Shares, right: Shares) -> float:
    """Return the expected calibration error over bins of equal width (Guo et al. 2017, equation 3)."""
    bins = np.minimum((told * N_BINS).astype(int), N_BINS - 1)
    gaps = [(bins == k).mean() * abs(right[bins == k].mean() - told[bins == k].mean()) for k in np.unique(bins)]
    return float(sum(gaps))


def calibration(rows: Sequence[Row]) -> Markup | None:
    """Draw, for bins of confidence, how often answers were right; the area of a point shows how many."""
    lines: dict[str, list[ChartPoint]] = {}
    for method in dict.fromkeys(row.method for row in rows):
        own = [r.values for r in rows if r.method == method and CONFIDENCE in r.values and CORRECT in r.values]
        if own:
            told, right = (np.array([values[name] for values in own]) for name in (CONFIDENCE, CORRECT))
            lines[f"{method}, error {calibration_error(told, right):.3f}"] = _reliability(told, right)
    axes = Axes("confidence", "right", (0.0, 1.0), (0.0, 1.0), diagonal=True)
    chart = line_chart(lines, axes)
    return None if chart is None else element("div", element("div", chart, class_="chartbox"), class_="charts")


def _reliability(told: Shares, right: Shares) -> list[ChartPoint]:
    bins = np.minimum((told * N_BINS).astype(int), N_BINS - 1)
    points = []
    for bin_number in np.unique(bins):
        inside = bins == bin_number
        x, y = float(told[inside].mean()), float(right[inside].mean())
        note = f"{inside.sum()} answers, told {x:.2f}, right {y:.2f}"
        points.append(ChartPoint(x, y, note=note, weight=float(inside.mean())))
    return points


def _failures(failures: Sequence[tuple[str, Failure]], *, wide: bool) -> Markup | None:
    if not failures:
        return None
    cards = [
        element(
            "article",
            element("h3", failure.title),
            element("p", failure.text, class_="answer"),
            element("div", episode, class_="facts"),
            picture(failure.picture_jpeg, failure.title, max_px=WIDE_PX if wide else PICTURE_PX)
            if failure.picture_jpeg
            else None,
            class_="card wide" if wide else "card",
        )
        for episode, failure in failures[:MAX_FAILURES]
    ]
    return element("div", *cards, class_="cards")


def _wrong(rows: Sequence[Row]) -> Markup | None:
    lines = [(row.episode, row.method, f"{row.category} {row.key}".strip(), text) for row in rows for text in row.wrong]
    if not lines:
        return None
    more = len(lines) - MAX_WRONG
    shown = sections.table(("episode", "method", "what", "wrong"), lines[:MAX_WRONG])
    wrapped = element("div", shown, class_="wrapped")
    return join((wrapped, element("p", f"and {more} more in the file of rows") if more > 0 else None))


def settings_shown(settings: msgspec.Struct) -> dict[str, str]:
    """Return settings as a person reads them."""
    contents: dict[str, object] = msgspec.to_builtins(settings)
    return {name: value if isinstance(value, str) else repr(value) for name, value in contents.items()}

"""Ask a memory questions of all kinds after three days in a house, with exact answers from the truth.

Three mornings and an afternoon in each house, with changes between all of them; the questions are asked at the end. For
things that never were, the memory must say that it does not know; how well it tells them from those that it knows is
the area under the ROC curve of its confidence. Then the eight diagnoses (``recall_diagnoses``), beside a plain list of
all observations and, where it is installed with MiniLM, eMEM. A page with every wrong answer and the calibration curve
is written beside the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np
from recall_diagnoses import diagnose, new_marks
from recall_page import write_page
from recall_world import Detector, ask, live_in, new_memory

from embodied.config import Config
from embodied.errors import ConfigurationError
from embodied.figures import MeasuredFigure, mean_figure, write_figures
from embodied.messages import Answer, Query
from embodied.progress import Progress
from memory_bank.bank import MemoryBank
from memory_bank.features.registry import build_text_encoder
from memory_bank.recall.calibration import familiarity, fit_table, kind_of, write_table
from sim.recall_questions import Probe, Timeline, lures, make_probes

CORRECT_GOAL = AUROC_GOAL = DIAGNOSIS_GOAL = 0.95


class Settings(Config):
    """What to measure."""

    out: str
    """The figures file to write; the page goes beside it."""
    houses: int = 10
    """How many; 0 for the diagnoses alone."""
    seed: int = 460
    """Of the first house; the others follow."""
    trials: int = 5
    """Of the eight diagnoses; 0 for none."""
    detector: Detector = Detector()
    """What the detector gets wrong."""
    fit: str | None = None
    """Where to write curves of calibration fitted on these answers; their confidences are the raw ones then."""


@dataclass(frozen=True)
class Result:
    """One question and what became of it."""

    house: int
    template: str
    question: str
    truth: str
    answer: str
    confidence: float
    right: bool
    kind: str = ""
    """Which curve of calibration it belongs to; empty if there was no answer."""


def put(memory: MemoryBank, probe: Probe, house: int) -> Result:
    """Ask one question."""
    question = probe.question if isinstance(probe.question, str) else repr_query(probe.question)
    try:
        answer = ask(memory, probe.question)
    except ValueError as error:
        return Result(house, probe.template, question, probe.truth, f"({error})", 0.0, False)
    right = probe.is_right(answer)
    return Result(house, probe.template, question, probe.truth, answer.text, answer.confidence, right, kind_of(answer))


def repr_query(query: Query) -> str:
    """Return a query with only what was filled in."""
    filled = {name: getattr(query, name) for name in query.__struct_fields__}
    empty = Query(kind=query.kind)
    return ", ".join(f"{k}={v!r}" for k, v in filled.items() if k == "kind" or v != getattr(empty, k))


def familiarity_of(memory: MemoryBank, world: Timeline) -> tuple[list[Answer], list[Answer]]:
    """Ask for what is in the house, and for what never was."""
    categories = sorted({thing.category for thing in world.today})
    known = [ask(memory, f"where is the {category}?") for category in categories]
    return known, [ask(memory, f"where is the {label}?") for label in lures(world)]


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return the probability that a positive scores above a negative, ties counting half."""
    a, b = np.asarray(positive)[:, None], np.asarray(negative)[None, :]
    return float(np.mean((a > b) + 0.5 * (a == b)))


def calibration_error(results: Sequence[Result], n_bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal width (Guo et al. 2017, equation 3)."""
    confidence = np.array([result.confidence for result in results])
    right = np.array([result.right for result in results], dtype=float)
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    error = 0.0
    for number in range(n_bins):
        inside = bins == number
        if inside.any():
            error += inside.mean() * abs(float(right[inside].mean() - confidence[inside].mean()))
    return error


def summarise(results: Sequence[Result], known: Sequence[float], never: Sequence[float]) -> list[MeasuredFigure]:
    """Return the figures; none without results."""
    if not results:
        return []
    by_house = [[r.right for r in results if r.house == house] for house in sorted({r.house for r in results})]
    figures = [
        mean_figure("recall.correct", [float(np.mean(rows)) for rows in by_house], goal=CORRECT_GOAL),
        mean_figure("recall.unknown_auroc", [auroc(known, never)], goal=AUROC_GOAL),
        mean_figure("recall.calibration_error", [calibration_error(results)], higher_is_better=False),
        mean_figure("recall.questions", [float(len(results))]),
    ]
    for template in dict.fromkeys(result.template for result in results):
        rows = [float(result.right) for result in results if result.template == template]
        figures.append(mean_figure(f"recall.{template}", [float(np.mean(rows))]))
    return figures


def examples(
    results: Sequence[Result], known: Sequence[Answer], never: Sequence[Answer]
) -> list[tuple[str, float, bool]]:
    """Return what curves of calibration are fitted on: kind, raw confidence, and whether the answer was right."""
    return [
        *((result.kind, result.confidence, result.right) for result in results if result.kind),
        *((kind_of(a), a.confidence, not a.unknown and a.objects[0].label == a.query.label) for a in known),
        *((kind_of(a), a.confidence, a.unknown and not a.objects) for a in never),
    ]


def diagnosed(settings: Settings, progress: Progress) -> list[MeasuredFigure]:
    """Run the diagnoses; return their figures."""
    encoder = None
    if find_spec("emem") is not None:
        try:
            encoder = build_text_encoder("minilm")
        except ConfigurationError as error:
            progress.done(f"without eMEM: {error}")
    marks = new_marks()
    for trial in range(settings.trials):
        diagnose(settings.seed + 100 * trial, settings.detector, encoder, marks)
        progress.done(f"diagnoses, trial {trial + 1} of {settings.trials}")
    figures = []
    for diagnosis, by_memory in marks.items():
        if by_memory:
            figure = mean_figure(f"diagnosis.{diagnosis}", by_memory["ours"], goal=DIAGNOSIS_GOAL)
            peers = {name: float(np.mean(values)) for name, values in by_memory.items() if name != "ours"}
            figures.append(msgspec.structs.replace(figure, peers=peers))
    return figures


def main(settings: Settings, progress: Progress) -> None:
    """Measure, and write figures and page."""
    results: list[Result] = []
    known: list[Answer] = []
    never: list[Answer] = []
    for house in range(settings.seed, settings.seed + settings.houses):
        with new_memory(house, settings.detector, calibrated=settings.fit is None) as memory:
            world = live_in(memory, house)
            asked = [put(memory, probe, house) for probe in make_probes(world, house)]
            there, absent = familiarity_of(memory, world)
        results += asked
        known += there
        never += absent
        progress.done(f"house {house}: {sum(r.right for r in asked)} of {len(asked)} right")
        for result in asked:
            if not result.right:
                progress.done(f"    WRONG {result.template}: {result.question} -> {result.answer} [{result.truth}]")
    if settings.fit is not None:
        Path(settings.fit).write_bytes(write_table(fit_table(examples(results, known, never))))
    scores = [familiarity(answer) for answer in known], [familiarity(answer) for answer in never]
    figures = [*summarise(results, *scores), *diagnosed(settings, progress)]
    write_figures(Path(settings.out), "recall", figures)
    write_page(Path(settings.out).with_suffix(".html"), figures, results)
    for figure in (
        figure for figure in figures if figure.goal is not None or figure.name == "recall.calibration_error"
    ):
        verdict = "" if figure.met is None else ("met" if figure.met else "MISSED")
        peers = ", ".join(f"{name} {value:.3f}" for name, value in figure.peers.items())
        progress.done(f"{figure.name}: {figure.value:.3f} (goal {figure.goal}) {verdict} {peers}".rstrip())

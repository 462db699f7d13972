"""Ask a memory questions of all kinds after three days in a house, with exact answers from the truth.

Three mornings and an afternoon in each house, with changes between all of them; the questions are asked at the end. For
things that never were, the memory must say that it does not know; how well it tells them from those that it knows is
the area under the ROC curve of its confidence. Then the eight diagnoses (``recall_diagnoses``), beside a plain list of
all observations and, where it is installed with MiniLM, eMEM. With ``--data`` the days are the first two of finished
runs of ``sim_episode.py``, from their logs, and the questions are those of these runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from evaluation_page import CONFIDENCE, CORRECT, Shares, calibration_error
from evaluation_run import (
    Episode,
    EpisodeResult,
    EvaluationSettings,
    Failure,
    PageSettings,
    Row,
    evaluate,
    houses,
    measure,
)
from recall_diagnoses import DIAGNOSES, diagnose, new_marks
from recall_world import Detector, ask, live_in, new_memory
from recorded_runs import recorded, sessions_of

from embodied.errors import ConfigurationError
from embodied.figures import MeasuredFigure, mean_figure
from embodied.messages import Answer, Query
from embodied.progress import Progress
from embodied.recording.reader import read_session
from memory_bank.bank import MemoryBank
from memory_bank.features.registry import build_text_encoder
from memory_bank.recall.calibration import familiarity, fit_table, kind_of, write_table
from sim.questions import is_correct, make_questions
from sim.recall_questions import Probe, Timeline, lures, make_probes

CORRECT_GOAL = AUROC_GOAL = DIAGNOSIS_GOAL = 0.95
FAMILIARITY = "familiarity"
KNOWN, NEVER = "familiarity: known", "familiarity: never was"
DIAGNOSIS = "share right"
MAX_FAILURES = 4
PAGE = PageSettings(
    title="What the memory answers",
    introduction="Questions of all kinds after days in a house, and eight diagnoses of memory. The pictures beside "
    "wrong answers are what the memory gives as its evidence.",
    values=(CORRECT, DIAGNOSIS, FAMILIARITY),
)


class Settings(EvaluationSettings):
    """What to measure."""

    HOW_NOT_WHAT: ClassVar[frozenset[str]] = EvaluationSettings.HOW_NOT_WHAT | {"trials"}

    episodes: int = 10
    """Houses; 0 for the diagnoses alone."""
    seed: int = 460
    """Of the first house; the others follow."""
    trials: int = 5
    """Of the eight diagnoses; 0 for none."""
    detector: Detector = Detector()
    """What the detector gets wrong."""
    fit: str | None = None
    """Where to write curves of calibration fitted on these answers; their confidences are the raw ones then."""
    data: tuple[str, ...] = ()
    """Folders of finished runs to take the days from, instead of living through new ones; without diagnoses."""


def judged(question: str, template: str, answer: Answer, right: bool, truth: str) -> tuple[Row, Failure | None]:
    """Return the row of a question, and a failure where its answer is wrong."""
    wrong = () if right else (f"{answer.text} [{truth}]",)
    values = {CORRECT: float(right), CONFIDENCE: answer.confidence}
    row = Row(key=question, category=template, values=values, wrong=wrong, notes={"kind": kind_of(answer)})
    if right:
        return row, None
    crops = [evidence.crop_jpeg for evidence in answer.evidence if evidence.crop_jpeg]
    return row, Failure(title=question, text=f"{answer.text} Truth: {truth}", picture_jpeg=crops[0] if crops else b"")


def put(memory: MemoryBank, probe: Probe) -> tuple[Row, Failure | None]:
    """Ask one question."""
    question = probe.question if isinstance(probe.question, str) else repr_query(probe.question)
    try:
        answer = ask(memory, probe.question)
    except ValueError as error:
        values = {CORRECT: 0.0, CONFIDENCE: 0.0}
        return Row(key=question, category=probe.template, values=values, wrong=(f"({error}) [{probe.truth}]",)), None
    return judged(question, probe.template, answer, probe.is_right(answer), probe.truth)


def repr_query(query: Query) -> str:
    """Return a query with only what was filled in."""
    filled = {name: getattr(query, name) for name in query.__struct_fields__}
    empty = Query(kind=query.kind)
    return ", ".join(f"{k}={v!r}" for k, v in filled.items() if k == "kind" or v != getattr(empty, k))


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return the probability that a positive scores above a negative, ties counting half."""
    a, b = np.asarray(positive)[:, None], np.asarray(negative)[None, :]
    return float(np.mean((a > b) + 0.5 * (a == b)))


def familiarity_rows(memory: MemoryBank, world: Timeline) -> list[Row]:
    """Ask for what is in the house, and for what never was."""
    categories = sorted({thing.category for thing in world.today})
    rows = []
    for label in categories:
        answer = ask(memory, f"where is the {label}?")
        right = not answer.unknown and answer.objects[0].label == answer.query.label
        rows.append(_familiarity_row(label, KNOWN, answer, right))
    for label in lures(world):
        answer = ask(memory, f"where is the {label}?")
        rows.append(_familiarity_row(label, NEVER, answer, answer.unknown and not answer.objects))
    return rows


def _familiarity_row(label: str, category: str, answer: Answer, right: bool) -> Row:
    values = {FAMILIARITY: familiarity(answer), "told": answer.confidence, "right": float(right)}
    return Row(key=label, category=category, values=values, notes={"kind": kind_of(answer)})


def run_house(settings: Settings, episode: Episode) -> EpisodeResult:
    """Live through one house and ask."""
    with new_memory(episode.seed, settings.detector, calibrated=settings.fit is None) as memory:
        world = live_in(memory, episode.seed)
        asked = [put(memory, probe) for probe in make_probes(world, episode.seed)]
        rows = (*(row for row, _ in asked), *familiarity_rows(memory, world))
    failures = [failure for _, failure in asked if failure is not None]
    return EpisodeResult(rows=rows, failures=tuple(failures[:MAX_FAILURES]))


def run_recorded(settings: Settings, episode: Episode) -> EpisodeResult:
    """Read the first two days of a run and ask what was asked in it."""
    sessions = sessions_of(Path(episode.source))
    days = [sessions[0], *(session for session in sessions[1:] if session.truth.changes)][:2]
    if len(days) < 2:
        raise ConfigurationError(f"data: expected a run of two days with changes between them, got {episode.source}")
    with new_memory(episode.seed, settings.detector, calibrated=settings.fit is None) as memory:
        for day in days:
            for message in read_session(day.log, decode_rgb=True):
                memory.take(message)
        memory.commit()
        asked = []
        for question in make_questions(days[0].truth, days[1].truth, episode.seed):
            answer = ask(memory, question.text)
            right = is_correct(question, answer)
            asked.append(judged(question.text, question.kind, answer, right, question.truth_text))
    failures = [failure for _, failure in asked if failure is not None]
    return EpisodeResult(rows=tuple(row for row, _ in asked), failures=tuple(failures[:MAX_FAILURES]))


def run_trial(settings: Settings, episode: Episode) -> EpisodeResult:
    """Run the eight diagnoses once."""
    marks = new_marks()
    diagnose(episode.seed, settings.detector, words_for_emem(), marks)
    rows = [
        Row(key=diagnosis, method=memory, category=diagnosis, values={DIAGNOSIS: float(np.mean(values))})
        for diagnosis, by_memory in marks.items()
        for memory, values in by_memory.items()
    ]
    return EpisodeResult(rows=tuple(rows))


def run_episode(settings: Settings, episode: Episode) -> EpisodeResult:
    """Do one house, one recorded run, or one trial of the diagnoses."""
    if episode.source:
        return run_recorded(settings, episode)
    return run_trial(settings, episode) if episode.key.startswith("trial") else run_house(settings, episode)


def words_for_emem() -> Any:
    """Return the model of words that eMEM searches with; None where either is not installed."""
    if find_spec("emem") is None:
        return None
    try:
        return build_text_encoder("minilm")
    except ConfigurationError:
        return None


def summarise(rows: Sequence[Row]) -> list[MeasuredFigure]:
    """Return the figures; houses weigh alike."""
    asked = [row for row in rows if CORRECT in row.values]
    figures: list[MeasuredFigure] = []
    if asked:
        by_house = [
            Row(key=house, episode=house, values={CORRECT: float(np.mean(values))})
            for house, values in _by_episode(asked, CORRECT).items()
        ]
        figures.append(measure(by_house, CORRECT, name="recall.correct", goal=CORRECT_GOAL))
        known, never = (
            [row.values[FAMILIARITY] for row in rows if row.category == category] for category in (KNOWN, NEVER)
        )
        if known and never:
            figures.append(mean_figure("recall.unknown_auroc", [auroc(known, never)], goal=AUROC_GOAL))
        error = calibration_error(_column(asked, CONFIDENCE), _column(asked, CORRECT))
        figures.append(mean_figure("recall.calibration_error", [error], higher_is_better=False))
        figures.append(mean_figure("recall.questions", [float(len(asked))]))
        for template in dict.fromkeys(row.category for row in asked):
            figures.append(measure(asked, CORRECT, name=f"recall.{template}", category=template))
    for diagnosis in DIAGNOSES:
        if any(row.category == diagnosis for row in rows):
            name = f"diagnosis.{diagnosis}"
            figures.append(measure(rows, DIAGNOSIS, name=name, category=diagnosis, goal=DIAGNOSIS_GOAL))
    return figures


def _by_episode(rows: Sequence[Row], value: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row.episode, []).append(row.values[value])
    return found


def _column(rows: Sequence[Row], value: str) -> Shares:
    return np.array([row.values[value] for row in rows])


def examples(rows: Sequence[Row]) -> list[tuple[str, float, bool]]:
    """Return what curves of calibration are fitted on: kind, raw confidence, and whether the answer was right."""
    return [
        (row.notes["kind"], row.values[told], bool(row.values[right]))
        for told, right in ((CONFIDENCE, CORRECT), ("told", "right"))
        for row in rows
        if told in row.values and row.notes.get("kind")
    ]


def main(settings: Settings, progress: Progress) -> None:
    """Measure, and write figures and report."""
    episodes = recorded(settings.data)
    if not episodes:
        episodes = houses(settings)
        for trial in range(settings.trials):
            episodes.append(Episode(key=f"trial {trial}", seed=settings.seed + 100 * trial))
        if settings.trials and words_for_emem() is None:
            progress.done("without eMEM: it needs the extras peers and features")

    def summed(rows: Sequence[Row]) -> list[MeasuredFigure]:
        if settings.fit is not None:
            Path(settings.fit).write_bytes(write_table(fit_table(examples(rows))))
        return summarise(rows)

    evaluate("recall", settings, episodes, run_episode, summed, progress, PAGE)

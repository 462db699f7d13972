"""The report of an episode: what the memory said, beside what was true."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterable, Sequence, Tuple

import msgspec

from embodied.config import Config
from embodied.messages import Observation
from embodied.recording import read_session
from embodied.report import ChangeItem, Figure, GoalItem, PictureItem, QuestionItem, ReportData
from sim.episode import Drive, EpisodeSummary, GoalResult, QuestionResult
from sim.judge import change_is_true
from sim.truth import TrueChange

GOALS: Tuple[Tuple[str, str, float, bool], ...] = (
    ("objects.precision", "", 0.95, True),
    ("objects.recall", "", 0.90, True),
    ("objects.position_error_m", "m", 0.10, False),
    ("objects.duplicates", "", 0.03, False),
    ("changes.f1", "", 0.85, True),
    ("questions.correct", "", 0.90, True),
    ("goals.success", "", 1.0, True),
    ("frames_per_second", "1/s", 30.0, True),
    ("peak_rss_mb", "MB", 2000.0, False),
)
"""Name in the summary, unit, what it should reach, and whether more is better."""


def headline(summary: EpisodeSummary) -> Tuple[Figure, ...]:
    """Return the figures that have a goal."""
    tree = msgspec.to_builtins(summary)
    figures = []
    for name, unit, goal, higher in GOALS:
        value = tree
        for key in name.split("."):
            value = value[key]
        met = value >= goal if higher else value <= goal
        figures.append(Figure(name=name, value=value, unit=unit, goal=goal, higher_is_better=higher, met=met))
    return tuple(figures)


def pictures(log: Path, seqs: Iterable[int]) -> Dict[int, bytes]:
    """Return the first camera's JPEG at some observations of a log."""
    wanted, found = set(seqs), {}
    for message in read_session(log):
        if isinstance(message, Observation) and message.seq in wanted:
            found[message.seq] = message.cameras[0].rgb.tobytes()
    return found


def complete(
    remembered: ReportData,
    settings: Config,
    summary: EpisodeSummary,
    true_changes: Sequence[TrueChange],
    questions: Sequence[QuestionResult],
    goals: Sequence[Tuple[Drive, GoalResult]],
    logs: Path,
) -> ReportData:
    """Add the judge's part to what the memory had to say."""
    session = remembered.sessions[0]
    seqs = [round(session.n_observations * share) for share in (0.05, 0.25, 0.45, 0.65, 0.85)]
    views = pictures(logs / f"{session.session}.mcap", seqs)
    ends = pictures(logs / f"{remembered.sessions[-1].session}.mcap", [drive.end_seq for drive, _ in goals])
    return msgspec.structs.replace(
        remembered,
        subtitle=f"seed {summary.seed}: {summary.n_frames} frames in {summary.n_rooms} rooms",
        settings={**{name: str(value) for name, value in msgspec.to_builtins(settings).items()}, "git": summary.git},
        summary=headline(summary),
        changes=tuple(
            ChangeItem(change=item.change, correct=any(change_is_true(item.change, t) for t in true_changes))
            for item in remembered.changes
        ),
        missed_changes=summary.changes.missed,
        questions=tuple(
            QuestionItem(
                question=r.question.text,
                answer=r.answer,
                truth=r.question.truth_text,
                correct=r.correct,
                latency_ms=r.latency_ms,
            )
            for r in questions
        ),
        goals=tuple(
            GoalItem(
                question=goal.question,
                target=goal.category,
                success=goal.success,
                geodesic_m=goal.geodesic_m,
                in_view=goal.in_view,
                picture_jpeg=ends.get(drive.end_seq, b""),
            )
            for drive, goal in goals
        ),
        pictures=tuple(
            PictureItem(caption=f"{session.session}, frame {seq}", jpeg=jpeg) for seq, jpeg in sorted(views.items())
        ),
        stages=summary.stages_ms,
        processes=summary.processes_rss_mb,
    )

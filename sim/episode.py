"""The evening of an episode: ask, send the robot to the answers, and sum up. The judge knows of no process."""

from __future__ import annotations

import time
from typing import Dict, List, Optional, Protocol, Sequence, Tuple, runtime_checkable

import numpy as np

from embodied.messages import Answer, Point
from embodied.structure import Structure
from sim.collision import Grid
from sim.judge import ChangeScore, ObjectScore
from sim.questions import Question, is_correct
from sim.scene import Region
from sim.truth import TruePose, TruthObject
from sim.ways import geodesic_distance

GOAL_RADIUS_M = 1.0


@runtime_checkable
class Asked(Protocol):
    """Who answers: ``embodied.Memory``."""

    def recall(self, question: str) -> Answer:
        """Answer in words and records."""
        ...


class QuestionResult(Structure):
    """One question, its answer, and the verdict."""

    question: Question
    answer: Answer
    correct: bool
    latency_ms: float


class GoalResult(Structure):
    """One drive to an answer, and the verdict."""

    question: str
    category: str
    target_m: Point
    """Where the memory said it was."""
    success: bool
    geodesic_m: float
    """The way from the robot to the nearest place to the real thing, in its room, where a robot can stand: Habitat's
    measure, whose goals too are moved to the navigable floor."""
    distance_m: float
    """Straight along the floor to the thing's middle, which may lie deep on a table."""
    in_view: bool
    n_steps: int
    detail: str = ""


class Drive(Structure):
    """One drive as it went."""

    question: Question
    target_m: Point
    end_seq: int
    """The last observation of the drive."""
    n_steps: int
    arrived: bool
    """What the policy itself believes."""
    detail: str


class QuestionScore(Structure):
    """Share of right answers."""

    correct: float
    asked: int
    wrong: Tuple[str, ...]
    """Question, answer and truth of each wrong one."""


class GoalScore(Structure):
    """Share of drives that ended before the thing."""

    success: float
    driven: int
    goals: Tuple[GoalResult, ...]


class MemoryTaskScore(Structure):
    """A task of memory, done by a policy that remembers and by its twin that does not."""

    task: str
    episodes: int
    """The same for both."""
    with_memory: int
    """Done by the one that remembers."""
    without_memory: int
    """Done by its twin."""


class EpisodeSummary(Structure):
    """``summary.json``. The same seed gives the same, but for the fields of time and memory at the end."""

    seed: int
    git: str
    simulator: str
    n_rooms: int
    n_frames: int
    n_collisions: int
    coverage: Dict[str, float]
    """By session, the policy's own estimate of the share of the house it has looked at from near."""
    objects: ObjectScore
    """At the end of the second day."""
    objects_day_one: ObjectScore
    changes: ChangeScore
    questions: QuestionScore
    goals: GoalScore
    memory_task: Optional[MemoryTaskScore] = None
    """None where the policies could not be run."""
    frames_per_second: float
    """Of the whole line, over the time that the robot was under way."""
    peak_rss_mb: float
    """Sum over all processes of each one's peak."""
    processes_rss_mb: Dict[str, float]
    stages_ms: Dict[str, Dict[str, float]]
    wall_s: Dict[str, float]


def ask(memory: Asked, questions: Sequence[Question]) -> Tuple[QuestionResult, ...]:
    """Put each question to the memory and judge its answer."""
    results = []
    for question in questions:
        started_s = time.perf_counter()
        answer = memory.recall(question.text)
        latency_ms = (time.perf_counter() - started_s) * 1000.0
        correct = is_correct(question, answer)
        results.append(QuestionResult(question=question, answer=answer, correct=correct, latency_ms=latency_ms))
    return tuple(results)


def choose_goals(results: Sequence[QuestionResult], n: int = 2) -> Tuple[QuestionResult, ...]:
    """Choose the answers to drive to: what was moved first, then what was not. Wrong answers are driven to as well."""
    places = [r for r in results if r.question.kind == "where" and r.answer.objects]
    return tuple(reversed(places))[:n]


def judge_drive(
    drive: Drive, pose: TruePose, things: Sequence[TruthObject], grid: Grid, regions: Sequence[Region]
) -> GoalResult:
    """Judge where a drive ended: within a metre of the real thing, and with it in view.

    If several things answer the question, the one nearest to where the memory sent the robot counts.
    """
    alike = [t for t in things if t.position_m in drive.question.position_m]
    assert alike, drive.question
    thing = min(alike, key=lambda t: float(np.linalg.norm(np.subtract(t.position_m, drive.target_m))))
    geodesic_m = _geodesic_to(thing, (pose.x_m, pose.y_m), grid, regions)
    in_view = thing.instance_id in pose.visible
    return GoalResult(
        question=drive.question.text,
        category=thing.category,
        target_m=drive.target_m,
        success=geodesic_m <= GOAL_RADIUS_M and in_view,
        geodesic_m=geodesic_m,
        distance_m=float(np.hypot(pose.x_m - thing.position_m[0], pose.y_m - thing.position_m[1])),
        in_view=in_view,
        n_steps=drive.n_steps,
        detail=drive.detail,
    )


def _geodesic_to(thing: TruthObject, start: Tuple[float, float], grid: Grid, regions: Sequence[Region]) -> float:
    """Return the way to the nearest navigable place to a thing, on its own side of the wall."""
    rooms = [r.rectangle_m for r in regions if r.name == thing.room]
    if not rooms:
        return float("inf")
    x0, y0, x1, y1 = rooms[0]
    cells = np.argwhere(grid.cells)
    centers = np.array(grid.origin_m) + (cells[:, ::-1] + 0.5) * grid.resolution_m
    inside = (centers >= (x0, y0)).all(axis=1) & (centers <= (x1, y1)).all(axis=1)
    if not inside.any():
        return float("inf")
    distances = np.linalg.norm(centers[inside] - thing.position_m[:2], axis=1)
    nearest = centers[inside][int(distances.argmin())]
    return geodesic_distance(grid, start, (float(nearest[0]), float(nearest[1])))


def score_questions(results: Sequence[QuestionResult]) -> QuestionScore:
    """Count the right answers."""
    wrong: List[str] = [
        f"{r.question.text} — said: {r.answer.text} — truth: {r.question.truth_text}" for r in results if not r.correct
    ]
    share = sum(r.correct for r in results) / len(results) if results else 0.0
    return QuestionScore(correct=share, asked=len(results), wrong=tuple(wrong))


def score_goals(goals: Sequence[GoalResult], n_wanted: int = 0) -> GoalScore:
    """Count the drives that succeeded; one that was wanted and had no answer to drive to failed."""
    share = sum(g.success for g in goals) / max(len(goals), n_wanted, 1)
    return GoalScore(success=share, driven=len(goals), goals=tuple(goals))

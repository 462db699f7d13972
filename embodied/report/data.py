"""What a report shows. All of it comes from the client, but for the verdicts, which a judge adds after the run."""

from __future__ import annotations

from typing import Dict, Optional, Tuple, Union

from embodied.messages import Answer, Change, MapReply, ObjectRecord, RoomRecord, SessionRecord
from embodied.structure import Structure


class Figure(Structure):
    """One measured figure, as in the figures files."""

    name: str
    value: Union[float, str, None]
    unit: str = ""
    goal: Optional[float] = None
    higher_is_better: bool = True
    met: Optional[bool] = None
    """None where there is no goal."""


class QuestionItem(Structure):
    """One question put to the memory, and what became of it."""

    question: str
    answer: Answer
    truth: Optional[str] = None
    """None where nobody knows it, as on a real robot."""
    correct: Optional[bool] = None
    latency_ms: Optional[float] = None


class GoalItem(Structure):
    """One drive to what the memory answered."""

    question: str
    target: str
    """What was looked for."""
    success: Optional[bool] = None
    geodesic_m: Optional[float] = None
    """Length of the shortest way that was left at the end."""
    in_view: Optional[bool] = None
    picture_jpeg: bytes = b""
    """What the robot saw at the end."""


class ChangeItem(Structure):
    """One change that the memory noticed."""

    change: Change
    correct: Optional[bool] = None


class PictureItem(Structure):
    """A picture of its own: what a camera saw, a rendered view."""

    caption: str
    jpeg: bytes


class TaskItem(Structure):
    """A task that somebody was put to, beside what the memory was asked."""

    text: str
    """What it is, and what became of it."""
    strip_jpeg: bytes = b""
    """How it went: see ``embodied.report.strips``."""


class ReportData(Structure):
    """All that a report shows. What is empty is left out of the page."""

    title: str
    created: str
    subtitle: str = ""
    settings: Dict[str, str] = {}
    summary: Tuple[Figure, ...] = ()
    warnings: Tuple[str, ...] = ()
    map: Optional[MapReply] = None
    sessions: Tuple[SessionRecord, ...] = ()
    paths: Dict[str, Tuple[Tuple[float, float], ...]] = {}
    """World x, y in metres of the robot, by session."""
    objects: Tuple[ObjectRecord, ...] = ()
    """With those that are gone."""
    rooms: Tuple[RoomRecord, ...] = ()
    changes: Tuple[ChangeItem, ...] = ()
    missed_changes: Tuple[str, ...] = ()
    """Sentences: what changed and was not noticed."""
    questions: Tuple[QuestionItem, ...] = ()
    goals: Tuple[GoalItem, ...] = ()
    task: Optional[TaskItem] = None
    pictures: Tuple[PictureItem, ...] = ()
    stages: Dict[str, Dict[str, float]] = {}
    """Mean milliseconds a frame spends in each stage, by process."""
    processes: Dict[str, float] = {}
    """Peak resident memory in MB, by process."""

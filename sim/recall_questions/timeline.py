"""The truth of several sessions, and a question with its verdict."""

from __future__ import annotations

from collections import Counter
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from embodied.clock import NANOSECONDS
from embodied.messages import Answer, Point, Query
from sim.judge import MATCH_RADIUS_M, score_changes
from sim.questions import SET_TOLERANCE, STAMP_TOLERANCE_S, name_of
from sim.truth import TrueChange, TruthObject, TruthSession

DAY_NS = 86_400 * NANOSECONDS


class Timeline(NamedTuple):
    """The truth of all sessions: mornings of consecutive days, and the afternoon of the last."""

    sessions: Tuple[TruthSession, ...]

    @property
    def now(self) -> TruthSession:
        """The last session."""
        return self.sessions[-1]

    @property
    def today(self) -> Tuple[TruthObject, ...]:
        """Everything in the house at the end."""
        return self.now.objects

    @property
    def agent_m(self) -> Tuple[float, float]:
        """Where the robot was last."""
        return self.now.poses[-1].x_m, self.now.poses[-1].y_m

    def at(self, instance_id: int, session: int) -> Optional[TruthObject]:
        """Return a thing as it was in a session, None if it was not in the house."""
        return next((t for t in self.sessions[session].objects if t.instance_id == instance_id), None)

    def midnight_ns(self, session: int) -> int:
        """Return the beginning of a session's day."""
        return self.sessions[session].start_ns // DAY_NS * DAY_NS

    @property
    def ever(self) -> Tuple[TruthObject, ...]:
        """Everything that was ever in the house, as it was last."""
        last = {t.instance_id: t for session in self.sessions for t in session.objects}
        return tuple(last.values())

    def one_of_a_kind(self, things: Sequence[TruthObject]) -> List[TruthObject]:
        """Return those that were never in doubt: no other ever had their category and colour, and all were seen."""
        n = Counter(name_of(t) for t in self.ever)
        return [t for t in things if n[name_of(t)] == 1 and t.last_sighting is not None]

    def only_category(self, things: Sequence[TruthObject]) -> List[TruthObject]:
        """Return those of which no other ever had the category."""
        n = Counter(t.category for t in self.ever)
        return [t for t in things if n[t.category] == 1 and t.last_sighting is not None]

    def changed(self, kind: str, session: int) -> List[int]:
        """Return the instances that were changed in a way before a session."""
        return [c.instance_id for c in self.sessions[session].changes if c.kind == kind]

    def unmoved(self) -> List[TruthObject]:
        """Return what was there all the time and never moved."""
        touched = {c.instance_id for session in self.sessions for c in session.changes}
        return [t for t in self.today if t.instance_id not in touched]


class Probe(NamedTuple):
    """One question and its verdict."""

    template: str
    question: Union[str, Query]
    truth: str
    """As a person would say it."""
    is_right: Callable[[Answer], bool]
    known: Optional[bool] = True
    """Whether what is asked for was ever seen; None where the question is not about a thing."""


# ------------------------------------------------------------------------------------------ verdicts


def near(a_m: Point, b_m: Point) -> bool:
    """Tell whether two points are one place."""
    return float(np.linalg.norm(np.subtract(a_m, b_m))) <= MATCH_RADIUS_M


def first_at(thing: TruthObject) -> Callable[[Answer], bool]:
    """Right if the first thing in the answer is this one, where it is."""

    def verdict(answer: Answer) -> bool:
        if answer.unknown or not answer.objects:
            return False
        first = answer.objects[0]
        return first.state != "gone" and first.label == thing.category and near(first.position_m, thing.position_m)

    return verdict


def these_labels(expected: Sequence[str], *, gone: bool = False) -> Callable[[Answer], bool]:
    """Right if the things in the answer are these, but for a fifth."""

    def verdict(answer: Answer) -> bool:
        told = Counter(r.label for r in answer.objects if gone or r.state != "gone")
        real = Counter(expected)
        shared = sum((told & real).values())
        if not told or not real:
            return told == real
        return shared / sum(told.values()) >= SET_TOLERANCE and shared / sum(real.values()) >= SET_TOLERANCE

    return verdict


def this_instant(stamp_ns: int) -> Callable[[Answer], bool]:
    """Right if the answer's instant is this one."""

    def verdict(answer: Answer) -> bool:
        if answer.unknown or answer.stamp_ns is None:
            return False
        return abs(answer.stamp_ns - stamp_ns) <= STAMP_TOLERANCE_S * NANOSECONDS

    return verdict


def this_many(n: int) -> Callable[[Answer], bool]:
    """Right if the answer counts so many."""
    return lambda answer: answer.count == n


def these_changes(changes: Sequence[TrueChange]) -> Callable[[Answer], bool]:
    """Right if the answer's changes are these, but for a fifth."""

    def verdict(answer: Answer) -> bool:
        score = score_changes(changes, answer.changes)
        return min(score.precision, score.recall) >= SET_TOLERANCE

    return verdict


def not_there(answer: Answer) -> bool:
    """Right if the answer says that there is none."""
    return answer.unknown and all(record.state == "gone" for record in answer.objects)


def gone(label: str) -> Callable[[Answer], bool]:
    """Right if the answer knows the thing, and that it is gone."""

    def verdict(answer: Answer) -> bool:
        return bool(answer.objects) and all(r.state == "gone" and r.label == label for r in answer.objects)

    return verdict


def say(thing: TruthObject) -> str:
    """Return a thing and its place in words."""
    return "{} in the {} at ({:.2f}, {:.2f}, {:.2f})".format(name_of(thing), thing.room, *thing.position_m)


def where_at(template: str, question: Union[str, Query], thing: TruthObject) -> Probe:
    """Return a probe that asks for the place of a thing."""
    return Probe(template, question, say(thing), first_at(thing))


Draw = Callable[[Sequence[TruthObject]], List[TruthObject]]
Template = Callable[[Timeline, Draw], List[Probe]]

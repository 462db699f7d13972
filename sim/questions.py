"""Questions about two days in a house, made from the truth, and the verdict on each answer.

The asker knows the truth; the memory is given nothing but the English sentence. Every verdict is a pure function of the
answer and the truth, and says in words what was expected.
"""

from __future__ import annotations

from collections import Counter
from typing import Callable, Dict, List, Literal, Sequence, Set, Tuple

import msgspec
import numpy as np

from embodied.clock import NANOSECONDS
from embodied.messages import Answer, Point
from sim.judge import MATCH_RADIUS_M, score_changes
from sim.truth import TrueChange, TruthObject, TruthSession

STAMP_TOLERANCE_S = 10.0
"""How far the instant of a ``when`` answer may be off: a thing seen from the corner of the eye is seen gradually."""
SET_TOLERANCE = 0.8
"""Precision and recall that a list of things must reach; below five things this means: exactly."""
LURES = ("piano", "umbrella", "toaster", "skateboard", "globe", "fan", "ladder", "telescope")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question, and what its answer must fulfil."""

    text: str
    kind: Literal["where", "gone", "what", "when", "changes", "count", "never"]
    truth_text: str
    """The truth as a person would say it."""
    position_m: Tuple[Point, ...] = ()
    """``where``: any of these places is right."""
    labels: Tuple[str, ...] = ()
    """``what``: the things, with repetitions. ``where``, ``gone``: what is asked for."""
    stamp_ns: int = 0
    count: int = 0
    changes: Tuple[TrueChange, ...] = ()
    instance_id: int = 0
    """``where``: the real object, for the drive to it."""


def name_of(thing: TruthObject) -> str:
    """Return colour and category, as one would ask for it."""
    return f"{thing.colour} {thing.category}".strip()


def _right_where(question: Question, answer: Answer) -> bool:
    if answer.unknown or not answer.objects:
        return False
    first = answer.objects[0]
    distances = [np.linalg.norm(np.subtract(first.position_m, p)) for p in question.position_m]
    return bool(min(distances) <= MATCH_RADIUS_M) and first.state != "gone" and first.label in question.labels


def _right_gone(question: Question, answer: Answer) -> bool:
    """Tell whether the answer knows the thing and that it is gone; never to have heard of it is not enough."""
    return bool(answer.objects) and all(r.state == "gone" and r.label in question.labels for r in answer.objects)


def _right_what(question: Question, answer: Answer) -> bool:
    told = Counter(record.label for record in answer.objects if record.state != "gone")
    real = Counter(question.labels)
    shared = sum((told & real).values())
    if not told or not real:
        return told == real
    return shared / sum(told.values()) >= SET_TOLERANCE and shared / sum(real.values()) >= SET_TOLERANCE


def _right_when(question: Question, answer: Answer) -> bool:
    if answer.unknown or answer.stamp_ns is None:
        return False
    return abs(answer.stamp_ns - question.stamp_ns) <= STAMP_TOLERANCE_S * NANOSECONDS


def _right_changes(question: Question, answer: Answer) -> bool:
    score = score_changes(question.changes, answer.changes)
    return min(score.precision, score.recall) >= SET_TOLERANCE


def _right_count(question: Question, answer: Answer) -> bool:
    return answer.count == question.count


def _right_never(question: Question, answer: Answer) -> bool:
    return answer.unknown and not answer.objects


_VERDICTS: Dict[str, Callable[[Question, Answer], bool]] = {
    "where": _right_where,
    "gone": _right_gone,
    "what": _right_what,
    "when": _right_when,
    "changes": _right_changes,
    "count": _right_count,
    "never": _right_never,
}


def is_correct(question: Question, answer: Answer) -> bool:
    """Tell whether the answer is right."""
    return _VERDICTS[question.kind](question, answer)


def _say(stamp_ns: int) -> str:
    return str(np.datetime64(stamp_ns, "ns").astype("datetime64[s]")).replace("T", " ")


def _say_place(thing: TruthObject, by_id: Dict[int, TruthObject]) -> str:
    holder = by_id[thing.support].category if thing.support in by_id else "floor"
    return "{} the {} in the {}, at ({:.2f}, {:.2f}, {:.2f}) m".format(
        thing.relation, holder, thing.room, *thing.position_m
    )


def _where(thing: TruthObject, today: Sequence[TruthObject]) -> Question:
    by_id = {t.instance_id: t for t in today}
    alike = [t for t in today if name_of(t) == name_of(thing)]
    return Question(
        text=f"where is the {name_of(thing)}?",
        kind="where",
        truth_text=_say_place(thing, by_id),
        position_m=tuple(t.position_m for t in alike),
        labels=(thing.category,),
        instance_id=thing.instance_id,
    )


def _changes(kind: str, changes: Sequence[TrueChange]) -> Question:
    chosen = tuple(c for c in changes if kind in ("", c.kind))
    return Question(
        text=f"what was {kind} since yesterday?" if kind else "what changed since yesterday?",
        kind="changes",
        truth_text="; ".join(f"{c.category} {c.kind}" for c in chosen) or "nothing",
        changes=chosen,
    )


def _what_on(holder: TruthObject, today: Sequence[TruthObject]) -> Question:
    labels = tuple(t.category for t in today if t.support == holder.instance_id and t.relation == "on")
    return Question(
        text=f"what is on the {holder.category} in the {holder.room}?",
        kind="what",
        truth_text=", ".join(labels),
        labels=labels,
    )


def _what_in(room: str, today: Sequence[TruthObject]) -> Question:
    labels = tuple(t.category for t in today if t.room == room)
    return Question(text=f"what is in the {room}?", kind="what", truth_text=", ".join(labels), labels=labels)


def _gone(thing: TruthObject) -> Question:
    return Question(
        text=f"where is the {name_of(thing)}?", kind="gone", truth_text="gone overnight", labels=(thing.category,)
    )


def _when(thing: TruthObject, *, last: bool) -> Question:
    sighting = thing.last_sighting if last else thing.first_sighting
    assert sighting is not None, thing
    return Question(
        text=f"when did you {'last' if last else 'first'} see the {name_of(thing)}?",
        kind="when",
        truth_text=_say(sighting.stamp_ns),
        stamp_ns=sighting.stamp_ns,
    )


def _count(category: str, today: Sequence[TruthObject]) -> Question:
    n = sum(t.category == category for t in today)
    return Question(text=f"how many {plural(category)} are there?", kind="count", truth_text=str(n), count=n)


def plural(noun: str) -> str:
    """Return the plural of a noun."""
    if noun.endswith(("s", "sh", "ch", "x")):
        return noun + "es"
    if noun.endswith("f"):
        return noun[:-1] + "ves"
    return noun + "s"


def make_questions(day_one: TruthSession, day_two: TruthSession, seed: int) -> Tuple[Question, ...]:
    """Make about fifteen questions of every kind for the evening of day two.

    Args:
        day_one: The truth of the first day.
        day_two: The truth so far of the second, its changes included.
        seed: Draws what is asked about.
    """
    rng = np.random.default_rng([seed, 20])
    today = day_two.objects
    changed = {c.instance_id: c for c in day_two.changes}
    names = Counter(name_of(t) for t in (*day_one.objects, *today) if t.instance_id not in changed)
    carriers: Set[int] = {t.support for t in today if t.relation == "on" and t.support}
    small = [t for t in today if t.support and t.instance_id not in changed and names[name_of(t)] == 2]

    def draw(things: Sequence[TruthObject], n: int) -> List[TruthObject]:
        order = rng.permutation(len(things))[:n]
        return [things[int(i)] for i in order]

    def unlike_others(thing: TruthObject, things: Sequence[TruthObject]) -> bool:
        return sum(name_of(t) == name_of(thing) for t in things) == 1

    questions = [_where(t, today) for t in draw(small, 2)]
    moved = [t for t in today if t.instance_id in changed and changed[t.instance_id].kind == "moved"]
    questions += [_where(t, today) for t in draw([t for t in moved if unlike_others(t, today)], 1)]
    removed = [t for t in day_one.objects if t.instance_id in changed and changed[t.instance_id].kind == "removed"]
    removed = [t for t in removed if name_of(t) not in {name_of(u) for u in today} and t.last_sighting is not None]
    removed = [t for t in removed if unlike_others(t, day_one.objects)]
    for thing in draw(removed, 1):
        questions += [_gone(thing), _when(thing, last=True)]
    seen_first = [t for t in day_one.objects if t.first_sighting and t.support and names[name_of(t)] == 2]
    questions += [_when(t, last=False) for t in draw(seen_first, 1)]
    holders = [t for t in today if t.instance_id in carriers]
    holders = [t for t in holders if sum(u.room == t.room and u.category == t.category for u in holders) == 1]
    questions += [_what_on(t, today) for t in draw(holders, 2)]
    questions += [_what_in(str(rng.choice(sorted({t.room for t in today}))), today)]
    questions += [_changes(kind, day_two.changes) for kind in ("", "moved", "removed", "added")]
    several = sorted(c for c, n in Counter(t.category for t in today).items() if n >= 2)
    questions += [_count(str(rng.choice(several)), today)] if several else []
    lures = [c for c in LURES if c not in {t.category for t in (*day_one.objects, *today)}]
    lure = str(rng.choice(lures))
    questions.append(Question(text=f"where is the {lure}?", kind="never", truth_text=f"there was never any {lure}"))
    added = [t for t in today if t.instance_id in changed and changed[t.instance_id].kind == "added"]
    added = [t for t in added if unlike_others(t, (*day_one.objects, *today))]
    # What the robot is sent to comes from the end of the list: things that were moved are the better test.
    return (*(_where(t, today) for t in draw(added, 1)), *questions)

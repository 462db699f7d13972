"""The sections of the page, each from the report's data; None where there is nothing to show."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Sequence, Tuple

from embodied.messages import Evidence, ObjectRecord, SessionRecord
from embodied.report.data import ChangeItem, Figure, GoalItem, QuestionItem, ReportData, TaskItem
from embodied.report.markup import Markup, element, join, picture, text
from embodied.report.wording import change_sentence, clock_time, duration, frame_phrase, instant, number, share

MAX_EVIDENCE = 4
"""Pictures shown for one answer."""
STRIP_PX = 1700
"""Longer side of a picture that is made of many."""


def verdict(correct: Optional[bool]) -> Optional[Markup]:
    """Draw a tick or a cross; nothing where nobody judged."""
    if correct is None:
        return None
    return element(
        "span", "✓" if correct else "✗", class_="yes" if correct else "no", title="right" if correct else "wrong"
    )


def tiles(figures: Sequence[Figure]) -> Optional[Markup]:
    """Show the headline figures, with their goals."""
    if not figures:
        return None
    return element("div", *[_tile(figure) for figure in figures], class_="tiles")


def _tile(figure: Figure) -> Markup:
    goal = None
    if figure.goal is not None:
        sign = "≥" if figure.higher_is_better else "≤"
        goal = element("div", verdict(figure.met), f" goal {sign} {number(figure.goal)}", class_="goal")
    unit = element("small", f" {figure.unit}") if figure.unit else None
    met = "" if figure.met is None else (" met" if figure.met else " missed")
    # The unit stands beside the value.
    name = re.sub(r"_(m|s|ms|mb|rad|hz)$", "", figure.name).replace("_", " ").replace(".", " · ")
    return element(
        "div", element("div", name, class_="what"), element("div", number(figure.value), unit, class_="value"), goal,
        class_=f"tile{met}",
    )  # fmt: skip


def sessions(records: Sequence[SessionRecord]) -> Optional[Markup]:
    """List the sessions."""
    if not records:
        return None
    rows = [
        (
            record.session, record.robot, instant(record.start_ns), duration(record.start_ns, record.end_ns),
            number(record.n_observations), f"{record.path_length_m:.1f} m", frame_phrase(record),
        )
        for record in records
    ]  # fmt: skip
    return table(("session", "robot", "start (UTC)", "length", "observations", "path", "world frame"), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[Optional[str]]]) -> Markup:
    """Build a table that scrolls on a narrow screen."""
    top = element("thead", element("tr", *[element("th", cell) for cell in head]))
    body = element("tbody", *[element("tr", *[element("td", cell) for cell in row]) for row in rows])
    return element("div", element("table", top, body), class_="scroll")


def changes(items: Sequence[ChangeItem], missed: Sequence[str]) -> Optional[Markup]:
    """List what changed, right or wrong, and what was overlooked."""
    if not items and not missed:
        return None
    lines = []
    for item in items:
        change = item.change
        when = f"between {instant(change.after_ns)} and {instant(change.noticed_ns)}"
        when += f", confidence {share(change.confidence)}"
        sentence = element("span", change_sentence(change), element("small", when), class_="said")
        kind = element("span", change.kind, class_=f"badge {change.kind}")
        lines.append(element("li", kind, sentence, verdict(item.correct)))
    for words in missed:
        lines.append(
            element(
                "li",
                element("span", "missed", class_="badge missed"),
                element("span", words, class_="said"),
                verdict(False),
            )
        )
    return element("ul", *lines, class_="changes")


def questions(items: Sequence[QuestionItem]) -> Optional[Markup]:
    """Show each question with the answer, its evidence and the truth."""
    if not items:
        return None
    return element("div", *[_question(item) for item in items], class_="cards")


def _question(item: QuestionItem) -> Markup:
    answer = item.answer
    facts = [element("span", answer.query.kind, class_="badge")]
    facts.append(element("span", "unknown" if answer.unknown else f"confidence {share(answer.confidence)}"))
    if item.latency_ms is not None:
        facts.append(element("span", f"{number(item.latency_ms)} ms"))
    truth = None
    if item.truth is not None:
        truth = element("p", element("b", "Truth"), f" {item.truth}", class_="truth")
    labels = {record.id: record.label for record in answer.objects}
    shown = _pick_evidence(answer.evidence)
    more = len(answer.evidence) - len(shown)
    seen = [_evidence(evidence, labels) for evidence in shown]
    if more > 0:
        seen.append(element("span", f"and {more} more", class_="more"))
    return element(
        "article",
        element("h3", verdict(item.correct), f" {item.question}"),
        element("p", answer.text, class_="answer"),
        truth,
        element("div", *facts, class_="facts"),
        element("div", *seen, class_="evidence") if seen else None,
        *[element("p", warning, class_="warning") for warning in answer.warnings],
        class_="card",
    )


def _pick_evidence(evidence: Sequence[Evidence]) -> List[Evidence]:
    """Keep the first few, those with a picture before those without."""
    return sorted(evidence, key=lambda one: not one.crop_jpeg)[:MAX_EVIDENCE]


def _evidence(evidence: Evidence, labels: Dict[str, str]) -> Markup:
    name = labels.get(evidence.object_id, evidence.object_id)
    image = picture(evidence.crop_jpeg, f"{name}, as seen", max_px=240) if evidence.crop_jpeg else None
    caption = element("figcaption", name, element("small", f"{evidence.session}, {clock_time(evidence.stamp_ns)}"))
    return element("figure", image, caption)


def goals(items: Sequence[GoalItem]) -> Optional[Markup]:
    """Show the drives to an answer."""
    if not items:
        return None
    cards = []
    for item in items:
        facts = []
        if item.geodesic_m is not None:
            facts.append(element("span", f"{item.geodesic_m:.2f} m of way left"))
        if item.in_view is not None:
            facts.append(element("span", "in view" if item.in_view else "not in view"))
        image = (
            picture(item.picture_jpeg, f"what the robot saw on arriving at the {item.target}")
            if item.picture_jpeg
            else None
        )
        cards.append(
            element(
                "article",
                element("h3", verdict(item.success), f" Drive to the {item.target}"),
                element("p", f"after “{item.question}”", class_="answer"),
                element("div", *facts, class_="facts"),
                image,
                class_="card",
            )
        )
    return element("div", *cards, class_="cards")


def scene_tree(data: ReportData) -> Optional[Markup]:
    """List the scene graph: room, what stands in it, what lies on or in that."""
    if not data.objects:
        return None
    here = [record for record in data.objects if record.state != "gone"]
    ids = {record.id for record in here}
    children: Dict[str, List[Tuple[str, ObjectRecord]]] = {}
    roots: Dict[str, List[ObjectRecord]] = {}
    for record in sorted(here, key=lambda r: (r.label, r.id)):
        parent = _parent(record, ids)
        if parent is None:
            roots.setdefault(record.room, []).append(record)
        else:
            children.setdefault(parent[1], []).append((parent[0], record))
    _break_rings(here, roots, children)
    names = [room.name for room in data.rooms]
    ordered = [name for name in names if name in roots] + sorted(name for name in roots if name not in names)
    areas = {room.name: f" · {room.area_m2:.1f} m²" for room in data.rooms}
    elsewhere = "Outside all rooms" if data.rooms else "Objects"
    cards = [_room_card(name or elsewhere, areas.get(name, ""), roots[name], children) for name in ordered]
    gone = [record for record in data.objects if record.state == "gone"]
    if gone:
        lines = [
            element("li", _thing(record), element("small", f" last seen {instant(record.last_seen_ns)}"))
            for record in gone
        ]
        cards.append(element("article", element("h3", "Gone"), element("ul", *lines), class_="card tree"))
    return element("div", *cards, class_="cards")


def _parent(record: ObjectRecord, ids: set[str]) -> Optional[Tuple[str, str]]:
    for relation in record.relations:
        if relation.kind in ("on", "in") and relation.object_id in ids and relation.object_id != record.id:
            return relation.kind, relation.object_id
    return None


def _break_rings(
    here: Sequence[ObjectRecord],
    roots: Dict[str, List[ObjectRecord]],
    children: Dict[str, List[Tuple[str, ObjectRecord]]],
) -> None:
    """Make a root of what no root leads to: things that were believed to lie on each other must not vanish."""
    reached = set()
    waiting = [record.id for records in roots.values() for record in records]
    for record in [None, *here]:
        if record is not None and record.id not in reached:
            for parent, held in list(children.items()):
                children[parent] = [(kind, child) for kind, child in held if child.id != record.id]
            roots.setdefault(record.room, []).append(record)
            waiting = [record.id]
        while waiting:
            one = waiting.pop()
            reached.add(one)
            waiting += [child.id for _, child in children.get(one, [])]


def _room_card(
    name: str, area: str, roots: Sequence[ObjectRecord], children: Dict[str, List[Tuple[str, ObjectRecord]]]
) -> Markup:
    title = element("h3", name, element("small", area))
    return element(
        "article", title, element("ul", *[_branch("", record, children) for record in roots]), class_="card tree"
    )


def _branch(kind: str, record: ObjectRecord, children: Dict[str, List[Tuple[str, ObjectRecord]]]) -> Markup:
    held = [_branch(below, child, children) for below, child in children.get(record.id, [])]
    prefix = element("small", f"{kind} ", class_="kind") if kind else None
    return element("li", prefix, _thing(record), element("ul", *held) if held else None)


def _thing(record: ObjectRecord) -> Markup:
    about = f"{record.id}, seen {record.n_observations} times, confidence {share(record.confidence)}"
    colour = f" ({record.colour})" if record.colour else ""
    state = element("span", record.state, class_=f"badge {record.state}") if record.state != "present" else None
    return join((element("span", record.label or record.id, colour, title=about), text(" ") if state else None, state))


def stages(per_process: Dict[str, Dict[str, float]]) -> Optional[Markup]:
    """Show where a frame's time goes, as bars."""
    longest = max((value for one in per_process.values() for value in one.values()), default=0.0)
    if not longest > 0:
        return None
    groups = []
    for name, one in per_process.items():
        bars = [
            bar(stage, value, longest, f"{value:.1f} ms") for stage, value in sorted(one.items(), key=lambda kv: -kv[1])
        ]
        groups.append(
            element("div", element("h3", name, element("small", f" {sum(one.values()):.1f} ms")), *bars, class_="bars")
        )
    return element("div", *groups, class_="barset")


def memory_use(processes: Dict[str, float]) -> Optional[Markup]:
    """Show the peak memory of each process, as bars."""
    largest = max(processes.values(), default=0.0)
    if not largest > 0:
        return None
    bars = [bar(name, value, largest, f"{value:.0f} MB") for name, value in processes.items()]
    total = element("small", f" {sum(processes.values()):.0f} MB if all peak at once")
    return element("div", element("div", element("h3", "peak memory", total), *bars, class_="bars"), class_="barset")


def bar(name: str, value: float, largest: float, words: str) -> Markup:
    """Draw one bar with its name and figure."""
    width = min(max(100.0 * value / largest, 0.5), 100.0)
    track = element("span", element("i", style=f"width:{width:.1f}%"), class_="track")
    return element(
        "div", element("span", name, class_="of"), track, element("span", words, class_="figure"), class_="bar"
    )


def settings(values: Dict[str, str]) -> Optional[Markup]:
    """List what the run was made with."""
    if not values:
        return None
    pairs = [join((element("dt", key), element("dd", value))) for key, value in values.items()]
    return element("dl", *pairs, class_="settings")


def task(item: Optional[TaskItem]) -> Optional[Markup]:
    """Show how a task went."""
    if item is None:
        return None
    strip = picture(item.strip_jpeg, "how it went", max_px=STRIP_PX) if item.strip_jpeg else None
    return element("article", element("p", item.text, class_="answer"), strip, class_="card wide")


def pictures(data: ReportData) -> Optional[Markup]:
    """Show pictures of their own."""
    if not data.pictures:
        return None
    figures = [
        element("figure", picture(item.jpeg, item.caption, max_px=480), element("figcaption", item.caption))
        for item in data.pictures
    ]
    return element("div", *figures, class_="gallery")

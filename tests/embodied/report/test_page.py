"""The report, on a made-up flat: it must hold everything, need nothing, and survive hostile data."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Dict, List, Tuple

import msgspec
import numpy as np
import pytest
from PIL import Image

from embodied.clock import NANOSECONDS
from embodied.messages import (
    Answer,
    Box,
    Change,
    Evidence,
    MapReply,
    ObjectRecord,
    ObjectState,
    Query,
    Relation,
    RoomRecord,
    SessionRecord,
)
from embodied.report import ChangeItem, Figure, GoalItem, PictureItem, QuestionItem, ReportData, write_report
from embodied.report.page import render

DAY_ONE_NS = 1_767_603_600 * NANOSECONDS
DAY_TWO_NS = DAY_ONE_NS + 24 * 3600 * NANOSECONDS
ROOMS = {
    "kitchen": (0.0, 0.0, 4.2, 4.0),
    "living room": (4.4, 0.0, 10.2, 4.6),
    "bedroom": (0.0, 4.2, 4.2, 8.4),
    "bathroom": (4.4, 4.8, 7.0, 8.4),
    "study": (7.2, 4.8, 10.2, 8.4),
}
FURNITURE: List[Tuple[str, str, float, float, float, float, List[str]]] = [
    ("table", "kitchen", 2.0, 1.9, 1.4, 0.8, ["mug", "plate", "bowl", "apple", "bottle"]),
    ("counter", "kitchen", 2.1, 0.35, 3.4, 0.6, ["kettle", "toaster", "pan", "knife block"]),
    ("fridge", "kitchen", 0.4, 3.5, 0.7, 0.7, []),
    ("chair", "kitchen", 2.0, 2.7, 0.45, 0.45, []),
    ("chair", "kitchen", 1.1, 1.3, 0.45, 0.45, []),
    ("sofa", "living room", 7.0, 0.7, 2.1, 0.9, ["cushion", "teddy bear"]),
    ("coffee table", "living room", 7.0, 2.0, 1.0, 0.6, ["book", "remote control", "vase"]),
    ("television", "living room", 7.2, 4.3, 1.3, 0.25, []),
    ("bookshelf", "living room", 9.9, 2.2, 0.35, 1.6, ["clock", "globe", "picture frame"]),
    ("armchair", "living room", 5.1, 2.6, 0.9, 0.9, []),
    ("bed", "bedroom", 1.2, 6.9, 2.0, 1.6, ["pillow", "blanket"]),
    ("wardrobe", "bedroom", 3.8, 7.6, 0.6, 1.4, []),
    ("night stand", "bedroom", 0.4, 5.4, 0.45, 0.45, ["lamp", "alarm clock"]),
    ("bathtub", "bathroom", 5.3, 8.0, 1.6, 0.7, []),
    ("sink", "bathroom", 4.7, 6.0, 0.5, 0.6, ["soap", "cup"]),
    ("toilet", "bathroom", 6.6, 5.5, 0.5, 0.6, []),
    ("desk", "study", 9.2, 8.0, 1.6, 0.7, ["laptop", "monitor", "pencil holder"]),
    ("office chair", "study", 9.1, 7.2, 0.6, 0.6, []),
    ("plant", "study", 7.6, 5.2, 0.4, 0.4, []),
]
STATES: Dict[str, ObjectState] = {
    "teddy bear": "moved",
    "laptop": "moved",
    "bottle": "gone",
    "globe": "gone",
    "apple": "unknown",
}


FIGURES = (
    Figure(name="objects.precision", value=0.981, goal=0.95, met=True),
    Figure(name="objects.recall", value=0.94, goal=0.90, met=True),
    Figure(name="objects.position_error_m", value=0.043, unit="m", goal=0.10, higher_is_better=False, met=True),
    Figure(name="objects.duplicates", value=0.051, goal=0.03, higher_is_better=False, met=False),
    Figure(name="changes.f1", value=0.909, goal=0.85, met=True),
    Figure(name="questions.correct", value=0.9, goal=0.9, met=True),
    Figure(name="goals.success", value=1.0, goal=1.0, met=True),
    Figure(name="frames_per_second", value=34.2, unit="frames/s", goal=30.0, met=True),
    Figure(name="peak_rss_mb", value=612.4, unit="MB"),
)


def jpeg(seed: int, width: int = 160, height: int = 120) -> bytes:
    """Make a picture that a person can tell from others."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = rng.integers(120, 230, 3) * (0.6 + 0.4 * y[..., None] / height)
    disc = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (0.3 * height) ** 2
    pixels[disc] = rng.integers(20, 255, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def one_object(
    index: int, label: str, room: str, at_m: Tuple[float, float, float], size_m: Tuple[float, float, float]
) -> ObjectRecord:
    return ObjectRecord(
        id=f"o{index}",
        label=label,
        position_m=at_m,
        box=Box(center_m=at_m, size_m=size_m),
        state=STATES.get(label, "present"),
        confidence=0.9,
        first_seen_ns=DAY_ONE_NS + index * NANOSECONDS,
        last_seen_ns=DAY_TWO_NS + index * NANOSECONDS,
        room=room,
        n_observations=12 + index,
    )


def flat_objects() -> Tuple[ObjectRecord, ...]:
    objects: List[ObjectRecord] = []
    for label, room, x, y, width, depth, things in FURNITURE:
        base = one_object(len(objects), label, room, (x, y, 0.4), (width, depth, 0.8))
        objects.append(base)
        for index, thing in enumerate(things):
            offset = (index + 0.5) / len(things) - 0.5
            along_x = width >= depth
            at = (x + offset * width * 0.9 if along_x else x, y if along_x else y + offset * depth * 0.9, 0.9)
            record = one_object(len(objects), thing, room, at, (0.12, 0.12, 0.15))
            objects.append(
                msgspec.structs.replace(record, relations=(Relation(kind="on", object_id=base.id, label=label),))
            )
    return tuple(objects)


def flat_map() -> MapReply:
    """Draw the rooms as free space between walls, with doors and the footprints of the furniture."""
    resolution_m, origin_m = 0.05, (-0.6, -0.6)
    occupancy = np.zeros((200, 236), np.uint8)

    def fill(x0: float, y0: float, x1: float, y1: float, value: int) -> None:
        columns = slice(round((x0 - origin_m[0]) / resolution_m), round((x1 - origin_m[0]) / resolution_m))
        rows = slice(round((y0 - origin_m[1]) / resolution_m), round((y1 - origin_m[1]) / resolution_m))
        occupancy[rows, columns] = value

    fill(-0.1, -0.1, 10.3, 8.5, 2)
    for x0, y0, x1, y1 in ROOMS.values():
        fill(x0, y0, x1, y1, 1)
    for x0, y0, x1, y1 in ((4.1, 2.8, 4.5, 3.7), (2.9, 3.9, 3.8, 4.3), (5.6, 4.5, 6.4, 4.9), (8.0, 4.5, 8.8, 4.9)):
        fill(x0, y0, x1, y1, 1)
    for _, _, x, y, width, depth, _ in FURNITURE:
        fill(x - width / 2, y - depth / 2, x + width / 2, y + depth / 2, 2)
    closest_view_m = np.where(occupancy > 0, 1.0, np.inf).astype(np.float32)
    return MapReply(
        session="day-2",
        seq=700,
        resolution_m=resolution_m,
        origin_m=origin_m,
        occupancy=occupancy,
        closest_view_m=closest_view_m,
    )


def flat_path(phase: float) -> Tuple[Tuple[float, float], ...]:
    corners = [
        (3.2, 1.2),
        (3.3, 3.2),
        (4.3, 3.2),
        (5.9, 3.3),
        (8.6, 3.0),
        (8.4, 4.7),
        (8.2, 6.4),
        (8.4, 4.7),
        (6.0, 4.0),
        (6.0, 6.6),
        (6.0, 3.5),
        (3.4, 3.4),
        (3.3, 5.2),
        (2.6, 5.4),
    ]
    points = np.concatenate([np.linspace(a, b, 24) for a, b in zip(corners, corners[1:])])
    wobble = 0.09 * np.stack(
        [np.sin(np.arange(len(points)) / 9 + phase), np.cos(np.arange(len(points)) / 7 + phase)], axis=1
    )
    return tuple((float(x), float(y)) for x, y in points + wobble + phase * 0.03)


def flat_questions(objects: Tuple[ObjectRecord, ...]) -> Tuple[QuestionItem, ...]:
    by_label = {record.label: record for record in objects}

    def item(question: str, label: str, words: str, truth: str, correct: bool, n_pictures: int) -> QuestionItem:
        record = by_label[label]
        evidence = tuple(
            Evidence(
                object_id=record.id,
                session="day-2",
                stamp_ns=DAY_TWO_NS + k * NANOSECONDS,
                position_m=(1.0, 2.0, 1.2),
                keyframe=k,
                crop_jpeg=jpeg(len(label) + k),
            )
            for k in range(n_pictures)
        )
        answer = Answer(
            query=Query(kind="where", label=label),
            text=words,
            unknown=False,
            confidence=0.93,
            objects=(record,),
            evidence=evidence,
        )
        return QuestionItem(question=question, answer=answer, truth=truth, correct=correct, latency_ms=2.31)

    return (
        item(
            "where is the mug?",
            "mug",
            "The mug is on the table in the kitchen.",
            "on the table in the kitchen",
            True,
            4,
        ),
        item(
            "where is the laptop?", "laptop", "The laptop is on the desk in the study.", "on the desk, study", True, 2
        ),
        item("what is on the bed?", "pillow", "On the bed: a pillow and a blanket.", "pillow, blanket", True, 6),
        item("when did you last see the globe?", "globe", "At 09:03:12 on Monday.", "09:03:11 on Monday", True, 1),
        item("how many chairs are there?", "chair", "There are 2 chairs.", "3", False, 2),
        QuestionItem(
            question="where is the purple elephant?",
            answer=Answer(
                query=Query(kind="where", label="elephant"),
                text="I have not seen a purple elephant.",
                unknown=True,
                confidence=0.9,
                warnings=("the bathroom was not looked at on day two",),
            ),
            truth="there is none",
            correct=True,
        ),
    )


def flat_changes(objects: Tuple[ObjectRecord, ...]) -> Tuple[ChangeItem, ...]:
    by_label = {record.label: record for record in objects}

    def change(kind: str, label: str, start: object, end: object, rooms: Tuple[str, str], correct: bool) -> ChangeItem:
        fields = {
            "kind": kind,
            "object_id": by_label[label].id,
            "label": label,
            "from_position_m": start,
            "to_position_m": end,
            "from_room": rooms[0],
            "to_room": rooms[1],
            "after_ns": DAY_ONE_NS,
            "noticed_ns": DAY_TWO_NS,
            "confidence": 0.88,
        }
        return ChangeItem(change=msgspec.convert(fields, Change), correct=correct)

    laptop, bear = by_label["laptop"].position_m, by_label["teddy bear"].position_m
    return (
        change("moved", "laptop", (6.6, 2.0, 0.5), laptop, ("living room", "study"), True),
        change("moved", "teddy bear", (1.6, 6.6, 0.6), bear, ("bedroom", "living room"), True),
        change("removed", "globe", by_label["globe"].position_m, None, ("living room", ""), True),
        change("removed", "bottle", by_label["bottle"].position_m, None, ("kitchen", ""), False),
        change("added", "plant", None, by_label["plant"].position_m, ("", "study"), True),
    )


def flat_rooms() -> Tuple[RoomRecord, ...]:
    connects = {
        "kitchen": ("r1", "r2"),
        "living room": ("r0", "r3", "r4"),
        "bedroom": ("r0",),
        "bathroom": ("r1",),
        "study": ("r1",),
    }
    return tuple(
        RoomRecord(
            id=f"r{index}",
            name=name,
            center_m=((x0 + x1) / 2, (y0 + y1) / 2 + 0.3, 0.0),
            area_m2=(x1 - x0) * (y1 - y0),
            outline_m=((x0, y0), (x1, y0), (x1, y1), (x0, y1)),
            n_objects=sum(1 for one in FURNITURE if one[1] == name),
            connects=connects[name],
        )
        for index, (name, (x0, y0, x1, y1)) in enumerate(ROOMS.items())
    )


def flat_report() -> ReportData:
    objects = flat_objects()
    minute_ns = 60 * NANOSECONDS
    return ReportData(
        title="A robot remembers a house",
        subtitle="house 0, two days",
        created="2026-01-06 10:12 UTC",
        settings={"command": "launch/sim_episode.py --seed 0", "git": "f108d64", "simulator": "houses", "seed": "0"},
        summary=FIGURES,
        map=flat_map(),
        sessions=tuple(
            SessionRecord(
                session=name,
                robot="sim",
                world_frame="map",
                start_ns=start,
                end_ns=start + 2 * minute_ns,
                n_observations=701,
                path_length_m=41.2,
            )
            for name, start in (("day-1", DAY_ONE_NS), ("day-2", DAY_TWO_NS))
        ),
        paths={"day-1": flat_path(0.0), "day-2": flat_path(2.0)},
        objects=objects,
        rooms=flat_rooms(),
        changes=flat_changes(objects),
        missed_changes=("The cushion was moved within the living room.",),
        questions=flat_questions(objects),
        goals=(
            GoalItem(
                question="where is the mug?",
                target="mug",
                success=True,
                geodesic_m=0.61,
                in_view=True,
                picture_jpeg=jpeg(3, 256, 256),
            ),
            GoalItem(
                question="where is the laptop?",
                target="laptop",
                success=True,
                geodesic_m=0.44,
                in_view=True,
                picture_jpeg=jpeg(4, 256, 256),
            ),
        ),
        stages={
            "bridge": {"render": 9.8, "sensors": 1.9, "publish": 0.7},
            "memory": {"detect": 1.8, "associate": 3.1, "occupancy": 4.2, "rooms": 0.9, "store": 2.2},
            "policy": {"plan": 3.4, "wait": 1.1},
            "recorder": {"write": 1.4},
        },
        processes={"bridge": 231.0, "memory": 186.0, "policy": 94.0, "recorder": 71.0},
    )


@pytest.fixture(scope="module")
def page() -> str:
    return render(flat_report())


def visible_text(page: str) -> str:
    return "".join(ET.fromstring(page.split("\n", 1)[1]).itertext())


def test_the_page_refers_to_nothing_outside_itself(page: str) -> None:
    addresses = set(re.findall(r"""(?:href|src|srcset|action|data)=["']([^"']{0,12})""", page))
    assert {address for address in addresses if not address.startswith(("#", "data:image/"))} == set()
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) == {"http://www.w3.org/2000/svg"}
    assert "@import" not in page
    assert "url(" not in page


def test_the_page_runs_no_script_and_forbids_itself_to_fetch(page: str) -> None:
    assert "<script" not in page
    assert "default-src &#x27;none&#x27;" in page


def test_the_page_is_well_formed(page: str) -> None:
    root = ET.fromstring(page.split("\n", 1)[1])
    assert [child.tag for child in root] == ["head", "body"]


def test_every_question_object_room_and_change_is_on_the_page(page: str) -> None:
    data, words = flat_report(), visible_text(page)
    for item in data.questions:
        assert item.question in words
        assert item.answer.text in words
        assert item.truth is not None
        assert item.truth in words
    assert {record.label for record in data.objects if record.label not in words} == set()
    assert {room.name for room in data.rooms if room.name not in words} == set()
    assert "The laptop was moved from the living room to the study." in words
    assert "The cushion was moved within the living room." in words


def test_every_object_is_marked_on_the_map_with_its_state(page: str) -> None:
    svg = page[page.index("<svg") : page.index("</svg>")]
    for state in ("present", "moved", "gone", "unknown"):
        expected = sum(1 for record in flat_report().objects if record.state == state)
        assert svg.count(f'class="node {state}"') == expected


def test_most_objects_find_room_for_their_label(page: str) -> None:
    assert page.count('class="name ') >= 0.9 * len(flat_report().objects)


def test_a_full_page_stays_small(page: str) -> None:
    assert len(page) < 3_000_000


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "\"><img src=x onerror='alert(1)'>",
        "</title></style></svg>",
        "&lt;b&gt;",
        "a\x00b\x1b[31m\ud800\u202e",
    ],
)
def test_hostile_text_stays_text(hostile: str) -> None:
    data = flat_report()
    objects = tuple(
        msgspec.structs.replace(record, label=hostile, room=hostile, colour=hostile) for record in data.objects
    )
    question = msgspec.structs.replace(
        data.questions[0],
        question=hostile,
        truth=hostile,
        answer=msgspec.structs.replace(data.questions[0].answer, text=hostile),
    )
    rooms = tuple(msgspec.structs.replace(room, name=hostile) for room in data.rooms)
    paths = {hostile: data.paths["day-1"]}
    page = render(
        msgspec.structs.replace(
            data,
            title=hostile,
            objects=objects,
            rooms=rooms,
            questions=(question,),
            paths=paths,
            settings={hostile: hostile},
            warnings=(hostile,),
            missed_changes=(hostile,),
            stages={hostile: {hostile: 1.0}},
            processes={hostile: 1.0},
        )
    )
    root = ET.fromstring(page.split("\n", 1)[1])
    page.encode("utf-8")
    assert not [one for one in root.iter() if one.tag == "script" or any(name.startswith("on") for name in one.attrib)]
    assert len([one for one in root.iter() if one.tag == "img"]) == 4 + 2


def test_a_broken_picture_leaves_a_note_in_its_place() -> None:
    data = flat_report()
    goal = GoalItem(question="where is the mug?", target="mug", picture_jpeg=b"\xff\xd8 not a picture")
    page = render(msgspec.structs.replace(data, goals=(goal,)))
    assert "picture unreadable" in page


def test_large_pictures_are_made_smaller() -> None:
    data = ReportData(title="t", created="now", pictures=(PictureItem(caption="wide", jpeg=jpeg(1, 2000, 1000)),))
    assert 'width="480" height="240"' in render(data)


def test_a_recording_without_truth_shows_no_verdicts() -> None:
    data = flat_report()
    questions = tuple(msgspec.structs.replace(item, truth=None, correct=None) for item in data.questions)
    changes = tuple(msgspec.structs.replace(item, correct=None) for item in data.changes)
    page = render(
        msgspec.structs.replace(data, questions=questions, changes=changes, goals=(), summary=(), missed_changes=())
    )
    body = page[page.index("</style>") :]
    assert 'class="yes"' not in body
    assert 'class="no"' not in body
    assert "Truth" not in body


def test_an_empty_memory_still_gives_a_page() -> None:
    words = visible_text(render(ReportData(title="Nothing yet", created="now", warnings=("perception was down",))))
    assert "Nothing yet" in words
    assert "perception was down" in words


def test_things_believed_to_lie_on_each_other_are_still_listed() -> None:
    first, second = flat_objects()[:2]
    first = msgspec.structs.replace(
        first, label="box one", relations=(Relation(kind="on", object_id=second.id, label="x"),)
    )
    second = msgspec.structs.replace(
        second, label="box two", relations=(Relation(kind="on", object_id=first.id, label="x"),)
    )
    page = render(ReportData(title="t", created="now", objects=(first, second)))
    tree = page[page.index('id="objects"') :]
    assert "box one" in tree
    assert "box two" in tree


def test_the_file_is_written_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "report.html"
    write_report(path, flat_report())
    assert path.read_text(encoding="utf-8").endswith("</html>\n")
    assert [one.name for one in path.parent.iterdir()] == ["report.html"]

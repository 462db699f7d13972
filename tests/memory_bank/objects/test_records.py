"""What leaves the memory: records with rooms and relations, and the names of rooms."""

from __future__ import annotations

import numpy as np
import pytest

from embodied.messages import Box
from memory_bank.objects.records import RoomIndex, history_of, named_rooms, object_records
from memory_bank.objects.track import BestView, Track
from memory_bank.space.room_names import name_rooms, room_kind
from memory_bank.space.rooms import RoomMap, segment_rooms
from memory_world import interval, make_track

CELL_M = 0.05


@pytest.fixture
def two_rooms() -> RoomMap:
    """Two rooms side by side, parted at x = 4 m by a wall with a door."""
    occupancy = np.full((100, 180), 2, dtype=np.uint8)
    occupancy[2:98, 2:79] = 1
    occupancy[2:98, 81:178] = 1
    occupancy[40:58, 78:82] = 1
    return segment_rooms(occupancy, CELL_M, (0.0, 0.0))


def placed(number: int, label: str, center_m: tuple[float, float, float], **fields: object) -> Track:
    size_m = fields.pop("size_m", (0.1, 0.1, 0.1))
    box = Box(center_m=center_m, size_m=size_m)  # type: ignore[arg-type]
    return make_track(number, np.random.default_rng(number), label, box=box, views=[], **fields)


def test_a_record_tells_what_the_track_knows(two_rooms: RoomMap) -> None:
    table = placed(0, "table", (1.0, 1.0, 0.37), size_m=(1.4, 0.8, 0.74))
    mug = placed(1, "mug", (1.0, 1.0, 0.79), label_weights={"mug": 3.0, "bowl": 1.0})
    index, _ = named_rooms(two_rooms, [table, mug])
    told = object_records([table, mug], index)[1]
    assert (told.id, told.label, told.colour, told.state) == ("o1", "mug", "red", "present")
    assert told.labels == {"mug": 0.75, "bowl": 0.25}
    assert [(r.kind, r.object_id, r.label) for r in told.relations] == [("on", "o0", "table")]
    assert told.room == index.names[two_rooms.rooms_at(np.array([[1.0, 1.0]]))[0].id]  # type: ignore[union-attr]
    assert told.confidence == pytest.approx(0.97)


def test_tracks_that_are_not_confirmed_stay_inside(two_rooms: RoomMap) -> None:
    rumour = placed(0, "mug", (1.0, 1.0, 0.5), confirmed=False, intervals=[])
    index, _ = named_rooms(two_rooms, [rumour])
    assert object_records([rumour], index) == ()


def test_what_is_gone_remembers_its_carrier_and_carries_nothing(two_rooms: RoomMap) -> None:
    table = placed(0, "table", (1.0, 1.0, 0.37), size_m=(1.4, 0.8, 0.74))
    vase = placed(1, "vase", (1.0, 1.0, 0.79), state="gone")
    tray = placed(2, "tray", (2.5, 3.0, 0.5), size_m=(0.4, 0.4, 0.04), state="gone")
    apple = placed(3, "apple", (2.5, 3.0, 0.56), size_m=(0.08, 0.08, 0.08))
    index, _ = named_rooms(two_rooms, [])
    records = {r.label: r for r in object_records([table, vase, tray, apple], index)}
    assert [(r.kind, r.label) for r in records["vase"].relations] == [("on", "table")]
    assert records["apple"].relations == ()


def test_a_picture_on_a_wall_is_in_the_room_from_which_it_was_seen(two_rooms: RoomMap) -> None:
    index = RoomIndex.of(two_rooms)
    left, right = (index.room_at((x, 1.0, 0.0)) for x in (1.0, 6.0))
    on_the_wall = (4.0, 1.0, 1.6)
    assert index.room_at(on_the_wall, (2.0, 1.5, 1.2)) == left
    assert index.room_at(on_the_wall, (6.0, 1.5, 1.2)) == right
    assert left != right
    view = BestView(
        session="day-1", stamp_ns=0, keyframe=0, camera_position_m=(6.0, 1.5, 1.2), score=1.0, crop_jpeg=b""
    )
    picture = placed(0, "picture", on_the_wall)
    picture.views = [view]
    assert object_records([picture], index)[0].room == index.names[right.id if right else ""]


def test_rooms_are_named_by_what_stands_in_them(two_rooms: RoomMap) -> None:
    tracks = [
        placed(0, "bed", (1.0, 1.0, 0.3), size_m=(2.0, 1.6, 0.6)),
        placed(1, "stove", (6.0, 1.0, 0.4), size_m=(0.6, 0.6, 0.9)),
        placed(2, "fridge", (7.0, 1.0, 0.9), state="gone"),
    ]
    _, rooms = named_rooms(two_rooms, tracks)
    assert sorted((r.name, r.n_objects) for r in rooms) == [("bedroom", 1), ("kitchen", 1)]
    assert rooms[0].area_m2 > rooms[1].area_m2
    assert rooms[0].connects == (rooms[1].id,)


def test_a_history_is_told_with_rooms() -> None:
    track = placed(0, "mug", (1.0, 1.0, 0.5))
    track.intervals = [
        interval("o0", (6.0, 1.0, 0.5), 0, 5, room=""),
        interval("o0", (1.0, 1.0, 0.5), 5, None, room="office"),
    ]
    told = history_of(track, lambda position_m: "kitchen" if position_m[0] > 4 else "bedroom")
    assert [i.room for i in told] == ["kitchen", "office"]


def test_the_second_of_a_kind_gets_a_number_and_an_untold_one_its_own() -> None:
    bed = [("bed", 0.9), ("nightstand", 0.9)]
    names = name_rooms(["r4", "r2", "r7", "r9"], {"r2": bed, "r4": bed, "r9": [("ball", 1.0)]}, {"r7": 3, "r9": 1})
    assert names == {"r2": "bedroom", "r4": "bedroom 2", "r7": "hallway", "r9": "room 9"}


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (["sofa", "coffee table", "tv", "book", "mug", "bowl", "apple"], "living room"),
        (["table", "chair", "chair", "stove", "fridge", "mug"], "kitchen"),
        (["desk", "office chair", "monitor", "bookshelf", "mug"], "office"),
        (["toilet", "sink", "towel"], "bathroom"),
        (["bed", "tv", "desk"], "bedroom"),
        (["dining table", "chair", "chair"], "dining room"),
        (["mug"], ""),
    ],
)
def test_the_kind_of_a_room_follows_from_all_that_is_in_it(labels: list[str], kind: str) -> None:
    assert room_kind([(label, 0.9) for label in labels], n_doors=1) == kind

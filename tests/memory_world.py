"""A made-up house as a memory would hold it, and tracks to store, for tests of recall and stores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

import numpy as np

from embodied.geometry import intrinsics_from_fov
from embodied.messages import (
    Box,
    Change,
    Evidence,
    Interval,
    ObjectRecord,
    Point,
    Relation,
    RoomRecord,
    SessionRecord,
)
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.geometry.voxels import VoxelCloud
from memory_bank.objects.appearance import Appearance
from memory_bank.objects.track import BestView, Track
from memory_bank.recall.matching import MemoryView
from memory_bank.stores.protocol import Batch

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
DAY_1_NS = 1_767_603_600 * SECOND_NS
"""2026-01-05 09:00:00 UTC."""
DAY_2_NS = DAY_1_NS + DAY_NS
NOW_NS = DAY_2_NS + 300 * SECOND_NS

SESSIONS = (
    SessionRecord(
        session="day-1", robot="r", world_frame="map", start_ns=DAY_1_NS, end_ns=DAY_1_NS + 600 * SECOND_NS,
        n_observations=3000, path_length_m=80.0,
    ),
    SessionRecord(
        session="day-2", robot="r", world_frame="map", start_ns=DAY_2_NS, end_ns=None, n_observations=1500,
        path_length_m=40.0,
    ),
)  # fmt: skip


def box(center_m: Point, size_m: Point = (0.1, 0.1, 0.1)) -> Box:
    """Return an axis-aligned box."""
    return Box(center_m=center_m, size_m=size_m)


def record(object_id: str, label: str, position_m: Point, **fields: Any) -> ObjectRecord:
    """Return a record of something that was seen on both days."""
    values: dict[str, Any] = {
        "box": box(position_m, fields.pop("size_m", (0.1, 0.1, 0.1))),
        "state": "present",
        "confidence": 0.95,
        "first_seen_ns": DAY_1_NS + 60 * SECOND_NS,
        "last_seen_ns": DAY_2_NS + 192 * SECOND_NS,
        "room": "kitchen",
        "labels": {label: 1.0},
    }
    return ObjectRecord(id=object_id, label=label, position_m=position_m, **(values | fields))


def on(object_id: str, label: str) -> tuple[Relation, ...]:
    """Return that a thing is on another."""
    return (Relation(kind="on", object_id=object_id, label=label),)


def room(room_id: str, name: str) -> RoomRecord:
    """Return a room; its shape does not matter here."""
    return RoomRecord(id=room_id, name=name, center_m=(0.0, 0.0, 0.0), area_m2=12.0, outline_m=(), n_objects=3)


TABLE = record("o1", "table", (3.0, 1.0, 0.37), size_m=(1.4, 0.8, 0.74), colour="brown")
DESK = record("o2", "desk", (8.0, 1.0, 0.37), size_m=(1.4, 0.8, 0.74), colour="brown", room="office")
RED_MUG = record("o3", "mug", (3.2, 1.1, 0.8), colour="red", relations=on("o1", "table"))
BLUE_MUG = record("o4", "mug", (8.2, 1.1, 0.8), colour="blue", relations=on("o2", "desk"), room="office")
BOOK = record("o5", "book", (3.5, 1.2, 0.75), colour="green", relations=on("o1", "table"))
FRIDGE = record("o6", "refrigerator", (1.0, 3.0, 0.9), size_m=(0.6, 0.6, 1.8), colour="white")
GONE_VASE = record(
    "o7", "vase", (3.1, 0.9, 0.84), colour="yellow", state="gone", relations=on("o1", "table"), confidence=0.05,
    last_seen_ns=DAY_1_NS + 130 * SECOND_NS,
)  # fmt: skip
MOVED_LAPTOP = record("o8", "laptop", (3.3, 0.8, 0.76), colour="gray", state="moved", relations=on("o1", "table"))
COFFEE_TABLE = record("o9", "coffee table", (12.0, 1.0, 0.2), size_m=(0.9, 0.6, 0.4), room="living room")
BALL = record("o10", "ball", (12.0, 3.0, 0.1), colour="red", room="living room")

MOVED = Change(
    kind="moved", object_id="o8", label="laptop", from_position_m=(8.1, 0.9, 0.76), to_position_m=(3.3, 0.8, 0.76),
    from_room="office", to_room="kitchen", after_ns=DAY_1_NS + 400 * SECOND_NS, noticed_ns=DAY_2_NS + 100 * SECOND_NS,
    confidence=0.9,
)  # fmt: skip
REMOVED = Change(
    kind="removed", object_id="o7", label="vase", from_position_m=(3.1, 0.9, 0.84), to_position_m=None,
    from_room="kitchen", to_room="", after_ns=DAY_1_NS + 130 * SECOND_NS, noticed_ns=DAY_2_NS + 110 * SECOND_NS,
    confidence=0.95,
)  # fmt: skip
ADDED = Change(
    kind="added", object_id="o10", label="ball", from_position_m=None, to_position_m=(12.0, 3.0, 0.1),
    from_room="", to_room="living room", after_ns=DAY_1_NS + 500 * SECOND_NS, noticed_ns=DAY_2_NS + 120 * SECOND_NS,
    confidence=0.85,
)  # fmt: skip


def interval(object_id: str, position_m: Point, from_ns: int, to_ns: int | None, **fields: Any) -> Interval:
    """Return an interval that was known as soon as it was true."""
    values: dict[str, Any] = {
        "state": "present", "room": "kitchen", "session": "day-1", "cause": "seen_first", "box": box(position_m),
    }  # fmt: skip
    return Interval(
        object_id=object_id, position_m=position_m, valid_from_ns=from_ns, valid_to_ns=to_ns,
        known_from_ns=from_ns, known_to_ns=to_ns, **(values | fields),
    )  # fmt: skip


HISTORY: Mapping[str, tuple[Interval, ...]] = {
    "o8": (
        interval("o8", (8.1, 0.9, 0.76), DAY_1_NS + 60 * SECOND_NS, DAY_1_NS + 400 * SECOND_NS, room="office"),
        interval(
            "o8", (3.3, 0.8, 0.76), DAY_2_NS + 100 * SECOND_NS, None, state="moved", session="day-2",
            cause="seen_elsewhere",
        ),
    ),
    "o7": (
        interval("o7", (3.1, 0.9, 0.84), DAY_1_NS + 60 * SECOND_NS, DAY_1_NS + 130 * SECOND_NS),
        interval("o7", (3.1, 0.9, 0.84), DAY_2_NS + 110 * SECOND_NS, None, state="gone", session="day-2",
                 cause="missed"),
    ),
    "o10": (interval("o10", (12.0, 3.0, 0.1), DAY_2_NS + 120 * SECOND_NS, None, session="day-2", room="living room"),),
}  # fmt: skip


def house_view(**changed: Any) -> MemoryView:
    """Return the memory of the house on the evening of day two."""
    objects = (TABLE, DESK, RED_MUG, BLUE_MUG, BOOK, FRIDGE, GONE_VASE, MOVED_LAPTOP, COFFEE_TABLE, BALL)

    def history(object_id: str) -> tuple[Interval, ...]:
        one = next(o for o in objects if o.id == object_id)
        always = interval(object_id, one.position_m, one.first_seen_ns, None, room=one.room, box=one.box)
        return HISTORY.get(object_id, (always,))

    def evidence(object_id: str, limit: int) -> tuple[Evidence, ...]:
        one = Evidence(
            object_id=object_id, session="day-1", stamp_ns=DAY_1_NS, position_m=(1.0, 1.0, 1.2), keyframe=7,
            crop_jpeg=b"jpeg",
        )  # fmt: skip
        return (one,) * limit

    view = MemoryView(
        objects=objects,
        changes=(MOVED, REMOVED, ADDED),
        rooms=(room("r1", "kitchen"), room("r2", "office"), room("r3", "living room"), room("r4", "bedroom")),
        sessions=SESSIONS,
        now_ns=NOW_NS,
        history=history,
        evidence=evidence,
    )
    return replace(view, **changed)


# ------------------------------------------------------------------------------------------ things to store


def make_track(number: int, rng: np.random.Generator, label: str = "mug", **fields: Any) -> Track:
    """Return a confirmed track somewhere in a house."""
    x, y, z = np.round(rng.uniform(0.0, 9.0, 3), 3).tolist()
    position: Point = (x, y, z)
    track = Track(
        id=f"o{number}",
        label_weights={label: 3.0},
        voxels=VoxelCloud(),
        box=box(position),
        appearance=Appearance(votes={"red": 2.0, "pink": 0.5}),
        first_seen_ns=DAY_1_NS + number * SECOND_NS,
        last_seen_ns=DAY_2_NS,
        first_session="day-1",
        last_session="day-2",
        views=[
            BestView(
                session="day-1", stamp_ns=DAY_1_NS, keyframe=0, camera_position_m=(1.0, 2.0, 1.2), score=300.0,
                crop_jpeg=rng.bytes(500),
            )
        ],
        intervals=[interval(f"o{number}", position, DAY_1_NS + number * SECOND_NS, None, room="")],
        confirmed=True,
        n_observations=9,
        existence=0.97,
    )  # fmt: skip
    return replace(track, **fields)


def make_keyframe(index: int, rng: np.random.Generator) -> Keyframe:
    """Return a keyframe of noise."""
    return Keyframe(
        index=index,
        session="day-1",
        seq=10 * index,
        stamp_ns=DAY_1_NS + index * SECOND_NS,
        camera="head",
        T_world_camera=tuple(np.eye(4).ravel().tolist()),
        intrinsics=intrinsics_from_fov(64, 64, 1.5),
        thumbnail_jpeg=rng.bytes(2000),
        depth_mm=rng.bytes(512),
        depth_shape=(16, 16),
        track_ids=("o1", "o2"),
    )


def make_batch(number: int, rng: np.random.Generator, n_tracks: int = 3) -> Batch:
    """Return the ``number``-th batch of a session: some tracks, a keyframe, a map."""
    batch = Batch()
    for i in range(n_tracks):
        batch.put_track(make_track(number * n_tracks + i, rng))
    batch.keyframes.append(make_keyframe(number, rng))
    batch.sessions["day-1"] = SESSIONS[0]
    batch.maps["map"] = rng.bytes(3000) + bytes(3000)
    batch.meta["batch"] = str(number).encode()
    return batch

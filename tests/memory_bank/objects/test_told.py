"""What a person told of becomes what is seen there."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from box_world import CHAIR, MUG, PLANT, TABLE, World, tour
from embodied.messages import Edit, Point
from memory_bank.mapper import Mapper, MapperConfig
from memory_bank.objects.scene_graph import track_changes
from memory_bank.objects.track import Track
from memory_bank.perception.simulator import SimulatorPerception
from memory_bank.person.edits import told_track

NEARBY = (1.6, 0.3, 0.85)


def told(label: str, at_m: Point, things: Any = (TABLE, MUG, CHAIR, PLANT), **fields: Any) -> tuple[Mapper, Track]:
    """Return what became of a thing that was told of before a session."""
    mapper, world = Mapper(MapperConfig(), SimulatorPerception(), timer=lambda: 0.0), World(things)
    edit = Edit(kind="add", text=label, position_m=at_m, **fields)
    mapper.graph.insert(told_track(edit, mapper.graph.new_id(), "map", "", 5))
    mapper.start_session(world.start("a"))
    for seq, pose in enumerate(tour(40)):
        mapper.integrate(world.observe("a", seq, pose))
    mapper.end_session(world.end("a", 40))
    track = mapper.graph.get("o0")
    assert track is not None
    return mapper, track


def test_a_told_thing_that_is_seen_near_there_goes_on_as_the_seen_one() -> None:
    mapper, track = told("cup", NEARBY)
    assert (track.source, track.label, track.state) == ("seen", "cup", "present")
    assert track.label_shares == {"mug": 1.0}
    assert track.position_m == pytest.approx(MUG.center_m, abs=0.06)
    assert track.n_observations >= 3
    assert track.views
    assert [interval.cause for interval in track.intervals] == ["told"]
    assert sorted(t.label for t in mapper.graph.confirmed()) == ["chair", "cup", "plant", "table"]
    assert mapper.graph.changes() == []
    assert track.epoch > 0


def test_another_thing_at_the_told_place_is_another_thing() -> None:
    mapper, track = told("keys", NEARBY)
    assert track.source == "told"
    assert track.n_observations == 0
    assert sorted(t.label for t in mapper.graph.confirmed(include_gone=True)) == [
        "chair", "keys", "mug", "plant", "table",
    ]  # fmt: skip


def test_a_told_thing_whose_place_is_seen_empty_is_not_believed_any_longer() -> None:
    _, track = told("vase", (0.0, -2.0, 0.3), size_m=(0.3, 0.3, 0.6))
    assert track.source == "told"
    assert track.state in ("gone", "unknown")
    assert [change.kind for change in track_changes(track)] in ([], ["removed"])


def test_a_told_thing_out_of_sight_stays_as_told() -> None:
    _, track = told("wine", (2.0, 0.0, 0.3))
    assert (track.source, track.state) == ("told", "present")


def test_a_note_goes_over_to_what_is_seen() -> None:
    mapper, world = Mapper(MapperConfig(), SimulatorPerception(), timer=lambda: 0.0), World((TABLE, MUG))
    track = told_track(Edit(kind="add", text="mug", position_m=NEARBY), "o0", "map", "", 5)
    track.pinned, track.epoch = True, 4
    gone = msgspec.structs.replace(
        track.intervals[0], state="gone", cause="missed", valid_from_ns=9, known_from_ns=9, position_m=NEARBY
    )
    track.intervals = [msgspec.structs.replace(track.intervals[0], valid_to_ns=9, known_to_ns=9), gone]
    track.state = "gone"
    mapper.graph.insert(track)
    mapper.start_session(world.start("a"))
    for seq, pose in enumerate(tour(12, turns=0.5)):
        mapper.integrate(world.observe("a", seq, pose))
    assert (track.state, track.source, track.pinned) == ("present", "seen", True)
    assert [interval.cause for interval in track.intervals] == ["told", "missed", "seen_again"]
    assert track.epoch > 4
    mapper.graph.check()

"""Another thing in a known one's place is another thing; a wrong label, however often, is not."""

from __future__ import annotations

import numpy as np
import pytest

from box_world import BLUE, CHAIR, MUG, PLANT, TABLE, Thing, World, tour
from memory_bank.mapper import Mapper, MapperConfig
from memory_bank.objects.appearance import COLOURS
from memory_bank.objects.lifecycle import LifecycleConfig, continue_elsewhere, new_track, observe
from memory_bank.objects.replacement import (
    ReplacementConfig,
    came_after,
    can_take_apart,
    fills_place,
    hides,
    is_replaced,
    is_the_same,
    take_apart,
)
from memory_bank.objects.track import Track
from memory_bank.perception.detections import Measured
from memory_bank.perception.simulator import SimulatorPerception, SimulatorPerceptionConfig

CONFIG = ReplacementConfig()
MUG_M, POT_M = (0.1, 0.1, 0.12), (0.25, 0.25, 0.2)
BOTTLE = Thing("bottle", (1.8, 0.1, 0.87), (0.1, 0.1, 0.3), BLUE)


def look(label: str, colour: str, size_m: tuple[float, float, float], x_m: float = 0.0) -> Measured:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (200, 3)) * size_m + (x_m, 0.0, 0.5 * size_m[2])
    points = points.astype(np.float32)
    return Measured(
        label=label,
        score=0.9,
        points=points,
        low_m=points.min(axis=0),
        high_m=points.max(axis=0),
        distance_m=1.0,
        n_pixels=400,
        partial=False,
        bounds_px=(0, 20, 0, 20),
        colour_shares=np.eye(len(COLOURS))[COLOURS.index(colour)],
    )


def known(
    label: str = "mug",
    colour: str = "red",
    size_m: tuple[float, float, float] = MUG_M,
    start_ns: int = 1,
    session: str = "a",
) -> Track:
    """Return a track of six sightings."""
    look_at = look(label, colour, size_m)
    track = new_track("o0", look_at, start_ns, session, LifecycleConfig())
    for i in range(1, 6):
        observe(track, look_at, start_ns + i, session, LifecycleConfig())
    return track


def see(track: Track, labels: list[str], colour: str, size_m: tuple[float, float, float]) -> Track:
    for i, label in enumerate(labels):
        observe(track, look(label, colour, size_m), 100 + i, "b", LifecycleConfig())
    return track


@pytest.mark.parametrize(
    ("labels", "colour", "size_m", "replaced"),
    [
        (["pot"] * 4, "blue", POT_M, True),
        (["pot"] * 3, "blue", POT_M, False),  # Too few to say.
        (["pot", "cup", "pot", "pot"], "blue", POT_M, True),  # One of them a wrong label.
        (["pot", "mug", "pot", "mug"], "blue", POT_M, False),  # A detector that cannot decide.
        (["mug"] * 4, "blue", POT_M, False),  # Filled, painted, half hidden: it still is a mug.
        (["cup"] * 4, "red", MUG_M, False),  # The same looks under another name need more …
        (["cup"] * 6, "red", MUG_M, True),  # … and here is more.
        (["cup", "box", "bag", "book"] * 2, "blue", POT_M, False),  # Nothing speaks for any one thing.
    ],
)
def test_the_labels_of_a_session_tell_a_newcomer_from_flicker(
    labels: list[str], colour: str, size_m: tuple[float, float, float], replaced: bool
) -> None:
    track = see(known(), labels, colour, size_m)
    assert is_replaced(track, CONFIG) == replaced


def test_without_labels_or_an_earlier_session_nothing_is_replaced() -> None:
    assert not is_replaced(see(known(""), [""] * 8, "blue", POT_M), CONFIG)
    assert not is_replaced(known(), CONFIG)
    assert is_the_same(known(), CONFIG)


def test_after_many_sightings_it_is_settled_that_it_is_the_same() -> None:
    assert not is_the_same(see(known(), ["mug"] * 5, "red", MUG_M), CONFIG)
    assert is_the_same(see(known(), ["mug"] * 12, "red", MUG_M), CONFIG)
    assert not is_the_same(see(known(), ["pot"] * 12, "blue", POT_M), CONFIG)


def test_taken_apart_each_has_what_was_seen_of_it() -> None:
    before = known()
    solid, epoch = before.voxels.solid_points(), before.epoch
    track = see(known(), ["pot", "cup", "pot", "pot", "pot"], "blue", POT_M)
    assert can_take_apart(track)
    new = take_apart(track, "o7")
    assert (new.id, new.label, new.colour, new.n_observations) == ("o7", "pot", "blue", 5)
    assert (new.first_seen_ns, new.last_seen_ns, new.first_session) == (100, 104, "b")
    assert new.box.size_m == pytest.approx(POT_M, abs=0.05)
    assert (track.label, track.colour, track.label_weights) == ("mug", "red", before.label_weights)
    assert (track.last_seen_ns, track.last_session, track.n_observations) == (6, "a", 6)
    assert track.box == before.box
    assert (track.voxels.solid_points() == solid).all()
    assert track.intervals == before.intervals
    assert track.epoch > epoch
    assert track.before is None
    assert fills_place(new, track, CONFIG)


def test_one_came_after_the_other_only_if_both_were_never_there_at_once() -> None:
    old, new = known(), known("pot", "blue", POT_M, 100, "b")
    assert came_after(old, new)
    assert came_after(new, old)
    assert not came_after(old, known("pot", "blue", POT_M, 100, "a"))
    assert not came_after(old, known("mug", start_ns=100, session="b"))
    old.last_seen_ns = 101
    assert not came_after(old, new)


def test_what_was_carried_there_came_after_although_it_is_known_for_longer() -> None:
    book, pot = known("book", start_ns=20), known("pot", "blue", POT_M)
    assert not came_after(book, pot)
    continue_elsewhere(pot, known("pot", "blue", POT_M, 100, "b"), 110, "b")
    assert (pot.first_seen_ns, pot.arrived_ns) == (1, 100)
    assert came_after(book, pot)


def test_what_stands_on_an_unseen_thing_hides_it_unless_both_were_seen_at_once() -> None:
    plate, pot = known("plate", "white", (0.2, 0.2, 0.02)), known("pot", "blue", POT_M)
    assert hides(pot, plate)
    assert not hides(plate, pot)
    pot.id = "o1"
    plate.seen_with.add("o1")
    assert not hides(pot, plate)


# ---------------------------------------------------------------------------------------------- on frames


def make(label_noise: float = 0.1, seed: int = 0) -> Mapper:
    perception = SimulatorPerceptionConfig(dropout=label_noise, label_noise=label_noise, seed=seed)
    return Mapper(MapperConfig(), SimulatorPerception(perception), timer=lambda: 0.0)


def live(mapper: Mapper, world: World, session: str) -> int:
    start = world.start(session)
    mapper.start_session(start)
    for seq, pose in enumerate(tour(60)):
        mapper.integrate(world.observe(session, seq, pose))
    mapper.end_session(world.end(session, 60))
    return start.stamp_ns


def test_a_bottle_in_the_place_of_a_mug_is_told_as_that_and_the_mug_may_turn_up_again() -> None:
    mapper, world = make(), World((TABLE, MUG, CHAIR))
    live(mapper, world, "a")
    (mug,) = [track for track in mapper.graph.confirmed() if track.label == "mug"]
    world.things = (TABLE, BOTTLE, CHAIR)
    start_ns = live(mapper, world, "b")
    changes = {change.kind: change for change in mapper.graph.changes(since_ns=start_ns)}
    assert {kind: change.label for kind, change in changes.items()} == {"removed": "mug", "added": "bottle"}
    assert changes["removed"].object_id == mug.id != changes["added"].object_id
    assert changes["added"].to_position_m == pytest.approx(BOTTLE.center_m, abs=0.06)
    assert mug.state == "gone"
    assert mug.box.size_m[2] < 0.2
    world.things = (TABLE, BOTTLE, CHAIR, MUG.at(-2.0, 1.0, 0.06))
    start_ns = live(mapper, world, "c")
    (back,) = mapper.graph.changes(since_ns=start_ns)
    assert (back.kind, back.object_id) == ("moved", mug.id)


def test_what_a_person_keeps_as_it_is_becomes_doubtful_instead() -> None:
    mapper, world = make(), World((TABLE, MUG, PLANT))
    live(mapper, world, "a")
    for track in mapper.graph.confirmed():
        track.pinned = True
    ids = {track.label: track.id for track in mapper.graph.confirmed()}
    world.things = (TABLE, BOTTLE)
    live(mapper, world, "b")
    mug, plant = mapper.graph.get(ids["mug"]), mapper.graph.get(ids["plant"])
    assert mug is not None
    assert plant is not None
    assert (mug.label, mug.state) == ("mug", "unknown")
    assert plant.state == "unknown"
    assert [track.label for track in mapper.graph if track.is_there] == ["table", "bottle"]


def test_what_something_was_put_upon_is_doubtful_until_it_turns_up_elsewhere() -> None:
    book = Thing("book", (1.8, 0.1, 0.735), (0.24, 0.24, 0.03), BLUE)
    pot = Thing("pot", (-1.6, -1.4, 0.15), (0.28, 0.28, 0.3), (200, 30, 30))
    mapper, world = make(label_noise=0.0), World((TABLE, book, pot))
    live(mapper, world, "a")
    ids = {track.label: track.id for track in mapper.graph.confirmed()}
    world.things = (TABLE, pot.at(1.8, 0.1, 0.87))
    live(mapper, world, "b")
    known = mapper.graph.get(ids["book"])
    assert known is not None
    assert known.state == "unknown"
    world.things = (TABLE, pot.at(1.8, 0.1, 0.87), book.at(-1.2, 1.2, 0.12))
    start_ns = live(mapper, world, "c")
    assert [(c.kind, c.object_id) for c in mapper.graph.changes(since_ns=start_ns)] == [("moved", ids["book"])]

"""Whatever happens to a memory of its own accord, a person's word holds: random lives of a household of tracks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, cast

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from embodied.errors import StaleEdit
from embodied.messages import Edit
from memory_bank.objects.appearance import COLOURS
from memory_bank.objects.lifecycle import LifecycleConfig, continue_elsewhere, miss, new_track, observe
from memory_bank.objects.linking import LinkingConfig, find_moves
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.objects.track import Track
from memory_bank.objects.tracker import Tracker, TrackerConfig, ViewResult
from memory_bank.perception.detections import Measured
from memory_bank.person.edits import apply_edit, find_edited, told_track

SECOND = 1_000_000_000
CONFIG = LifecycleConfig()
LABELS = ("mug", "cup", "plant", "chair")


def thing(label: str, place: int) -> Measured:
    points = np.random.default_rng(place).uniform(-0.05, 0.05, (60, 3)).astype(np.float32)
    points += np.array([0.5 * place, 0.0, 0.8], dtype=np.float32)
    return Measured(
        label=label, score=0.9, points=points, low_m=points.min(axis=0), high_m=points.max(axis=0), distance_m=1.0,
        n_pixels=400, partial=False, bounds_px=(0, 20, 0, 20), colour_shares=np.eye(len(COLOURS))[0],
    )  # fmt: skip


@dataclass
class Said:
    """What a person said of one object, and what must therefore hold."""

    name: str = ""
    pinned: bool = False
    deleted: bool = False
    notes: list[str] = field(default_factory=list)


class Household(RuleBasedStateMachine):
    """Sightings, absences, moves, joins and restarts between edits."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = SceneGraph()
        self.now_s = 10
        self.session = 0
        self.said: dict[str, Said] = {}
        self.begin()
        for place in range(3):
            self.appear(LABELS[place % 2], place)

    # ------------------------------------------------------------------------------------ of its own accord

    def begin(self) -> None:
        self.session += 1
        self.now_s += 100
        self.start_ns = self.now_s * SECOND

    def tick(self) -> int:
        self.now_s += 1
        return self.now_s * SECOND

    def any(self, data: st.DataObject, wanted: Callable[[Track], bool] = lambda track: True) -> Track | None:
        tracks = [track for track in self.graph if wanted(track)]
        return data.draw(st.sampled_from(tracks)) if tracks else None

    @rule(label=st.sampled_from(LABELS), place=st.integers(0, 5))
    @precondition(lambda self: len(self.graph) < 4)
    def appear(self, label: str, place: int) -> None:
        name = f"s{self.session}"
        track = new_track(self.graph.new_id(), thing(label, place), self.tick(), name, CONFIG)
        self.graph.insert(track)
        for _ in range(3):
            observe(track, thing(label, place), self.tick(), name, CONFIG)
        self.graph.touch(track)

    @rule(data=st.data(), label=st.sampled_from(LABELS), n=st.integers(1, 6))
    def see(self, data: st.DataObject, label: str, n: int) -> None:
        track = self.any(data, lambda track: track.source == "seen")
        for _ in range(n if track else 0):
            assert track is not None
            observe(track, thing(label, round(track.position_m[0] / 0.5)), self.tick(), f"s{self.session}", CONFIG)
            self.graph.touch(track)

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        track = self.any(data, lambda track: track.state != "gone")
        for i in range(6 if track else 0):
            assert track is not None
            if miss(track, self.tick(), f"s{self.session}", (0.3 * i, 0.0, 1.2), CONFIG):
                return

    @rule(data=st.data(), place=st.integers(6, 9))
    def carry_away(self, data: st.DataObject, place: int) -> None:
        track = self.any(data, lambda track: track.source == "seen")
        if track is not None:
            self.begin()
            label = next(iter(track.label_shares))
            self.leave(data)
            self.appear(label, place)
            self.edit(data, "pin" if place == 9 else "annotate", "seen to carry")
            self.move(True)

    @rule(final=st.booleans())
    def move(self, final: bool) -> None:
        for old, new in find_moves(self.graph, f"s{self.session}", self.start_ns, final, LinkingConfig()):
            self.joined(old, new)
            continue_elsewhere(old, new, self.tick(), f"s{self.session}")
            self.graph.merge(old.id, new.id)

    @rule(data=st.data())
    def join(self, data: st.DataObject) -> None:
        keep = self.any(data, lambda track: track.source == "seen")
        lose = self.any(data, lambda track: track.source == "seen" and track is not keep)
        if keep is None or lose is None:
            return
        result = ViewResult()
        Tracker(TrackerConfig(), self.graph).join(keep, lose, result)
        if result.removed_ids:
            (lost,) = result.removed_ids
            self.joined(keep if lost == lose.id else lose, lose if lost == lose.id else keep)

    @rule()
    def sleep(self) -> None:
        self.begin()

    @rule()
    def restart(self) -> None:
        stored = [track.to_bytes() for track in self.graph]
        number, self.graph = self.graph.next_number, SceneGraph()
        self.graph.restore([Track.from_bytes(data) for data in stored], number)

    def joined(self, keep: Track, lose: Track) -> None:
        """Let the expectations of two tracks be those of one."""
        lost, kept = self.said.pop(lose.id, Said()), self.said.setdefault(keep.id, Said())
        assert not lost.pinned, "what is pinned is never taken away"
        assert not lost.deleted, "a tombstone stays"
        kept.name = kept.name or lost.name
        kept.notes += lost.notes

    # ------------------------------------------------------------------------------------ edits

    @rule(
        data=st.data(),
        kind=st.sampled_from(["rename", "delete", "pin", "unpin", "annotate"]),
        text=st.sampled_from(["Ann's mug", "heirloom"]),
    )
    def edit(self, data: st.DataObject, kind: str, text: str) -> None:
        track = self.any(data, lambda track: track.is_shown)
        if track is None:
            return
        epoch = track.epoch
        wanted = Edit(kind=cast(Any, kind), object_id=track.id, epoch=epoch, text=text)
        apply_edit(find_edited(wanted, [self.graph])[1], wanted, self.tick())
        assert track.epoch > epoch
        said = self.said.setdefault(track.id, Said())
        if kind == "rename":
            said.name = text
        elif kind == "annotate":
            said.notes.append(text)
        elif kind == "delete":
            said.deleted, said.pinned = True, False
        else:
            said.pinned = kind == "pin"

    @rule(place=st.integers(0, 5))
    def tell(self, place: int) -> None:
        wanted = Edit(kind="add", text="keys", position_m=(0.5 * place, 0.0, 0.8))
        track = told_track(wanted, self.graph.new_id(), "", f"s{self.session}", self.tick())
        self.graph.insert(track)
        self.said[track.id] = Said(name="keys")

    @rule(data=st.data(), label=st.sampled_from(LABELS))
    @precondition(lambda self: any(track.is_shown for track in self.graph))
    def edit_too_late(self, data: st.DataObject, label: str) -> None:
        track = self.any(data, lambda track: track.is_shown)
        assert track is not None
        read = (track.label, track.state, track.position_m)
        wanted = Edit(kind="delete", object_id=track.id, epoch=track.epoch)
        self.see(data, label, 6)
        self.move(True)
        self.leave(data)
        try:
            _, found = find_edited(wanted, [self.graph])
        except StaleEdit:
            return
        assert (found.label, found.state) == read[:2], "what has changed since is refused"
        assert found is track

    # ------------------------------------------------------------------------------------ what holds

    @invariant()
    def every_word_is_kept(self) -> None:
        self.graph.check()
        shown = {track.id for track in self.graph.confirmed(include_gone=True)}
        for track_id, said in self.said.items():
            track = self.graph.get(track_id)
            assert track is not None
            assert track.id == track_id
            assert (track.pinned, track.deleted) == (said.pinned, said.deleted)
            assert not said.name or track.label == said.name
            assert sorted(note.text for note in track.notes) == sorted(said.notes)
            assert not (said.deleted and track_id in shown)


TestHousehold = Household.TestCase
TestHousehold.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)

"""How a track changes: seen, confirmed, missed, gone, seen again, seen elsewhere. The only writer of intervals.

Belief in existence is raised by sightings and lowered only by evidence of absence: frames in which the object was
expected visible and the depth image shows what is behind it.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from embodied.config import Config
from embodied.messages import Box, Interval, ObjectState, Point
from memory_bank.geometry.boxes import box_between, fitted_box
from memory_bank.geometry.voxels import VoxelCloud
from memory_bank.objects.appearance import Appearance
from memory_bank.objects.replacement import remember_before
from memory_bank.objects.track import BestView, Track
from memory_bank.perception.detections import Measured
from memory_bank.person.edits import carry_edits


class LifecycleConfig(Config):
    """When a track counts, and when it is gone."""

    confirm_after: int = 3
    """Observations before a track counts."""
    gone_after: int = 4
    """Frames with evidence of absence before an object is gone …"""
    gone_poses: int = 2
    """… from so many camera positions …"""
    gone_apart_m: float = 0.12
    """… that lie so far from each other."""
    n_views: int = 3
    """Best views kept."""
    geometry_range: float = 2.2
    """Views from farther than this times the closest (and beyond ``always_m``) do not shape the box."""
    always_m: float = 2.5
    """Views from nearer than this always do."""
    blur_m: float = 1.5
    """Distance at which a view weighs half in the voxels."""
    first_pixels: int = 30
    """A first sighting smaller than this is a glimpse: another before the track counts may be the first instead."""


def new_track(track_id: str, thing: Measured, stamp_ns: int, session: str, config: LifecycleConfig) -> Track:
    """Return a tentative track of a first detection."""
    track = Track(
        id=track_id,
        label_weights={},
        voxels=VoxelCloud(),
        box=box_between(thing.low_m, thing.high_m),
        appearance=Appearance(),
        first_seen_ns=stamp_ns,
        last_seen_ns=stamp_ns,
        first_session=session,
        last_session=session,
    )
    observe(track, thing, stamp_ns, session, config)
    return track


def observe(track: Track, thing: Measured, stamp_ns: int, session: str, config: LifecycleConfig) -> None:
    """Add a detection to its track; confirms, and takes back an absence, where that follows."""
    if track.last_session != session:
        track.before = remember_before(track, stamp_ns) if track.confirmed else None
        track.session_label_weights = {}
    label = track.label
    size_weight = min(1.0, math.sqrt(thing.n_pixels / 150.0))
    if thing.label:
        gained = thing.score * size_weight
        track.session_label_weights[thing.label] = track.session_label_weights.get(thing.label, 0.0) + gained
        # Nothing automatic renames what a person keeps as it is.
        if not track.pinned or track.name or thing.label == label:
            track.label_weights[thing.label] = track.label_weights.get(thing.label, 0.0) + gained
    track.appearance.add(thing.colour_shares, size_weight)
    if thing.distance_m <= max(config.always_m, config.geometry_range * track.closest_m):
        track.voxels.insert(thing.points, 1.0 / (1.0 + (thing.distance_m / config.blur_m) ** 2))
        track.closest_m = min(track.closest_m, thing.distance_m)
        search = track.n_observations < 8 or track.n_observations % 8 == 0  # It hardly changes later.
        track.box = fitted_box(track.voxels, track.box, search)
    if not track.confirmed:
        _note_size(track, thing, stamp_ns, session, config)
    track.n_observations += 1
    track.last_seen_ns, track.last_session = stamp_ns, session
    track.n_missed, track.missed_from, track.seen_empty_ns = 0, [], None
    track.existence = min(0.99, track.existence + 0.25 * (1.0 - track.existence) * thing.score)
    if track.state == "gone":
        _begin(track, "present", "seen_again", stamp_ns, stamp_ns, session)
    elif track.state == "unknown" and track.intervals and track.intervals[-1].state == "held":
        # Nobody saw how it left the gripper, but there it stands.
        _begin(track, "moved", "placed", stamp_ns, stamp_ns, session)
    elif track.state == "unknown":
        track.state = track.intervals[-1].state if track.intervals else "present"
        track.epoch += 1
    if not track.confirmed and track.n_observations >= config.confirm_after:
        confirm(track, stamp_ns, session)
    elif track.label != label:
        track.epoch += 1
    refresh(track)


def confirm(track: Track, stamp_ns: int, session: str) -> None:
    """Let a track count from now on."""
    track.confirmed = True
    _begin(track, "present", "seen_first", track.first_seen_ns, stamp_ns, session)


def _note_size(track: Track, thing: Measured, stamp_ns: int, session: str, config: LifecycleConfig) -> None:
    """Let the first sighting be one in which there was something to see."""
    if track.largest_px < config.first_pixels and track.n_observations > 0:
        track.first_seen_ns, track.first_session = stamp_ns, session
    track.largest_px = max(track.largest_px, thing.n_pixels)


def refresh(track: Track) -> None:
    """Let the present interval tell the box as it is known now."""
    if track.intervals and track.state != "gone":
        last = track.intervals[-1]
        track.intervals[-1] = msgspec.structs.replace(last, position_m=track.position_m, box=track.box)


def miss(track: Track, stamp_ns: int, session: str, camera_position_m: Point, config: LifecycleConfig) -> bool:
    """Count a frame with evidence of absence; return whether the track is gone by it."""
    if track.seen_empty_ns is None:
        track.seen_empty_ns = stamp_ns
    track.n_missed += 1
    track.existence *= 0.8
    if all(math.dist(camera_position_m, seen) >= config.gone_apart_m for seen in track.missed_from):
        track.missed_from = [*track.missed_from[-7:], camera_position_m]
    if track.n_missed < config.gone_after or len(track.missed_from) < config.gone_poses:
        return False
    declare_gone(track, stamp_ns, session)
    return True


def declare_gone(track: Track, stamp_ns: int, session: str) -> None:
    """End the track's stay at its place; what a person keeps as it is only becomes doubtful."""
    if track.pinned or track.deleted:
        doubt(track)
        return
    since_ns = track.seen_empty_ns if track.seen_empty_ns is not None else stamp_ns
    track.existence = min(track.existence, 0.1)
    if track.confirmed:
        _begin(track, "gone", "missed", since_ns, stamp_ns, session)
    else:
        track.state = "gone"


def doubt(track: Track) -> None:
    """Say that nobody knows whether a thing still stands at its place."""
    track.existence = min(track.existence, 0.5)
    if track.state not in ("gone", "unknown"):
        track.state = "unknown"
        track.epoch += 1


def continue_elsewhere(old: Track, new: Track, stamp_ns: int, session: str) -> None:
    """Let the old identity go on at the place of the new one (a move). The caller merges them in the graph."""
    old.last_seen_ns, departed_ns = max(old.last_seen_ns, new.last_seen_ns), old.last_seen_ns
    old.voxels, old.box, old.closest_m = new.voxels, new.box, new.closest_m
    old.last_session = new.last_session
    old.views = sorted([*new.views, *old.views], key=lambda view: (view.session != session, -view.score))[:3]
    old.n_missed, old.missed_from, old.seen_empty_ns = 0, [], None
    old.existence = new.existence
    _add_counts(old, new)
    carry_edits(old, new)
    old.before, old.session_label_weights = None, new.session_label_weights
    _begin(old, "moved", "seen_elsewhere", new.first_seen_ns, stamp_ns, session, departed_ns)


def pick_up(track: Track, picked_ns: int, known_ns: int, session: str) -> None:
    """Let the robot hold a thing from an instant on, of which it became sure later."""
    if not track.confirmed:
        confirm(track, track.first_seen_ns, session)
    track.n_missed, track.missed_from, track.seen_empty_ns = 0, [], None
    _begin(track, "held", "picked", picked_ns, known_ns, session, picked_ns)


def put_down(old: Track, new: Track, placed_ns: int, known_ns: int, session: str) -> None:
    """Let a thing that was held go on at the place of what the robot saw after it let go. The caller merges them."""
    picked_ns = old.arrived_ns
    old.last_seen_ns, old.last_session = max(old.last_seen_ns, new.last_seen_ns), new.last_session
    old.voxels, old.box, old.closest_m, old.existence = new.voxels, new.box, new.closest_m, new.existence
    # Pictures are of where it stands: where it stood before is in the keyframes.
    old.views = new.views or old.views
    _add_counts(old, new)
    carry_edits(old, new)
    old.before, old.session_label_weights = None, new.session_label_weights
    _begin(old, "moved", "placed", max(placed_ns, picked_ns), known_ns, session, max(placed_ns, picked_ns))


def put_down_unseen(track: Track, box: Box, placed_ns: int, known_ns: int, session: str) -> None:
    """Let a thing that was held lie about where the robot let go of it, though it was not seen there."""
    track.box, track.voxels, track.existence = box, VoxelCloud(), min(track.existence, 0.5)
    _begin(track, "moved", "placed", placed_ns, known_ns, session, placed_ns)


def absorb(keep: Track, lose: Track) -> None:
    """Add the contents of a track that turned out to be the same thing, at the same place."""
    if lose.before is not None or lose.first_session != keep.last_session:
        # What the session added can no longer be told from what earlier ones knew.
        keep.before = None
    if lose.last_session == keep.last_session:
        for name, weight in lose.session_label_weights.items():
            keep.session_label_weights[name] = keep.session_label_weights.get(name, 0.0) + weight
    elif lose.last_seen_ns > keep.last_seen_ns:
        keep.session_label_weights = lose.session_label_weights
    keep.voxels.absorb(lose.voxels)
    keep.box = fitted_box(keep.voxels, keep.box)
    if lose.confirmed and not keep.confirmed:
        keep.confirmed, keep.state = True, lose.state
        keep.intervals = [msgspec.structs.replace(interval, object_id=keep.id) for interval in lose.intervals]
    if lose.first_seen_ns < keep.first_seen_ns:
        keep.first_seen_ns, keep.first_session = lose.first_seen_ns, lose.first_session
        keep.place_was_empty_ns = lose.place_was_empty_ns
    if lose.last_seen_ns > keep.last_seen_ns:
        keep.last_seen_ns, keep.last_session = lose.last_seen_ns, lose.last_session
    keep.closest_m = min(keep.closest_m, lose.closest_m)
    keep.existence = max(keep.existence, lose.existence)
    keep.views = sorted([*keep.views, *lose.views], key=lambda view: -view.score)[:3]
    _add_counts(keep, lose)
    carry_edits(keep, lose)
    keep.epoch += 1
    refresh(keep)


def offer_view(track: Track, view: BestView, config: LifecycleConfig) -> bool:
    """Keep a picture if it is among the best, at most one from each direction; return whether it was kept."""
    views = list(track.views)
    center = np.array(track.position_m)
    for index, other in enumerate(views):
        if _angle(center, view.camera_position_m, other.camera_position_m) < 0.35:
            if view.score <= other.score:
                return False
            views[index] = view
            break
    else:
        views.append(view)
    track.views = sorted(views, key=lambda each: (-each.score, each.stamp_ns))[: config.n_views]
    return any(kept is view for kept in track.views)


def _angle(center_m: np.ndarray, a_m: Point, b_m: Point) -> float:
    """Return the angle at the object between two camera positions, in radians."""
    a, b = np.array(a_m) - center_m, np.array(b_m) - center_m
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.arccos(np.clip(a @ b / lengths, -1.0, 1.0))) if lengths > 1e-9 else 0.0


def _add_counts(keep: Track, lose: Track) -> None:
    """Add up labels, colours and observations."""
    label = keep.label
    for name in sorted(lose.label_weights):
        if keep.pinned and not keep.name and label and name != label:
            continue  # Nothing automatic renames what a person keeps as it is.
        keep.label_weights[name] = keep.label_weights.get(name, 0.0) + lose.label_weights[name]
    keep.appearance.absorb(lose.appearance)
    keep.n_observations += lose.n_observations


def _begin(
    track: Track,
    state: ObjectState,
    cause: str,
    valid_from_ns: int,
    known_from_ns: int,
    session: str,
    departed_ns: int | None = None,
) -> None:
    """Close the open interval and begin another.

    What held before is known to have been true until ``departed_ns``, or the last sighting of an object now missed.
    """
    if track.intervals:
        last = track.intervals[-1]
        until_ns = departed_ns if departed_ns is not None else track.last_seen_ns
        if last.state == "gone":
            until_ns = valid_from_ns
        until_ns = min(max(until_ns, last.valid_from_ns), max(valid_from_ns, last.valid_from_ns))
        valid_from_ns = max(valid_from_ns, until_ns)
        track.intervals[-1] = msgspec.structs.replace(last, valid_to_ns=until_ns, known_to_ns=known_from_ns)
    track.state = state
    track.epoch += 1
    track.intervals.append(
        Interval(
            object_id=track.id,
            state=state,
            position_m=track.position_m,
            box=track.box,
            room="",
            valid_from_ns=valid_from_ns,
            valid_to_ns=None,
            known_from_ns=known_from_ns,
            known_to_ns=None,
            session=session,
            cause=cause,
        )
    )

"""Brings what lies in one map frame over into another: one thing in both becomes one, what changed meanwhile is told.

The two were mapped one after the other, or in turns, by sessions that knew nothing of each other. What stands in both
is matched by its place; of the rest, keyframes of the other frame tell whether its place was empty before or after.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from scipy.optimize import linear_sum_assignment

from embodied.arrays import Float
from embodied.messages import SessionRecord
from memory_bank.episodes.archive import KeyframeArchive
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.frames.poses import Pose, matrix_of, move_track
from memory_bank.mapper import Mapper
from memory_bank.objects.association import shared_volume
from memory_bank.objects.lifecycle import absorb, continue_elsewhere, declare_gone
from memory_bank.objects.linking import find_moves, last_seen_empty, last_seen_occupied
from memory_bank.objects.pairing import DELETED_LEAN
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.objects.told import fits, gap_m
from memory_bank.objects.track import Track
from memory_bank.person.edits import carry_edits, may_join

SAME_PLACE = 0.35
"""From this likeness of place and label on, two things are one."""
REACH_M = 0.15
"""The centre of one thing, mapped twice, differs by so much …"""
REACH_RELATIVE = 0.3
"""… and this share of its longest side."""
N_LOOKS = 64
"""So many of the latest keyframes taken near a thing tell whether its place was empty."""


@dataclass
class Merged:
    """What merging changed in the frame that is kept."""

    dirty_ids: set[str] = field(default_factory=set)
    removed_ids: set[str] = field(default_factory=set)


def merge_frames(
    source: Mapper,
    target: Mapper,
    pose: Pose,
    sessions: Sequence[SessionRecord],
    others: Sequence[SessionRecord],
    keyframes: KeyframeArchive,
    now_ns: int,
) -> Merged:
    """Bring everything of one mapper into another; ``source`` is empty of sense afterwards.

    Args:
        source: What is brought over, with the session that may be open in it.
        target: What it is brought into.
        pose: ``T_target_source``.
        sessions: Those kept in the source, oldest first.
        others: Those kept in the target.
        keyframes: All keyframes; those of the source are in the target's frame already.
        now_ns: When all this becomes known.
    """
    old, new = list(target.graph), list(source.graph)
    for track in new:
        move_track(track, pose)
    target.graph.reserve(source.graph.next_number)
    target.graph.adopt(new)
    target.occupancy.absorb(source.occupancy, pose, go_on=bool(source.session))
    if source.session:
        target.go_on(source, matrix_of(pose))
    merged = Merged(dirty_ids={track.id for track in new})
    paired = _join_same(target.graph, old, new, merged)
    paired |= _join_told(target.graph, old, new, merged) | _join_told(target.graph, new, old, merged)
    for alone, records in ((old, sessions), (new, others)):
        names = {record.session for record in records}
        for track in alone:
            if track.id not in paired:
                _judge(track, target, keyframes, names, now_ns, merged)
    for record in sessions:
        if record.session != target.session:
            _link(target, record, now_ns, merged)
    target.graph.check()
    merged.dirty_ids -= merged.removed_ids
    return merged


def same_place(one: Track, other: Track) -> float:
    """Return how well two tracks fit one thing at one place, 0 to 1."""
    a, b = one.label_shares, other.label_shares
    label = sum(min(share, b.get(name, 0.0)) for name, share in a.items()) if a and b else 0.7
    apart_m = float(np.linalg.norm(np.subtract(one.position_m, other.position_m)))
    reach_m = REACH_M + REACH_RELATIVE * max(one.longest_m, other.longest_m)
    if label <= 0 or apart_m > 2 * reach_m:
        return 0.0
    return label * max(1.0 - apart_m / reach_m, shared_volume(one.box, other.box))


def _join_same(graph: SceneGraph, old: Sequence[Track], new: Sequence[Track], merged: Merged) -> set[str]:
    """Let what stands in both frames be one track under its older id; return all that have a partner."""
    stays = [t for t in old if t.confirmed and t.state != "gone" and t.source == "seen"]
    comes = [t for t in new if t.confirmed and t.state != "gone" and t.source == "seen"]
    glimpses = [t for t in new if not t.confirmed]
    if not stays:
        return set()
    scores = _likenesses(stays, comes)
    rows, columns = linear_sum_assignment(np.where(scores >= SAME_PLACE, scores, 0.0), maximize=True)
    pairs = [(stays[i], comes[j]) for i, j in zip(rows, columns) if scores[i, j] >= SAME_PLACE]
    likely = _likenesses(stays, glimpses)
    best = likely.argmax(axis=0)
    pairs += [(stays[i], glimpse) for j, (i, glimpse) in enumerate(zip(best, glimpses)) if likely[i, j] >= SAME_PLACE]
    for keep, lose in pairs:
        one_is_deleted = (keep.deleted and _is_plain(lose)) or (lose.deleted and _is_plain(keep))
        if may_join(keep, lose) or one_is_deleted:
            _take_evidence(keep, lose)
            absorb(keep, lose)
            keep.deleted = keep.deleted or lose.deleted
            graph.merge(keep.id, lose.id)
            merged.dirty_ids.add(keep.id)
            merged.removed_ids.add(lose.id)
    return {track.id for pair in pairs for track in pair}


def _likenesses(stays: Sequence[Track], comes: Sequence[Track]) -> Float[np.ndarray, "n_stays n_comes"]:
    """Return ``same_place`` of all pairs, looking only at those near each other.

    What was deleted as a double is not taken for the other one while that one is there.
    """
    a, b = (np.array([track.position_m for track in tracks]).reshape(-1, 3) for tracks in (stays, comes))
    longest_a, longest_b = (np.array([track.longest_m for track in tracks]) for tracks in (stays, comes))
    apart_m = np.linalg.norm(a[:, None] - b[None], axis=2)
    reach_m = REACH_M + REACH_RELATIVE * np.maximum(longest_a[:, None], longest_b[None])
    scores = np.zeros(apart_m.shape)
    for i, j in np.argwhere(apart_m <= 2.0 * reach_m + 1e-6).tolist():
        lean = DELETED_LEAN if stays[i].deleted != comes[j].deleted else 1.0
        scores[i, j] = lean * same_place(stays[i], comes[j])
    return scores


def _is_plain(track: Track) -> bool:
    """Tell whether no person has said anything of a track."""
    return not (track.pinned or track.deleted or track.name or track.notes)


def _join_told(graph: SceneGraph, told: Sequence[Track], seen: Sequence[Track], merged: Merged) -> set[str]:
    """Let what was told of in one frame be what was seen there in the other; return what that was."""
    waiting = [t for t in told if t.source == "told" and not t.deleted and t.state != "gone"]
    there = [t for t in seen if t.is_there and t.source == "seen" and t.id not in merged.removed_ids]
    for lose in waiting:
        keep = min((t for t in there if fits(lose, t)), key=lambda t: gap_m(lose.box, t.box), default=None)
        if keep is not None:
            there.remove(keep)
            carry_edits(keep, lose)
            keep.epoch += 1
            graph.merge(keep.id, lose.id)
            merged.dirty_ids.add(keep.id)
            merged.removed_ids.add(lose.id)
    return {track.id for track in waiting} & merged.removed_ids


def _take_evidence(keep: Track, lose: Track) -> None:
    """Let the later of two sightings decide whether it is doubted."""
    if lose.last_seen_ns <= keep.last_seen_ns:
        return
    keep.n_missed, keep.missed_from, keep.seen_empty_ns = lose.n_missed, lose.missed_from, lose.seen_empty_ns
    keep.session_label_weights = lose.session_label_weights
    if keep.state == "unknown" and keep.intervals:
        keep.state = keep.intervals[-1].state


def _judge(
    track: Track,
    target: Mapper,
    archive: KeyframeArchive,
    sessions: Collection[str],
    now_ns: int,
    merged: Merged,
) -> None:
    """Find out from the other frame's keyframes whether a thing without a partner has left, or has come.

    That it left must be seen through it: nobody looked for a thing that lies flat.
    """
    if not track.is_there or not len(track.voxels):
        return
    margins, linking = target.config.tracker.visibility, target.config.linking

    def looks(since_ns: int | None, until_ns: int | None) -> list[Keyframe]:
        near_m, radius_m = track.position_m, linking.view_distance_m
        found = archive.indices(
            since_ns=since_ns, until_ns=until_ns, near_m=near_m, radius_m=radius_m, sessions=sessions
        )
        return list(archive.whole(found[-N_LOOKS:].tolist()))

    later = looks(track.last_seen_ns + 1, None)
    empty_ns = last_seen_empty(track, later, margins, msgspec.structs.replace(linking, thin_m=0.0))
    if empty_ns is not None and not track.pinned:
        session = next(keyframe.session for keyframe in later if keyframe.stamp_ns == empty_ns)
        track.seen_empty_ns = empty_ns
        declare_gone(track, max(now_ns, empty_ns), session)
        merged.dirty_ids.add(track.id)
        return
    earlier = looks(None, track.first_seen_ns - 1)
    others = target.graph.confirmed(include_gone=True)
    stamps = (
        last_seen_empty(track, earlier, margins, linking),
        last_seen_occupied(track, others, track.first_session, linking),
    )
    known = [stamp_ns for stamp_ns in stamps if stamp_ns is not None]
    if known:
        track.place_was_empty_ns = max(known)
        merged.dirty_ids.add(track.id)


def _link(target: Mapper, record: SessionRecord, now_ns: int, merged: Merged) -> None:
    """Continue the identities of things that left and turned up elsewhere in a session that is over."""
    graph = target.graph
    for old, new in find_moves(graph, record.session, record.start_ns, True, target.config.linking):
        continue_elsewhere(old, new, now_ns, record.session)
        graph.merge(old.id, new.id)
        merged.dirty_ids.add(old.id)
        merged.removed_ids.add(new.id)

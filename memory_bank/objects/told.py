"""What a person told of, once a camera shows it: the told object goes on with the shape and looks of the seen one."""

from __future__ import annotations

import msgspec
import numpy as np

from embodied.messages import Box
from memory_bank.geometry.boxes import box_bounds
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.objects.track import Track
from memory_bank.objects.tracker import ViewResult
from memory_bank.person.edits import carry_edits
from memory_bank.recall.words import known_as, near_synonyms

REACH_M = 0.5
"""A person points no more exactly: the gap between the place told and a thing that may be it."""
LABEL_SHARE = 0.3
"""Share of a label among those of the seen thing from which it may be what was told."""


def meet_told(graph: SceneGraph, seen: ViewResult, session: str, stamp_ns: int) -> None:
    """Let what a view confirmed be what a person told of, where it fits: same kind of thing, at the told place.

    Args:
        graph: Holds both.
        seen: What the view changed; brought up to date.
        session: The present one.
        stamp_ns: Instant of the view.
    """
    if not seen.confirmed:
        return
    waiting = [track for track in graph if track.source == "told" and not track.deleted]
    if not waiting:
        return
    for new in list(seen.confirmed):
        rivals = [told for told in waiting if told.source == "told" and fits(told, new)]
        if not rivals:
            continue
        told = min(rivals, key=lambda track: (gap_m(track.box, new.box), track.number))
        _become(told, new, session, stamp_ns)
        graph.merge(told.id, new.id)
        seen.confirmed.remove(new)
        seen.dirty_ids.discard(new.id)
        seen.dirty_ids.add(told.id)
        seen.removed_ids.add(new.id)
        seen.observed = [(told if track is new else track, thing) for track, thing in seen.observed]


def fits(told: Track, new: Track) -> bool:
    """Tell whether a thing that was just confirmed may be what a person told of."""
    if new.source == "told" or new.deleted or gap_m(told.box, new.box) > REACH_M:
        return False
    labels = [label for label, share in new.label_shares.items() if share >= LABEL_SHARE]
    # Of a detector without classes the place must do. People say cup where a detector says mug.
    name = told.label.lower()
    return not new.label_weights or known_as(name, labels) is not None or bool(near_synonyms(name) & set(labels))


def _become(told: Track, new: Track, session: str, stamp_ns: int) -> None:
    """Give a told track everything that was seen of the other."""
    last = told.intervals[-1]
    if told.state == "gone":
        since_ns = max(last.valid_from_ns, new.first_seen_ns)
        told.intervals[-1] = msgspec.structs.replace(last, valid_to_ns=since_ns, known_to_ns=stamp_ns)
        last = msgspec.structs.replace(
            last, valid_from_ns=since_ns, known_from_ns=stamp_ns, session=session, cause="seen_again"
        )
        told.intervals.append(last)
    told.intervals[-1] = msgspec.structs.replace(last, state="present", position_m=new.position_m, box=new.box)
    for name in (
        "voxels", "box", "appearance", "label_weights", "session_label_weights", "views", "existence", "closest_m",
        "n_observations", "first_seen_ns", "last_seen_ns", "first_session", "last_session",
    ):  # fmt: skip
        setattr(told, name, getattr(new, name))
    told.state, told.source = "present", "seen"
    told.n_missed, told.missed_from, told.seen_empty_ns = 0, [], None
    carry_edits(told, new)
    told.epoch += 1


def gap_m(a: Box, b: Box) -> float:
    """Return how far two boxes are apart, as if they were axis-aligned; 0 where they touch."""
    (low_a, high_a), (low_b, high_b) = box_bounds(a), box_bounds(b)
    return float(np.linalg.norm(np.maximum(np.maximum(low_a - high_b, low_b - high_a), 0.0)))

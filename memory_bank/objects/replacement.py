"""Another thing exactly where a known one stood: told from label flicker, and taken apart again.

Association goes by place, so a newcomer in a known thing's place is taken for it at first. What a session adds to a
track of earlier sessions is therefore kept apart until it is clear that it is the same thing: the session's own label
histogram decides, which no single wrong label can sway, and colours and size say how soon.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from embodied.config import Config
from embodied.messages import Box
from memory_bank.geometry.boxes import fitted_box, share_within
from memory_bank.geometry.voxels import FINEST_M, VoxelCloud
from memory_bank.objects.appearance import Appearance, similarity
from memory_bank.objects.association import shared_volume
from memory_bank.objects.track import Track

HIDDEN_SHARE = 0.5
"""Share of a thing's box in that of a newer one from which it can no longer be looked for."""


class ReplacementConfig(Config):
    """When what is seen in a known thing's place is another one."""

    min_observations: int = 4
    """Sightings in the session if it looks different, too …"""
    min_observations_alike: int = 6
    """… and if only its label is another."""
    same_labels: float = 0.2
    """Common share of the session's label histogram and the earlier one from which both are the same thing."""
    least_share: float = 0.55
    """Share of the session's labels that agree on what it is now."""
    like_colour: float = 0.85
    """Colours as similar as this, and …"""
    like_size: float = 0.75
    """… sizes in such a ratio look alike."""
    same_place: float = 0.4
    """Share of the smaller box in the other's from which the earlier thing cannot stand there any more."""


@dataclass
class Before:
    """A track as it was before the present session saw it."""

    track: Track
    since_ns: int
    """First sighting in the session."""


def remember_before(track: Track, stamp_ns: int) -> Before:
    """Return a copy of a track that later changes to it do not touch."""
    copy = replace(
        track,
        label_weights=dict(track.label_weights),
        voxels=_copied(track.voxels),
        appearance=Appearance(votes=dict(track.appearance.votes)),
        views=list(track.views),
        intervals=list(track.intervals),
        seen_with=set(track.seen_with),
        merged_ids=list(track.merged_ids),
        missed_from=list(track.missed_from),
        session_label_weights=dict(track.session_label_weights),
        notes=list(track.notes),
        before=None,
    )
    return Before(copy, stamp_ns)


def is_replaced(track: Track, config: ReplacementConfig) -> bool:
    """Tell whether what this session saw in a track's place is another thing than what earlier ones did."""
    if track.before is None or not track.before.track.confirmed:
        return False
    earlier = track.before.track
    n_seen = track.n_observations - earlier.n_observations
    now, then = _shares(track.session_label_weights), earlier.label_shares
    if n_seen < config.min_observations or not now or not then:
        return False
    if sum(min(share, then.get(name, 0.0)) for name, share in now.items()) > config.same_labels:
        return False
    if max(now.values()) < config.least_share:
        return False
    return n_seen >= (config.min_observations_alike if _looks_alike(track, earlier, config) else 0)


def is_the_same(track: Track, config: ReplacementConfig) -> bool:
    """Tell whether it is settled that this session saw the thing that earlier ones did."""
    if track.before is None:
        return True
    n_seen = track.n_observations - track.before.track.n_observations
    return n_seen >= 2 * config.min_observations_alike and not is_replaced(track, config)


def take_apart(track: Track, new_id: str) -> Track:
    """Give a track back what it was before the session, and return what the session saw as a track of its own.

    The caller puts it into the graph, and tells what became of the earlier one.
    """
    assert track.before is not None
    earlier, since_ns = track.before.track, track.before.since_ns
    cloud = _added(track.voxels, earlier.voxels)
    new = Track(
        id=new_id,
        label_weights=dict(track.session_label_weights),
        voxels=cloud,
        box=fitted_box(cloud),
        appearance=_added_votes(track.appearance, earlier.appearance),
        first_seen_ns=since_ns,
        last_seen_ns=track.last_seen_ns,
        first_session=track.last_session,
        last_session=track.last_session,
        views=[view for view in track.views if view.session == track.last_session],
        n_observations=track.n_observations - earlier.n_observations,
        existence=track.existence,
        closest_m=track.closest_m,
        session_label_weights=dict(track.session_label_weights),
        world_frame=track.world_frame,
    )
    for name in (
        "label_weights", "voxels", "box", "appearance", "last_seen_ns", "last_session", "views", "intervals", "state",
        "n_observations", "n_missed", "existence", "closest_m", "missed_from", "seen_empty_ns", "session_label_weights",
    ):  # fmt: skip
        setattr(track, name, getattr(earlier, name))
    track.before = None
    track.epoch += 1
    return new


def came_after(a: Track, b: Track) -> bool:
    """Tell whether one of two unlike things came to its place after the other was last seen, in a later session.

    Then one took the other's place; the same thing under two labels would have been seen in turns.
    """
    old, new = (a, b) if a.arrived_ns <= b.arrived_ns else (b, a)
    session = new.intervals[-1].session if new.intervals else new.first_session
    if old.last_session == session or old.last_seen_ns >= new.arrived_ns:
        return False
    then, now = old.label_shares, new.label_shares
    return bool(then and now) and sum(min(share, then.get(name, 0.0)) for name, share in now.items()) < 0.3


def fills_place(new: Track, old: Track, config: ReplacementConfig) -> bool:
    """Tell whether a thing stands so much in another's place that both cannot be there."""
    return shared_volume(new.box, old.box) >= config.same_place


def hides(new: Track, old: Track) -> bool:
    """Tell whether a newcomer stands on or around an unseen thing's place: nobody can tell if that is still there.

    What lies flat under it touches it, so some more height is looked at than the newcomer has.
    """
    around = Box(
        center_m=new.box.center_m,
        size_m=(new.box.size_m[0], new.box.size_m[1], new.box.size_m[2] + 4.0 * FINEST_M),
        yaw_rad=new.box.yaw_rad,
    )
    return new.id not in old.seen_with and share_within(old.box, around) >= HIDDEN_SHARE


def can_take_apart(track: Track) -> bool:
    """Tell whether the session has seen enough of the surface to give it a shape of its own."""
    return track.before is not None and len(_added(track.voxels, track.before.track.voxels)) > 0


def _looks_alike(track: Track, earlier: Track, config: ReplacementConfig) -> bool:
    """Compare colours and sizes of what was seen in the session with what was known before."""
    cloud = _added(track.voxels, earlier.voxels)
    if len(cloud) == 0:
        return True
    colour = similarity(_added_votes(track.appearance, earlier.appearance).shares(), earlier.appearance.shares())
    along = fitted_box(cloud, earlier.box, search=False)  # Sizes compare along the same axes.
    now, then = np.array(along.size_m) + 0.03, np.array(earlier.box.size_m) + 0.03
    # Half-seen things come out smaller, so only what is larger than before or far smaller is another size.
    ratio = float(np.minimum(now / then, then / now).min())
    return colour >= config.like_colour and ratio >= config.like_size


def _shares(weights: dict[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()} if total > 0 else {}


def _copied(cloud: VoxelCloud) -> VoxelCloud:
    copy = VoxelCloud(cloud.level)
    copy.keys, copy.hits, copy.through = cloud.keys.copy(), cloud.hits.copy(), cloud.through.copy()
    return copy


def _added(now: VoxelCloud, before: VoxelCloud) -> VoxelCloud:
    """Return the evidence that a cloud has gained; clouds only grow coarser, so the earlier one fits its voxels."""
    old = VoxelCloud(now.level)
    old.absorb(before)
    slots = np.minimum(np.searchsorted(old.keys, now.keys), max(len(old.keys) - 1, 0))
    known = old.keys[slots] == now.keys if len(old.keys) else np.zeros(len(now.keys), dtype=bool)
    hits, through = now.hits.copy(), now.through.copy()
    hits[known] -= old.hits[slots[known]]
    through[known] -= old.through[slots[known]]
    kept = hits > 1e-4
    added = VoxelCloud(now.level)
    added.keys, added.hits, added.through = now.keys[kept], hits[kept], np.maximum(through[kept], 0.0)
    return added


def _added_votes(now: Appearance, before: Appearance) -> Appearance:
    votes = {name: vote - before.votes.get(name, 0.0) for name, vote in now.votes.items()}
    return Appearance(votes={name: vote for name, vote in votes.items() if vote > 1e-6})

"""Tracks: everything that the memory keeps of one object.

A track is mutable while the memory runs; what leaves the memory are immutable records (``records``). Nothing here looks
at images: geometry comes in as points, evidence as counts. How a track changes is ``lifecycle``'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from embodied.errors import StoreError
from embodied.messages import Box, Interval, Note, ObjectState, Point, Source
from memory_bank.geometry.voxels import VoxelCloud, VoxelState
from memory_bank.objects.appearance import Appearance, colour_name

if TYPE_CHECKING:
    from memory_bank.objects.replacement import Before

TRACK_FORMAT = 1


class BestView(msgspec.Struct, kw_only=True):
    """One of the pictures that show an object best."""

    session: str
    stamp_ns: int
    keyframe: int
    """Index of the keyframe at or before this picture."""
    camera_position_m: Point
    score: float
    """Higher shows more: pixels, completeness."""
    crop_jpeg: bytes
    """At most 128 pixels a side."""
    seq: int = -1
    """Of the observation; -1 in what was stored before it was kept."""
    aside_rad: float = 0.0
    """How far beside the camera's heading it is, on the floor plan."""


@dataclass
class Track:
    """One object, from its first sighting on."""

    id: str
    """``o0``, ``o1``, …; survives moves, sessions and restarts."""
    label_weights: dict[str, float]
    """Evidence for each label; the empty label of classless detectors is not counted."""
    voxels: VoxelCloud
    box: Box
    """Around the solid voxels, turned where the footprint clearly is (``boxes.fitted_box``)."""
    appearance: Appearance
    first_seen_ns: int
    last_seen_ns: int
    first_session: str
    last_session: str
    views: list[BestView] = field(default_factory=list)
    """Best first, at most ``LifecycleConfig.n_views``."""
    intervals: list[Interval] = field(default_factory=list)
    """Bi-temporal history, oldest first. Empty until confirmed; ``room`` is left empty, see ``records``."""
    state: ObjectState = "present"
    """``moved`` is present, at another place than before; ``gone`` is not there any more; ``unknown`` is doubtful."""
    confirmed: bool = False
    """Seen often enough to count. Nobody outside the mapper is shown a track that is not."""
    n_observations: int = 0
    n_missed: int = 0
    """Frames with evidence of absence since it was last seen."""
    existence: float = 0.5
    """Confidence that it exists and is where the box says, 0 to 1."""
    closest_m: float = float("inf")
    """Distance of the closest view."""
    seen_with: set[str] = field(default_factory=set)
    """Tracks nearby that had a mask of their own in one frame with this one: never merged with it."""
    merged_ids: list[str] = field(default_factory=list)
    """Tracks that turned out to be this one."""
    missed_from: list[Point] = field(default_factory=list)
    """Camera positions of the frames counted in ``n_missed``, the distinct ones."""
    seen_empty_ns: int | None = None
    """First instant of the present run of evidence of absence."""
    place_was_empty_ns: int | None = None
    """Last instant, in an earlier session, at which its first place was seen without it; None if nobody had looked."""

    session_label_weights: dict[str, float] = field(default_factory=dict)
    """Of ``label_weights``, what the last session that saw it contributed."""
    world_frame: str = ""
    """The frame of all positions in it."""
    epoch: int = 0
    """Grows with every change that a person would want to know of before an edit (``ObjectRecord.epoch``)."""
    name: str = ""
    """What a person calls it; stands before every detector's label."""
    pinned: bool = False
    """A person keeps it as it is (``ObjectRecord.pinned``)."""
    deleted: bool = False
    """A person says that it is not there and never was. It is shown to nobody, still matched, and never comes back."""
    source: Source = "seen"
    notes: list[Note] = field(default_factory=list)
    largest_px: int = 0
    """Pixels of the largest mask it had until it was confirmed."""
    before: Before | None = field(default=None, repr=False, compare=False)
    """What it was before the present session, until it is sure to be the same thing (``replacement``). Not stored."""

    @property
    def label(self) -> str:
        """A person's name for it, or the label with the most evidence, alphabetically first of equals; may be empty."""
        if self.name:
            return self.name
        return min(self.label_weights, key=lambda name: (-self.label_weights[name], name), default="")

    @property
    def label_shares(self) -> dict[str, float]:
        """Share of each label, largest first."""
        total = sum(self.label_weights.values())
        ordered = sorted(self.label_weights.items(), key=lambda item: (-item[1], item[0]))
        return {name: weight / total for name, weight in ordered} if total > 0 else {}

    @property
    def position_m(self) -> Point:
        """Centre of the box."""
        return self.box.center_m

    @property
    def colour(self) -> str:
        """The colour a person would name it by, empty if none stands out."""
        return colour_name(self.appearance)

    @property
    def is_shown(self) -> bool:
        """Whether anybody outside the mapper is told of it, gone or not."""
        return self.confirmed and not self.deleted

    @property
    def is_there(self) -> bool:
        """Whether the memory believes it stands at ``position_m``."""
        return self.confirmed and not self.deleted and self.state in ("present", "moved")

    @property
    def arrived_ns(self) -> int:
        """First instant at which it was seen where it is, or was last."""
        return self.intervals[-1].valid_from_ns if self.intervals and self.state != "gone" else self.first_seen_ns

    @property
    def number(self) -> int:
        """The number in the id: the order of first sighting."""
        return int(self.id[1:])

    @property
    def longest_m(self) -> float:
        """Longest side of the box."""
        return max(self.box.size_m)

    def to_bytes(self) -> bytes:
        """Return the track for a store."""
        return msgspec.msgpack.encode(
            _StoredTrack(
                **{name: getattr(self, name) for name in _PLAIN_FIELDS},
                voxels=self.voxels.state(),
                seen_with=sorted(self.seen_with),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Track:
        """Read what ``to_bytes`` wrote.

        Raises:
            StoreError: The bytes are damaged or from another version.
        """
        try:
            stored = msgspec.msgpack.decode(data, type=_StoredTrack)
            if stored.format != TRACK_FORMAT:
                raise StoreError(f"track: expected format {TRACK_FORMAT}, got {stored.format}")
            voxels = VoxelCloud.from_state(stored.voxels)
        except (msgspec.MsgspecError, ValueError) as error:
            raise StoreError(f"track: damaged ({error})") from error
        plain = {name: getattr(stored, name) for name in _PLAIN_FIELDS}
        return cls(**plain, voxels=voxels, seen_with=set(stored.seen_with))


class _StoredTrack(msgspec.Struct, kw_only=True):
    """A track as bytes: arrays are bytes, sets are sorted lists."""

    format: int = TRACK_FORMAT
    id: str
    label_weights: dict[str, float]
    voxels: VoxelState
    box: Box
    appearance: Appearance
    first_seen_ns: int
    last_seen_ns: int
    first_session: str
    last_session: str
    views: list[BestView]
    intervals: list[Interval]
    state: ObjectState
    confirmed: bool
    n_observations: int
    n_missed: int
    existence: float
    closest_m: float
    seen_with: list[str]
    merged_ids: list[str]
    missed_from: list[Point]
    seen_empty_ns: int | None
    place_was_empty_ns: int | None
    # Later than the first release: each has a default, so that older files are read.
    session_label_weights: dict[str, float] = {}
    world_frame: str = ""
    epoch: int = 0
    name: str = ""
    pinned: bool = False
    deleted: bool = False
    source: Source = "seen"
    notes: list[Note] = []
    largest_px: int = 0


_PLAIN_FIELDS = tuple(name for name in _StoredTrack.__struct_fields__ if name not in ("format", "voxels", "seen_with"))

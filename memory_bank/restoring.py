"""From what a store holds to a state, frame by frame; for the process that goes on with it and for those who read."""

from __future__ import annotations

import msgspec

from embodied.errors import ConfigurationError, StoreError
from embodied.messages import PlaceRecord
from memory_bank.episodes.archive import Fetch, KeyframeArchive
from memory_bank.features.protocol import ImageEncoder
from memory_bank.features.settings import FeaturesConfig
from memory_bank.objects.track import Track
from memory_bank.space.occupancy import OccupancyConfig, OccupancyMap
from memory_bank.space.places import NO_PLACES, PlaceMap
from memory_bank.space.rooms import EMPTY_ROOMS, RoomMap
from memory_bank.state import FrameState, Health, MemoryState, frame_of
from memory_bank.stores.protocol import Contents
from memory_bank.stores.rows import read_struct

META_HEALTH = "health"
META_OCCUPANCY = "occupancy"
"""The settings of the map, in JSON: a reader needs them."""
META_NEXT_TRACK = "next_track"
META_FEATURES = "features"
"""Which encoders were used, in JSON."""
META_ADDRESS = "address"
"""Where the process answers that wrote last."""
META_NEXT_KEYFRAME = "next_keyframe"
META_PLACES = "places:"
"""By frame: as last found, to keep their ids."""
META_IMAGE_ENCODER = "image_encoder"
"""The name of what made the keyframes' vectors."""
META_UPPER_WALLS = "upper_walls:"
"""Before the name of a frame."""


class _StoredPlaces(msgspec.Struct, frozen=True):
    places: tuple[PlaceRecord, ...]
    next_id: int


def next_track_of(contents: Contents) -> int:
    """Return one more than the highest number that a track of any frame ever had."""
    return int(contents.meta.get(META_NEXT_TRACK, b"0"))


def features_of(contents: Contents) -> FeaturesConfig:
    """Return which encoders the memory was last used with.

    Raises:
        StoreError: What says so is damaged.
    """
    try:
        return msgspec.json.decode(contents.meta.get(META_FEATURES, b"{}"), type=FeaturesConfig)
    except msgspec.MsgspecError as error:
        raise StoreError(f"settings of encoders: damaged ({error})") from error


def health_of(contents: Contents) -> Health:
    """Return how the memory stood.

    Raises:
        StoreError: It is damaged.
    """
    if META_HEALTH not in contents.meta:
        return Health()
    return read_struct(META_HEALTH, contents.meta[META_HEALTH], Health)


def occupancy_config_of(contents: Contents) -> OccupancyConfig:
    """Return the settings of the maps.

    Raises:
        StoreError: They are damaged.
    """
    try:
        return msgspec.json.decode(contents.meta.get(META_OCCUPANCY, b"{}"), type=OccupancyConfig)
    except msgspec.MsgspecError as error:
        raise StoreError(f"settings of the map: damaged ({error})") from error


def frames_of(contents: Contents) -> dict[str, tuple[list[Track], bytes | None, RoomMap]]:
    """Return tracks, map and rooms of each frame, in the order of the frames' first sessions.

    Maps of frames that no session is kept in any more were merged into another one.

    Raises:
        StoreError: A track is in a frame that no session is kept in.
    """
    names = list(dict.fromkeys(frame_of(record) for record in contents.sessions))
    tracks: dict[str, list[Track]] = {name: [] for name in names}
    for track in contents.tracks:
        # Files of the first release had one frame, and did not say so in each track.
        track.world_frame = track.world_frame or (names[0] if len(names) == 1 else "")
        if track.world_frame not in tracks:
            raise StoreError(f"object {track.id} is in frame {track.world_frame!r}, in which there was no session")
        tracks[track.world_frame].append(track)
    return {name: (tracks[name], contents.maps.get(name), contents.rooms.get(name, EMPTY_ROOMS)) for name in names}


def places_of(contents: Contents, name: str) -> PlaceMap:
    """Return the places of a frame.

    Raises:
        StoreError: They are damaged.
    """
    data = contents.meta.get(META_PLACES + name)
    if data is None:
        return NO_PLACES
    stored = read_struct("places", data, _StoredPlaces)
    return PlaceMap(stored.places, stored.next_id)


def places_to_bytes(places: PlaceMap) -> bytes:
    """Return the places of a frame for the store."""
    return msgspec.msgpack.encode(_StoredPlaces(places.places, places.next_id))


def restore_keyframes(archive: KeyframeArchive, contents: Contents, fetch: Fetch) -> None:
    """Fill an empty archive, which reads whole keyframes by ``fetch``.

    Raises:
        StoreError: A block of keyframes is damaged.
    """
    archive.fetch = fetch
    next_index = int(contents.meta.get(META_NEXT_KEYFRAME, b"0"))
    archive.restore(contents.keyframe_blocks, contents.keyframe_tail, next_index)


def check_encoder(archive: KeyframeArchive, contents: Contents, encoder: ImageEncoder | None) -> None:
    """Refuse an encoder whose vectors cannot be compared with those that are stored.

    Raises:
        ConfigurationError: They were made by another one.
    """
    name = contents.meta.get(META_IMAGE_ENCODER, b"").decode(errors="replace")
    if encoder is not None and archive.dim and (name, archive.dim) != (encoder.name, encoder.dim):
        raise ConfigurationError(
            f"features.image: this memory's pictures were encoded by {name!r} ({archive.dim} numbers), which cannot be "
            f"compared with those of {encoder.name!r} ({encoder.dim}); set the same encoder, or none"
        )


def state_of(contents: Contents, fetch: Fetch) -> MemoryState:
    """Return the state that questions are answered from; ``fetch`` reads whole keyframes.

    Raises:
        StoreError: What is stored does not fit together.
    """
    state = MemoryState(version=1, health=health_of(contents))
    state.sessions = {session.session: session for session in contents.sessions}
    restore_keyframes(state.keyframes, contents, fetch)
    config, next_track = occupancy_config_of(contents), next_track_of(contents)
    for name, (tracks, occupancy, rooms) in frames_of(contents).items():
        frame = FrameState(name=name, rooms=rooms, version=1, map_version=1)
        frame.graph.restore(tracks, next_track)
        frame.upper_walls = contents.meta.get(META_UPPER_WALLS + name, b"")
        frame.places = places_of(contents, name)
        frame.occupancy = OccupancyMap(config) if occupancy is None else OccupancyMap.from_bytes(occupancy, config)
        state.frames[name] = frame
    return state

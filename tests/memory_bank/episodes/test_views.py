from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import simplejpeg

from embodied.errors import ConfigurationError
from embodied.geometry import intrinsics_from_fov
from embodied.messages import Box, Note, Query, ViewHit
from memory_bank.episodes.archive import KeyframeArchive
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.episodes.views import Views, ViewsConfig
from memory_bank.features.protocol import ImageEncoder, TextEncoder
from memory_bank.objects.records import RoomIndex
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.service import MemoryService, ServiceConfig
from memory_bank.space.rooms import Room, RoomMap
from memory_bank.state import MemoryState
from memory_bank.strategies import registry
from memory_world import make_track

COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200), "white": (200, 200, 200)}
SHOWN = ("red", "green", "blue", "red", "green", "blue")
"""What fills the picture of each keyframe."""


class ColourWords:
    """Words as vectors: colours and things of that colour."""

    name, dim = "colours", 3

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        meant = {"tomato": "red", "strawberry": "red", "leaf": "green", "sky": "blue"}
        return _unit([COLOURS.get(meant.get(text, text), (1, 1, 1)) for text in texts])


class ColourPictures:
    """Pictures as vectors: their mean colour."""

    name, dim = "colours", 3

    def __init__(self, text_encoder: TextEncoder | None) -> None:
        self.text_encoder = text_encoder

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        return _unit([image.reshape(-1, 3).mean(axis=0) for image in images])


def _unit(rows: Sequence[Any]) -> np.ndarray:
    vectors = np.array(rows, dtype=np.float32).reshape(-1, 3)
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def picture(colour: str) -> np.ndarray:
    return np.full((16, 16, 3), COLOURS[colour], dtype=np.uint8)


def keyframe(index: int) -> Keyframe:
    T = np.eye(4)
    T[:3, 3] = index + 0.5, 0.5, 1.2
    return Keyframe(
        index=index,
        session="day-1" if index < 3 else "day-2",
        seq=index,
        stamp_ns=100 * index,
        camera="head",
        T_world_camera=tuple(T.ravel().tolist()),
        intrinsics=intrinsics_from_fov(64, 48, 1.5),
        thumbnail_jpeg=str(index).encode(),
        depth_mm=b"",
        depth_shape=(0, 0),
        track_ids=(f"o{index % 3}", "o5") if index != 4 else ("o9",),
        embedding=ColourPictures(None).encode([picture(SHOWN[index])])[0].astype("<f2").tobytes(),
    )


def rooms() -> RoomIndex:
    """Two rooms: the first three keyframes were taken in the kitchen."""
    cells = np.array([[0, 0, 0, 1, 1, 1]], dtype=np.int16)
    both = tuple(Room(f"r{i}", i, (0.0, 0.0), 3.0, (), ()) for i in range(2))
    index = RoomIndex.of(RoomMap(both, cells, 1.0, (0.0, 0.0), 2))
    index.names.update({"r0": "kitchen", "r1": "office"})
    return index


@pytest.fixture
def views() -> Views:
    graph = SceneGraph()
    rng = np.random.default_rng(0)
    tracks = [make_track(number, rng, label) for number, label in ((0, "tomato"), (1, "leaf"), (2, "sky"), (4, "lamp"))]
    tracks[3].merged_ids = ["o9"]
    tracks[3].notes = [Note(text="strawberry", author="somebody", stamp_ns=0)]
    hidden = make_track(5, rng, "sky")
    hidden.deleted = True
    graph.restore([*tracks, hidden], 10)
    archive = KeyframeArchive()
    archive.extend([keyframe(index) for index in range(6)])
    return Views(archive, ("day-1", "day-2"), graph, rooms())


def found(views: Views, encoders: dict[str, Any] | None = None, **fields: Any) -> list[int]:
    return [hit.keyframe for hit in with_encoders(views, encoders).find(Query(kind="views", **fields))]


def with_encoders(views: Views, encoders: dict[str, Any] | None) -> Views:
    return Views(**{**vars(views), **(encoders or {})})


@pytest.mark.parametrize(
    ("fields", "right"),
    [
        ({}, [5, 4, 3, 2, 1, 0]),
        ({"limit": 2}, [5, 4]),
        ({"order": "earliest", "limit": 2}, [0, 1]),
        ({"since_ns": 100, "until_ns": 300}, [3, 2, 1]),
        ({"session": "day-1"}, [2, 1, 0]),
        ({"room": "kitchen"}, [2, 1, 0]),
        ({"room": "attic"}, []),
        ({"object_id": "o0"}, [3, 0]),
        ({"object_id": "o4"}, [4]),
        ({"near_m": (2.4, 0.5, 1.2), "radius_m": 1.2}, [3, 2, 1]),
        ({"near_m": (2.4, 0.5, 1.2), "radius_m": 1.2, "order": "nearest"}, [2, 1, 3]),
        ({"box": Box(center_m=(4.0, 0.5, 1.2), size_m=(2.0, 1.0, 1.0))}, [4, 3]),
        ({"room": "office", "object_id": "o2"}, [5]),
    ],
)
def test_conditions_narrow_the_answer(views: Views, fields: dict[str, Any], right: list[int]) -> None:
    assert found(views, **fields) == right


def test_a_hit_tells_where_when_and_what(views: Views) -> None:
    hit = views.find(Query(kind="views", until_ns=100))[0]
    assert hit == ViewHit(
        keyframe=1,
        session="day-1",
        stamp_ns=100,
        position_m=(1.5, 0.5, pytest.approx(1.2)),  # type: ignore[arg-type]
        room="kitchen",
        score=1.0,
        object_ids=("o1",),  # and not the deleted o5
        thumbnail_jpeg=b"1",
    )
    merged = views.find(Query(kind="views", object_id="o4"))
    assert [(hit.keyframe, hit.object_ids) for hit in merged] == [(4, ("o4",))]


@pytest.mark.parametrize(
    ("fields", "right"),
    [
        ({"limit": 2}, [0, 3]),
        ({"limit": 2, "order": "latest"}, [3, 0]),
        ({"room": "office", "limit": 1}, [3]),
        ({"session": "day-1", "limit": 1}, [0]),
    ],
)
def test_pictures_are_found_by_a_picture_or_words_of_the_same_space(
    views: Views, fields: dict[str, Any], right: list[int]
) -> None:
    jpeg = simplejpeg.encode_jpeg(picture("red"), colorspace="RGB")
    images = {"images": ColourPictures(ColourWords())}
    assert isinstance(images["images"], ImageEncoder)
    assert found(views, images, image_jpeg=jpeg, **fields) == right
    assert found(views, images, text="tomato", **fields) == right


def test_a_strategy_of_the_settings_ranks_the_most_alike(views: Views) -> None:
    settings = {"images": ColourPictures(ColourWords()), "config": ViewsConfig(retrieve="fused", n_candidates=4)}
    # Both red ones are as much alike; the later one was taken nearer to the place and to the time.
    near = {"near_m": (3.4, 0.5, 1.2), "radius_m": 9.0, "until_ns": 350}
    assert found(views, settings, text="red", limit=1, **near) == [3]
    assert found(views, {"images": settings["images"]}, text="red", limit=1, **near) == [0]


@pytest.mark.parametrize("retrieve", registry.names("retrieve"))
def test_each_strategy_ranks_or_is_refused_before_anything_is_asked(views: Views, retrieve: str) -> None:
    config = ViewsConfig(retrieve=retrieve)
    if retrieve in ("graph", "two_phase"):
        with pytest.raises(ConfigurationError, match="views.retrieve: .*need"):
            MemoryService(MemoryState(), ServiceConfig(views=config))
        return
    MemoryService(MemoryState(), ServiceConfig(views=config))
    settings = {"images": ColourPictures(ColourWords()), "config": config}
    assert found(views, settings, text="red", limit=2)[0] == 0
    near = found(views, settings, text="red", limit=1, near_m=(3.4, 0.5, 1.2), radius_m=9.0)
    assert near == ([3] if retrieve in ("place", "fused") else [0])
    late = found(views, settings, text="red", limit=1, until_ns=310)
    assert late == ([3] if retrieve in ("time", "fused") else [0])


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"views\.retrieve: .*expected one of .*fused.*magic"):
        MemoryService(MemoryState(), ServiceConfig(views=ViewsConfig(retrieve="magic")))


def test_words_find_what_shows_things_of_that_meaning_or_with_such_a_note(views: Views) -> None:
    encoders = {"images": ColourPictures(None), "texts": ColourWords()}
    assert found(views, encoders, text="red") == [4, 3, 0]
    assert found(views, encoders, text="red", until_ns=300) == [3, 0]
    assert found(views, encoders, text="blue", limit=1) == [5], "what was deleted is not meant"


def test_a_memory_without_vectors_finds_no_picture(views: Views) -> None:
    empty = {"archive": KeyframeArchive(), "images": ColourPictures(ColourWords())}
    assert found(views, empty, text="red") == []


def test_without_a_model_the_question_is_refused(views: Views) -> None:
    with pytest.raises(ConfigurationError, match=r"text: .*features\.text"):
        found(views, text="red")
    with pytest.raises(ConfigurationError, match=r"image_jpeg: .*features\.image"):
        found(views, image_jpeg=b"x")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"object_id": "o77"}, "object_id"),
        ({"session": "day-9"}, "session"),
        ({"limit": 0}, "limit"),
        ({"image_jpeg": b"no picture"}, "image_jpeg: expected a JPEG"),
        ({"image_jpeg": b"\0" * ((16 << 20) + 1)}, "image_jpeg: expected at most"),
    ],
)
def test_bad_questions_are_refused(views: Views, fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        found(views, {"images": ColourPictures(None)}, **fields)

"""Demonstrations decoded once into arrays on disk, from which any frame can be read at once.

A cache is a folder::

    images-0.npy …     uint8 (n_frames, height, width, 3), a file a camera
    actions.npy        float32 (n_frames, n_actions)
    proprioception.npy float32 (n_frames, n_proprioception)
    keypoints.npy      float32 (n_frames, n_cameras, 2, 2): where in the picture the tool comes to rest next, and where
                       it is, NaN: unknown
    positions.npy      float32 (n_frames, 2, 3): the same points in the robot's base, NaN: unknown
    episodes.npy       int64 (n_episodes, 3): first frame, how many, and which instruction
    words.npy          float32 (n_instructions, 384)
    index.json         what the arrays hold and what they were made of

It appears under its name when it is complete, and is used again as long as the files it was made of are the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from embodied.arrays import Float, Int, UInt8
from embodied.errors import ConfigurationError, LogError
from embodied.structure import Structure
from policies.vla.data.array_file import ArrayFile
from policies.vla.data.labels import POSITIONS, TRANSLATIONS, columns_of, destinations, places_in_pictures
from policies.vla.data.recorded import Frame, Layout, RecordedEpisode, check_same_layout, decode_image
from policies.vla.data.sources import SourceFile, find_sources, read_episodes, stat_sources
from policies.vla.normaliser import Normaliser, quantile_bounds
from policies.vla.words import WORDS_ENCODER, encode_words

VERSION = 4
INDEX_FILE = "index.json"
WAIT_S = 3600.0
"""How long to wait for another process that is making the same cache."""
WordEncoder = Callable[[Sequence[str]], np.ndarray]
Report = Callable[[str], None]


class Origin(Structure):
    """What a cache is made of. Another origin is another cache."""

    version: int
    words_encoder: str
    cameras: tuple[str, ...]
    """As they were asked for."""
    files: tuple[SourceFile, ...]


class CacheIndex(Structure):
    """What a cache holds."""

    origin: Origin
    layout: Layout
    instructions: tuple[str, ...]
    data_hash: str
    """SHA-256 of all frames, actions, proprioception, cameras' places and instructions in their order, wherever they
    were read from."""


class DataStatistics(Structure):
    """How much there is to learn from."""

    n_episodes: int
    n_frames: int
    duration_s: float
    tasks: dict[str, int]
    """Episodes of each instruction."""

    def __str__(self) -> str:
        """Return a line for a person."""
        tasks = f"{len(self.tasks)} task{'s' if len(self.tasks) > 1 else ''}"
        return f"{self.n_episodes} episodes, {self.n_frames} frames, {self.duration_s:.0f} s, {tasks}"


class Episode(NamedTuple):
    """One demonstration; the arrays are read from disk where they are touched."""

    images: tuple[UInt8[np.ndarray, "n_frames height width 3"], ...]
    """Of each camera."""
    actions: Float[np.ndarray, "n_frames n_actions"]
    """Real units: what was meant to be done at each frame."""
    proprioception: Float[np.ndarray, "n_frames n_proprioception"]
    keypoints: Float[np.ndarray, "n_frames n_cameras 2 2"]
    """Where in each picture the tool comes to rest next, and where it is: u and v as shares of width and height. NaN
    where that is not known or not in the picture."""
    positions: Float[np.ndarray, "n_frames 2 3"]
    """The same two points in ``base``, metres; NaN where they are not known."""
    instruction: str
    words: Float[np.ndarray, " 384"]


class EpisodeCache:
    """A complete cache."""

    def __init__(self, folder: Path) -> None:
        """Open a cache that is known to be complete.

        Raises:
            ConfigurationError: It is damaged.
        """
        try:
            self.index = msgspec.json.decode((folder / INDEX_FILE).read_bytes(), type=CacheIndex)
            n_cameras = len(self.index.layout.cameras)
            self._images = tuple(_mapped(folder / f"images-{camera}.npy") for camera in range(n_cameras))
            self.actions = _mapped(folder / "actions.npy")
            self.proprioception = _mapped(folder / "proprioception.npy")
            self._keypoints = _mapped(folder / "keypoints.npy")
            self._positions = _mapped(folder / "positions.npy")
            self._episodes: Int[np.ndarray, "n_episodes 3"] = np.load(folder / "episodes.npy", allow_pickle=False)
            self.words: Float[np.ndarray, "n 384"] = np.load(folder / "words.npy", allow_pickle=False)
            numbers = (self.actions, self.proprioception, self._keypoints, self._positions)
            n_rows = {len(array) for array in (*self._images, *numbers)}
            if n_rows != {int(self._episodes[:, 1].sum())}:
                raise ValueError(f"expected as many rows in each array, got {sorted(n_rows)}")
        except (OSError, EOFError, ValueError) as error:
            raise ConfigurationError(f"cache {folder} is damaged, delete it: {error}") from error

    @property
    def layout(self) -> Layout:
        """What every frame holds."""
        return self.index.layout

    @property
    def data_hash(self) -> str:
        """Of the data, see ``CacheIndex``."""
        return self.index.data_hash

    @property
    def n_episodes(self) -> int:
        """How many demonstrations."""
        return len(self._episodes)

    @property
    def n_frames(self) -> int:
        """Of all of them."""
        return len(self.actions)

    @property
    def lengths(self) -> Int[np.ndarray, " n_episodes"]:
        """Frames of each episode."""
        return self._episodes[:, 1]

    def episode(self, episode_index: int) -> Episode:
        """Return a demonstration."""
        first, n_frames, instruction = self._episodes[episode_index].tolist()
        rows = slice(first, first + n_frames)
        return Episode(
            images=tuple(images[rows] for images in self._images),
            actions=self.actions[rows],
            proprioception=self.proprioception[rows],
            keypoints=self._keypoints[rows],
            positions=self._positions[rows],
            instruction=self.index.instructions[instruction],
            words=self.words[instruction],
        )

    def statistics(self) -> DataStatistics:
        """Return how much there is."""
        counts = Counter(self._episodes[:, 2].tolist())
        return DataStatistics(
            n_episodes=self.n_episodes,
            n_frames=self.n_frames,
            duration_s=self.n_frames * self.layout.control_period_s,
            tasks={self.index.instructions[task]: n for task, n in sorted(counts.items())},
        )

    def normaliser(self) -> Normaliser:
        """Return what brings this data to the range -1 to 1."""
        return Normaliser(actions=quantile_bounds(self.actions), proprioception=quantile_bounds(self.proprioception))


def open_cache(
    data: Sequence[Path],
    folder: Path,
    *,
    cameras: tuple[str, ...] = (),
    encode: WordEncoder = encode_words,
    report: Report | None = None,
) -> EpisodeCache:
    """Open the cache of some data, after making it if there is none or the data have changed.

    Memory does not grow with the data, but for a few numbers an episode. Processes that want the same cache at once
    wait for the first of them.

    Args:
        data: Runs, folders of logs, logs, and LeRobot datasets.
        folder: Of the cache; what it held of other data is replaced.
        cameras: Whose images are wanted; all of the first episode where none is named.
        encode: Turns instructions into vectors.
        report: Is told how far the making is.

    Raises:
        ConfigurationError: There is no data, or the folder cannot be written or belongs to something else.
        LogError: A log cannot be read, lacks what is needed, or differs from the first; the text names it.
    """
    sources = find_sources(data)
    origin = Origin(version=VERSION, words_encoder=WORDS_ENCODER, cameras=cameras, files=stat_sources(sources))
    if not _is_of(folder, origin):
        try:
            _check_replaceable(folder)
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _only_one(folder.with_name(folder.name + ".lock")):
                if not _is_of(folder, origin):
                    _make(folder, origin, sources, encode, report or (lambda text: None))
        except OSError as error:
            raise ConfigurationError(f"cache {folder}: {error}") from error
    return EpisodeCache(folder)


def _make(folder: Path, origin: Origin, sources: Sequence[Path], encode: WordEncoder, report: Report) -> None:
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        with contextlib.closing(_Building(partial)) as building:
            for episode in read_episodes(sources, origin.cameras):
                try:
                    building.add(episode)
                except (LogError, ValueError) as error:
                    text = str(error)
                    raise LogError(text if episode.name in text else f"{episode.name}: {text}") from error
                report(f"decoding: {building.n_episodes} episodes, {building.n_frames} frames")
        building.finish(origin, encode)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


class _Building:
    """A cache that is being made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._layout: Layout | None = None
        self._images: list[ArrayFile] = []
        self._numbers: list[ArrayFile] = []
        self._labels: list[ArrayFile] = []
        self._episodes: list[tuple[int, int, int]] = []
        self._instructions: dict[str, int] = {}
        self._hash = hashlib.sha256()

    @property
    def n_episodes(self) -> int:
        return len(self._episodes)

    @property
    def n_frames(self) -> int:
        return self._numbers[0].n_rows

    def add(self, episode: RecordedEpisode) -> None:
        layout = self._layout or self._begin(episode.layout)
        check_same_layout(episode.layout, layout)
        instruction = self._instructions.setdefault(episode.instruction, len(self._instructions))
        first, shape = self.n_frames, (layout.height_px, layout.width_px, 3)
        self._hash.update(b"episode" + episode.instruction.encode())
        frames: list[Frame] = []
        for frame in episode.frames:
            for file, name, encoded in zip(self._images, layout.cameras, frame.encoded, strict=True):
                pixels = decode_image(encoded)
                if pixels.shape != shape:
                    raise LogError(f"camera {name}: expected images of {shape}, got {pixels.shape}")
                file.append(pixels)
                self._hash.update(encoded)
            for file, numbers in zip(self._numbers, (frame.action, frame.proprioception), strict=True):
                file.append(numbers)
                self._hash.update(numbers.astype("<f4").tobytes())
            for numbers in (frame.T_base_camera, frame.intrinsics_px):
                self._hash.update(numbers.astype("<f8").tobytes())
            # The pictures are on disk; what is kept of an episode until its end is some numbers.
            frames.append(frame._replace(encoded=()))
        for file, rows in zip(self._labels, _keypoints(frames, layout), strict=True):
            for row in rows:
                file.append(row)
        self._episodes.append((first, self.n_frames - first, instruction))

    def close(self) -> None:
        for file in (*self._images, *self._numbers, *self._labels):
            file.close()

    def finish(self, origin: Origin, encode: WordEncoder) -> None:
        """Write what describes the whole. The index comes last."""
        if self._layout is None:
            raise ConfigurationError("data: expected demonstrations, got none")
        instructions = tuple(self._instructions)
        words = np.asarray(encode(instructions), dtype=np.float32)
        np.save(self._folder / "words.npy", words, allow_pickle=False)
        np.save(self._folder / "episodes.npy", np.array(self._episodes, dtype=np.int64), allow_pickle=False)
        index = CacheIndex(
            origin=origin, layout=self._layout, instructions=instructions, data_hash=self._hash.hexdigest()
        )
        (self._folder / INDEX_FILE).write_bytes(msgspec.json.encode(index))

    def _begin(self, layout: Layout) -> Layout:
        self._layout = layout
        names = (layout.cameras, layout.action_names, layout.proprioception_names, layout.control_period_s)
        self._hash.update(msgspec.json.encode(names))
        size = (layout.height_px, layout.width_px, 3)
        for camera in range(len(layout.cameras)):
            self._images.append(ArrayFile(self._folder / f"images-{camera}.npy", size, "|u1"))
        for name, columns in (("actions", layout.action_names), ("proprioception", layout.proprioception_names)):
            self._numbers.append(ArrayFile(self._folder / f"{name}.npy", (len(columns),), "<f4"))
        for name, shape in (("keypoints", (len(layout.cameras), 2, 2)), ("positions", (2, 3))):
            self._labels.append(ArrayFile(self._folder / f"{name}.npy", shape, "<f4"))
        return layout


def _keypoints(
    frames: Sequence[Frame], layout: Layout
) -> tuple[Float[np.ndarray, "n_frames n_cameras 2 2"], Float[np.ndarray, "n_frames 2 3"]]:
    """Return where the tool comes to rest next and where it is, in the pictures and in ``base``; NaN: not known."""
    positions = columns_of(layout.proprioception_names, POSITIONS)
    translations = columns_of(layout.action_names, TRANSLATIONS)
    n_frames, n_cameras = len(frames), len(layout.cameras)
    if positions is None or translations is None:
        nowhere = np.full((n_frames, n_cameras, 2, 2), np.nan, dtype=np.float32)
        return nowhere, np.full((n_frames, 2, 3), np.nan, dtype=np.float32)
    tool = np.stack([frame.proprioception[positions] for frame in frames])
    points = destinations(tool, np.stack([frame.action[translations] for frame in frames])), tool
    T_base_camera = np.stack([frame.T_base_camera for frame in frames])
    intrinsics_px = np.stack([frame.intrinsics_px for frame in frames])
    size_px = (layout.height_px, layout.width_px)
    seen = [places_in_pictures(each.astype(np.float64), T_base_camera, intrinsics_px, size_px) for each in points]
    return np.stack(seen, axis=2), np.stack(points, axis=1).astype(np.float32)


def _is_of(folder: Path, origin: Origin) -> bool:
    try:
        return msgspec.json.decode((folder / INDEX_FILE).read_bytes(), type=CacheIndex).origin == origin
    except (OSError, msgspec.MsgspecError):
        return False


def _check_replaceable(folder: Path) -> None:
    if folder.exists() and any(path.name != INDEX_FILE and path.suffix != ".npy" for path in folder.iterdir()):
        raise ConfigurationError(f"cache {folder} holds other things; choose another folder")


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Keep other processes out; the system lets go of the lock of one that died."""
    deadline_s = time.monotonic() + WAIT_S
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    raise ConfigurationError(f"cache: another process has held {path} for {WAIT_S:.0f} s") from None
                time.sleep(0.2)
        yield


def _mapped(path: Path) -> np.ndarray:
    """Open an array without reading it."""
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except ValueError:
        # An array without numbers cannot be mapped, and needs not.
        array = np.load(path, allow_pickle=False)
        if array.size:
            raise
        return array

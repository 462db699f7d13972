"""A trained policy at work in one episode after the other: frames in, actions out, its memory between them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from embodied.arrays import Float, Image
from embodied.config import Config
from embodied.errors import ConfigurationError, PolicyError
from policies.vla.action_codec import ActionCodec
from policies.vla.backend import Backend, SamplingConfig, StoredStream, TokenArrays, TorchBackend
from policies.vla.config import WORDS_DIM
from policies.vla.ensemble import EnsembleConfig, ensemble
from policies.vla.onnx_backend import OnnxBackend, is_exported
from policies.vla.token_memory import NOTHING, OwnMemory, Remembered, TokenMemory, stream_config
from policies.vla.words import encode_words

STAGES = ("encode", "read", "sample", "memory")
_N_WARM_UPS = 2


class ActingConfig(Config):
    """How a policy acts."""

    sampling: SamplingConfig = SamplingConfig()
    """How actions are drawn."""
    ensemble: EnsembleConfig = EnsembleConfig()
    """How answers of several calls are averaged; off unless asked for."""
    seed: int = 0
    """Of the noise that actions are made from, with the episode's name and the step."""


class _Answers(msgspec.Struct, frozen=True, array_like=True):
    """What goes into the note beside the tokens of a step: the answers that the next one may need."""

    steps: list[int]
    chunks: list[bytes]
    """float32, little endian, normalised; oldest first."""


class Actor:
    """A policy, the episode that it is in, and what it remembers of it.

    The actions of a step depend on the frames, on the memory and on (seed, episode, step): whoever starts the policy
    anew in the middle of an episode, with the memory that it had, gets the actions that it would have given.
    """

    def __init__(
        self,
        backend: Backend,
        settings: ActingConfig = ActingConfig(),
        memory: TokenMemory | None = None,
        words: Callable[[Sequence[str]], Float[np.ndarray, "n 384"]] = encode_words,
    ) -> None:
        """Begin without an episode.

        Args:
            backend: Runs the network.
            settings: How to act.
            memory: Where tokens are kept; None for this process.
            words: The encoder of instructions that the policy was trained with.

        Raises:
            ConfigurationError: The record asks for a rotation that is not among its actions.
        """
        self._backend = backend
        self._record = backend.record
        self._settings = settings
        self._encode_words = words
        network = self._record.network
        interface, bounds = self._record.interface, self._record.normaliser.actions
        self._codec = ActionCodec(interface.action_names, bounds, network.rotations)
        self._memory = memory or OwnMemory(stream_config(network.memory))
        self._episode = ""
        self._instruction = ""
        self._words = np.zeros(0, dtype=np.float32)
        self._held = NOTHING
        self._steps: list[int] = []
        self._chunks: list[np.ndarray] = []
        """Normalised answers of the last calls and their steps, oldest first."""
        self._frames: dict[int, tuple[Image, ...]] = {}
        """Of the last steps, where several are seen at once."""
        self.stage_s: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        """How long each stage of the last call took."""

    @property
    def backend(self) -> Backend:
        """What runs the network."""
        return self._backend

    @property
    def last_step(self) -> int:
        """The step that was answered last in this episode, by whichever process; -1 for none."""
        return max(self._held.last_step, self._steps[-1] if self._steps else -1)

    def begin(self, instruction: str, episode: str) -> None:
        """Go on with an episode where its memory ends; a new one has an empty memory.

        Args:
            instruction: What to do.
            episode: Its name: another one, another memory. The one before is dropped.

        Raises:
            ValueError: The name is empty.
            ConfigurationError: The encoder of instructions is not installed; or see ``TokenMemory.read``.
        """
        if not episode:
            raise ValueError("episode: expected a name, got ''")
        if self._remembers and self._episode not in ("", episode):
            self._memory.clear(self._episode)
        if instruction != self._instruction or not len(self._words):
            self._words = self._encode_words([instruction])[0]
        self._instruction, self._episode = instruction, episode
        self._frames = {}
        self._take_up(self._memory.read(episode) if self._remembers else NOTHING)

    def forget(self) -> None:
        """Drop all that is remembered of the episode."""
        if self._remembers:
            self._memory.clear(self._episode)
        self._frames = {}
        self._take_up(NOTHING)

    def see(self, frames: Sequence[np.ndarray], step: int) -> None:
        """Look without acting: a policy that sees several frames at once needs those between its calls, too."""
        self._check(frames)
        n_stacked = self._record.network.n_stacked_frames
        self._frames[step] = tuple(frames)
        if len(self._frames) > n_stacked:
            del self._frames[min(self._frames)]

    def act(
        self,
        frames: Sequence[np.ndarray],
        step: int,
        proprioception: Float[np.ndarray, " n_proprioception"] | None = None,
    ) -> Float[np.ndarray, "n_steps n_actions"]:
        """Return what to do now and next, float32, finite and within the bounds of what was demonstrated.

        Asked again about the step that it answered last, it answers the same.

        Args:
            frames: uint8 (height, width, 3) of each camera, in the order of ``Interface.cameras``.
            step: Control steps since the episode began; 0 at its first observation.
            proprioception: In real units; needed only if the network has it as an input.

        Raises:
            ValueError: No episode has begun, the step is older than the last one, or an input has another shape than
                the policy was trained with.
            PolicyError: The network gave something that is no action. Halt the robot.
            EmbodiedError: See ``TokenMemory.write``.
        """
        if not self._episode:
            raise ValueError("act: expected begin before it")
        self._check(frames)
        felt = self._felt(proprioception)
        if step <= self.last_step and step not in self._steps[-1:]:
            raise ValueError(f"step: expected more than {self.last_step}, the last one, got {step}")
        if step not in self._steps[-1:]:
            self._answer(self._stacked(frames, step), step, felt)
        alpha = self._settings.ensemble.alpha
        return self._codec.decode(ensemble(self._chunks, self._steps, alpha))

    def warm_up(self) -> None:
        """Run everything on black frames: the first run of a network is much slower than all others."""
        interface, network = self._record.interface, self._record.network
        n_images = len(interface.cameras) * network.n_stacked_frames
        images = np.zeros((n_images, interface.height_px, interface.width_px, 3), dtype=np.uint8)
        words = np.zeros(WORDS_DIM, dtype=np.float32)
        for _ in range(_N_WARM_UPS):
            tokens = self._backend.encode(images, words, "", np.zeros(len(self._felt_names), dtype=np.float32))
            stored = self._backend.to_store(tokens)
            entries = (StoredStream(np.zeros(1), each[None]) for each in stored)
            fused = self._backend.read(tokens, 1, *entries)
            self._backend.sample(fused, self._backend.locate(images), self._noise(0))

    # ------------------------------------------------------------------------------------------- one call

    @property
    def _remembers(self) -> bool:
        return self._record.network.memory.kind == "memory"

    @property
    def _felt_names(self) -> tuple[str, ...]:
        return self._record.interface.proprioception_names if self._record.network.proprioception else ()

    def _take_up(self, held: Remembered) -> None:
        """Go on with what is held of an episode."""
        self._held, self._steps, self._chunks = held, [], []
        if held.last_step < 0:
            return
        try:
            answers = msgspec.msgpack.decode(held.note, type=_Answers)
            chunks = [np.frombuffer(body, dtype="<f4").reshape(self._chunk_shape) for body in answers.chunks]
        except (msgspec.MsgspecError, ValueError) as error:
            raise ConfigurationError(self._of_another()) from error
        self._steps, self._chunks = list(answers.steps), chunks

    def _of_another(self) -> str:
        return f"episode {self._episode!r}: its memory was written by another policy than {self._record.weights}"

    @property
    def _chunk_shape(self) -> tuple[int, int]:
        return self._record.interface.chunk_steps, self._codec.n_numbers

    def _check(self, frames: Sequence[np.ndarray]) -> None:
        """Refuse frames that the policy was not trained with."""
        interface = self._record.interface
        if len(frames) != len(interface.cameras):
            raise ValueError(f"frames: expected one for each of {', '.join(interface.cameras)}, got {len(frames)}")
        expected = (interface.height_px, interface.width_px, 3)
        for name, frame in zip(interface.cameras, frames):
            if frame.dtype != np.uint8 or frame.shape != expected:
                raise ValueError(f"camera {name}: expected uint8 {expected}, got {frame.dtype} {frame.shape}")

    def _felt(self, proprioception: np.ndarray | None) -> Float[np.ndarray, " n_proprioception"]:
        """Return what the network takes of proprioception, normalised."""
        names = self._felt_names
        if not names:
            return np.zeros(0, dtype=np.float32)
        if proprioception is None or proprioception.shape != (len(names),) or not np.isfinite(proprioception).all():
            got = None if proprioception is None else proprioception.tolist()
            raise ValueError(f"proprioception: expected {len(names)} finite numbers ({', '.join(names)}), got {got}")
        return self._record.normaliser.proprioception.normalise(proprioception)

    def _stacked(self, frames: Sequence[np.ndarray], step: int) -> np.ndarray:
        """Return the frames that the network sees, uint8 (n_cameras * n_stacked, height, width, 3)."""
        self.see(frames, step)
        n_stacked = self._record.network.n_stacked_frames
        seen = sorted(self._frames)
        # A step that nobody saw looks like the one before it, and what was before the first like the first.
        chosen = [max([s for s in seen if s <= step - back], default=seen[0]) for back in reversed(range(n_stacked))]
        return np.stack([self._frames[s][camera] for camera in range(len(frames)) for s in chosen])

    def _answer(self, images: np.ndarray, step: int, felt: np.ndarray) -> None:
        """Perceive, recall, decide; then write what was perceived, and only then is there an answer."""
        marks = [time.perf_counter()]
        tokens = self._backend.encode(images, self._words, self._instruction, felt)
        positions = self._backend.locate(images)
        marks.append(time.perf_counter())
        raw = self._backend.to_store(tokens)
        fused = self._backend.read(tokens, step, *self._entries(raw))
        marks.append(time.perf_counter())
        chunk = self._backend.sample(fused, positions, self._noise(step))
        stored = raw
        if self._remembers and self._record.network.memory.store == "fused":
            stored = self._backend.to_store(fused)
        if not all(np.isfinite(numbers).all() for numbers in (chunk, *stored)):
            raise PolicyError(f"the policy gave numbers that are not finite at step {step} of {self._episode!r}")
        marks.append(time.perf_counter())
        n_kept = max(self._settings.ensemble.n_predictions, 1)
        steps, chunks = [*self._steps, step][-n_kept:], [*self._chunks, np.clip(chunk, -1.0, 1.0)][-n_kept:]
        if self._remembers:
            self._held = self._memory.write(self._episode, step, stored, _note(steps, chunks))
        self._steps, self._chunks = steps, chunks
        marks.append(time.perf_counter())
        self.stage_s = {name: after - before for name, before, after in zip(STAGES, marks, marks[1:])}

    def _entries(self, now: TokenArrays) -> tuple[StoredStream, StoredStream]:
        """Return what the network may read: both streams, empty where they are not used or nothing was written."""
        return (
            self._stream("perceptual", self._held.perceptual, now.perceptual),
            self._stream("cognitive", self._held.cognitive, now.cognitive),
        )

    def _stream(self, name: str, held: StoredStream | None, now: np.ndarray) -> StoredStream:
        if held is None or self._record.network.memory.streams not in ("both", name):
            return StoredStream(np.zeros(0), np.zeros((0, *now.shape), dtype=np.float32))
        if held.tokens.shape[1:] != now.shape:
            raise ConfigurationError(self._of_another())
        return held

    def _noise(self, step: int) -> Float[np.ndarray, "n_steps n_actions"]:
        name = int.from_bytes(hashlib.sha256(self._episode.encode()).digest()[:8], "little")
        rng = np.random.default_rng((self._settings.seed, name, step))
        return rng.standard_normal(self._chunk_shape, dtype=np.float32)


def open_actor(
    checkpoint: str | Path,
    settings: ActingConfig = ActingConfig(),
    memory: TokenMemory | None = None,
    device: str = "cpu",
) -> Actor:
    """Return an actor with the policy of a checkpoint's folder, or of an exported one, which needs no torch.

    Args:
        checkpoint: The folder.
        settings: How to act.
        memory: Where tokens are kept; None for this process.
        device: What torch calls where the network runs; an exported one runs on the processor.

    Raises:
        ConfigurationError: There is no policy, or one that does not fit; or torch, or onnxruntime, is not installed.
    """
    folder = Path(checkpoint)
    if is_exported(folder):
        exported = OnnxBackend(folder, settings.sampling)
        return Actor(exported, settings, memory, exported.encode_words)
    return Actor(TorchBackend(folder, settings.sampling, device), settings, memory)


def _note(steps: list[int], chunks: list[np.ndarray]) -> bytes:
    bodies = [np.ascontiguousarray(chunk, dtype="<f4").tobytes() for chunk in chunks]
    return msgspec.msgpack.encode(_Answers(steps, bodies))

"""The memory process's side of a policy's working memory: requests, and rows on disk.

A policy that is restarted in mid-episode asks for its tokens and goes on behind ``last_step``. Each entry is a row of
its own, so that a step rewrites only what it changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
import numpy as np

from embodied.codec import MAX_FRAME_BYTES
from embodied.errors import StoreError
from embodied.messages import ClearTokens, ReadTokens, TokensReply, WriteTokens
from memory_bank.agent.token_bank import Change, EpisodeBank, PerceptualCognitiveBank, TokenBankConfig, TokenStream
from memory_bank.stores.rows import read_struct

logger = logging.getLogger(__name__)

MAX_NAME_LENGTH = 200
MAX_NOTE_BYTES = 1 << 18
_HEADS = "tokens/episode/"
_ENTRIES = "tokens/entry/"
_MAX_REPLY_BYTES = MAX_FRAME_BYTES - (1 << 20)

StreamName = Literal["perceptual", "cognitive"]
_STREAMS: tuple[StreamName, StreamName] = ("perceptual", "cognitive")

PutRow = Callable[[str, "bytes | None"], None]
"""Lets a row be stored under a name, or taken out (None), at the next commit."""


class _Head(msgspec.Struct, frozen=True):
    episode: str
    last_step: int
    n_writes: int
    """To the whole bank, when this was written: which episode was used longest ago."""
    note: bytes = b""


class _Entry(msgspec.Struct, frozen=True):
    episode: str
    stream: StreamName
    serial: int
    """Grows with each entry of the stream; a merged one keeps the earlier."""
    step: float
    count: int
    shape: tuple[int, int]
    data: bytes
    """float32, little endian."""


class TokenService:
    """Holds the banks of tokens of a memory, and answers for them."""

    def __init__(self, config: TokenBankConfig, put: PutRow) -> None:
        """Begin with nothing.

        Args:
            config: Settings of the banks.
            put: Where changed rows go.
        """
        self.bank = PerceptualCognitiveBank(config)
        self._put = put
        self._serials: dict[tuple[str, StreamName], list[int]] = {}
        self._notes: dict[str, bytes] = {}
        """By episode, with its last step."""
        self._n_writes = 0

    def restore(self, rows: Mapping[str, bytes]) -> None:
        """Go on with what was stored. Rows of other names are passed over.

        Raises:
            StoreError: A row is damaged, or entries of an episode are missing.
        """
        heads = [read_struct(key, body, _Head) for key, body in rows.items() if key.startswith(_HEADS)]
        entries: dict[tuple[str, StreamName], list[_Entry]] = {}
        for key, body in rows.items():
            if key.startswith(_ENTRIES):
                entry = read_struct(key, body, _Entry)
                entries.setdefault((entry.episode, entry.stream), []).append(entry)
        for head in sorted(heads, key=lambda head: head.n_writes):
            bank = EpisodeBank(self.bank.config)
            bank.last_step = head.last_step
            for name in _STREAMS:
                stored = sorted(entries.get((head.episode, name), []), key=lambda entry: entry.serial)
                self._restore_stream(getattr(bank, name), head.episode, name, stored)
            self.bank.hold(head.episode, bank)
            self._notes[head.episode] = head.note
            self._n_writes = head.n_writes

    def _restore_stream(self, stream: TokenStream, episode: str, name: StreamName, stored: list[_Entry]) -> None:
        try:
            if not stored:
                raise ValueError("there are no entries")
            tokens = [np.frombuffer(entry.data, dtype="<f4").reshape(entry.shape) for entry in stored]
            stream.restore([entry.step for entry in stored], [entry.count for entry in stored], tokens)
        except ValueError as error:
            raise StoreError(f"tokens of episode {episode!r}: damaged ({error})") from error
        self._serials[episode, name] = [entry.serial for entry in stored]

    def write(self, request: WriteTokens) -> TokensReply:
        """Add one step; answer with the bank after it.

        Raises:
            ValueError: See ``PerceptualCognitiveBank.write``; or the name is empty or too long, the note is too long,
                or a full episode of such tokens would not fit an answer. Nothing was changed.
        """
        episode = _checked_name(request.episode)
        if len(request.note) > MAX_NOTE_BYTES:
            raise ValueError(f"note: expected at most {MAX_NOTE_BYTES} bytes, got {len(request.note)}")
        tokens = {name: _as_float32(name, getattr(request, name)) for name in _STREAMS}
        size = sum(each.nbytes for each in tokens.values()) * self.bank.config.capacity
        if size > _MAX_REPLY_BYTES:
            raise ValueError(f"tokens: a full episode of this shape takes {size} bytes, more than an answer may have")
        *changes, dropped = self.bank.write(episode, request.step, tokens["perceptual"], tokens["cognitive"])
        self._n_writes += 1
        for name, consolidated in zip(_STREAMS, changes):
            self._store_changes(episode, name, consolidated)
        self._notes[episode] = request.note
        head = _Head(episode, request.step, self._n_writes, request.note)
        self._put(_HEADS + episode, msgspec.msgpack.encode(head))
        for other in dropped:
            logger.info("the tokens of episode %s were dropped to make room", other)
            self._remove(other)
        return self._reply(episode)

    def read(self, request: ReadTokens) -> TokensReply:
        """Answer with the bank of an episode.

        Raises:
            ValueError: The name is empty or too long.
        """
        return self._reply(_checked_name(request.episode))

    def clear(self, request: ClearTokens) -> TokensReply:
        """Drop the bank of an episode, if there is one; answer with the empty one.

        Raises:
            ValueError: The name is empty or too long.
        """
        episode = _checked_name(request.episode)
        if self.bank.clear(episode):
            self._remove(episode)
        return self._reply(episode)

    def _store_changes(self, episode: str, name: StreamName, changes: list[Change]) -> None:
        serials = self._serials.setdefault((episode, name), [])
        new = serials[-1] + 1 if serials else 0
        serials.append(new)
        changed = {new}
        for change in changes:
            gone = serials.pop(change.dropped)
            changed.discard(gone)
            if gone != new:  # the new one may go into its neighbour at once
                self._put(_entry_key(episode, name, gone), None)
            if change.merged >= 0:
                changed.add(serials[change.merged])
        stream: TokenStream = getattr(self.bank.get(episode), name)
        for index, serial in enumerate(serials):
            if serial in changed:
                tokens = stream.entries[index]
                body = _Entry(
                    episode, name, serial, stream.steps[index], stream.counts[index], tokens.shape,
                    np.ascontiguousarray(tokens, dtype="<f4").tobytes(),
                )  # fmt: skip
                self._put(_entry_key(episode, name, serial), msgspec.msgpack.encode(body))

    def _remove(self, episode: str) -> None:
        self._notes.pop(episode, None)
        for name in _STREAMS:
            for serial in self._serials.pop((episode, name), []):
                self._put(_entry_key(episode, name, serial), None)
        self._put(_HEADS + episode, None)

    def _reply(self, episode: str) -> TokensReply:
        bank = self.bank.get(episode)
        return TokensReply(
            episode=episode,
            last_step=bank.last_step,
            perceptual_steps=np.array(bank.perceptual.steps, dtype=np.float64),
            perceptual=_stacked(bank.perceptual),
            cognitive_steps=np.array(bank.cognitive.steps, dtype=np.float64),
            cognitive=_stacked(bank.cognitive),
            note=self._notes.get(episode, b""),
            capacity=self.bank.config.capacity,
            consolidation=self.bank.config.consolidation,
            merged_step=self.bank.config.merged_step,
        )


def _stacked(stream: TokenStream) -> np.ndarray:
    values: np.ndarray = stream.values() if len(stream) else np.zeros((0, 0, 0), dtype=np.float32)
    return values


def _as_float32(name: str, tokens: np.ndarray) -> np.ndarray:
    if tokens.dtype not in (np.float32, np.float64):
        raise ValueError(f"{name}: expected float32, got {tokens.dtype}")
    return tokens.astype(np.float32)


def _checked_name(episode: str) -> str:
    if not 1 <= len(episode) <= MAX_NAME_LENGTH:
        raise ValueError(f"episode: expected a name of 1 to {MAX_NAME_LENGTH} characters, got {len(episode)}")
    return episode


def _entry_key(episode: str, name: StreamName, serial: int) -> str:
    return f"{_ENTRIES}{name}/{serial}/{episode}"

"""Where an acting policy keeps its tokens: in its own process, or in the memory process, where they outlive it."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from embodied.errors import ConfigurationError, ProtocolError
from embodied.messages import ClearTokens, MemoryRequest, MemoryResponse, ReadTokens, TokensReply, WriteTokens
from embodied.security import Security
from embodied.transport import RpcClient
from memory_bank.agent.token_bank import EpisodeBank, TokenStream, TokenStreamConfig
from policies.vla.backend import StoredStream, TokenArrays
from policies.vla.config import MemoryConfig


class Remembered(NamedTuple):
    """What is held of an episode."""

    last_step: int
    """Written last; -1 for none."""
    perceptual: StoredStream | None
    """None where nothing was written."""
    cognitive: StoredStream | None
    note: bytes
    """What was written with the last step."""


NOTHING = Remembered(-1, None, None, b"")


@runtime_checkable
class TokenMemory(Protocol):
    """Holds the tokens of episodes."""

    def read(self, episode: str) -> Remembered:
        """Return what is held of an episode."""
        ...

    def write(self, episode: str, step: int, tokens: TokenArrays, note: bytes) -> Remembered:
        """Add a step, larger than the last one, and return what is held then."""
        ...

    def clear(self, episode: str) -> None:
        """Drop an episode that is over."""
        ...


def stream_config(config: MemoryConfig) -> TokenStreamConfig:
    """Return how the streams of a network's memory forget."""
    return TokenStreamConfig(
        capacity=config.capacity, consolidation=config.consolidation, merged_step=config.merged_step
    )


class OwnMemory:
    """``TokenMemory`` in this process: it dies with it. Holds one episode, the one that was written to last."""

    def __init__(self, config: TokenStreamConfig) -> None:
        self._config = config
        self._episode = ""
        self._held = NOTHING
        self._bank = EpisodeBank(config)

    def read(self, episode: str) -> Remembered:
        """Return what is held of an episode."""
        return self._held if episode == self._episode else NOTHING

    def write(self, episode: str, step: int, tokens: TokenArrays, note: bytes) -> Remembered:
        """Add a step."""
        if episode != self._episode:
            self._episode, self._bank = episode, EpisodeBank(self._config)
        self._bank.perceptual.append(step, tokens.perceptual)
        self._bank.cognitive.append(step, tokens.cognitive)
        self._held = Remembered(step, _stored(self._bank.perceptual), _stored(self._bank.cognitive), note)
        return self._held

    def clear(self, episode: str) -> None:
        """Drop an episode."""
        if episode == self._episode:
            self._episode, self._held = "", NOTHING


class ProcessMemory:
    """``TokenMemory`` in the memory process, on disk: a policy that is started anew goes on with it."""

    def __init__(
        self, address: str, config: TokenStreamConfig, *, timeout_s: float = 20.0, security: Security | None = None
    ) -> None:
        """Connect in the background.

        Args:
            address: Of the memory process.
            config: How the streams have to forget: the policy was trained so.
            timeout_s: Deadline of an answer.
            security: Keys, for an address off this machine.
        """
        self._config = config
        self._client = RpcClient(address, MemoryResponse, timeout_s=timeout_s, security=security)

    def close(self) -> None:
        """Close the socket."""
        self._client.close()

    def read(self, episode: str) -> Remembered:
        """Return what is held of an episode.

        Raises:
            ConfigurationError: That memory forgets in another way than the policy was trained with.
            EmbodiedError: It does not answer, or with something else.
        """
        return self._ask(ReadTokens(episode=episode))

    def write(self, episode: str, step: int, tokens: TokenArrays, note: bytes) -> Remembered:
        """Add a step; it is on disk when this returns.

        Raises:
            EmbodiedError, ValueError: See ``read``; or the step does not grow.
        """
        return self._ask(WriteTokens(episode=episode, step=step, note=note, **tokens._asdict()))

    def clear(self, episode: str) -> None:
        """Drop an episode."""
        self._ask(ClearTokens(episode=episode))

    def _ask(self, request: MemoryRequest) -> Remembered:
        reply = self._client.call(request)
        if not isinstance(reply, TokensReply):
            raise ProtocolError(f"expected a tokens_reply, got {type(reply).__name__}")
        names = ("capacity", "consolidation", "merged_step")
        wanted, got = ({name: getattr(each, name) for name in names} for each in (self._config, reply))
        if got != wanted:
            raise ConfigurationError(
                f"the memory process's agent.tokens: expected {_shown(wanted)}, as the policy was trained with, got "
                f"{_shown(got)}"
            )
        if reply.last_step < 0:
            return NOTHING
        perceptual = StoredStream(reply.perceptual_steps, reply.perceptual)
        return Remembered(reply.last_step, perceptual, StoredStream(reply.cognitive_steps, reply.cognitive), reply.note)


def _stored(stream: TokenStream) -> StoredStream:
    return StoredStream(np.array(stream.steps, dtype=np.float64), stream.values())


def _shown(rule: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in rule.items())

"""The agent's own memory beside that of the world: a policy's tokens, and what was tried and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from embodied.config import Config
from embodied.errors import StoreError
from embodied.messages import (
    AddExperience,
    ClearTokens,
    MemoryResponse,
    ReadTokens,
    RecallExperiences,
    RewardExperiences,
    WriteTokens,
)
from memory_bank.agent.experiences import ExperienceConfig, ExperienceService
from memory_bank.agent.token_bank import TokenBankConfig
from memory_bank.agent.token_service import TokenService
from memory_bank.features.protocol import TextEncoder

_SETTINGS = "agent/settings"
"""In JSON: a program that opens the file must not prune by other bounds."""

Handler = Callable[[Any], MemoryResponse]


class AgentConfig(Config):
    """Settings of the agent's own memory."""

    tokens: TokenBankConfig = TokenBankConfig()
    """The working memory of policies."""
    experiences: ExperienceConfig = ExperienceConfig()
    """What was tried and how it ended."""


class AgentMemory:
    """Answers the requests of policies and planners; what they change goes into rows of small things (``meta``)."""

    def __init__(
        self,
        config: AgentConfig | None,
        rows: Mapping[str, bytes],
        put: Callable[[str, bytes | None], None],
        encoder: TextEncoder | None = None,
    ) -> None:
        """Go on with what was stored.

        Args:
            config: Settings; None for those that the memory was last used with.
            rows: Everything under ``meta`` in the store; what is not its own is passed over.
            put: Lets a row be stored under a name, or taken out (None), at the next commit.
            encoder: Compares experiences by meaning; None to compare their words.

        Raises:
            ConfigurationError: A strategy does not exist.
            StoreError: A row is damaged.
        """
        before = _settings_in(rows)
        config = before if config is None else config
        if config != before:
            put(_SETTINGS, msgspec.json.encode(config))
        self.tokens = TokenService(config.tokens, put)
        self.experiences = ExperienceService(config.experiences, put, encoder)
        self.tokens.restore(rows)
        self.experiences.restore(rows)
        self.readers: dict[type, Handler] = {
            ReadTokens: self.tokens.read,
            RecallExperiences: self.experiences.recall,
        }
        self.writers: dict[type, Handler] = {
            WriteTokens: self.tokens.write,
            ClearTokens: self.tokens.clear,
            AddExperience: self.experiences.add,
            RewardExperiences: self.experiences.reward,
        }


def _settings_in(rows: Mapping[str, bytes]) -> AgentConfig:
    try:
        return msgspec.json.decode(rows.get(_SETTINGS, b"{}"), type=AgentConfig)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{_SETTINGS}: damaged ({error})") from error

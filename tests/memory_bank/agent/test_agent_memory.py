"""The agent's own memory in a memory file: what one program acknowledged, the next one has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied import Memory
from embodied.errors import StoreError
from embodied.messages import AddExperience, WriteTokens
from memory_bank.agent.agent_memory import AgentConfig, AgentMemory
from memory_bank.agent.experiences import ExperienceConfig
from memory_bank.agent.token_bank import TokenBankConfig
from memory_bank.bank import MemoryBank
from memory_bank.mapper import MapperConfig
from memory_bank.stores.sqlite_store import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a memory file of an agent with small bounds, with two experiences and two steps in it."""
    config = AgentConfig(tokens=TokenBankConfig(capacity=2), experiences=ExperienceConfig(capacity=2))
    store = SqliteStore(tmp_path / "memory.db")
    bank = MemoryBank(MapperConfig(), None, store, agent_config=config)
    for number in range(2):
        bank.handle(AddExperience(intent=f"task{number}", text=f"way{number}", succeeded=True, stamp_ns=number))
        bank.handle(
            WriteTokens(
                episode="a", step=number, perceptual=np.eye(2, dtype=np.float32), cognitive=np.ones((1, 2), np.float32)
            )
        )
    store.close()
    return tmp_path / "memory.db"


def test_a_program_with_the_file_reads_and_writes_by_the_bounds_of_the_memory(path: Path) -> None:
    with Memory(path) as memory:
        (first,) = memory.recall_experiences("task0").successes
        memory.reward([first.id], 1.0)
        reply = memory.remember_experience("task2", "way2", succeeded=True, stamp_ns=2)
        assert reply.operation == "add"
        found = [memory.recall_experiences(f"task{number}").successes for number in range(3)]
        assert [len(each) for each in found] == [1, 0, 1]  # two at most, and the useful one stays
        tokens = memory.write_tokens("a", 2, np.eye(2, dtype=np.float32), np.zeros((1, 2), np.float32))
        assert (tokens.perceptual_steps.tolist(), tokens.cognitive_steps.tolist()) == ([0, 2], [0, 2])
        assert memory.read_tokens("a").last_step == 2
        memory.clear_tokens("a")
    with Memory(path) as again:
        assert again.read_tokens("a").last_step == -1
        assert again.recall_experiences("task0").successes[0].utility == pytest.approx(0.3)


def test_what_is_refused_leaves_the_file_as_it_was(path: Path) -> None:
    with Memory(path) as memory:
        with pytest.raises(ValueError, match="step: expected more than 1"):
            memory.write_tokens("a", 1, np.eye(2, dtype=np.float32), np.ones((1, 2), np.float32))
        with pytest.raises(ValueError, match="ids"):
            memory.reward([77], 1.0)
        assert memory.read_tokens("a").last_step == 1
        assert memory.recall_experiences("task0").successes[0].n_rewarded == 0


def test_new_settings_are_stored_and_damaged_ones_are_told() -> None:
    rows: dict[str, bytes] = {}

    def put(name: str, body: bytes | None) -> None:
        assert body is not None
        rows[name] = body

    AgentMemory(None, rows, put)
    assert rows == {}
    small = AgentConfig(tokens=TokenBankConfig(capacity=2))
    AgentMemory(small, rows, put)
    assert AgentMemory(None, rows, put).tokens.bank.config.capacity == 2
    (name,) = rows
    rows[name] = b"{"
    with pytest.raises(StoreError, match="damaged"):
        AgentMemory(None, rows, put)

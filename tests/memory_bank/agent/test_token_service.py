"""Tokens over requests and from disk: a policy, or the memory itself, may die at any step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Iterator

import msgspec
import numpy as np
import pytest

from embodied import Memory
from embodied.errors import StoreError
from embodied.messages import ClearTokens, ReadTokens, TokensReply, WriteTokens
from embodied.process import ProcessConfig, ProcessLink
from memory_bank.agent.token_bank import PerceptualCognitiveBank, TokenBankConfig
from memory_bank.agent.token_service import MAX_NOTE_BYTES, TokenService
from memory_bank.server import MemoryConfig, main


class Disk:
    """Rows as a store keeps them."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {"other": b"not ours"}

    def put(self, name: str, body: bytes | None) -> None:
        """Write or remove a row."""
        if body is None:
            del self.rows[name]  # what is removed was there
        else:
            self.rows[name] = body

    def open(self, config: TokenBankConfig = TokenBankConfig()) -> TokenService:
        """Return a service that goes on with these rows."""
        service = TokenService(config, self.put)
        service.restore(self.rows)
        return service


@pytest.fixture
def disk() -> Disk:
    return Disk()


def step_of(episode: str, step: int) -> WriteTokens:
    rng = np.random.default_rng(step)
    return WriteTokens(
        episode=episode,
        step=step,
        perceptual=rng.normal(size=(3, 4)).astype(np.float32),
        cognitive=rng.normal(size=(1, 6)).astype(np.float32),
    )


def assert_same(one: TokensReply, other: TokensReply) -> None:
    assert (one.episode, one.last_step) == (other.episode, other.last_step)
    for name in ("perceptual_steps", "perceptual", "cognitive_steps", "cognitive"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


@pytest.mark.parametrize("consolidation", ["merge", "fifo"])
def test_a_memory_that_is_opened_again_goes_on_as_if_it_had_not_stopped(disk: Disk, consolidation: str) -> None:
    config = msgspec.convert({"capacity": 4, "consolidation": consolidation, "merged_step": "mean"}, TokenBankConfig)
    never_stopped = TokenService(config, lambda name, body: None)
    for step in range(25):
        expected = never_stopped.write(step_of("a", step))
        assert_same(disk.open(config).write(step_of("a", step)), expected)
        assert len(disk.rows) <= 1 + 1 + 2 * 4
    assert_same(disk.open(config).read(ReadTokens(episode="a")), expected)
    assert expected.perceptual.shape == (4, 3, 4)
    assert expected.last_step == 24


def test_an_episode_nobody_wrote_to_is_empty(disk: Disk) -> None:
    reply = disk.open().read(ReadTokens(episode="new"))
    assert (reply.last_step, reply.perceptual.shape, reply.cognitive_steps.shape) == (-1, (0, 0, 0), (0,))
    assert disk.open().bank.episodes == ()


def test_a_cleared_episode_leaves_nothing_behind(disk: Disk) -> None:
    service = disk.open()
    service.write(step_of("a/b", 0))
    service.write(step_of("a", 7))
    assert service.clear(ClearTokens(episode="a/b")).last_step == -1
    assert disk.open().bank.episodes == ("a",)
    service.clear(ClearTokens(episode="a"))
    service.clear(ClearTokens(episode="never"))
    assert disk.rows == {"other": b"not ours"}
    service.write(step_of("a", 0))  # begins anew


def test_the_episode_used_longest_ago_is_dropped_from_disk_too(disk: Disk) -> None:
    config = TokenBankConfig(max_episodes=2)
    for episode, step in (("a", 0), ("b", 0), ("a", 1), ("c", 0)):
        disk.open(config).write(step_of(episode, step))
    assert disk.open(config).bank.episodes == ("a", "c")


def test_a_smaller_capacity_consolidates_at_the_next_step(disk: Disk) -> None:
    service = disk.open(TokenBankConfig(capacity=8))
    for step in range(8):
        service.write(step_of("a", step))
    smaller = TokenBankConfig(capacity=3)
    assert len(disk.open(smaller).read(ReadTokens(episode="a")).perceptual) == 8  # reading loses nothing
    reply = disk.open(smaller).write(step_of("a", 8))
    assert len(reply.perceptual) == len(reply.cognitive) == 3
    assert_same(disk.open(smaller).read(ReadTokens(episode="a")), reply)


def test_what_cannot_be_taken_in_is_refused_and_changes_nothing(disk: Disk) -> None:
    service = disk.open()
    service.write(step_of("a", 0))
    before = dict(disk.rows)
    wrong = {
        "expected more than 0": step_of("a", 0),
        "1 to 200 characters": step_of("x" * 201, 0),
        "expected float32, got int64": msgspec.structs.replace(step_of("a", 1), cognitive=np.ones((1, 6), np.int64)),
        "more than an answer may have": msgspec.structs.replace(
            step_of("b", 1), perceptual=np.zeros((1, 1_100_000), np.float32)
        ),
    }
    for message, request in wrong.items():
        with pytest.raises(ValueError, match=message):
            service.write(request)
    with pytest.raises(ValueError, match="got 0"):
        service.read(ReadTokens(episode=""))
    assert disk.rows == before
    assert disk.open().bank.episodes == ("a",)


def test_a_note_is_kept_with_the_last_step_and_goes_with_the_episode(disk: Disk) -> None:
    service = disk.open()
    service.write(msgspec.structs.replace(step_of("a", 0), note=b"first"))
    assert service.write(msgspec.structs.replace(step_of("a", 1), note=b"second")).note == b"second"
    reply = disk.open(TokenBankConfig(capacity=5, consolidation="fifo")).read(ReadTokens(episode="a"))
    assert (reply.note, reply.capacity, reply.consolidation, reply.merged_step) == (b"second", 5, "fifo", "earlier")
    with pytest.raises(ValueError, match="note: expected at most"):
        service.write(msgspec.structs.replace(step_of("a", 2), note=bytes(MAX_NOTE_BYTES + 1)))
    assert service.clear(ClearTokens(episode="a")).note == b""


def test_damaged_rows_are_told(disk: Disk) -> None:
    disk.open().write(step_of("a", 0))
    entry = next(name for name in disk.rows if name.startswith("tokens/entry/cognitive"))
    whole = disk.rows.pop(entry)
    with pytest.raises(StoreError, match="tokens of episode 'a': damaged"):
        disk.open()
    disk.rows[entry] = whole[:-1]
    with pytest.raises(StoreError, match="damaged"):
        disk.open()


# ------------------------------------------------------------------------------------------ real processes


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Run a memory process's main in a thread."""
    config = MemoryConfig(
        process=ProcessConfig(name="memory"), memory=f"ipc://{tmp_path}/memory", database=str(tmp_path / "memory.db")
    )
    link = ProcessLink(config.process)
    thread = threading.Thread(target=main, args=(config, link))
    thread.start()
    yield config.memory
    link.stop()
    thread.join(10.0)


POLICY = """
import sys
import numpy as np
from embodied import Memory
with Memory(sys.argv[1]) as memory:
    step = memory.read_tokens("episode").last_step
    while True:
        step += 1
        rng = np.random.default_rng(step)
        tokens = [rng.normal(size=shape).astype(np.float32) for shape in ((16, 32), (1, 64))]
        memory.write_tokens("episode", step, *tokens)
        print(step, flush=True)
"""


def test_a_killed_policy_goes_on_with_its_memory(address: str, tmp_path: Path) -> None:
    firsts = []
    for goal in (20, 40):  # killed twice in the same episode
        policy = subprocess.Popen(
            [sys.executable, "-c", POLICY, address],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert policy.stdout is not None
            steps = [int(policy.stdout.readline())]
            while steps[-1] < goal:
                steps.append(int(policy.stdout.readline()))
        finally:
            policy.send_signal(signal.SIGKILL)
            policy.communicate(timeout=10.0)
        firsts.append(steps[0])
    assert firsts[0] == 0
    assert firsts[1] > 20
    with Memory(address) as memory:
        live = memory.read_tokens("episode")
    # Not a step was lost or written twice: the bank is that of one policy that was never killed.
    expected = PerceptualCognitiveBank()
    for step in range(live.last_step + 1):
        rng = np.random.default_rng(step)
        tokens = [rng.normal(size=shape).astype(np.float32) for shape in ((16, 32), (1, 64))]
        expected.write("episode", step, *tokens)
    assert live.perceptual_steps.tolist() == expected.get("episode").perceptual.steps
    assert np.array_equal(live.perceptual, expected.get("episode").perceptual.values())
    assert np.array_equal(live.cognitive, expected.get("episode").cognitive.values())
    # Acknowledged is on disk: whoever opens the file beside the running memory reads the same.
    with Memory(tmp_path / "memory.db") as file:
        assert_same(file.read_tokens("episode"), live)

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from embodied.errors import ConfigurationError, PolicyError
from fake_policy import BOUNDS, INTERFACE, NETWORK, FakeBackend, actor_of, record_of, words_of
from policies.vla.acting import ActingConfig, Actor
from policies.vla.backend import Backend
from policies.vla.config import MemoryConfig, NetworkConfig
from policies.vla.ensemble import EnsembleConfig
from policies.vla.token_memory import OwnMemory, stream_config

N_CALLS = 8
ENSEMBLE = ActingConfig(ensemble=EnsembleConfig(n_predictions=3))


def frames(step: int) -> list[np.ndarray]:
    return [np.random.default_rng(step).integers(0, 255, (32, 32, 3), dtype=np.uint8)]


def network(**memory: Any) -> NetworkConfig:
    return msgspec.structs.replace(NETWORK, memory=MemoryConfig(capacity=3, **memory))


def steps_read(config: NetworkConfig, n_calls: int) -> list[list[float]]:
    backend = FakeBackend(record_of(config))
    actor = Actor(backend, words=words_of)
    actor.begin("wait", "a")
    for call in range(n_calls):
        actor.act(frames(call), 4 * call)
    return backend.read_steps


def test_actions_are_of_the_chunks_shape_and_within_the_bounds_of_what_was_demonstrated() -> None:
    backend = FakeBackend()
    backend.spoil = {0: 7.0, 1: -7.0}
    actor = Actor(backend, words=words_of)
    actor.begin("go", "a")
    highest, lowest = (actor.act(frames(step), step) for step in (0, 4))
    assert highest.shape == (INTERFACE.chunk_steps, 3)
    assert highest.dtype == np.float32
    np.testing.assert_allclose(highest, np.tile(BOUNDS.high, (8, 1)))
    np.testing.assert_allclose(lowest, np.tile(BOUNDS.low, (8, 1)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_never_leave_it_and_are_not_remembered(value: float) -> None:
    backend = FakeBackend()
    backend.spoil = {1: value}
    actor = Actor(backend, words=words_of)
    actor.begin("go", "a")
    actor.act(frames(0), 0)
    with pytest.raises(PolicyError, match="not finite at step 4"):
        actor.act(frames(1), 4)
    assert actor.last_step == 0


def test_it_reads_what_it_wrote_at_the_calls_before_and_not_the_present_one() -> None:
    assert steps_read(network(consolidation="fifo"), 5)[-1] == [4, 8, 12] * 2
    assert steps_read(network(), 1) == [[]]
    assert len(steps_read(network(), 7)[-1]) == 6


def test_a_stream_that_the_policy_does_without_is_empty_and_the_twin_remembers_nothing() -> None:
    assert steps_read(network(streams="cognitive"), 3)[-1] == [0, 4]
    assert steps_read(network(kind="none"), 3)[-1] == []


@pytest.mark.parametrize("store", ["raw", "fused"])
def test_what_is_stored_is_what_the_network_was_trained_to_store(store: str) -> None:
    config = network(store=store)
    memory = OwnMemory(stream_config(config.memory))
    actor = actor_of(record_of(config), memory=memory)
    actor.begin("go", "a")
    for step in (0, 1):
        actor.act(frames(step), step)
    held = memory.read("a").perceptual
    assert held is not None
    tokens = FakeBackend().encode(np.stack(frames(1)), words_of(["go"])[0], "go", np.zeros(0, np.float32)).perceptual
    assert np.array_equal(held.tokens[1], tokens) == (store == "raw")


def test_the_noise_is_that_of_seed_episode_and_step() -> None:
    def first(episode: str, **changed: Any) -> np.ndarray:
        actor = actor_of(settings=ActingConfig(**changed))
        actor.begin("go", episode)
        return actor.act(frames(0), 0)

    np.testing.assert_array_equal(first("a"), first("a"))
    assert not np.array_equal(first("a"), first("b"))
    assert not np.array_equal(first("a"), first("a", seed=1))


@pytest.mark.parametrize("settings", [ActingConfig(), ENSEMBLE])
def test_one_that_starts_anew_with_the_memory_acts_as_if_nothing_had_happened(settings: ActingConfig) -> None:
    memories = [OwnMemory(stream_config(NETWORK.memory)) for _ in range(2)]
    steady = actor_of(memory=memories[0], settings=settings)
    steady.begin("go", "a")
    for call in range(N_CALLS):
        expected = steady.act(frames(call), 4 * call)
        died_before_its_answer_left, goes_on = (actor_of(memory=memories[1], settings=settings) for _ in range(2))
        for actor in (died_before_its_answer_left, goes_on):
            actor.begin("go", "a")
            np.testing.assert_array_equal(actor.act(frames(call), 4 * call), expected)
    assert goes_on.last_step == 4 * (N_CALLS - 1)


def test_answers_about_the_same_instant_are_averaged_where_that_is_asked_for() -> None:
    plain, averaged = (actor_of(settings=settings) for settings in (ActingConfig(), ENSEMBLE))
    answers = []
    for actor in (plain, averaged):
        actor.begin("go", "a")
        answers.append([actor.act(frames(step), step) for step in (0, 4)])
    np.testing.assert_array_equal(answers[0][0], answers[1][0])
    assert not np.array_equal(answers[0][1][:4], answers[1][1][:4])
    # The last instants of a chunk are only in the newest.
    np.testing.assert_allclose(answers[0][1][4:], answers[1][1][4:], rtol=1e-6)


def test_of_several_frames_the_oldest_comes_first_and_what_was_not_seen_looks_like_before() -> None:
    backend = FakeBackend(record_of(msgspec.structs.replace(NETWORK, n_stacked_frames=3)))
    actor = Actor(backend, words=words_of)
    actor.begin("go", "a")
    actor.act(frames(0), 0)
    for step in (1, 2, 4):
        actor.see(frames(step), step)
    actor.act(frames(5), 5)
    for seen, expected in zip(backend.images, ([0, 0, 0], [2, 4, 5])):
        np.testing.assert_array_equal(seen, np.stack([frames(step)[0] for step in expected]))


def test_proprioception_is_normalised_and_asked_for_where_it_is_an_input() -> None:
    interface = msgspec.structs.replace(INTERFACE, proprioception_names=("tool_x_m", "tool_y_m"))
    record = record_of(msgspec.structs.replace(NETWORK, proprioception=True), interface)
    answers = []
    for felt in ([0.1, 0.2], [5.0, 5.0], [9.0, 9.0]):
        actor = actor_of(record)
        actor.begin("go", "a")
        answers.append(actor.act(frames(0), 0, np.array(felt, np.float32)))
    assert not np.array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[1], answers[2])  # both beyond what was ever felt
    for wrong in (None, np.zeros(3, np.float32), np.array([0.0, np.nan], np.float32)):
        with pytest.raises(ValueError, match="proprioception: expected 2 finite numbers"):
            actor.act(frames(1), 1, wrong)


@pytest.mark.parametrize(
    ("images", "step", "message"),
    [
        ([], 4, "frames: expected one for each of above, got 0"),
        ([np.zeros((32, 31, 3), np.uint8)], 4, "camera above: expected uint8"),
        ([np.zeros((32, 32, 3), np.float32)], 4, "camera above: expected uint8"),
        (frames(0), 1, "step: expected more than 2"),
    ],
)
def test_what_it_was_not_made_for_is_refused(images: list[np.ndarray], step: int, message: str) -> None:
    actor = actor_of()
    with pytest.raises(ValueError, match="expected begin"):
        actor.act(frames(0), 0)
    actor.begin("go", "a")
    actor.act(frames(0), 2)
    with pytest.raises(ValueError, match=message):
        actor.act(images, step)


def test_a_memory_that_another_policy_wrote_is_refused() -> None:
    memory = OwnMemory(stream_config(NETWORK.memory))
    actor = actor_of(memory=memory)
    actor.begin("go", "a")
    actor.act(frames(0), 0)
    shorter = record_of(interface=msgspec.structs.replace(INTERFACE, chunk_steps=6))
    with pytest.raises(ConfigurationError, match="written by another policy"):
        actor_of(shorter, memory=memory).begin("go", "a")


def test_another_episode_has_another_memory_and_one_can_be_forgotten() -> None:
    actor = actor_of()
    actor.begin("go", "a")
    first = actor.act(frames(0), 0)
    actor.begin("go", "b")
    assert actor.last_step == -1
    actor.begin("go", "a")
    assert actor.last_step == -1
    np.testing.assert_array_equal(actor.act(frames(0), 0), first)
    actor.forget()
    np.testing.assert_array_equal(actor.act(frames(0), 0), first)


def test_it_warms_up_without_an_episode_and_leaves_no_trace() -> None:
    actor = actor_of()
    actor.warm_up()
    assert isinstance(actor.backend, Backend)
    assert actor.last_step == -1

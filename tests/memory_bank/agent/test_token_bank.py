"""The working memory of a policy, on numpy arrays and on torch tensors: the same cases, the same results."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_bank.agent.token_bank import (
    Change,
    PerceptualCognitiveBank,
    TokenBankConfig,
    TokenStream,
    TokenStreamConfig,
    padded,
    similarity,
    step_encoding,
)

Make = Callable[[Any], Any]
E1, E2, E3 = np.eye(3, dtype=np.float32)


@pytest.fixture(params=["numpy", "torch"])
def make(request: pytest.FixtureRequest) -> Make:
    """Return what makes float32 arrays of a library."""
    if request.param == "numpy":
        return lambda values: np.array(values, dtype=np.float32)
    torch = pytest.importorskip("torch")
    return lambda values: torch.tensor(np.asarray(values).tolist(), dtype=torch.float32)


def to_list(array: Any) -> Any:
    return array.tolist()


def test_the_most_alike_neighbours_become_their_average(make: Make) -> None:
    # Cosines of neighbours: 0-1 .8, 1-2 0, 2-3 .6. The average is plain, the step that of the earlier.
    stream = TokenStream(TokenStreamConfig(capacity=3))
    for step, tokens in enumerate(([[1.0, 0.0]], [[0.8, 0.6]], [[-0.6, 0.8]])):
        assert stream.append(step, make(tokens)) == []
    assert stream.append(3, make([[0.28, 0.96]])) == [Change(1, merged=0)]
    assert (stream.steps, stream.counts) == ([0, 2, 3], [2, 1, 1])
    assert to_list(stream.values()) == [
        [[pytest.approx(0.9), pytest.approx(0.3)]],
        [[pytest.approx(-0.6), pytest.approx(0.8)]],
        [[pytest.approx(0.28), pytest.approx(0.96)]],
    ]
    # The merged entry is compared anew: its next is at -.32, so the others are nearest now, and the fifth is kept.
    assert stream.append(4, make([[0.0, -1.0]])) == [Change(2, merged=1)]
    assert (stream.steps, stream.counts) == ([0, 2, 4], [2, 2, 1])


def test_likeness_is_averaged_over_the_tokens(make: Make) -> None:
    assert similarity(make([[2.0, 0.0], [1.0, 1.0]]), make([[5.0, 0.0], [0.0, 1.0]])) == pytest.approx(
        (1.0 + np.sqrt(0.5)) / 2, abs=1e-6
    )
    assert similarity(make([[0.0, 0.0]]), make([[1.0, 0.0]])) == 0.0


def test_equally_alike_pairs_merge_from_the_oldest_on(make: Make) -> None:
    stream = TokenStream(TokenStreamConfig(capacity=4))
    for step in range(7):
        length = step + 0.7  # the cosines of such vectors are 1, but for the last bits
        stream.append(step, make([[0.1 * length, 0.2 * length, 0.3 * length]]))
    assert stream.counts == [4, 1, 1, 1]


def test_first_in_first_out_drops_the_oldest(make: Make) -> None:
    stream = TokenStream(TokenStreamConfig(capacity=2, consolidation="fifo"))
    for step, tokens in enumerate((E1, E2, E3)):
        changes = stream.append(step, make([tokens]))
    assert changes == [Change(0)]
    assert (stream.steps, to_list(stream.values())) == ([1, 2], [[E2.tolist()], [E3.tolist()]])


@pytest.mark.parametrize(("rule", "step"), [("earlier", 0.0), ("mean", 3.0), ("count", 7 / 3)])
def test_a_merged_entry_is_of_the_earlier_the_mean_or_the_counted_step(make: Make, rule: Any, step: float) -> None:
    # Steps 0, 1 and 6 go into one: 0 and 1 first.
    stream = TokenStream(TokenStreamConfig(capacity=1, merged_step=rule))
    for each in (0, 1, 6):
        stream.append(each, make([E1]))
    expected = {"mean": (0.0 + 1.0) / 4 + 6.0 / 2}.get(rule, step)
    assert stream.steps == [pytest.approx(expected)]


def test_keys_are_tokens_with_their_step(make: Make) -> None:
    stream = TokenStream()
    for step in (0, 3):
        stream.append(step, make([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]]))
    # Periods 1 and 1 / 100: cosines first, then sines.
    encoded = [np.cos(3.0), np.cos(0.03), np.sin(3.0), np.sin(0.03)]
    keys = to_list(stream.keys())
    assert keys[0] == [[2.0, 3.0, 3.0, 4.0], [1.0, 1.0, 0.0, 0.0]]
    assert keys[1][1] == pytest.approx(encoded, abs=1e-6)
    assert keys[1][0] == pytest.approx([1 + encoded[0], 2 + encoded[1], 3 + encoded[2], 4 + encoded[3]], abs=1e-6)
    learned = stream.keys(lambda steps: steps[:, None] * make([[1.0, 0.0, 0.0, 0.0]]))
    assert to_list(learned)[1][0] == [4.0, 2.0, 3.0, 4.0]
    assert len(to_list(step_encoding(make([1.0]), 5))[0]) == 5


def test_a_batch_is_padded_to_the_longest(make: Make) -> None:
    streams = [TokenStream() for _ in range(3)]
    streams[0].append(4, make([E1]))
    streams[2].append(0, make([E2]))
    streams[2].append(1, make([E3]))
    steps, tokens, present = padded(streams)
    assert steps.tolist() == [[4, 0], [0, 0], [0, 1]]
    assert present.tolist() == [[True, False], [False, False], [True, True]]
    assert to_list(tokens)[2] == [[E2.tolist()], [E3.tolist()]]
    assert to_list(tokens)[1] == [[[0, 0, 0]], [[0, 0, 0]]]
    with pytest.raises(ValueError, match="at least one with entries"):
        padded(streams[1:2])


def test_both_libraries_consolidate_alike() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    streams = [TokenStream(TokenStreamConfig(capacity=5, merged_step="mean")) for _ in range(2)]
    tokens = rng.normal(size=(4, 6)).astype(np.float32)
    for step in range(40):
        tokens = (0.8 * tokens + 0.6 * rng.normal(size=(4, 6))).astype(np.float32)
        changes = [stream.append(step, each) for stream, each in zip(streams, (tokens, torch.tensor(tokens.tolist())))]
        assert changes[0] == changes[1]
    assert streams[0].steps == streams[1].steps
    assert to_list(streams[1].values()) == streams[0].values().tolist()
    assert np.array(to_list(streams[1].keys())) == pytest.approx(streams[0].keys(), abs=1e-5)


def test_entries_of_torch_are_cut_off_from_gradients() -> None:
    torch = pytest.importorskip("torch")
    stream, tokens = TokenStream(), torch.ones((2, 3), requires_grad=True)
    stream.append(0, tokens * 2.0)
    assert not stream.values().requires_grad


def test_entries_are_copies() -> None:
    stream, tokens = TokenStream(), np.ones((1, 2), dtype=np.float32)
    stream.append(0, tokens)
    tokens[:] = 7.0
    assert stream.values().tolist() == [[[1.0, 1.0]]]


@settings(max_examples=40)
@given(
    st.integers(1, 5),
    st.sampled_from(["merge", "fifo"]),
    st.sampled_from(["earlier", "mean", "count"]),
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4)), min_size=1, max_size=25),
)
def test_a_stream_keeps_its_bound_its_order_and_its_counts(
    capacity: int, consolidation: Any, merged_step: Any, rows: list[tuple[int, int]]
) -> None:
    stream = TokenStream(TokenStreamConfig(capacity=capacity, consolidation=consolidation, merged_step=merged_step))
    basis = np.random.default_rng(0).normal(size=(5, 2, 3))
    steps = np.cumsum([gap for gap, _ in rows])
    for step, (_, which) in zip(steps.tolist(), rows):
        stream.append(step, basis[which])
        assert len(stream) <= capacity
        assert stream.steps == sorted(set(stream.steps))
    n = len(rows)
    assert len(stream) == min(n, capacity)
    if consolidation == "fifo":
        assert stream.steps == steps[-capacity:].tolist()
        return
    assert sum(stream.counts) == n
    if merged_step == "count":
        # Each entry is at the mean of its steps, so the mean over all of them is kept.
        assert np.average(stream.steps, weights=stream.counts) == pytest.approx(steps.mean())
    if n == capacity + 1 and merged_step == "earlier":
        # One merge of two single entries keeps the sum of the tokens.
        total = (stream.values() * np.array(stream.counts)[:, None, None]).sum(axis=0)
        assert total == pytest.approx(sum(basis[which] for _, which in rows))


# ------------------------------------------------------------------------------------------ several episodes


def bank(**fields: Any) -> PerceptualCognitiveBank:
    return PerceptualCognitiveBank(TokenBankConfig(**fields))


PER, COG = np.ones((4, 8), dtype=np.float32), np.ones((1, 16), dtype=np.float32)


def test_streams_of_an_episode_are_consolidated_on_their_own() -> None:
    held = bank(capacity=2)
    for step, (p, c) in enumerate([(E1, E1), (E1, E2), (E2, E2)]):
        held.write("a", step, p[None], c[None])
    assert held.get("a").perceptual.steps == [0, 2]  # 0 and 1 are the same
    assert held.get("a").cognitive.steps == [0, 1]
    assert held.get("a").last_step == 2
    assert held.get("b").last_step == -1


def test_the_episode_used_longest_ago_makes_room() -> None:
    held = bank(max_episodes=2)
    held.write("a", 0, PER, COG)
    held.write("b", 0, PER, COG)
    held.write("a", 1, PER, COG)
    assert held.write("c", 0, PER, COG)[2] == ["b"]
    assert held.episodes == ("a", "c")


def test_the_bytes_of_all_episodes_are_bounded() -> None:
    # Full, an episode has 16 x (4 x 8 + 16) x 4 = 3,072 bytes.
    held = bank(max_mb=0.007)
    for name in "abc":
        held.write(name, 0, PER, COG)
    assert held.episodes == ("b", "c")
    with pytest.raises(ValueError, match=r"more than max_mb = 0\.003"):
        bank(max_mb=0.003).write("a", 0, PER, COG)


def test_a_batch_is_written_at_once() -> None:
    held = bank(max_episodes=3)
    held.write_batch(["a", "b"], [0, 5], np.stack([PER, 2 * PER]), np.stack([COG, COG]))
    assert (held.get("a").last_step, held.get("b").last_step) == (0, 5)
    assert held.get("b").perceptual.values().tolist() == [(2 * PER).tolist()]
    with pytest.raises(ValueError, match="different episodes"):
        held.write_batch(["a", "a"], [1, 2], np.stack([PER, PER]), np.stack([COG, COG]))
    with pytest.raises(ValueError, match="max_episodes"):
        held.write_batch(list("abcd"), [9] * 4, np.stack([PER] * 4), np.stack([COG] * 4))


@pytest.mark.parametrize(
    ("step", "perceptual", "cognitive", "message"),
    [
        (3, PER, COG, "expected more than 3, the last one of episode 'a', got 3"),
        (4, PER[:2], COG, r"perceptual: expected numpy of shape \(4, 8\) as before, got numpy of shape \(2, 8\)"),
        (4, PER, COG[0], r"cognitive: expected shape \(n_tokens, dim\), got \(16,\)"),
        (4, PER, np.full_like(COG, np.nan), "cognitive: expected finite numbers"),
        (4, PER.astype(np.int32), COG, "perceptual: expected floating point numbers"),
        (4, PER.tolist(), COG, "expected a numpy array or a torch tensor, got list"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    step: int, perceptual: Any, cognitive: Any, message: str
) -> None:
    held = bank()
    held.write("a", 3, PER, COG)
    with pytest.raises(ValueError, match=message):
        held.write("a", step, perceptual, cognitive)
    episode = held.get("a")
    assert (episode.last_step, episode.perceptual.steps, episode.cognitive.steps) == (3, [3], [3])


def test_bounds_that_hold_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="capacity"):
        bank(capacity=0)
    with pytest.raises(ValueError, match="max_episodes"):
        bank(max_episodes=0)
    with pytest.raises(ValueError, match="an empty one"):
        TokenStream().values()

"""What is recalled: worked examples of each strategy, and what holds for all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_bank.strategies import registry
from memory_bank.strategies.protocol import Cue, Facts, Items, Ranking
from memory_bank.strategies.ranking import best
from memory_bank.strategies.retrieve.chunks import Chunks, cut_chunks
from memory_bank.strategies.retrieve.fused import fuse
from memory_bank.strategies.retrieve.graph import Graph
from memory_bank.strategies.retrieve.two_phase import TwoPhase, rewarded


def at_angle(*cosines: float) -> np.ndarray:
    """Return unit vectors with these cosines to (1, 0)."""
    return np.array([[c, np.sqrt(1.0 - c * c)] for c in cosines])


X = np.array([1.0, 0.0])
MUG, TABLE, KITCHEN, CAT = np.eye(4)
ITEMS = Items(
    stamps=np.array([10, 20, 30, 40]),
    places=np.array([1, 2, 1, 1]),
    positions_m=np.array([[0.0, 0.0], [3.0, 4.0], [1.0, 0.0], [0.0, 2.0]]),
    vectors=at_angle(0.6, 0.9, 0.3, 0.8) * np.array([[1.0], [5.0], [1.0], [1.0]]),
    values=np.zeros(4),
)


def test_by_meaning_ranks_by_cosine_whatever_the_length() -> None:
    ranking = registry.get("retrieve", "meaning")(Cue(vector=X), ITEMS, 3)
    assert ranking.indices.tolist() == [1, 3, 0]
    assert ranking.scores == pytest.approx([0.9, 0.8, 0.6])


def test_by_place_ranks_by_distance_or_takes_the_latest_of_the_place() -> None:
    by_place = registry.get("retrieve", "place")
    near = by_place(Cue(position_m=np.array([0.0, 0.0]), place=2), ITEMS, 4)
    assert (near.indices.tolist(), near.scores.tolist()) == ([0, 2, 3, 1], [0.0, -1.0, -2.0, -5.0])
    assert by_place(Cue(place=1), ITEMS, 2).indices.tolist() == [3, 2]
    assert by_place(Cue(place=9), ITEMS, 2).indices.tolist() == []


def test_by_time_ranks_by_distance_in_time() -> None:
    by_time = registry.get("retrieve", "time")
    assert by_time(Cue(stamp=29.0), ITEMS, 3).indices.tolist() == [2, 1, 3]
    assert by_time(Cue(stamp=99.0), ITEMS, 2).indices.tolist() == [3, 2]


def test_reciprocal_ranks_add_up() -> None:
    one, two = (Ranking(np.array(indices), np.zeros(len(indices))) for indices in ([3, 1, 2], [1, 4]))
    ranking = fuse([one, two], 3)
    assert ranking.indices.tolist() == [1, 3, 4]
    assert ranking.scores == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62])


def test_fused_searches_by_what_the_cue_tells() -> None:
    fused = registry.get("retrieve", "fused")
    # By meaning 1 3 0 2, by time 0 1 2 3: 1 is first and second, 0 third and first.
    assert fused(Cue(vector=X, stamp=0.0), ITEMS, 2).indices.tolist() == [1, 0]
    assert fused(Cue(vector=X, stamp=0.0), ITEMS, 1).indices.tolist() == [1]
    assert fused(Cue(stamp=0.0), ITEMS, 2).indices.tolist() == [0, 1]
    # Of each search only the first counts: 1 and 0, equally.
    assert registry.get("retrieve", "fused", {"depth": 1})(Cue(vector=X, stamp=0.0), ITEMS, 1).indices.tolist() == [0]


def test_chunks_are_read_by_their_average_then_item_by_item() -> None:
    # Averages 1, -5 and 1, so the first and the last chunk are read, with weights of one half.
    # Of four dimensions, so that the products with a cue of length 2 are divided by 2 again.
    items = Items(np.arange(6), vectors=np.outer([0.0, 2.0, -5.0, -5.0, 1.0, 1.0], MUG))
    ranking = Chunks(size=2, n_chunks=2)(Cue(vector=2.0 * MUG), items, 9)
    assert ranking.indices.tolist() == [1, 4, 5, 0]
    inside = np.exp(2.0) / (1.0 + np.exp(2.0))
    assert ranking.scores == pytest.approx([0.5 * inside, 0.25, 0.25, 0.5 * (1.0 - inside)])


def test_chunks_of_places_find_what_time_has_scattered() -> None:
    # Two visits to place 1: cut by time, each chunk averages to 0; by place, one has all that is alike.
    items = Items(np.arange(4), places=np.array([1, 2, 2, 1]), vectors=np.array([[1.0], [-1.0], [-1.0], [1.0]]))
    cue = Cue(vector=np.array([1.0]))
    assert Chunks(size=2, n_chunks=1, by="place")(cue, items, 4).indices.tolist() == [0, 3]
    assert Chunks(size=2, n_chunks=1, by="time")(cue, items, 4).indices.tolist() == [0, 1]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(-1, 3)), max_size=30), st.integers(1, 6))
def test_a_chunk_never_mixes_places_and_nothing_is_lost(rows: list[tuple[int, int]], size: int) -> None:
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    stamps, places = table[:, 0], table[:, 1]
    chunks = cut_chunks(stamps, places, size)
    assert sorted(index for chunk in chunks for index in chunk.tolist()) == list(range(len(rows)))
    for chunk in chunks:
        assert 1 <= len(chunk) <= size
        assert len(set(places[chunk].tolist())) == 1
        assert (np.diff(stamps[chunk]) >= 0).all()
    for place in set(places.tolist()):
        lengths = [len(chunk) for chunk in chunks if places[chunk[0]] == place]
        assert sorted(lengths, reverse=True)[:-1] == [size] * (len(lengths) - 1)


FACTS = Facts(
    ends=np.array([[0, 1], [1, 2], [3, 2]]),  # the mug is on the table, the table in the kitchen, the cat there too
    vectors=np.stack([MUG, TABLE, CAT]),
    entities=np.stack([MUG, TABLE, KITCHEN, CAT]),
    told=np.array([[0, 0], [0, 1], [1, 0], [1, 1], [1, 2], [2, 2], [3, 1]]),
)
TELLING = Items(np.arange(4), vectors=np.array([[0.6, 0.8, 0, 0], [0, 1.0, 0, 0], [0.8, 0, 0, 0.6], [0, 1.0, 0, 0]]))


def test_the_graph_is_searched_from_the_cue_outwards() -> None:
    assert Graph(depth=1).search(MUG, FACTS).tolist() == [0]
    assert Graph(depth=2).search(MUG, FACTS).tolist() == [0, 1]  # by the table, the mug's other end
    assert Graph(depth=9).search(MUG, FACTS).tolist() == [0, 1]  # nothing is near to "kitchen": the cat stays out
    assert Graph(depth=2, threshold=1.1).search(MUG, FACTS).tolist() == []


def test_items_are_scored_by_the_facts_they_share_with_the_cue() -> None:
    # Found are facts 0 and 1. Shares: 2/2 ln 2 = .693, 2/3 ln 3 = .732, 0, 1/1 ln 1 = 0. Cosines: .6, 0, .8, 0.
    ranking = Graph()(Cue(vector=MUG, facts=FACTS), TELLING, 4)
    assert ranking.indices.tolist() == [0, 1, 2, 3]
    largest = 2 / 3 * np.log(3.0)
    assert ranking.scores == pytest.approx([np.log(2.0) / largest + 0.75, 1.0, 1.0, 0.0])


def test_two_phases_choose_the_alike_then_the_useful() -> None:
    # .3 is not alike enough. z of (.9, .8, .6): 1.069, .267, -1.336; of (0, 1, .5): -1.225, 1.225, 0.
    items = Items(np.arange(4), vectors=at_angle(0.9, 0.8, 0.6, 0.3), values=np.array([0.0, 1.0, 0.5, 1.0]))
    cue = Cue(vector=X)
    ranking = TwoPhase()(cue, items, 5)
    assert ranking.indices.tolist() == [1, 0, 2]
    assert ranking.scores == pytest.approx([0.746, -0.078, -0.668], abs=1e-3)
    assert TwoPhase(weight=0.0)(cue, items, 5).indices.tolist() == [0, 1, 2]
    assert TwoPhase(weight=1.0)(cue, items, 5).indices.tolist() == [1, 2, 0]
    assert TwoPhase(n_candidates=1)(cue, items, 5).indices.tolist() == [0]
    assert TwoPhase(threshold=0.95)(cue, items, 5).indices.tolist() == []


def test_a_utility_moves_a_part_of_the_way_to_each_reward() -> None:
    utility = rewarded(rewarded(0.0, 1.0), 1.0)
    assert utility == pytest.approx(0.51)  # 0.3, then 0.3 + 0.3 * 0.7
    assert rewarded(utility, -1.0) == pytest.approx(0.057)


@pytest.mark.parametrize("name", registry.names("retrieve"))
def test_what_a_strategy_lacks_is_told_and_nothing_comes_of_nothing(name: str) -> None:
    retrieve = registry.get("retrieve", name)
    with pytest.raises(ValueError, match="cue"):
        retrieve(Cue(), ITEMS, 2)
    nothing = Items(
        np.zeros(0), places=np.zeros(0, int), positions_m=np.zeros((0, 2)), vectors=np.zeros((0, 4)), values=np.zeros(0)
    )
    facts = Facts(FACTS.ends, FACTS.vectors, FACTS.entities, told=np.zeros((0, 2), int))
    cue = Cue(vector=MUG, place=1, stamp=1.0, facts=facts)
    assert retrieve(cue, nothing, 3).indices.tolist() == []
    if name != "time":
        with pytest.raises(ValueError, match="items"):
            retrieve(cue, Items(np.arange(3)), 2)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 35))
def test_the_best_are_those_of_a_stable_sort(scores: list[int], k: int) -> None:
    expected = sorted(range(len(scores)), key=lambda index: (-scores[index], index))[:k]
    assert best(np.array(scores, dtype=float), k).indices.tolist() == expected


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        best(np.array([0.0, np.nan]), 1)
    with pytest.raises(ValueError, match="k: expected"):
        best(np.zeros(2), -1)

"""Relations between boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.messages import Box
from memory_bank.objects.relations import RelationConfig, find_connections, find_relations

Things = list[tuple[str, tuple[float, float, float], tuple[float, float, float]]]

TABLE = ("table", (0.0, 0.0, 0.37), (1.6, 0.9, 0.74))


def related(things: Things, kinds: tuple[str, ...] = ("on", "in")) -> list[tuple[str, str, str]]:
    boxes = [Box(center_m=center, size_m=size) for _, center, size in things]
    labels = [label for label, _, _ in things]
    found = find_relations(boxes, labels)
    return [(labels[r.subject], r.kind, labels[r.object]) for r in found if r.kind in kinds]


def test_a_mug_stands_on_the_table_it_touches() -> None:
    assert related([TABLE, ("mug", (0.3, 0.2, 0.80), (0.1, 0.1, 0.1))]) == [("mug", "on", "table")]


@pytest.mark.parametrize(
    ("name", "center"),
    [("hovers", (0.3, 0.2, 1.2)), ("beside", (0.3, 0.8, 0.79)), ("below", (0.3, 0.2, 0.05))],
)
def test_what_does_not_touch_is_not_on(name: str, center: tuple[float, float, float]) -> None:
    assert related([TABLE, ("mug", center, (0.1, 0.1, 0.1))]) == []


def test_depth_noise_makes_it_less_sure_not_wrong() -> None:
    boxes = [Box(center_m=TABLE[1], size_m=TABLE[2])]
    sure = [
        find_relations([*boxes, Box(center_m=(0.3, 0.2, 0.79 + gap), size_m=(0.1, 0.1, 0.1))], ["table", "mug"])
        for gap in (0.0, 0.04, 0.08)
    ]
    confidences = [[r.confidence for r in found if r.kind == "on"] for found in sure]
    assert confidences[0] > confidences[1] > confidences[2] > [0.1]


def test_of_two_carriers_the_smaller_is_meant() -> None:
    tray = ("tray", (0.3, 0.2, 0.75), (0.4, 0.3, 0.03))
    mug = ("mug", (0.3, 0.2, 0.82), (0.1, 0.1, 0.1))
    assert related([TABLE, tray, mug]) == [("tray", "on", "table"), ("mug", "on", "tray")]


def test_an_apple_that_sticks_out_of_a_bowl_is_in_it() -> None:
    bowl = ("bowl", (0.3, 0.2, 0.78), (0.2, 0.2, 0.08))
    apple = ("apple", (0.3, 0.2, 0.80), (0.08, 0.08, 0.08))
    assert related([TABLE, bowl, apple])[1:] == [("apple", "in", "bowl")]


def test_a_book_in_a_shelf_is_in_and_a_clock_on_top_is_on() -> None:
    shelf = ("bookshelf", (0.0, 0.0, 0.9), (0.9, 0.3, 1.8))
    book = ("book", (0.1, 0.0, 1.0), (0.04, 0.15, 0.22))
    clock = ("clock", (0.1, 0.0, 1.88), (0.15, 0.1, 0.15))
    assert related([shelf, book, clock]) == [("book", "in", "bookshelf"), ("clock", "on", "bookshelf")]


def test_a_pillow_lies_on_the_seat_of_a_sofa_below_its_back() -> None:
    sofa = ("sofa", (0.0, 0.0, 0.4), (2.0, 0.9, 0.8))
    assert related([sofa, ("pillow", (0.5, 0.0, 0.55), (0.4, 0.2, 0.3))]) == [("pillow", "on", "sofa")]


def test_a_chair_under_a_table_is_not_in_it() -> None:
    assert related([TABLE, ("stool", (0.0, 0.0, 0.25), (0.35, 0.35, 0.5))]) == []


def test_a_box_that_is_turned_carries_by_its_own_footprint() -> None:
    table = Box(center_m=(0.0, 0.0, 0.37), size_m=(2.0, 0.4, 0.74), yaw_rad=np.pi / 2)
    along, across = ((0.0, 0.8, 0.79), (0.8, 0.0, 0.79))
    for center, expected in ((along, ["on"]), (across, [])):
        mug = Box(center_m=center, size_m=(0.1, 0.1, 0.1))
        assert [r.kind for r in find_relations([table, mug], ["table", "mug"]) if r.kind != "near"] == expected


def test_neighbours_are_near_each_other_nearest_first() -> None:
    things: Things = [(f"t{i}", (0.3 * i, 0.0, 0.05), (0.1, 0.1, 0.1)) for i in range(4)]
    assert [(a, b) for a, _, b in related(things, ("near",))][:4] == [
        ("t0", "t1"),
        ("t0", "t2"),
        ("t1", "t0"),
        ("t1", "t2"),
    ]


def test_nothing_is_related_to_nothing() -> None:
    assert find_relations([], []) == []
    with pytest.raises(ValueError, match="one for each"):
        find_relations([], ["mug"])


@given(st.integers(0, 10_000))
def test_each_thing_rests_on_one_other_and_nothing_on_itself(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice(["table", "bowl", "mug", "sofa", "shelf"], 12).tolist()
    boxes = [
        Box(
            center_m=tuple(rng.uniform(0, 1.5, 3).tolist()),
            size_m=tuple(rng.uniform(0.05, 1.0, 3).tolist()),
            yaw_rad=float(rng.uniform(-3, 3)),
        )
        for _ in labels
    ]  # fmt: skip
    found = find_relations(boxes, labels)
    carried = [r.subject for r in found if r.kind != "near"]
    assert len(carried) == len(set(carried))
    assert all(r.subject != r.object and 0.0 < r.confidence <= 1.0 for r in found)
    n_near = np.bincount([r.subject for r in found if r.kind == "near"], minlength=1)
    assert n_near.max() <= RelationConfig().max_near
    carriers = {r.subject: r.object for r in found if r.kind != "near"}
    for subject, carrier in carriers.items():
        assert carriers.get(carrier) != subject


def test_all_that_is_near_and_nothing_else_is_told_so() -> None:
    rng = np.random.default_rng(4)
    centers, sizes = rng.uniform(-4, 4, (120, 3)), rng.uniform(0.05, 2.0, (120, 3))
    boxes = [Box(center_m=tuple(c), size_m=tuple(s)) for c, s in zip(centers.tolist(), sizes.tolist())]
    config = RelationConfig(max_near=1000)
    found = find_relations(boxes, ["thing"] * 120, config)
    carried = {(r.subject, r.object) for r in found if r.kind != "near"}
    gaps = np.maximum(np.abs(centers[:, None] - centers[None]) - 0.5 * (sizes[:, None] + sizes[None]), 0.0)
    close = np.linalg.norm(gaps, axis=2) <= config.near_m
    expected = {(i, j) for i, j in np.argwhere(close).tolist() if i != j} - carried - {(j, i) for i, j in carried}
    assert {(r.subject, r.object) for r in found if r.kind == "near"} == expected
    assert len(expected) > 200


@pytest.mark.parametrize("turned", [False, True])
def test_what_stands_far_away_changes_nothing(turned: bool) -> None:
    rng = np.random.default_rng(3)
    labels = rng.choice(["table", "bowl", "mug", "sofa", "shelf"], 200).tolist()
    boxes = [
        Box(
            center_m=(*rng.uniform(0, 7, 2).tolist(), float(rng.uniform(0, 1))),
            size_m=tuple(rng.uniform(0.05, 1.0, 3).tolist()),
            yaw_rad=float(rng.uniform(-0.8, 0.8)) if turned else 0.0,
        )
        for _ in labels
    ]
    alone = find_relations(boxes, labels)
    assert len(alone) > 100
    far = [Box(center_m=(x + 100.0, y, z), size_m=b.size_m) for b in boxes for x, y, z in [b.center_m]]
    together = find_relations([*boxes, *far], [*labels, *labels])
    assert [r for r in together if r.subject < len(boxes)] == alone


def test_a_few_wrong_labels_change_no_relation_and_a_persons_name_tells_the_kind() -> None:
    bowl, apple = (
        Box(center_m=(0.3, 0.2, 0.78), size_m=(0.2, 0.2, 0.08)),
        Box(center_m=(0.3, 0.2, 0.80), size_m=(0.08, 0.08, 0.08)),
    )
    # The detector said "book" twice as often as any one of the words for a vessel, which together were most.
    shares = [{"book": 0.4, "bowl": 0.35, "box": 0.25}, {"apple": 1.0}]

    def kinds(labels: list[str], with_shares: list[dict[str, float]] | None) -> set[str]:
        return {r.kind for r in find_relations([bowl, apple], labels, shares=with_shares) if r.subject == 1}

    assert kinds(["book", "apple"], shares) == {"in"}
    assert kinds(["book", "apple"], None) != {"in"}
    assert kinds(["grandmother's bowl", "apple"], [{"book": 1.0}, {"apple": 1.0}]) == {"in"}
    with pytest.raises(ValueError, match="one for each"):
        find_relations([bowl, apple], ["bowl", "apple"], shares=shares[:1])


def rooms_at(xy_m: np.ndarray) -> list[str | None]:
    """Two rooms side by side, 3 m deep, with a wall of 0.2 m at x = 0."""
    inside = np.abs(xy_m[:, 1]) < 1.5
    return ["r1" if ok and x < -0.1 else "r2" if ok and x > 0.1 else None for (x, _), ok in zip(xy_m.tolist(), inside)]


@pytest.mark.parametrize(
    ("label", "box", "expected"),
    [
        ("door", Box(center_m=(0.0, 0.3, 1.0), size_m=(0.1, 0.9, 2.0)), [("r1", "r2")]),
        ("Front Door", Box(center_m=(0.0, 0.3, 1.0), size_m=(0.9, 0.1, 2.0), yaw_rad=np.pi / 2), [("r1", "r2")]),
        # It stands open, along the way that it leads.
        ("door", Box(center_m=(0.45, 0.3, 1.0), size_m=(0.9, 0.06, 2.0)), [("r1", "r2")]),
        ("door", Box(center_m=(2.0, 0.3, 1.0), size_m=(0.1, 0.9, 2.0)), []),
        ("door", Box(center_m=(0.0, 0.3, 0.3), size_m=(0.1, 0.5, 0.6)), []),
        ("oven door", Box(center_m=(0.0, 0.3, 1.0), size_m=(0.1, 0.9, 2.0)), []),
        ("wardrobe", Box(center_m=(0.0, 0.3, 1.0), size_m=(0.1, 0.9, 2.0)), []),
    ],
)
def test_a_door_connects_the_rooms_on_its_sides(label: str, box: Box, expected: list[tuple[str, str]]) -> None:
    found = find_connections([box], [label], rooms_at, {"r1": ("r2",), "r2": ("r1",)})
    assert [connection.rooms for connection in found] == expected


def test_an_open_door_connects_only_rooms_between_which_the_floor_leads() -> None:
    leaf = Box(center_m=(0.45, 0.3, 1.0), size_m=(0.9, 0.06, 2.0))
    assert find_connections([leaf], ["door"], rooms_at, {"r1": (), "r2": ()}) == []

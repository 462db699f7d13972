"""What kind of room it is, judged by what stands in it. Pure.

Each label speaks for some kinds of room by a weight, about the log-odds that a thing of this kind stands in such a room
rather than in any other; the second and third of a kind speak less. Below ``MIN_SCORE`` a room stays "room 3".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

KINDS = ("kitchen", "living room", "bedroom", "bathroom", "office", "dining room", "hallway")

MIN_SCORE = 1.0
REPEATS = (1.0, 0.3, 0.1)
"""Weight of the first, second and each further thing with one label."""
HALLWAY_DOORS = 3
"""A room with nothing telling in it is a hallway if it has so many doors."""

_TELLING: dict[str, dict[str, float]] = {
    "kitchen": {
        "refrigerator": 4, "fridge": 4, "stove": 4, "oven": 4, "dishwasher": 4, "microwave": 3, "kettle": 2,
        "toaster": 2.5, "kitchen counter": 4, "counter": 2.5, "kitchen sink": 4, "pot": 2, "pan": 2.5,
        "coffee machine": 2.5, "sink": 1, "cutting board": 2.5, "knife block": 2.5, "kitchen cabinet": 3,
        "plate": 1, "bowl": 0.8, "mug": 0.4, "cup": 0.4, "bottle": 0.4, "apple": 0.5, "banana": 0.5, "orange": 0.5,
        "knife": 1, "fork": 0.7, "spoon": 0.7, "fruit bowl": 0.7,
    },
    "living room": {
        "sofa": 4, "couch": 4, "tv": 2.5, "television": 2.5, "coffee table": 3, "armchair": 1.5, "tv stand": 3,
        "fireplace": 3, "rug": 0.4, "floor lamp": 0.7, "bookshelf": 0.4, "remote": 1.5, "remote control": 1.5,
        "game console": 1.5, "speaker": 0.7, "piano": 1.5, "cushion": 0.7, "vase": 0.3,
    },
    "bedroom": {
        "bed": 5, "wardrobe": 2.5, "nightstand": 3, "bedside table": 3, "dresser": 2, "alarm clock": 1.5,
        "pillow": 1, "crib": 4, "closet": 1.5, "teddy bear": 0.7, "blanket": 0.7,
    },
    "bathroom": {
        "toilet": 5, "bathtub": 5, "shower": 5, "towel": 2, "toilet paper": 3, "soap": 2, "soap dispenser": 2,
        "sink": 2, "washing machine": 1.5, "bathroom cabinet": 3, "toothbrush": 3, "laundry basket": 1.5,
        "scale": 1.5, "bath mat": 2.5, "mirror": 0.7, "shampoo": 2.5, "washbasin": 2.5, "rubber duck": 1.0,
    },
    "office": {
        "desk": 3, "office chair": 3, "monitor": 2.5, "keyboard": 2.5, "computer mouse": 2, "computer": 2,
        "printer": 2.5, "laptop": 1, "filing cabinet": 3, "desk lamp": 1, "bookshelf": 0.7, "whiteboard": 2,
        "globe": 0.5, "book": 0.2,
    },
    "dining room": {
        "dining table": 4, "sideboard": 2, "dining chair": 2, "chair": 0.4, "chandelier": 1.5, "candle": 0.5,
        "wine glass": 0.7, "table": 0.7, "candlestick": 0.7,
    },
    "hallway": {
        "coat rack": 3, "shoe rack": 3, "shoe": 0.7, "shoes": 0.7, "umbrella stand": 3, "console table": 1,
        "bench": 0.4, "umbrella": 0.7, "coat": 1, "doormat": 2,
    },
}  # fmt: skip


def kind_scores(labels: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return how much the contents speak for each kind of room.

    Args:
        labels: Label and confidence, 0 to 1, of each thing in the room.
    """
    by_label: dict[str, list[float]] = {}
    for label, confidence in labels:
        by_label.setdefault(label, []).append(confidence)
    amounts = {
        label: sum(c * REPEATS[min(i, len(REPEATS) - 1)] for i, c in enumerate(sorted(values, reverse=True)))
        for label, values in by_label.items()
    }
    return {kind: sum(amounts.get(label, 0.0) * w for label, w in table.items()) for kind, table in _TELLING.items()}


def room_kind(labels: Sequence[tuple[str, float]], n_doors: int) -> str:
    """Return the kind of a room, empty if nothing tells."""
    scores = kind_scores(labels)
    best = max(KINDS, key=lambda kind: scores[kind])
    if scores[best] >= MIN_SCORE:
        return best
    return "hallway" if n_doors >= HALLWAY_DOORS else ""


def name_rooms(
    room_ids: Sequence[str], contents: Mapping[str, Sequence[tuple[str, float]]], n_doors: Mapping[str, int]
) -> dict[str, str]:
    """Return a name for each room id ``r1``, ``r2``, …: its kind, numbered from the second on, or "room 3".

    Args:
        room_ids: The rooms; of several of a kind, the lowest number has the plain name.
        contents: Label and confidence of each thing, by room id.
        n_doors: By room id.
    """
    names: dict[str, str] = {}
    n_of_kind: dict[str, int] = {}
    for room_id in sorted(room_ids, key=lambda r: int(r[1:])):
        kind = room_kind(contents.get(room_id, ()), n_doors.get(room_id, 0))
        if not kind:
            names[room_id] = f"room {room_id[1:]}"
            continue
        n_of_kind[kind] = n_of_kind.get(kind, 0) + 1
        names[room_id] = kind if n_of_kind[kind] == 1 else f"{kind} {n_of_kind[kind]}"
    return names

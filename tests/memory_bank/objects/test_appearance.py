from __future__ import annotations

import numpy as np
import pytest

from memory_bank.objects.appearance import COLOURS, Appearance, colour_index, colour_name, similarity

PAINTS = {
    "red": (205, 32, 38),
    "green": (40, 150, 62),
    "blue": (36, 88, 205),
    "yellow": (242, 208, 36),
    "white": (240, 239, 234),
    "black": (34, 34, 37),
    "brown": (128, 80, 44),
    "orange": (242, 124, 20),
    "purple": (122, 52, 168),
    "pink": (244, 140, 184),
    "gray": (134, 137, 141),
}


def seen_as(rgb: tuple[int, int, int], light: float) -> str:
    pixels = np.clip(np.array([rgb] * 10) * light, 0, 255).astype(np.uint8)
    appearance = Appearance()
    appearance.add(np.bincount(colour_index(pixels), minlength=len(COLOURS)) / 10.0, 1.0)
    return colour_name(appearance)


@pytest.mark.parametrize("name", sorted(PAINTS))
@pytest.mark.parametrize("light", [0.9, 0.8, 0.7])
def test_a_painted_thing_is_called_by_its_colour_in_lamp_light_and_in_shade(name: str, light: float) -> None:
    assert seen_as(PAINTS[name], light) == name


def test_a_green_chair_with_wooden_legs_is_green() -> None:
    assert colour_name(Appearance(votes={"green": 0.46, "brown": 0.53})) == "green"


def test_a_motley_thing_has_no_colour() -> None:
    assert colour_name(Appearance(votes=dict.fromkeys(COLOURS[:6], 1.0))) == ""


def test_votes_of_two_views_add_up() -> None:
    a, b = Appearance(votes={"red": 1.0}), Appearance(votes={"red": 1.0, "blue": 0.5})
    a.absorb(b)
    assert a.votes == {"red": 2.0, "blue": 0.5}


def test_likeness_of_colours_is_one_for_the_same_and_zero_for_disjoint_ones() -> None:
    red, blue = Appearance(votes={"red": 2.0}).shares(), Appearance(votes={"blue": 1.0}).shares()
    assert similarity(red, red) == pytest.approx(1.0)
    assert similarity(red, blue) == pytest.approx(0.0)
    assert similarity(red, Appearance().shares()) == 0.5

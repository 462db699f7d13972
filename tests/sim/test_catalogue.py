"""Every category can be built in every colour and has a plausible size."""

from __future__ import annotations

import numpy as np
import pytest

from sim.houses.catalogue import CATALOGUE, FLOOR, build_template
from sim.houses.textures import COLOURS
from sim.scene import Template

MOVABLE = [name for name, category in CATALOGUE.items() if category.movable]


def named_colour_share(template: Template) -> float:
    """Return the share of the surface whose nearest named colour is the template's own."""
    names = list(COLOURS)
    palette = np.array([COLOURS[name] for name in names], dtype=float)
    own = total = 0.0
    for part in template.parts:
        corners = part.vertices[part.faces].astype(float)
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
        pixels = part.texture.reshape(-1, 3).astype(float)
        nearest = np.argmin(((pixels[:, None] - palette[None]) ** 2).sum(axis=2), axis=1)
        own += float(area) * float(np.mean(nearest == names.index(template.colour)))
        total += float(area)
    return own / total


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_a_category_can_be_built_in_all_its_colours(name: str) -> None:
    category = CATALOGUE[name]
    assert len(set(category.colours)) == len(category.colours)
    for colour in category.colours:
        template = build_template(name, colour, seed=3)
        vertices = np.concatenate([part.vertices for part in template.parts])
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        assert (template.category, template.colour) == (name, colour)
        assert np.allclose([*(low[:2] + high[:2]), low[2]], 0.0, atol=1e-5), "origin: middle of the bottom"
        assert max(template.size_m) >= 0.07
        assert sum(len(part.faces) for part in template.parts) < 2000
        assert all(max(part.texture.shape) <= 128 for part in template.parts)


@pytest.mark.parametrize("name", MOVABLE)
def test_a_person_would_name_a_small_thing_by_its_colour(name: str) -> None:
    for colour in CATALOGUE[name].colours:
        assert named_colour_share(build_template(name, colour, seed=0)) > 0.3


def test_the_same_arguments_build_the_same_template() -> None:
    a, b = build_template("vase", "blue", 7), build_template("vase", "blue", 7)
    assert all(np.array_equal(p.vertices, q.vertices) for p, q in zip(a.parts, b.parts))
    assert all(np.array_equal(p.texture, q.texture) for p, q in zip(a.parts, b.parts))


def test_everything_that_carries_something_has_a_surface_within_its_own_outline() -> None:
    carriers = {place for category in CATALOGUE.values() for place in category.places} - {FLOOR, "stool"}
    for name in carriers:
        size = build_template(name, CATALOGUE[name].colours[0], 0).size_m
        surfaces = CATALOGUE[name].surfaces(size)
        assert surfaces, name
        for surface in surfaces:
            x0, y0, x1, y1 = surface.rectangle_m
            assert -size[0] / 2 <= x0 < x1 <= size[0] / 2
            assert -size[1] / 2 <= y0 < y1 <= size[1] / 2
            assert 0 < surface.z_m <= size[2] + 1e-6


@pytest.mark.parametrize(("name", "colour"), [("unicorn", "pink"), ("banana", "blue")])
def test_what_is_not_in_the_catalogue_is_refused(name: str, colour: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        build_template(name, colour, 0)

"""Solids are closed, face outwards and have the size that they were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from sim.houses import shapes
from sim.houses.shapes import Mesh

SOLIDS = {
    "box": (shapes.box(1.0, 2.0, 3.0), 6.0),
    "tapered box": (shapes.tapered_box((1.0, 1.0), (0.5, 0.5), 1.2), 0.7),
    "cylinder": (shapes.cylinder(0.5, 2.0, 64), np.pi / 2),
    "sphere": (shapes.sphere(0.5, 64), np.pi / 6),
    "ellipsoid": (shapes.ellipsoid(1.0, 1.0, 1.0, 64), np.pi / 6),
    "tube": (shapes.tube([(0, 0, 0), (0, 0, 1), (0, 0, 2)], 0.1, 64), 0.02 * np.pi),
}


def signed_volume(mesh: Mesh) -> float:
    corners = mesh.vertices[mesh.faces]
    return float((np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6.0).sum())


def open_edges(mesh: Mesh) -> int:
    """Count directed edges without a partner in the other direction, joining vertices at the same place."""
    _, index = np.unique(np.round(mesh.vertices, 6), axis=0, return_inverse=True)
    faces = index.reshape(-1)[mesh.faces]
    edges = {(int(a), int(b)) for f in faces for a, b in ((f[0], f[1]), (f[1], f[2]), (f[2], f[0])) if a != b}
    return sum((b, a) not in edges for a, b in edges)


@pytest.mark.parametrize("name", list(SOLIDS))
def test_solids_have_the_volume_of_their_kind_with_faces_outwards(name: str) -> None:
    mesh, volume_m3 = SOLIDS[name]
    assert signed_volume(mesh) == pytest.approx(volume_m3, rel=0.01)


@pytest.mark.parametrize(
    "mesh",
    [mesh for mesh, _ in SOLIDS.values()] + [shapes.pillow(1, 1, 1), shapes.throw_pillow(1, 1, 0.3)],
)
def test_solids_are_closed(mesh: Mesh) -> None:
    assert open_edges(mesh) == 0
    assert signed_volume(mesh) > 0


def test_a_cup_is_hollow_and_its_inside_faces_inwards() -> None:
    cup = shapes.cup(0.5, 1.0, 0.05, 64)
    assert open_edges(cup) == 0
    assert 0 < signed_volume(cup) < 0.3 * np.pi * 0.25


def test_a_leaf_can_be_seen_from_both_sides() -> None:
    leaf = shapes.leaf(0.3, 0.1, droop_deg=0.0, lift_deg=0.0)
    corners = leaf.vertices[leaf.faces]
    up = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    assert (up > 0).sum() == (up < 0).sum() > 0


def test_turning_is_counter_clockwise_about_each_axis() -> None:
    point = Mesh(np.eye(3), np.array([[0, 1, 2]]), np.zeros((3, 2)))
    assert np.allclose(point.turned("z", 90).vertices[0], [0, 1, 0])
    assert np.allclose(point.turned("x", 90).vertices[1], [0, 0, 1])
    assert np.allclose(point.turned("y", 90).vertices[2], [1, 0, 0])


def test_joined_meshes_keep_their_faces() -> None:
    joined = shapes.join([shapes.box(1, 1, 1), shapes.box(1, 1, 1).moved(x=3)])
    assert signed_volume(joined) == pytest.approx(2.0)

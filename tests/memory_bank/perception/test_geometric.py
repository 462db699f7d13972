from __future__ import annotations

import numpy as np
import pytest

from embodied.errors import PerceptionError
from embodied.geometry import camera_mount, intrinsics_from_fov, pixel_rays, planar_pose, transform_points, unproject
from memory_bank.perception.geometric import GeometricPerception, find_surfaces, fit_plane
from memory_bank.perception.protocol import View

INTRINSICS = intrinsics_from_fov(320, 240, 1.0)
Block = tuple[tuple[float, float, float], tuple[float, float, float]]
TABLE: Block = ((0.6, -0.8, 0.68), (1.8, 0.8, 0.72))
MUG: Block = ((1.00, 0.10, 0.72), (1.08, 0.18, 0.82))
CUP: Block = ((1.02, 0.24, 0.72), (1.10, 0.32, 0.81))
PAPER: Block = ((0.90, -0.30, 0.72), (1.10, 0.09, 0.728))
SHELF: Block = ((1.75, -0.8, 0.72), (1.8, 0.8, 1.60))


def look(blocks: list[Block], noise_m: float = 0.0) -> View:
    """Render the depth of blocks on a floor from 1.3 m, 35 degrees down: ray against slab, exact."""
    T_world_camera = planar_pose(0.0, 0.0, 0.0) @ camera_mount(0.0, 0.0, 1.3, 0.6)
    directions = pixel_rays(INTRINSICS).reshape(-1, 3).astype(float) @ T_world_camera[:3, :3].T
    origin = T_world_camera[:3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(directions[:, 2] < 0, -origin[2] / directions[:, 2], np.inf)
        for low, high in blocks:
            ends = np.stack([(np.array(low) - origin) / directions, (np.array(high) - origin) / directions])
            near, far = ends.min(axis=0).max(axis=1), ends.max(axis=0).min(axis=1)
            depth = np.where((near <= far) & (near > 0), np.minimum(depth, near), depth)
    depth = np.where(np.isfinite(depth) & (depth < 6.0), depth, 0.0)
    depth += (depth > 0) * np.random.default_rng(0).normal(0.0, noise_m, depth.shape)
    shape = (INTRINSICS.height_px, INTRINSICS.width_px)
    return View(
        session="s",
        seq=0,
        stamp_ns=0,
        rgb=np.zeros((*shape, 3), dtype=np.uint8),
        depth_m=depth.reshape(shape).astype(np.float32),
        intrinsics=INTRINSICS,
        T_world_camera=T_world_camera,
    )


def middles(view: View) -> list[np.ndarray]:
    """Return the middle of what each detection sees, world frame."""
    points = transform_points(view.T_world_camera, unproject(view.depth_m, INTRINSICS).reshape(-1, 3))
    return [np.median(points[d.mask.ravel()], axis=0) for d in GeometricPerception().detect(view)]


@pytest.mark.parametrize("noise_m", [0.0, 0.002])
def test_two_things_on_a_table_are_two_detections_where_they_stand(noise_m: float) -> None:
    found = middles(look([TABLE, MUG, CUP], noise_m))
    assert len(found) == 2
    for block in (MUG, CUP):
        center = np.mean(block, axis=0)
        assert min(np.linalg.norm(f - center) for f in found) < 0.06


def test_what_lies_flat_belongs_to_the_surface_even_where_it_touches_a_thing() -> None:
    alone, beside_paper = (GeometricPerception().detect(look(blocks)) for blocks in ([TABLE, MUG], [TABLE, MUG, PAPER]))
    assert len(alone) == len(beside_paper) == 1
    assert beside_paper[0].mask.sum() == pytest.approx(alone[0].mask.sum(), rel=0.1)


def test_walls_and_furniture_on_a_surface_are_not_things() -> None:
    assert len(middles(look([TABLE, MUG, SHELF]))) == 1


def test_a_thing_on_the_floor_is_found_too() -> None:
    (found,) = middles(look([((1.2, -0.1, 0.0), (1.4, 0.1, 0.25))]))
    np.testing.assert_allclose(found[:2], [1.27, 0.0], atol=0.1)


def test_an_image_without_depth_is_an_error_not_an_empty_list() -> None:
    view = look([TABLE])
    blind = View(**{**view.__dict__, "depth_m": np.zeros_like(view.depth_m)})
    with pytest.raises(PerceptionError, match="no valid depth"):
        GeometricPerception().detect(blind)


def test_a_plane_is_fitted_whichever_way_it_leans() -> None:
    rng = np.random.default_rng(1)
    xy = rng.uniform(-1, 1, (200, 2))
    points = np.column_stack([xy, 0.1 * xy[:, 0] - 0.05 * xy[:, 1] + 0.7])
    normal, offset = fit_plane(points)
    np.testing.assert_allclose(points @ normal + offset, 0.0, atol=1e-9)
    assert normal[2] > 0


def test_no_surface_is_found_among_too_few_points() -> None:
    from memory_bank.perception.geometric import GeometricConfig

    assert find_surfaces(np.zeros((5, 3)), np.full(5, 1e-4), GeometricConfig()) == []

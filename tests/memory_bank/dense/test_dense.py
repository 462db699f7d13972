from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from box_world import INTRINSICS, MUG, T_BASE_CAMERA, TABLE, render
from embodied.errors import LogError, StoreError
from embodied.geometry import planar_pose
from embodied.messages import CameraFrame, Observation, SessionEnd, SessionStart, StreamMessage
from memory_bank.dense.casting import MeshCaster
from memory_bank.dense.fusion import Fusion, FusionConfig, Mesh
from memory_bank.dense.logs import mesh_log, picture_jpeg
from recordings import write_session

pytest.importorskip("open3d", exc_type=ImportError)
pytestmark = [pytest.mark.mapping, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

POSES = [planar_pose(0.2 * np.cos(a), 0.2 * np.sin(a), a) @ T_BASE_CAMERA for a in np.linspace(-0.6, 0.6, 9)]
THINGS = (TABLE, MUG)


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    fusion = Fusion(FusionConfig(voxel_m=0.04))
    for pose in POSES:
        rgb, depth_m, _ = render(THINGS, pose)
        fusion.integrate(rgb, depth_m.astype(np.float32), INTRINSICS, pose)
    return fusion.mesh()


def test_the_mesh_lies_on_the_surfaces_and_has_their_colours(mesh: Mesh) -> None:
    top = np.abs(mesh.vertices_m[:, 2] - 0.72) < 0.01
    inside = (np.abs(mesh.vertices_m[:, :2] - TABLE.center_m[:2]) < np.array(TABLE.size_m[:2]) / 2 - 0.1).all(axis=1)
    assert (top & inside).sum() > 50
    np.testing.assert_allclose(np.median(mesh.colours[top & inside], axis=0), TABLE.rgb, atol=60)
    floor = mesh.vertices_m[(mesh.vertices_m[:, 2] < 0.1) & (np.abs(mesh.vertices_m[:, 1]) < 0.2)]
    assert np.abs(np.median(floor[:, 2])) < 0.01


def test_a_cast_depth_image_is_what_the_camera_measures(mesh: Mesh) -> None:
    pose = planar_pose(0.1, -0.05, 0.1) @ T_BASE_CAMERA
    _, depth_m, _ = render(THINGS, pose)
    cast = MeshCaster(mesh).depth(INTRINSICS, pose)
    both = (cast > 0) & (depth_m < 3.5)
    assert both.mean() > 0.3
    assert np.median(np.abs(cast - depth_m)[both]) < 0.01


def test_nothing_seen_is_an_empty_mesh(mesh: Mesh) -> None:
    fusion = Fusion()
    fusion.integrate(np.zeros((96, 96, 3), np.uint8), np.zeros((96, 96), np.float32), INTRINSICS, POSES[0])
    empty = fusion.mesh()
    assert fusion.n_frames == 0
    assert len(empty.faces) == 0
    assert not MeshCaster(empty).depth(INTRINSICS, POSES[0]).any()
    assert MeshCaster(empty).picture(40).shape == (20, 40, 3)


def test_broken_views_are_refused() -> None:
    fusion = Fusion()
    with pytest.raises(ValueError, match="expected the size of the depth image"):
        fusion.integrate(np.zeros((10, 10, 3), np.uint8), np.ones((96, 96), np.float32), INTRINSICS, POSES[0])
    with pytest.raises(ValueError, match="finite"):
        fusion.integrate(
            np.zeros((96, 96, 3), np.uint8), np.ones((96, 96), np.float32), INTRINSICS, np.full((4, 4), np.nan)
        )


def recorded(path: Path, *, with_depth: bool) -> Path:
    messages: list[StreamMessage] = [SessionStart(session="s", robot="r", stamp_ns=0)]
    for seq, pose in enumerate(POSES):
        rgb, depth_m, _ = render(THINGS, pose)
        camera = CameraFrame(
            name="head", intrinsics=INTRINSICS, T_base_camera=np.eye(4), rgb=rgb,
            depth=np.rint(depth_m * 1e3).astype(np.uint16) if with_depth else None,
        )  # fmt: skip
        messages.append(
            Observation(
                session="s", seq=seq, stamp_ns=seq * 10**8, T_world_base=pose, cameras=(camera,),
                proprioception=np.zeros(3, np.float32),
            )
        )  # fmt: skip
    return write_session(path, [*messages, SessionEnd(session="s", stamp_ns=10**9, n_observations=len(POSES))])


def test_a_log_becomes_a_file_and_a_picture(tmp_path: Path) -> None:
    import open3d

    log, seen = recorded(tmp_path / "s.mcap", with_depth=True), []
    n_vertices, n_faces = mesh_log(log, tmp_path / "s.ply", tmp_path / "s.jpg", seen.append)
    read = open3d.io.read_triangle_mesh(str(tmp_path / "s.ply"))
    assert (len(read.vertices), len(read.triangles)) == (n_vertices, n_faces)
    assert n_faces > 1000
    assert (tmp_path / "s.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert seen == list(range(1, len(POSES) + 1))
    with pytest.raises(ValueError, match="expected a name ending in"):
        mesh_log(log, tmp_path / "s.stl", None, seen.append)
    with pytest.raises(StoreError, match="cannot be written"):
        mesh_log(log, tmp_path / "s.jpg" / "s.ply", None, seen.append)
    with pytest.raises(LogError, match="no depth"):
        mesh_log(recorded(tmp_path / "flat.mcap", with_depth=False), tmp_path / "f.ply", None, seen.append)


def test_the_picture_shows_fronts_only(mesh: Mesh) -> None:
    caster = MeshCaster(mesh)
    picture = caster.picture(200)
    assert (picture != 245).any(axis=2).mean() > 0.2
    assert picture_jpeg(mesh)[:2] == b"\xff\xd8"

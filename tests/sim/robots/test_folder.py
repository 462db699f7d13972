from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embodied.errors import SceneError
from embodied.geometry import camera_mount
from folder_recordings import write_recording
from sim.robots.folder import FolderConfig, FolderRobot


def open_robot(root: Path) -> FolderRobot:
    robot = FolderRobot(FolderConfig(data=str(root), up="+y", rate_hz=10.0))
    robot.connect()
    return robot


def test_the_world_is_put_upright_with_the_floor_at_zero(tmp_path: Path) -> None:
    robot = open_robot(write_recording(tmp_path))
    for index, frame in enumerate(robot.frames()):
        assert frame.T_world_camera[2, 3] == pytest.approx(1.2, abs=0.02)
        np.testing.assert_allclose(frame.T_world_camera[2, :3], camera_mount(0, 0, 0, 0.7)[2, :3], atol=0.02)
        assert frame.stamp_ns - robot.config.start_ns == index * 100_000_000
    assert index == 2


def test_invalid_depth_becomes_zero(tmp_path: Path) -> None:
    frame = next(open_robot(write_recording(tmp_path)).frames())
    assert frame.depth.dtype == np.uint16
    assert frame.depth.max() < 65535


def test_a_kinects_colour_is_moved_onto_its_depth(tmp_path: Path) -> None:
    root = write_recording(tmp_path, focal_px=585.0)
    ramp = np.repeat((np.arange(640) // 4).astype(np.uint8)[None, :, None], 480, axis=0).repeat(3, axis=2)
    Image.fromarray(ramp).save(root / "frames" / "frame-000000.color.jpg", quality=100)
    robot = open_robot(root)
    frame = next(robot.frames())
    row, column = 400, 320
    z_m = frame.depth[row, column] / 1000
    expected = (320 - 0.025 * 525 / z_m) / 4
    assert frame.rgb[row, column, 0] == pytest.approx(expected, abs=3)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        ("frames/frame-000001.pose.txt", "pose"),
        ("frames/frame-000001.depth.png", "depth"),
        ("frames/frame-000001.color.jpg", "colour"),
        ("camera-intrinsics.txt", "intrinsics"),
    ],
)
def test_a_missing_or_broken_file_is_named(tmp_path: Path, spoil: str, text: str) -> None:
    root = write_recording(tmp_path)
    (root / spoil).write_text("1 2 nan")
    with pytest.raises(SceneError, match=text):
        list(open_robot(root).frames())


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"color\.jpg"):
        open_robot(tmp_path)


def test_a_depth_image_of_another_size_is_refused(tmp_path: Path) -> None:
    root = write_recording(tmp_path)
    robot = open_robot(root)
    Image.fromarray(np.zeros((3, 4), np.uint16)).save(root / "frames" / "frame-000001.depth.png")
    with pytest.raises(SceneError, match="frame-000001.depth.png"):
        list(robot.frames())

"""Takes a log apart into files that any tool reads."""

from __future__ import annotations

from pathlib import Path
from typing import Union

import numpy as np

from embodied.arrays import Shaped
from embodied.errors import LogError
from embodied.messages import CameraFrame, Observation
from embodied.recording.png import encode_png
from embodied.recording.reader import read_session


def export_session(path: Union[str, Path], directory: Union[str, Path]) -> int:
    """Write each camera's frames as pictures and text files; return how many observations there were.

    ``CAMERA/camera-intrinsics.txt`` is the 3x3 matrix; ``CAMERA/frames/frame-NNNNNN`` are numbered by ``seq``:
    ``.color.jpg``, ``.depth.png`` (millimetres, 0 invalid), ``.pose.txt`` (4x4 ``T_world_camera``, metres, optical
    frame), ``.segments.png`` and ``.labels.txt`` (a line for each segment from 1).

    Raises:
        LogError: The log cannot be read, ``directory`` has files already, or cannot be written.
    """
    directory = Path(directory)
    n_observations = 0
    messages = read_session(path)
    try:
        if directory.exists() and any(directory.iterdir()):
            raise LogError(f"{directory} is not empty; choose another directory for the frames")
        for message in messages:
            if isinstance(message, Observation):
                for camera in message.cameras:
                    _export_camera(camera, message, directory / camera.name)
                n_observations += 1
    except OSError as error:
        raise LogError(f"cannot write frames to {directory}: {error.strerror}") from error
    return n_observations


def _export_camera(camera: CameraFrame, observation: Observation, directory: Path) -> None:
    if "/" in camera.name or camera.name in ("", ".", ".."):
        raise LogError(f"camera {camera.name!r} has a name that is no directory")
    frames = directory / "frames"
    intrinsics = directory / "camera-intrinsics.txt"
    i = camera.intrinsics
    if not intrinsics.exists():
        frames.mkdir(parents=True, exist_ok=True)
        K = np.array([[i.fx_px, 0.0, i.cx_px], [0.0, i.fy_px, i.cy_px], [0.0, 0.0, 1.0]])
        intrinsics.write_text(_matrix_text(K))
    stem = f"frame-{observation.seq:06d}"
    (frames / f"{stem}.color.jpg").write_bytes(camera.rgb.tobytes())
    (frames / f"{stem}.pose.txt").write_text(_matrix_text(observation.T_world_base @ camera.T_base_camera))
    if camera.depth is not None:
        (frames / f"{stem}.depth.png").write_bytes(encode_png(camera.depth))
    if camera.segments is not None:
        (frames / f"{stem}.segments.png").write_bytes(encode_png(camera.segments))
        (frames / f"{stem}.labels.txt").write_text("".join(f"{label}\n" for label in camera.segment_labels))


def _matrix_text(matrix: Shaped[np.ndarray, "rows columns"]) -> str:
    return "".join(" ".join(repr(float(value)) for value in row) + "\n" for row in matrix)

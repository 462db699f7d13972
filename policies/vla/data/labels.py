"""What is learned from a demonstration beside its actions: where a motion leads, and which moments count more."""

from __future__ import annotations

import numpy as np

from embodied.arrays import Float

TRANSLATIONS = ("tool_forward", "tool_left", "tool_up")
POSITIONS = ("tool_x_m", "tool_y_m", "tool_z_m")
STILL_SHARE = 0.1
"""A translation that is no greater, as a share of the episode's greatest, is rest: a servo's motion fades out."""


def columns_of(names: tuple[str, ...], wanted: tuple[str, ...]) -> list[int] | None:
    """Return where the wanted numbers are; None unless all are there."""
    return [names.index(name) for name in wanted] if set(wanted) <= set(names) else None


def destinations(
    positions: Float[np.ndarray, "n_frames 3"], translations: Float[np.ndarray, "n_frames 3"]
) -> Float[np.ndarray, "n_frames 3"]:
    """Return for each frame where the tool comes to rest next, in the unit of ``positions``.

    It rests where two translations or more in a row are small, and before and behind the episode. While it rests, it
    has arrived: that it will move soon is not to be seen yet.
    """
    n_frames = len(positions)
    speeds = np.linalg.norm(translations, axis=1)
    still = speeds <= STILL_SHARE * speeds.max(initial=0.0)
    rests = still & (np.append(True, still[:-1]) | np.append(still[1:], True))
    rests[-1:] = True
    arrivals = np.where(rests, np.arange(n_frames), n_frames)
    return positions[np.minimum.accumulate(arrivals[::-1])[::-1]]


def places_in_pictures(
    points: Float[np.ndarray, "n_frames 3"],
    T_base_camera: Float[np.ndarray, "n_frames n_cameras 4 4"],
    intrinsics_px: Float[np.ndarray, "n_frames n_cameras 4"],
    size_px: tuple[int, int],
) -> Float[np.ndarray, "n_frames n_cameras 2"]:
    """Return where each frame's point is in the pictures of that frame: u and v as shares of width and height, float32.

    NaN where it is behind the camera, outside the picture, or where the camera is not known.

    Args:
        points: In ``base``, metres.
        T_base_camera: Of each camera at each frame; NaN where it is not known.
        intrinsics_px: fx, fy, cx, cy.
        size_px: Height and width of the pictures.
    """
    t, R = T_base_camera[:, :, :3, 3], T_base_camera[:, :, :3, :3]
    in_camera = np.einsum("fcji,fcj->fci", R, points[:, None] - t)
    depth = in_camera[:, :, 2:]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        pixels = intrinsics_px[:, :, :2] * in_camera[:, :, :2] / depth + intrinsics_px[:, :, 2:]
        # The middle of a pixel is a whole number, and half a pixel away from its edge.
        shares = (pixels + 0.5) / np.array(size_px[::-1])
        is_seen = (depth[:, :, 0] > 0.0) & ((shares >= 0.0) & (shares < 1.0)).all(axis=2)
    return np.where(is_seen[:, :, None], shares, np.nan).astype(np.float32)


def onset_weights(
    actions: Float[np.ndarray, "n_frames n_actions"], weight: float, n_steps: int
) -> Float[np.ndarray, " n_frames"]:
    """Return how much each frame counts: 1, and up to ``weight`` where the action has just changed.

    Frames at which a demonstrator changes what it does are few, and the only ones at which repeating the last action is
    wrong (Wen et al. 2021, Keyframe-focused visual imitation learning, arXiv 2106.06452). The weight grows with the
    greatest change of the last ``n_steps`` steps, the frame's own among them, as a share of the episode's
    greatest: a call seldom falls upon the very frame, and a step or two later the motion has hardly begun.

    Args:
        actions: Normalised.
        weight: Of the greatest change; 1 treats all frames alike.
        n_steps: For how long a change counts as one: between two calls.
    """
    changes = np.zeros(len(actions))
    changes[1:] = np.linalg.norm(np.diff(actions, axis=0), axis=1)
    greatest = changes.max(initial=0.0)
    before = np.pad(changes, (n_steps - 1, 0))
    changes = np.lib.stride_tricks.sliding_window_view(before, n_steps).max(axis=1)
    shares = changes / greatest if greatest > 0.0 else changes
    return (1.0 + (weight - 1.0) * shares).astype(np.float32)

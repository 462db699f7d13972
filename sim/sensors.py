"""What a real robot's sensors make of the truth: noisy depth, uncertain localisation, segments without identity."""

from __future__ import annotations

from typing import Mapping, NamedTuple, Tuple

import numpy as np

from embodied.arrays import DepthMetres, DepthMillimetres, Int, Segments, Transform, Vector3
from embodied.config import Config
from embodied.geometry import planar_pose

_TABLE_SIZE = 1 << 20
_BASELINE_TIMES_FOCAL_PX_M = 0.075 * 580.0
_DISPARITY_STEP_PX = 0.125
"""Kinect: 7.5 cm between projector and camera, a focal length of 580 px, disparity in eighths of a pixel."""


class DepthNoiseSettings(Config):
    """Depth as a structured-light camera measures it."""

    scale: float = 1.0
    """Multiplies noise and quantisation; 0 gives true depth, rounded to millimetres and cut to the range."""
    min_m: float = 0.3
    """Nearer surfaces give no depth."""
    max_m: float = 8.0
    """Farther surfaces give no depth."""
    edge_m: float = 0.03
    """Neighbours that differ by more than this and by 4 % of the depth are an edge."""
    edge_dropout: float = 0.35
    """Probability that a pixel beside an edge gives no depth."""
    grazing_rad: float = 1.43
    """Surfaces seen from further off their normal than this (82 degrees) mostly give no depth."""
    grazing_dropout: float = 0.6
    """Probability that such a pixel gives no depth."""


class DepthSensor:
    """Turns true depth into measured depth.

    Axial noise grows with the square of the distance, sigma = 0.0012 + 0.0019 (z - 0.4)^2 metres (Nguyen, Izadi and
    Lovell, "Modeling Kinect sensor noise for improved 3D reconstruction and tracking", 2012); disparity comes in steps
    of an eighth of a pixel (Khoshelham and Elberink 2012); depth is lost beside edges and at grazing angles. Errors of
    neighbouring pixels are independent, which is kinder than the real thing.
    """

    def __init__(self, settings: DepthNoiseSettings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._rng = rng
        # Drawing fresh numbers takes longer than all the rest: one table, begun at a random place in each frame.
        self._normal = rng.standard_normal(_TABLE_SIZE, dtype=np.float32)
        self._uniform = rng.random(_TABLE_SIZE, dtype=np.float32)

    def measure(self, depth_m: DepthMetres, focal_px: float) -> DepthMillimetres:
        """Return measured depth in millimetres, 0 where there is none.

        Args:
            depth_m: True depth along the optical axis, float32, 0 where nothing is.
            focal_px: Focal length, which tells the slope of a surface from the depth of neighbours.
        """
        settings = self._settings
        valid = depth_m >= settings.min_m
        valid &= depth_m <= settings.max_m
        measured = depth_m
        if settings.scale > 0:
            measured = self._with_noise(depth_m)
            valid &= self._kept(depth_m, focal_px)
        millimetres = np.round(measured * 1000.0)
        millimetres *= valid
        return np.clip(millimetres, 0, 65535).astype(np.uint16)

    def _draw(self, table: np.ndarray, shape: Tuple[int, ...]) -> np.ndarray:
        n = int(np.prod(shape))
        if n > len(table) // 2:
            # Far larger images than the table was made for repeat it.
            return np.resize(np.roll(table, int(self._rng.integers(len(table)))), shape)
        start = int(self._rng.integers(0, len(table) - n))
        return table[start : start + n].reshape(shape)

    def _with_noise(self, depth_m: DepthMetres) -> DepthMetres:
        scale = np.float32(self._settings.scale)
        sigma = depth_m - np.float32(0.4)
        sigma *= sigma
        sigma *= np.float32(0.0019)
        sigma += np.float32(0.0012)
        sigma *= scale
        sigma *= self._draw(self._normal, depth_m.shape)
        sigma += depth_m
        np.maximum(sigma, np.float32(0.05), out=sigma)
        step = np.float32(_DISPARITY_STEP_PX / _BASELINE_TIMES_FOCAL_PX_M) * scale
        disparity = np.float32(1.0) / (sigma * step)
        np.round(disparity, out=disparity)
        np.maximum(disparity, np.float32(1.0), out=disparity)
        return np.float32(1.0) / (disparity * step)

    def _kept(self, depth_m: DepthMetres, focal_px: float) -> np.ndarray:
        """Return False where depth is lost to an edge or to a grazing view."""
        settings = self._settings
        across = np.zeros_like(depth_m)
        down = np.zeros_like(depth_m)
        np.subtract(depth_m[:, 1:], depth_m[:, :-1], out=across[:, 1:])
        np.subtract(depth_m[1:], depth_m[:-1], out=down[1:])
        np.abs(across, out=across)
        np.abs(down, out=down)
        edge = np.maximum(across, down) > np.maximum(np.float32(0.04) * depth_m, np.float32(settings.edge_m))
        edge[:, :-1] |= edge[:, 1:]
        edge[:-1] |= edge[1:]
        # On a plane seen at angle a, depth changes by z tan(a) / f from one pixel to the next, on both sides alike; at
        # an edge it jumps on one.
        np.minimum(across[:, :-1], across[:, 1:], out=across[:, :-1])
        np.minimum(down[:-1], down[1:], out=down[:-1])
        slope = np.maximum(across, down, out=across)
        slope *= np.float32(focal_px)
        grazing = slope > np.float32(np.tan(settings.grazing_rad)) * depth_m
        chance = self._draw(self._uniform, depth_m.shape)
        lost = edge & (chance < settings.edge_dropout)
        lost |= grazing & (chance < settings.grazing_dropout)
        return ~lost


class PoseNoiseSettings(Config):
    """Errors of the robot's localisation."""

    scale: float = 1.0
    """Multiplies all errors; 0 gives the true pose."""
    drift_m: float = 0.015
    """Standard deviation of the slowly varying error, each of x and y."""
    drift_rad: float = 0.007
    """The same of the heading (0.4 degrees)."""
    drift_time_s: float = 40.0
    """Time in which the slow error forgets itself."""
    drift_bound: float = 2.0
    """The slow error never exceeds this many standard deviations: localisation against a map does not run away."""
    jitter_m: float = 0.003
    """Standard deviation of the error that is new in every frame."""
    jitter_rad: float = 0.0017
    """The same of the heading (0.1 degrees)."""


class PoseSensor:
    """Turns the true pose into the one that localisation reports: an Ornstein-Uhlenbeck drift plus white jitter."""

    def __init__(self, settings: PoseNoiseSettings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._rng = rng
        self._drift: Vector3 = self._bounded(rng.standard_normal(3))

    def _bounded(self, drift: Vector3) -> Vector3:
        return np.clip(drift, -self._settings.drift_bound, self._settings.drift_bound)

    def measure(self, x_m: float, y_m: float, yaw_rad: float, elapsed_s: float) -> Transform:
        """Return the reported ``T_world_base``; ``elapsed_s`` is the time since the report before."""
        settings = self._settings
        keep = np.exp(-elapsed_s / settings.drift_time_s)
        drawn = self._rng.standard_normal(6)
        self._drift = self._bounded(keep * self._drift + np.sqrt(1.0 - keep**2) * drawn[:3])
        drift = self._drift * [settings.drift_m, settings.drift_m, settings.drift_rad]
        jitter = drawn[3:] * [settings.jitter_m, settings.jitter_m, settings.jitter_rad]
        dx, dy, dyaw = settings.scale * (drift + jitter)
        return planar_pose(x_m + dx, y_m + dy, yaw_rad + dyaw)


class OdometryNoiseSettings(Config):
    """Errors of the robot's wheels."""

    scale: float = 1.0
    """Multiplies all errors; 0 gives the true speeds."""
    slip: float = 0.01
    """Standard deviation of each speed, as a share of it."""


class OdometrySensor:
    """Turns true speeds into the ones that wheels tell, or their sum would be the true path."""

    def __init__(self, settings: OdometryNoiseSettings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._rng = rng

    def measure(self, twist: Vector3) -> Vector3:
        """Return the measured twist, float32."""
        error = self._settings.scale * self._settings.slip * self._rng.standard_normal(3)
        return np.asarray(twist * (1.0 + error), dtype=np.float32)


class ActionNoiseSettings(Config):
    """Disturbs demonstrations, so that they also show how to recover (DART, Laskey et al. 2017, arXiv 1703.09327)."""

    deviation: float = 0.0
    """Standard deviation of each disturbed number of an action, as a share of its range; 0 disturbs nothing."""
    share: float = 0.5
    """Of the demonstrations that are disturbed at all."""
    correlation: float = 0.5
    """Of a disturbance with the one before."""
    p_begin: float = 0.2
    """Disturbances come in spells: chance that one begins with a step."""
    p_end: float = 0.25
    """Chance that it ends, so that a robot which has to stand still for its task can."""


class ActionNoise:
    """The disturbances of one demonstration."""

    def __init__(self, settings: ActionNoiseSettings, amplitudes: np.ndarray, rng: np.random.Generator) -> None:
        """Draw whether this demonstration is disturbed.

        Args:
            settings: How much.
            amplitudes: float32 (n_actions,): half the range of each number of an action, 0 for what is left alone.
            rng: Of all draws.
        """
        self._settings, self._rng = settings, rng
        self._deviations = settings.deviation * np.asarray(amplitudes, dtype=np.float64)
        self.active = bool(settings.deviation > 0.0 and rng.random() < settings.share)
        self._is_spell = False
        self._state = np.zeros(len(self._deviations))

    def disturb(self, action: np.ndarray) -> np.ndarray:
        """Return the action with what is added to it now, not yet limited."""
        settings, rng = self._settings, self._rng
        draws = rng.normal(size=len(self._state))
        rho = settings.correlation
        self._state = rho * self._state + np.sqrt(1.0 - rho**2) * draws * self._deviations
        self._is_spell = rng.random() < (1.0 - settings.p_end if self._is_spell else settings.p_begin)
        disturbed = action + self._state if self.active and self._is_spell else action
        return np.asarray(disturbed, dtype=np.float32)


class AnonymousSegments(NamedTuple):
    """Segments as a detector would give them."""

    segments: Segments
    """0 background, else 1 + index into ``labels``."""
    labels: Tuple[str, ...]


def anonymise_segments(
    instance_ids: Int[np.ndarray, "height width"],
    labels_by_id: Mapping[int, str],
    rng: np.random.Generator,
    min_px: int = 12,
) -> AnonymousSegments:
    """Give the things in view new numbers in random order, so that identity does not cross the wire.

    Args:
        instance_ids: True ids, 0 for the stage.
        labels_by_id: What a detector calls each.
        rng: Draws the order.
        min_px: Things with fewer pixels are left out.
    """
    counts = np.bincount(instance_ids.ravel())
    counts[0] = 0
    seen = rng.permutation(np.flatnonzero(counts >= max(min_px, 1)))
    table = np.zeros(len(counts), dtype=np.uint16)
    table[seen] = np.arange(1, len(seen) + 1, dtype=np.uint16)
    return AnonymousSegments(table.take(instance_ids), tuple(labels_by_id[int(i)] for i in seen))

"""How light falls in a house: settings alone, for those who only hand them on."""

from __future__ import annotations

from embodied.config import Config


class LightingSettings(Config):
    """How a scene is lit."""

    spacing_m: float = 0.12
    """Greatest distance between lattice points along a triangle's edge."""
    max_divisions: int = 80
    """Most steps along an edge, whatever its length."""
    n_ambient_rays: int = 12
    """Directions in which a point looks for open space."""
    ambient_distance_m: float = 0.9
    """A direction is open if nothing is nearer."""
    n_shadow_rays: int = 4
    """Points on each lamp that a surface point looks at."""
    lamp_radius_m: float = 0.12
    """Size of a lamp; softens shadows."""
    lamp_reach_m: float = 8.0
    """Light fades to nothing at this distance."""
    ambient: float = 0.45
    """Share of the light that comes from all around; the rest comes from lamps."""
    exposure: float = 0.8
    """Light on a typical floor point, 1 being white paper at full brightness."""

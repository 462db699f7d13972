"""Colour, depth and instance ids of a scene: one ray a pixel through Embree, without GPU, window or system library.

Frames are made by ``compiled_renderer`` where numba is installed, else by ``plain_renderer``; they differ by rounding.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from typing import Literal, Optional, Protocol, Tuple, runtime_checkable

import numpy as np

from embodied.arrays import DepthMetres, Image, Int, Transform
from embodied.errors import ConfigurationError
from embodied.messages import Intrinsics
from sim.embree_packets import embree_library
from sim.lighting_settings import LightingSettings
from sim.plain_renderer import PlainRenderer
from sim.scene import Scene
from sim.surfaces import Surfaces, light_surfaces
from sim.world_mesh import MeshBuilder

logger = logging.getLogger(__name__)

Engine = Literal["compiled", "plain"]


@runtime_checkable
class FrameRenderer(Protocol):
    """What an engine makes of a scene's surfaces."""

    def render(self, T_world_camera: Transform, intrinsics: Intrinsics) -> Tuple[Image, DepthMetres, np.ndarray]:
        """Return colour, depth and instance ids, in new arrays."""
        ...


def best_engine() -> Engine:
    """Return what makes frames here: machine code where numba and Embree 4 are installed."""
    if importlib.util.find_spec("numba") is not None and embree_library() is not None:
        try:
            importlib.import_module("sim.compiled_renderer")
        # Beside a numpy that is too new it does not load, nor where there is no folder for its machine code.
        except (ImportError, RuntimeError) as error:
            logger.warning("numba is installed but fails, so frames take four times as long: %s", error)
            return "plain"
        return "compiled"
    logger.info("frames take four times as long without numba: pip install 'embodied-memory[rendering]'")
    return "plain"


class Renderer:
    """Renders one scene from anywhere. ``load`` takes the next scene and keeps what templates have in common."""

    def __init__(
        self, scene: Scene, lighting: Optional[LightingSettings] = None, *, engine: Optional[Engine] = None
    ) -> None:
        self._lighting = lighting or LightingSettings()
        self._builder = MeshBuilder()
        self.engine: Engine = engine or best_engine()
        self.load(scene)

    def load(self, scene: Scene) -> None:
        """Take another scene: build the ray structure and compute its light."""
        mesh = self._builder.build(scene)
        self.scene, self.mesh = scene, mesh
        self._frames = _open_engine(self.engine, light_surfaces(mesh, scene, self._lighting))

    def render(
        self, T_world_camera: Transform, intrinsics: Intrinsics
    ) -> Tuple[Image, DepthMetres, Int[np.ndarray, "height width"]]:
        """Return what a camera sees.

        Returns:
            RGB uint8; depth float32 in metres along the optical axis, 0 where nothing was hit; instance ids int32, 0
            for the stage and where nothing was hit. All in arrays of their own.
        """
        return self._frames.render(T_world_camera, intrinsics)


def _open_engine(engine: Engine, surfaces: Surfaces) -> FrameRenderer:
    if engine == "plain":
        return PlainRenderer(surfaces)
    try:
        from sim.compiled_renderer import CompiledRenderer
    except ImportError as error:
        raise ConfigurationError(f"engine: 'compiled' needs the extra rendering, which is missing: {error}") from error
    return CompiledRenderer(surfaces)

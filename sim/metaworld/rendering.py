"""Pictures of a MuJoCo model without a window: colour, depth and the instance at every pixel."""

from __future__ import annotations

import importlib
import os
import sys
import weakref
from typing import Any, Tuple

import numpy as np

from embodied.arrays import DepthMetres, Float, Image, Int, Transform
from embodied.errors import ConfigurationError
from embodied.geometry import intrinsics_from_fov
from embodied.messages import Intrinsics
from sim.metaworld.model import CAMERA_FOVY_RAD, CAMERA_NAME, PROP_GROUP

_OPENGL_FROM_OPTICAL = np.diag([1.0, -1.0, -1.0, 1.0])
"""OpenGL's cameras look along -z with y up."""
_OFF = ("mjRND_SHADOW", "mjRND_REFLECTION", "mjRND_FOG", "mjRND_HAZE")
"""What costs most of a frame in software and tells nothing."""
_OPENGL_FAULTS = (ImportError, AttributeError, TypeError, OSError, RuntimeError)
"""What a missing OpenGL library shows as, depending on which one."""
_SAME_SURFACE_M = 0.001
_MAX_CONTEXTS = 3
_NOISE_STEP = 45.0
"""Mean difference of neighbouring pixels from which a picture is noise; of independent noise it is 85."""


def front_intrinsics(image_px: int) -> Intrinsics:
    """Return the camera's intrinsics; the picture is square."""
    return intrinsics_from_fov(image_px, image_px, CAMERA_FOVY_RAD)


class OffscreenCamera:
    """Renders one model. Holds an OpenGL context, to be closed."""

    def __init__(self, model: Any, data: Any, image_px: int) -> None:
        """Open a context and try it.

        Raises:
            ConfigurationError: There is no OpenGL that works without a window.
        """
        self._mujoco = import_mujoco()
        self._model, self._data, self._image_px = model, data, image_px
        for _ in range(_MAX_CONTEXTS):
            self._context, self._renderer = _open_context(self._mujoco, model, image_px)
            self._finalizer = weakref.finalize(self, _free, self._context, self._renderer)
            self._prepare()
            if not is_noise(self.render()[0]):
                return
            self.close()
        raise ConfigurationError("metaworld: OpenGL renders noise; try MUJOCO_GL=osmesa with libosmesa6")

    def render(self) -> Tuple[Image, DepthMetres]:
        """Return colour, and depth in metres with 0 for nothing, as the camera sees the model now."""
        return self._draw(self._everything, segments=False)

    def render_props(self, depth_m: DepthMetres) -> Int[np.ndarray, "height width"]:
        """Return the index of the prop's geom at every pixel, -1 for none; ``depth_m`` is that of the whole picture.

        The robot is most of what there is to draw. So the props are drawn alone, and what lies behind the depth of the
        whole picture is hidden.
        """
        rgb, depth_props_m = self._draw(self._props_only, segments=True)
        codes = rgb.astype(np.int64) @ np.array([1, 1 << 8, 1 << 16])
        geom_of_code = np.full(self._scene.ngeom + 1, -1, dtype=np.int32)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.segid >= 0 and geom.objtype == int(self._mujoco.mjtObj.mjOBJ_GEOM):
                geom_of_code[geom.segid + 1] = geom.objid
        return np.where(depth_props_m <= depth_m + _SAME_SURFACE_M, geom_of_code[codes], -1).astype(np.int32)

    @property
    def T_mujoco_camera(self) -> Transform:
        """Where the camera is in Meta-World's world, optical frame."""
        camera = self._data.camera(CAMERA_NAME)
        T_mujoco_opengl = np.eye(4)
        T_mujoco_opengl[:3, :3] = np.asarray(camera.xmat).reshape(3, 3)
        T_mujoco_opengl[:3, 3] = camera.xpos
        return T_mujoco_opengl @ _OPENGL_FROM_OPTICAL

    def close(self) -> None:
        """Free the context; a second time does nothing."""
        self._finalizer()

    def _prepare(self) -> None:
        mujoco = self._mujoco
        self._rectangle = mujoco.MjrRect(0, 0, self._image_px, self._image_px)
        self._scene = mujoco.MjvScene(self._model, maxgeom=self._model.ngeom + 100)
        for name in _OFF:
            self._scene.flags[int(getattr(mujoco.mjtRndFlag, name))] = 0
        self._everything, self._props_only = mujoco.MjvOption(), mujoco.MjvOption()
        for options in (self._everything, self._props_only):
            options.sitegroup[:] = 0  # the dots at the finger tips are no part of the robot
        self._everything.geomgroup[PROP_GROUP] = 1
        self._props_only.geomgroup[:] = np.arange(len(self._props_only.geomgroup)) == PROP_GROUP
        self._view = mujoco.MjvCamera()
        self._view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._view.fixedcamid = self._model.camera(CAMERA_NAME).id

    def _draw(self, options: Any, *, segments: bool) -> Tuple[Image, DepthMetres]:
        """Return colours, which are codes of geoms if ``segments``, and depth."""
        mujoco = self._mujoco
        self._context.make_current()
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, self._data, options, None, self._view, everything, self._scene)
        for name in ("mjRND_SEGMENT", "mjRND_IDCOLOR"):
            self._scene.flags[int(getattr(mujoco.mjtRndFlag, name))] = int(segments)
        mujoco.mjr_render(self._rectangle, self._scene, self._renderer)
        rgb = np.empty((self._image_px, self._image_px, 3), dtype=np.uint8)
        buffer = np.empty((self._image_px, self._image_px), dtype=np.float32)
        mujoco.mjr_readPixels(rgb, buffer, self._rectangle, self._renderer)
        return np.flipud(rgb).copy(), np.flipud(self._metres(buffer)).copy()

    def _metres(self, buffer: Float[np.ndarray, "height width"]) -> DepthMetres:
        """Undo OpenGL's projection, for a buffer in which the far plane is 0 (``mjDEPTH_ZEROFAR``)."""
        extent = self._model.stat.extent
        near, far = self._model.vis.map.znear * extent, self._model.vis.map.zfar * extent
        depth_m = near * far / (near + buffer.astype(np.float64) * (far - near))
        return np.where(buffer > 0.0, depth_m, 0.0).astype(np.float32)


def is_noise(rgb: Image) -> bool:
    """Return whether neighbouring pixels have nothing to do with each other: a broken driver's picture."""
    steps = np.abs(np.diff(rgb.astype(np.int16), axis=1))
    return bool(steps.mean() > _NOISE_STEP)


def import_mujoco() -> Any:
    """Import MuJoCo so that it renders without a window: on Linux by EGL, unless MUJOCO_GL names another way.

    Raises:
        ConfigurationError: It is not installed, or there is no OpenGL of that kind.
    """
    if sys.platform == "linux":
        os.environ.setdefault("MUJOCO_GL", "egl")
    try:
        import mujoco
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"metaworld: {error}; pip install 'embodied-memory[metaworld]'") from error
    except _OPENGL_FAULTS as error:
        raise _no_opengl(error) from error
    return mujoco


def _open_context(mujoco: Any, model: Any, image_px: int) -> Tuple[Any, Any]:
    try:
        # Where somebody imported MuJoCo before, its own choice was made without ours.
        by_egl = os.environ.get("MUJOCO_GL") == "egl"
        kind = importlib.import_module("mujoco.egl").GLContext if by_egl else mujoco.GLContext
        context = kind(image_px, image_px)
        context.make_current()
        renderer = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
    except (*_OPENGL_FAULTS, mujoco.FatalError) as error:
        raise _no_opengl(error) from error
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, renderer)
    renderer.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
    return context, renderer


def _no_opengl(error: Exception) -> ConfigurationError:
    hint = "install libegl1, or libosmesa6 and set MUJOCO_GL=osmesa"
    backend = os.environ.get("MUJOCO_GL", "")
    return ConfigurationError(f"metaworld: no offscreen OpenGL (MUJOCO_GL={backend}: {error}); {hint}")


def _free(context: Any, renderer: Any) -> None:
    context.make_current()
    renderer.free()
    context.free()

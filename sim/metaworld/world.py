"""One task's model, running: the arm, and the props as the task sees and sets them."""

from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import numpy as np

from embodied.arrays import Float, Int, Vector3
from sim.metaworld.arm import Arm
from sim.metaworld.model import assets_directory, from_mujoco, model_xml, prop_body, prop_geom, to_mujoco
from sim.metaworld.table import Color, Position, Prop

_UPRIGHT_WXYZ = (1.0, 0.0, 0.0, 0.0)


class TableWorld:
    """``Table`` in MuJoCo."""

    def __init__(self, props: Tuple[Prop, ...], image_px: int) -> None:
        import mujoco

        self._mujoco = mujoco
        self.model: Any = copy.copy(_compiled(props, assets_directory(), image_px))
        self.data: Any = mujoco.MjData(self.model)
        self._props: Dict[str, Prop] = {prop.name: prop for prop in props}
        self._arm = Arm(self.model, self.data)
        self.instance_of_geom = self._instances(props)

    @property
    def tool_m(self) -> Vector3:
        """The middle between the finger tips."""
        return self._arm.tool_m

    @property
    def gripper_opening(self) -> float:
        """0 closed to 1 open."""
        return self._arm.gripper_opening

    def reset(self, show: Callable[[], None]) -> None:
        """Put the arm at home and the props where ``show`` puts them, the same to the last bit every time."""
        self._arm.reset()
        for prop in self._props.values():
            self.paint(prop.name, prop.color)
        show()
        self._mujoco.mj_forward(self.model, self.data)

    def move(self, action: Float[np.ndarray, " n_actions"], after_each: Callable[[], None]) -> None:
        """Hold an action for one control period."""
        self._arm.move(action, after_each)

    def place(self, name: str, position_m: Position) -> None:
        """Put a prop's middle somewhere, upright and at rest."""
        body = self.model.body(prop_body(name))
        if self._props[name].is_free:
            start, speed = int(self.model.jnt_qposadr[body.jntadr[0]]), int(self.model.jnt_dofadr[body.jntadr[0]])
            self.data.qpos[start : start + 7] = (*to_mujoco(position_m), *_UPRIGHT_WXYZ)
            self.data.qvel[speed : speed + 6] = 0.0
        else:
            self.data.mocap_pos[int(body.mocapid[0])] = to_mujoco(position_m)

    def paint(self, name: str, color: Color) -> None:
        """Give a prop a colour."""
        self.model.geom(prop_geom(name)).rgba[:3] = color

    def position_of(self, name: str) -> Vector3:
        """Return where a prop's middle is."""
        return from_mujoco(self.data.body(prop_body(name)).xpos)

    def speed_of(self, name: str) -> float:
        """Return how fast a prop moves, m/s."""
        return float(np.linalg.norm(self.data.body(prop_body(name)).cvel[3:]))

    def _instances(self, props: Tuple[Prop, ...]) -> Int[np.ndarray, " n_geoms"]:
        instances = np.zeros(self.model.ngeom, dtype=np.int32)
        for index, prop in enumerate(props):
            instances[self.model.geom(prop_geom(prop.name)).id] = index + 1
        return instances


@lru_cache(maxsize=8)
def _compiled(props: Tuple[Prop, ...], assets: Path, image_px: int) -> Any:
    """Compile a model, which takes a second: the arm's meshes. It is shared, so whoever runs it takes a copy."""
    import mujoco

    return mujoco.MjModel.from_xml_string(model_xml(props, assets, image_px))

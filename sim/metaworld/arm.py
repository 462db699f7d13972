"""Meta-World's arm: a tool that follows small displacements, and two fingers.

It is moved as in Meta-World (``SawyerXYZEnv.set_xyz_action``, ``step``): a body without mass is displaced by up to a
centimetre for every five steps of the physics, and drags the hand after it.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from embodied.arrays import Float, Vector3
from sim.metaworld.model import FINGER_BODIES, MOCAP_BODY, TOOL_SITES, from_mujoco, to_mujoco

STEP_M = 0.01
"""What an action of 1 displaces in one of Meta-World's steps."""
STEP_S = 0.0125
"""How long one of those is."""
N_SUBSTEPS = 5
STEPS_PER_ACTION = 4
"""For how many of them an action is held here."""
CONTROL_PERIOD_S = STEPS_PER_ACTION * STEP_S
REACH_M = STEPS_PER_ACTION * STEP_M

_HOME_M = (0.5, 0.0, 0.3)
"""Of the hand, which is 4.5 cm above the tool."""
_WORKSPACE_LOW_M = (0.4, -0.45, 0.05)
_WORKSPACE_HIGH_M = (0.95, 0.45, 0.4)
_POINTING_DOWN_WXYZ = (1.0, 0.0, 1.0, 0.0)
_SETTLING_STEPS = 250
_FULL_OPENING_M = 0.1
"""Meta-World's: the distance between the fingers that counts as 1."""


class Arm:
    """The robot in a compiled model. Positions are in the frame ``table``."""

    def __init__(self, model: Any, data: Any) -> None:
        import mujoco

        self._mujoco = mujoco
        self._model, self._data = model, data
        self._mocap = int(model.body(MOCAP_BODY).mocapid[0])
        welds = np.flatnonzero(model.eq_type == mujoco.mjtEq.mjEQ_WELD)
        # Meta-World sets these after compiling (``reset_mocap_welds``): the hand itself, turned about, is held.
        model.eq_data[welds] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 5.0]
        self._settle()
        self._kind = int(mujoco.mjtState.mjSTATE_INTEGRATION)
        self._home = np.empty(mujoco.mj_stateSize(model, self._kind))
        mujoco.mj_getState(model, data, self._home, self._kind)

    @property
    def tool_m(self) -> Vector3:
        """The middle between the finger tips."""
        left, right = (self._data.site(name).xpos for name in TOOL_SITES)
        return from_mujoco((left + right) / 2.0)

    @property
    def gripper_opening(self) -> float:
        """0 closed to 1 open."""
        left, right = (self._data.body(name).xpos for name in FINGER_BODIES)
        return float(np.clip(np.linalg.norm(left - right) / _FULL_OPENING_M, 0.0, 1.0))

    def reset(self) -> None:
        """Put everything in the model back to where it was when the arm had come to rest at home, to the last bit."""
        self._mujoco.mj_resetData(self._model, self._data)
        self._mujoco.mj_setState(self._model, self._data, self._home, self._kind)

    def move(self, action: Float[np.ndarray, " n_actions"], after_each: Callable[[], None]) -> None:
        """Hold (forward, left, up, gripper), each -1 to 1, for one control period.

        ``after_each`` is called after every step of Meta-World's.
        """
        displacement = to_mujoco(action[:3]) * STEP_M
        one, other = to_mujoco(_WORKSPACE_LOW_M), to_mujoco(_WORKSPACE_HIGH_M)
        for _ in range(STEPS_PER_ACTION):
            wanted = self._data.mocap_pos[self._mocap] + displacement
            self._data.mocap_pos[self._mocap] = np.clip(wanted, np.minimum(one, other), np.maximum(one, other))
            self._data.ctrl[:] = [float(action[3]), -float(action[3])]
            self._mujoco.mj_step(self._model, self._data, nstep=N_SUBSTEPS)
            # Positions of bodies and sites are those before the last step until they are computed anew.
            self._mujoco.mj_forward(self._model, self._data)
            after_each()

    def _settle(self) -> None:
        self._data.mocap_pos[self._mocap] = to_mujoco(_HOME_M)
        self._data.mocap_quat[self._mocap] = _POINTING_DOWN_WXYZ
        self._data.ctrl[:] = [-1.0, 1.0]
        self._mujoco.mj_step(self._model, self._data, nstep=_SETTLING_STEPS * N_SUBSTEPS)
        self._data.qvel[:] = 0.0

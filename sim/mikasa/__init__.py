"""MIKASA-Robo's tasks of memory (Cherepanov et al. 2025), in ManiSkill 3: a Panda arm at a table.

simulator       the protocol: camera, actions, frames
library         how the environments are made on a machine without a GPU
experts         who knows the state and shows how it is done
"""

from sim.mikasa.experts import EXPERTS
from sim.mikasa.simulator import MikasaSimulator

__all__ = ["EXPERTS", "MikasaSimulator"]

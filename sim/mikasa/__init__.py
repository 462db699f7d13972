"""MIKASA-Robo's tasks of memory (Cherepanov et al. 2025), in ManiSkill 3: a Panda arm at a table.

simulator       the protocol: camera, actions, frames
library         how the environments are made on a machine without a GPU
experts         who acts knowing the state: to show how it is done, or to tell what chance would do
"""

from sim.mikasa.experts import EXPERTS, PLAYERS
from sim.mikasa.simulator import MikasaSimulator

__all__ = ["EXPERTS", "PLAYERS", "MikasaSimulator"]

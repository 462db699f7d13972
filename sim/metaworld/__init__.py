"""Tasks of memory for Meta-World's Sawyer arm, in MuJoCo: what to do is shown first, and done later.

An episode begins with the robot held at its home pose while a cue is shown and taken away. Then the signal lamp turns
green and the robot may move. Nothing it can see or feel from then on tells what the cue was, until the episode is
judged.

    simulator       the protocol: cameras, actions, frames
    arm             Meta-World's arm and its way of being moved
    model           robot, table and a task's props as one MuJoCo model
    rendering       offscreen pictures, depth and instances
    table           what a task may see and do of all this
    world           that, in the running model
    waypoints       the expert's way of moving
    tasks           one file each
"""

from sim.metaworld.simulator import MetaworldSimulator
from sim.metaworld.tasks import TASKS

__all__ = ["TASKS", "MetaworldSimulator"]

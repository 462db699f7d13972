"""Tasks of memory at a small table, with nothing but numpy: quick to record, to train on and to test with.

An episode begins with the robot held at its home while a cue is shown and taken away. Then the lamp lights up
and it may move. Nothing that it sees or feels from then on tells what the cue was, until the episode is
judged.

The frame ``base``, which is also ``world``, has its origin on the table below the robot's column: x towards the
camera, y left, z up.

    simulator       the protocol: cameras, actions, frames
    task            what a task, a trial and a thing on the table are
    tasks           all of them
    tool            how the tool moves, and what the arm looks like
    solids          what is drawn: upright prisms
    drawing         pictures of them
    look            what differs from seed to seed and means nothing
"""

from sim.tabletop.simulator import TabletopSimulator
from sim.tabletop.tasks import TASKS

__all__ = ["TASKS", "TabletopSimulator"]

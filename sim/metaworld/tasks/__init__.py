"""The tasks by name."""

from __future__ import annotations

from typing import Dict

from sim.metaworld.table import MemoryTask
from sim.metaworld.tasks.count_blinks import CountBlinks
from sim.metaworld.tasks.cue_delay import CueDelay
from sim.metaworld.tasks.hidden_ball import HiddenBall
from sim.metaworld.tasks.longest_lit import LongestLit
from sim.metaworld.tasks.new_block import NewBlock
from sim.metaworld.tasks.put_back import PutBack
from sim.metaworld.tasks.touch_order import TouchOrder

TASKS: Dict[str, MemoryTask] = {
    task.name: task
    for task in (CueDelay(), HiddenBall(), CountBlinks(), TouchOrder(), PutBack(), LongestLit(), NewBlock())
}

__all__ = ["TASKS"]

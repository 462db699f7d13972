"""The instructions of one day: every template that it gives an answerable one for, once."""

from __future__ import annotations

import zlib
from typing import List

import numpy as np

from sim.findingdory.goals import Instruction
from sim.findingdory.scoring import Judge
from sim.findingdory.templates import TEMPLATES, Day


def instructions_of(judge: Judge, seed: int) -> List[Instruction]:
    """Return the instructions in the order of the templates.

    A template's gaps are filled by chance of its own, so that one more template changes no other's instruction. Left
    out is what no frames of the history satisfy, and what is said in words that another instruction has already.
    """
    chosen: List[Instruction] = []
    for name, template in TEMPLATES.items():
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        instruction = template.fill(Day(judge.evening.truth, judge.evening.floor, rng))
        if instruction is None or not judge.is_answerable(instruction):
            continue
        if instruction.text not in {other.text for other in chosen}:
            chosen.append(instruction)
    return chosen

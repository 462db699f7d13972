"""Questions of many kinds about several sessions in one house, made from the truth, each with its exact verdict.

A *template* is a function from the truth to probes; a probe is a question in English or as a query, and a pure function
that tells whether an answer is right. The memory is given nothing but the question. Templates leave out what the truth
itself leaves open: things that share their colour and category with others, distances that are nearly equal.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import numpy as np

from sim.recall_questions.past import PAST, lures
from sim.recall_questions.present import PRESENT
from sim.recall_questions.timeline import Probe, Template, Timeline
from sim.truth import TruthObject

TEMPLATES: Dict[str, Template] = {**PRESENT, **PAST}


def make_probes(world: Timeline, seed: int, n_each: int = 3) -> Tuple[Probe, ...]:
    """Make the probes of all templates for the end of the last session.

    Args:
        world: The truth; four sessions.
        seed: Draws what is asked about.
        n_each: At most so many things are asked about in each template.
    """
    rng = np.random.default_rng([seed, 21])

    def draw(things: Sequence[TruthObject]) -> List[TruthObject]:
        return [things[int(i)] for i in rng.permutation(len(things))[:n_each]]

    return tuple(probe for make in TEMPLATES.values() for probe in make(world, draw))


__all__ = ["TEMPLATES", "Probe", "Timeline", "lures", "make_probes"]

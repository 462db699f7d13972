"""Evaluate the memory without a robot, and write the results to a file.

    python launch/offline_eval.py alignment --out results.json
    python launch/offline_eval.py changes --episodes 20 --out results.json
    python launch/offline_eval.py findingdory --episodes 20 --out results.json
    python launch/offline_eval.py laeqa --out results.json
    python launch/offline_eval.py manipulation --tasks RememberColor3-VLA-v0 --checkpoint runs/memory --out results.json
    python launch/offline_eval.py metaworld --out results.json
    python launch/offline_eval.py recall --out results.json

``alignment``: sessions that start in a map frame of their own. ``changes``: what was moved, removed and added between
sessions, from noisy detections. ``findingdory``: where to go back to after a day of pick and place. ``laeqa``:
questions about past, present and future visits, some of which need a look. ``manipulation``: trained policies at tasks
of memory. ``metaworld``: tasks of an arm, with the cue and without. ``recall``: questions of all kinds with exact
answers, and eight diagnoses of memory.
The same command continues a stopped evaluation; ``--workers N`` does several episodes at a time. ``NAME --help`` shows
the settings of each.
"""

import sys

from embodied.runs import run_named_script

_EVALUATIONS = ("alignment", "changes", "findingdory", "laeqa", "manipulation", "metaworld", "recall")
NAMES = {name: f"evaluate_{name}" for name in _EVALUATIONS}

if __name__ == "__main__":
    sys.exit(run_named_script("offline_eval", __doc__, NAMES))

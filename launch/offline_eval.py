"""Evaluate the memory without a robot, and write the results to a file.

    python launch/offline_eval.py alignment --out results.json
    python launch/offline_eval.py changes --episodes 20 --out results.json
    python launch/offline_eval.py recall --out results.json

``alignment``: sessions that start in a map frame of their own. ``changes``: what was moved, removed and added between
sessions, from noisy detections. ``recall``: questions of all kinds with exact answers, and eight diagnoses of memory.
``NAME --help`` shows the settings of each.
"""

import sys

from embodied.runs import run_named_script

NAMES = {name: f"evaluate_{name}" for name in ("alignment", "changes", "recall")}

if __name__ == "__main__":
    sys.exit(run_named_script("offline_eval", __doc__, NAMES))

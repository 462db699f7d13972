"""Measure, and write the figures to a file; a goal that is missed is said, and is no error.

    python launch/benchmark.py line --seeds 0 1 2 3 4 --out figures.json
    python launch/benchmark.py mapping --out figures.json

``line``: the whole job of ``sim_episode.py``. ``mapping``: a frame into maps of many objects. ``policy``: what a memory
costs a trained policy. ``recall``: finding among many keyframes. ``rendering``: frames of a house, beside those of
habitat-sim. ``store``: acknowledged writes. ``NAME --help`` shows the settings of each.
"""

import sys

from embodied.runs import run_named_script

NAMES = {name: f"benchmark_{name}" for name in ("line", "mapping", "policy", "recall", "rendering", "store")}

if __name__ == "__main__":
    sys.exit(run_named_script("benchmark", __doc__, NAMES))

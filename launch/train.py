"""Train a policy from recorded episodes.

    python launch/train.py vla --data runs/remember --out policies/remember
    python launch/train.py vla --data runs/remember --out policies/forgets --network.memory.kind none
    torchrun --nproc-per-node 4 launch/train.py vla --data runs/remember --out policies/remember

``vla``: the vision-language-action policy with a working memory, from MCAP logs and LeRobot v3 datasets.
The same command goes on with a training that was stopped. ``NAME --help`` shows the settings of each.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from embodied.errors import ConfigurationError
from embodied.progress import Progress
from embodied.runs import run_script

NAMES = {"vla": "train_vla"}


def main(arguments: Sequence[str]) -> int:
    """Do the training that is named first; return the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print((__doc__ or "").strip())
        return 0 if arguments else 2
    name, *given = arguments
    if name not in NAMES:
        sys.stderr.write(f"train: expected one of {', '.join(NAMES)}, got {name!r}\n")
        return 2
    prog = f"train {name}"

    def work(progress: Progress) -> None:
        try:
            module = importlib.import_module(NAMES[name])
        except ModuleNotFoundError as error:
            if error.name not in ("torch", "safetensors"):
                raise
            raise ConfigurationError(f'training needs {error.name}: pip install "embodied-memory[vla]"') from error
        module.main(module.parse(prog, given), progress)

    return run_script(prog, work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

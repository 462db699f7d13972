"""A supervisor in a process of its own, for the test that kills it."""

from __future__ import annotations

import sys
from pathlib import Path

from embodied.supervisor import ProcessSpec, Supervisor
from group_child import ChildConfig

if __name__ == "__main__":
    specs = [
        ProcessSpec("worker", "group_child", ChildConfig()),
        ProcessSpec("deaf", "group_child", ChildConfig(does="is_deaf")),
    ]
    with Supervisor(specs, Path(sys.argv[1])) as group:
        group.start(20.0)
        print(*group.pids.values(), flush=True)
        sys.stdin.read()

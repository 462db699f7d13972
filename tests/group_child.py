"""A process for the tests of process.py and supervisor.py: it does what its settings say."""

from __future__ import annotations

import signal
import sys
import time
from typing import Literal

from embodied.config import Config
from embodied.errors import DeadlineExceeded, SceneError, StoreError
from embodied.process import ProcessConfig, ProcessLink, run_process

NAME = ProcessConfig(name="unset")


class ChildConfig(Config):
    """What to do."""

    process: ProcessConfig = NAME
    does: Literal[
        "works",
        "is_busy",
        "is_never_ready",
        "meets_scene_error",
        "meets_defect",
        "loses_peer",
        "finishes",
        "is_deaf",
        "fails_when_stopped",
    ] = "works"
    after_s: float = 0.0


def main(config: ChildConfig, link: ProcessLink) -> None:
    print("child begins")
    if config.does == "is_never_ready":
        print("still loading the house")
        link.wait(60.0)
        return
    if config.does == "meets_scene_error":
        raise SceneError("no house\nat /nowhere")
    if config.does == "meets_defect":
        raise KeyError("a defect")
    link.ready()
    link.wait(config.after_s)
    if config.does == "loses_peer":
        raise DeadlineExceeded("nobody answers")
    if config.does == "finishes":
        return
    if config.does == "is_deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60.0)
    while not link.stopping:
        link.worked(frame_ms=1.5)
        if config.does != "is_busy":
            link.wait(0.01)
    if config.does == "fails_when_stopped":
        raise StoreError("the disk is full")
    print("child ends")


if __name__ == "__main__":
    assert "tests" not in sys.modules
    run_process(main, ChildConfig)

"""A simulator of tasks in a process of its own, for evaluations: ``python -m sim.rollout_server SETTINGS.json``."""

from __future__ import annotations

from embodied.config import Config
from embodied.process import ProcessConfig, ProcessLink, run_process
from embodied.transport import RpcServer
from sim.rollout import Rollout, RolloutRequest
from sim.simulators import TaskSettings, open_task_simulator

_POLL_S = 0.2


class RolloutConfig(Config):
    """The process."""

    process: ProcessConfig = ProcessConfig(name="simulator")
    """Name and supervisor."""
    address: str
    """Where it is asked."""
    simulator: TaskSettings
    """Which simulator."""


def main(config: RolloutConfig, link: ProcessLink) -> None:
    """Open the simulator, say ready, and answer one request after the other."""
    rollout = Rollout(open_task_simulator(config.simulator))
    try:
        with RpcServer(config.address, RolloutRequest) as server:
            link.ready()
            while not link.stopping:
                call = server.receive(_POLL_S)
                if call is not None:
                    call.answer(rollout.answer)
                    link.worked()
    finally:
        rollout.close()


if __name__ == "__main__":
    run_process(main, RolloutConfig)

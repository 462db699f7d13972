from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, List

import pytest

import embodied
from embodied.config import Config
from embodied.errors import AddressInUse, DeadlineExceeded, ProcessError
from embodied.messages import ActionRequest, Halt, Halted
from embodied.supervisor import ProcessSpec, Supervisor, halt_over
from embodied.transport import RpcServer, socket_address
from group_child import ChildConfig

START_S = 20.0


@pytest.fixture(autouse=True)
def importable_children(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(embodied.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), str(Path(__file__).parents[1])]))


def child(name: str, does: str = "works", after_s: float = 0.0, may_finish: bool = False) -> ProcessSpec:
    config = ChildConfig(does=does, after_s=after_s)  # type: ignore[arg-type]
    return ProcessSpec(name, "group_child", config, may_finish=may_finish)


def wait_until(condition: Callable[[], bool], timeout_s: float) -> float:
    """Return how long it took."""
    begin_s = time.monotonic()
    while not condition():
        assert time.monotonic() - begin_s < timeout_s, f"still waiting after {timeout_s} s"
        time.sleep(0.01)
    return time.monotonic() - begin_s


def is_dead(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state in ("Z", "X")


def test_a_group_starts_reports_and_stops(tmp_path: Path) -> None:
    with Supervisor([child("memory"), child("policy")], tmp_path) as group:
        group.start(START_S)
        wait_until(lambda: all(h.n_work > 0 for h in group.statistics.values()) and len(group.statistics) == 2, 5.0)
        heartbeat = group.statistics["memory"]
        assert heartbeat.statistics == {"frame_ms": 1.5}
        assert 5.0 < heartbeat.peak_rss_mb < 500.0
        group.check()
        pids = list(group.pids.values())
        group.stop()
        assert all(is_dead(pid) for pid in pids)
    assert group.failure is None
    assert "child ends" in (tmp_path / "logs" / "memory.log").read_text()
    assert '"name": "memory"' in (tmp_path / "config" / "memory.json").read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_death_by_signal_is_noticed_within_a_second_while_the_main_thread_is_busy(
    tmp_path: Path, number: signal.Signals
) -> None:
    halted: List[float] = []
    running: List[bool] = []

    def halt(reason: str) -> None:
        running.append(not is_dead(group.pids["policy"]))
        halted.append(time.monotonic())

    with Supervisor([child("memory"), child("policy")], tmp_path, halt) as group:
        group.start(START_S)
        killed_s = time.monotonic()
        os.kill(group.pids["memory"], number)
        while not halted and time.monotonic() < killed_s + 5.0:
            sum(range(1000))  # busy, and never looks at the group
        assert halted[0] - killed_s < 1.0
        assert running == [True], "the robot is halted before the rest is stopped"
        with pytest.raises(ProcessError, match=f"^memory was killed by {number.name}$"):
            group.check()
        assert is_dead(group.pids["policy"])
    assert (tmp_path / "failure.txt").read_text() == f"memory was killed by {number.name}\n"


def test_a_stopped_process_is_noticed_by_its_silence(tmp_path: Path) -> None:
    with Supervisor([child("memory"), child("policy")], tmp_path) as group:
        group.start(START_S)
        os.kill(group.pids["policy"], signal.SIGSTOP)
        assert wait_until(lambda: group.failure is not None, 5.0) < 2.0
        with pytest.raises(ProcessError, match=r"^policy hung: stopped, no heartbeat for \d\.\d s$"):
            group.check()
        assert all(is_dead(pid) for pid in group.pids.values())


def test_a_process_that_is_never_ready_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    group = Supervisor([child("memory"), child("bridge", "is_never_ready")], tmp_path)
    with group, pytest.raises(ProcessError, match=r"bridge is not ready after 2\.0 s(.|\n)*still loading the house"):
        group.start(2.0)
    assert all(is_dead(pid) for pid in group.pids.values())


def test_what_a_child_says_of_its_failure_is_shown_in_one_line(tmp_path: Path) -> None:
    group = Supervisor([child("memory"), child("bridge", "meets_scene_error")], tmp_path)
    with group, pytest.raises(ProcessError, match="^bridge failed: SceneError: no house at /nowhere$"):
        group.start(START_S)


def test_a_module_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    group = Supervisor([ProcessSpec("memory", "no_such_module", ChildConfig())], tmp_path)
    with group, pytest.raises(ProcessError, match="^memory ended with code 1: .*No module named no_such_module"):
        group.start(START_S)


def test_an_interpreter_that_is_missing_is_named(tmp_path: Path) -> None:
    specs = [child("memory"), ProcessSpec("bridge", "group_child", ChildConfig(), python="/no/python")]
    group = Supervisor(specs, tmp_path)
    with group, pytest.raises(ProcessError, match="^bridge could not be started: .*/no/python"):
        group.start(START_S)
    assert is_dead(group.pids["memory"])


def test_a_killed_process_is_named_rather_than_the_one_that_missed_it(tmp_path: Path) -> None:
    with Supervisor([child("policy", "loses_peer", after_s=0.5), child("memory")], tmp_path) as group:
        group.start(START_S)
        os.kill(group.pids["memory"], signal.SIGSTOP)
        os.kill(group.pids["memory"], signal.SIGKILL)
        wait_until(lambda: group.failure is not None, 5.0)
        assert group.failure == "memory was killed by SIGKILL"
        with pytest.raises(ProcessError):
            group.check()


def test_the_loss_of_a_peer_that_the_main_thread_meets_becomes_the_name_of_the_dead_process(tmp_path: Path) -> None:
    def lose_memory() -> None:
        with Supervisor([child("memory")], tmp_path) as group:
            group.start(START_S)
            os.kill(group.pids["memory"], signal.SIGKILL)
            raise DeadlineExceeded("no answer from memory")

    with pytest.raises(ProcessError, match="^memory was killed by SIGKILL$") as caught:
        lose_memory()
    assert isinstance(caught.value.__cause__, DeadlineExceeded)


def test_a_process_may_finish_only_if_it_was_said_so(tmp_path: Path) -> None:
    with Supervisor([child("bridge", "finishes", may_finish=True), child("memory")], tmp_path / "a") as group:
        group.start(START_S)
        group.wait_finished("bridge", 5.0)
        group.check()
        assert not is_dead(group.pids["memory"])
        with pytest.raises(DeadlineExceeded, match="memory"):
            group.wait_finished("memory", 0.05)


def test_a_failure_that_nobody_checked_for_is_raised_at_the_end(tmp_path: Path) -> None:
    def never_check() -> None:
        with Supervisor([child("bridge", "finishes")], tmp_path) as group:
            group.start(START_S)
            wait_until(lambda: group.failure is not None, 5.0)

    with pytest.raises(ProcessError, match="^bridge ended before it was asked to$"):
        never_check()


def test_a_process_that_does_not_end_on_sigterm_is_killed(tmp_path: Path) -> None:
    with Supervisor([child("memory", "is_deaf")], tmp_path) as group:
        group.start(START_S)
        wait_until(lambda: "child begins" in (tmp_path / "logs" / "memory.log").read_text(), 5.0)
        group.stop(timeout_s=0.3)
        assert is_dead(group.pids["memory"])


def test_a_process_that_fails_while_it_is_stopped_does_not_do_so_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Supervisor([child("memory", "fails_when_stopped")], tmp_path) as group:
        group.start(START_S)
    assert "memory ended with code 1: memory: StoreError: the disk is full" in caplog.text


def test_the_robot_is_halted_over_its_actions_channel(tmp_path: Path) -> None:
    address = socket_address(tmp_path, "actions")
    with RpcServer(address, ActionRequest) as bridge:
        with Supervisor([child("memory")], tmp_path, halt_over(address, timeout_s=5.0)) as group:
            group.start(START_S)
            os.kill(group.pids["memory"], signal.SIGKILL)
            call = bridge.receive(5.0)
            assert call is not None
            assert call.request == Halt(reason="memory was killed by SIGKILL")
            assert group.failure is None, "the failure is known once the robot stands still"
            call.reply(Halted(stamp_ns=0))
            wait_until(lambda: group.failure is not None, 5.0)
            with pytest.raises(ProcessError, match="SIGKILL"):
                group.check()


def test_a_bridge_that_cannot_be_reached_does_not_keep_the_group_running(tmp_path: Path) -> None:
    halt = halt_over(socket_address(tmp_path, "nobody"), timeout_s=0.1)
    with Supervisor([child("memory"), child("policy")], tmp_path, halt) as group:
        group.start(START_S)
        os.kill(group.pids["memory"], signal.SIGKILL)
        wait_until(lambda: group.failure is not None, 5.0)
        with pytest.raises(ProcessError):
            group.check()
        assert is_dead(group.pids["policy"])


def test_children_end_within_about_a_second_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "group_parent", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert not any(is_dead(pid) for pid in pids)
        parent.kill()
        assert wait_until(lambda: all(is_dead(pid) for pid in pids), 10.0) < 2.0


def test_two_supervisors_do_not_share_a_run_directory(tmp_path: Path) -> None:
    with Supervisor([child("memory")], tmp_path) as group:
        group.start(START_S)
        with Supervisor([child("memory")], tmp_path) as second, pytest.raises(AddressInUse):
            second.start(START_S)
        group.check()


def test_names_and_settings_of_the_processes_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="different names"):
        Supervisor([child("memory"), child("memory")], tmp_path)
    with pytest.raises(ValueError, match="no field process"):
        Supervisor([ProcessSpec("memory", "group_child", Config())], tmp_path)

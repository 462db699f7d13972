from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator, List, Type, TypeVar

import pytest

import embodied
from embodied.messages import Failed, Heartbeat, Ready, SupervisorMessage
from embodied.process import ProcessConfig, ProcessLink, peak_rss_mb
from embodied.transport import Mailbox, socket_address

LONG_S = 10.0
MessageT = TypeVar("MessageT")


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    with Mailbox(socket_address(tmp_path, "supervisor"), SupervisorMessage) as mailbox:
        yield mailbox


def next_of(mailbox: Mailbox, kind: Type[MessageT]) -> MessageT:
    end_s = time.monotonic() + LONG_S
    while time.monotonic() < end_s:
        message = mailbox.receive(0.1)
        if isinstance(message, kind):
            return message
    raise AssertionError(f"no {kind.__name__}")


def start(folder: Path, supervisor: str = "", **settings: Any) -> subprocess.Popen:
    path = folder / "child.json"
    path.write_text(json.dumps({"process": {"name": "child", "supervisor": supervisor}, **settings}))
    roots = [Path(embodied.__file__).parents[1], Path(__file__).parents[1]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots))}
    command: List[str] = [sys.executable, "-m", "group_child", str(path)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_link_says_ready_counts_work_and_beats(mailbox: Mailbox) -> None:
    link = ProcessLink(ProcessConfig(name="memory", supervisor=mailbox.address))
    try:
        assert next_of(mailbox, Heartbeat).n_work == 0
        link.worked(3, frame_ms=2.0)
        link.worked()
        link.ready()
        assert next_of(mailbox, Ready) == Ready(name="memory", pid=os.getpid())
        heartbeat = next_of(mailbox, Heartbeat)
        assert (heartbeat.name, heartbeat.n_work, heartbeat.statistics) == ("memory", 4, {"frame_ms": 2.0})
        assert heartbeat.peak_rss_mb == pytest.approx(peak_rss_mb(), rel=0.2)
    finally:
        link.close()


def test_the_last_thing_a_failing_process_says_is_why(mailbox: Mailbox) -> None:
    link = ProcessLink(ProcessConfig(name="memory", supervisor=mailbox.address))
    link.fail(ValueError("label: expected a word"))
    link.close()
    assert next_of(mailbox, Failed) == Failed(name="memory", code="ValueError", message="label: expected a word")


def test_a_link_without_a_supervisor_says_nothing_and_can_be_stopped() -> None:
    link = ProcessLink(ProcessConfig(name="alone"))
    link.ready()
    link.worked()
    assert not link.wait(0.0)
    link.stop()
    assert link.wait(0.0)
    assert link.stopping
    link.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_the_process_to_end_and_it_ends_in_order(
    mailbox: Mailbox, tmp_path: Path, number: signal.Signals
) -> None:
    with start(tmp_path, mailbox.address) as process:
        assert next_of(mailbox, Ready).pid == process.pid
        process.send_signal(number)
        output, _ = process.communicate(timeout=LONG_S)
    assert process.returncode == 0
    assert output.splitlines() == ["child begins", "child ends"]


def test_an_error_of_the_world_ends_the_process_with_one_line_and_no_trace(mailbox: Mailbox, tmp_path: Path) -> None:
    with start(tmp_path, mailbox.address, does="meets_scene_error") as process:
        failed = next_of(mailbox, Failed)
        _, log = process.communicate(timeout=LONG_S)
    assert process.returncode == 1
    assert failed == Failed(name="child", code="SceneError", message="no house\nat /nowhere")
    assert log.splitlines()[-1] == "child: SceneError: no house at /nowhere"
    assert "Traceback" not in log


def test_a_defect_leaves_its_trace_in_the_log_and_one_line_at_the_end(mailbox: Mailbox, tmp_path: Path) -> None:
    with start(tmp_path, mailbox.address, does="meets_defect") as process:
        assert next_of(mailbox, Failed).code == "KeyError"
        _, log = process.communicate(timeout=LONG_S)
    assert process.returncode == 1
    assert log.splitlines()[-1] == "child: KeyError: 'a defect'"
    assert "Traceback" in log


def test_settings_that_do_not_fit_are_told_in_one_line(tmp_path: Path) -> None:
    with start(tmp_path, does="nothing of the kind") as process:
        _, log = process.communicate(timeout=LONG_S)
    assert process.returncode == 1
    assert len(log.splitlines()) == 1
    assert f"ConfigurationError: settings {tmp_path}/child.json" in log


def test_an_insecure_supervisor_is_refused(tmp_path: Path) -> None:
    with start(tmp_path, "tcp://0.0.0.0:1") as process:
        _, log = process.communicate(timeout=LONG_S)
    assert log.startswith("child: InsecureAddress: ")


def test_peak_memory_is_of_this_process() -> None:
    before_mb = peak_rss_mb()
    data = bytearray(64_000_000)
    data[::4096] = b"x" * len(data[::4096])
    assert peak_rss_mb() >= before_mb
    assert 10.0 < peak_rss_mb() < 5000.0

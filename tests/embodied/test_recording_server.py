"""The recorder process has on disk what it says is on disk."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator, List

import pytest

from embodied.config import save_config
from embodied.errors import LogError, ProtocolError
from embodied.messages import SessionEnd, SessionStart
from embodied.process import ProcessConfig
from embodied.recording import log_info, read_session
from embodied.recording.server import CONSUMER_NAME, Recorder, RecorderConfig
from embodied.transport import LosslessProducer
from recordings import N_OBSERVATIONS, START_NS, assert_same, make_observation, make_session

Start = Callable[..., "subprocess.Popen[str]"]


class TestRecorder:
    def test_each_session_has_a_log_of_its_own(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path)
        for message in make_session():
            recorder.take(message)
        recorder.take(SessionStart(session="day-2", robot="tester", stamp_ns=START_NS))
        recorder.close()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["day-1.mcap", "day-2.mcap"]
        assert recorder.n_durable == recorder.n_received == N_OBSERVATIONS + 3

    def test_a_session_that_begins_completes_the_one_before(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path)
        for message in (*make_session()[:3], SessionStart(session="day-2", robot="tester", stamp_ns=START_NS)):
            recorder.take(message)
        assert log_info(tmp_path / "day-1.mcap").complete
        assert not log_info(tmp_path / "day-1.mcap").ended
        recorder.close()

    def test_a_message_before_any_session_is_a_protocol_error(self, tmp_path: Path) -> None:
        with pytest.raises(ProtocolError, match="before any SessionStart"):
            Recorder(tmp_path).take(make_observation(0))

    def test_a_message_out_of_turn_is_a_protocol_error(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path)
        recorder.take(make_session()[0])
        with pytest.raises(ProtocolError, match="cannot record SessionEnd: message: expected one of session"):
            recorder.take(SessionEnd(session="day-9", stamp_ns=0, n_observations=0))
        recorder.close()

    @pytest.mark.parametrize("session", ["", "../day", "a/b", ".hidden", "x" * 200])
    def test_a_session_cannot_choose_where_it_is_written(self, session: str, tmp_path: Path) -> None:
        with pytest.raises(ProtocolError, match="expected letters"):
            Recorder(tmp_path / "logs").take(SessionStart(session=session, robot="tester", stamp_ns=0))
        assert list(tmp_path.iterdir()) == []

    def test_a_session_recorded_before_is_not_overwritten(self, tmp_path: Path) -> None:
        (tmp_path / "day-1.mcap").write_bytes(b"precious")
        with pytest.raises(LogError, match="File exists"):
            Recorder(tmp_path).take(make_session()[0])
        assert (tmp_path / "day-1.mcap").read_bytes() == b"precious"


@pytest.fixture
def producer(tmp_path: Path) -> Iterator[LosslessProducer]:
    with LosslessProducer(f"ipc://{tmp_path}/pipe", consumers=[CONSUMER_NAME]) as producer:
        yield producer


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a recorder that connects to ``producer``."""
    processes: List[subprocess.Popen[str]] = []

    def launch(largest_file_bytes: int = resource.RLIM_INFINITY) -> subprocess.Popen[str]:
        config = RecorderConfig(
            process=ProcessConfig(name="recorder"), pipe=f"ipc://{tmp_path}/pipe", directory=str(tmp_path / "logs")
        )
        save_config(config, tmp_path / "recorder.json")
        limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({largest_file_bytes}, -1)); "
        program = f"{limit}import runpy; runpy.run_module('embodied.recording.server', None, '__main__', True)"
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", program, str(tmp_path / "recorder.json")],
                stderr=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).resolve().parents[2],
            )
        )
        return processes[-1]

    yield launch
    for process in processes:
        process.kill()
        process.communicate()


class TestProcess:
    def test_what_is_acknowledged_as_durable_survives_a_kill(
        self, producer: LosslessProducer, start: Start, tmp_path: Path
    ) -> None:
        process = start()
        producer.wait_for_consumers(20.0)
        sent = make_session()[:4]
        for message in sent:
            producer.send(message, 5.0)
        producer.flush(5.0, durable=True)
        process.kill()
        process.wait(5.0)
        read = list(read_session(tmp_path / "logs" / "day-1.mcap"))
        assert len(read) == len(sent)
        for message, original in zip(read, sent):
            assert_same(message, original)

    def test_sigterm_in_mid_session_completes_the_log(
        self, producer: LosslessProducer, start: Start, tmp_path: Path
    ) -> None:
        process = start()
        producer.wait_for_consumers(20.0)
        for message in make_session()[:3]:
            producer.send(message, 5.0)
        producer.flush(5.0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5.0) == 0
        info = log_info(tmp_path / "logs" / "day-1.mcap")
        assert (info.complete, info.ended, info.n_observations) == (True, False, 2)

    def test_a_full_disk_ends_it_with_one_clear_line(
        self, producer: LosslessProducer, start: Start, tmp_path: Path
    ) -> None:
        process = start(largest_file_bytes=6000)
        producer.wait_for_consumers(20.0)
        for message in make_session()[:3]:
            producer.send(message, 5.0)
        _, errors = process.communicate(timeout=10.0)
        assert process.returncode == 1
        last = errors.splitlines()[-1]
        assert last == f"recorder: LogError: cannot write the log {tmp_path}/logs/day-1.mcap: {os.strerror(27)}"
        assert "Traceback" not in errors

from __future__ import annotations

import json
import logging
import os
import signal
from pathlib import Path
from typing import Callable, Iterator

import pytest

from embodied.config import Config
from embodied.errors import AddressInUse, ConfigurationError, ProcessError
from embodied.messages import SupervisorMessage
from embodied.progress import Progress
from embodied.runs import new_run, run_address, run_script
from embodied.transport import Mailbox


class Settings(Config):
    seed: int = 0


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Put back what a script sets for its whole process."""
    handlers, terminate = logging.root.handlers[:], signal.getsignal(signal.SIGTERM)
    yield
    for handler in logging.root.handlers[:]:
        if handler not in handlers:
            logging.root.removeHandler(handler)
            handler.close()
    for handler in handlers:
        if handler not in logging.root.handlers:
            logging.root.addHandler(handler)
    signal.signal(signal.SIGTERM, terminate)


class TestNewRun:
    def test_a_run_holds_its_settings_and_the_git_hash(self, tmp_path: Path) -> None:
        run = new_run(str(tmp_path / "a" / "b"), Settings(seed=7))
        contents = json.loads((run / "settings.json").read_text())
        assert contents["settings"] == {"seed": 7}
        assert contents["git"]

    def test_what_the_launcher_logs_stays_with_the_run(self, tmp_path: Path) -> None:
        run = new_run(str(tmp_path / "a"), Settings())
        logging.getLogger("somebody").error("the robot halts")
        assert "the robot halts" in (run / "logs" / "launcher.log").read_text()

    def test_an_earlier_run_is_replaced(self, tmp_path: Path) -> None:
        run = new_run(str(tmp_path / "a"), Settings())
        (run / "memory.db").write_text("old")
        assert not (new_run(str(run), Settings()) / "memory.db").exists()

    @pytest.mark.parametrize(
        ("name", "text"), [("thesis.txt", "years of work"), ("settings.json", "{}"), ("settings.json", "[")]
    )
    def test_what_is_no_run_is_left_alone(self, name: str, text: str, tmp_path: Path) -> None:
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigurationError, match="no earlier run"):
            new_run(str(tmp_path), Settings())
        assert (tmp_path / name).read_text() == text

    def test_a_run_that_still_works_is_left_alone(self, tmp_path: Path) -> None:
        run = new_run(str(tmp_path / "a"), Settings(seed=1))
        with Mailbox(run_address(run, "supervisor"), SupervisorMessage):
            with pytest.raises(AddressInUse, match="still works"):
                new_run(str(run), Settings(seed=2))
        assert json.loads((run / "settings.json").read_text())["settings"] == {"seed": 1}

    def test_a_folder_that_cannot_be_made_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ConfigurationError, match="is a file"):
            new_run(str(tmp_path / "file"), Settings())
        with pytest.raises(ConfigurationError, match="cannot make"):
            new_run(str(tmp_path / "file" / "run"), Settings())


class TestScripts:
    def test_work_that_is_done_ends_with_zero(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run_script("tidy", lambda progress: progress.done("all tidy")) == 0
        assert capsys.readouterr().out.endswith("all tidy\n")

    @pytest.mark.parametrize(
        ("error", "line"),
        [
            (ProcessError("memory was killed by SIGKILL"), "tidy: ProcessError: memory was killed by SIGKILL\n"),
            (OSError(28, "No space left on device"), "tidy: OSError: [Errno 28] No space left on device\n"),
        ],
    )
    def test_an_error_of_the_world_is_one_line_and_not_zero(
        self, error: Exception, line: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run_script("tidy", raising(error)) == 1
        assert capsys.readouterr().err == line

    def test_a_defect_keeps_its_trace(self) -> None:
        with pytest.raises(ZeroDivisionError):
            run_script("tidy", raising(ZeroDivisionError()))

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_the_work_in_order(self, number: int, capsys: pytest.CaptureFixture[str]) -> None:
        left = []

        def work(progress: Progress) -> None:
            try:
                os.kill(os.getpid(), number)
                signal.sigtimedwait([], 5.0)
            finally:
                left.append(True)

        assert run_script("tidy", work) == 130
        assert left
        assert capsys.readouterr().err == "tidy: interrupted\n"


def raising(error: BaseException) -> Callable[[Progress], None]:
    def work(progress: Progress) -> None:
        raise error

    return work

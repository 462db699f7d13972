from __future__ import annotations

import io

from embodied.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_log_every_stage_ends_in_a_line_and_updates_come_now_and_then() -> None:
    log = io.StringIO()
    progress = Progress(log, every_s=1000.0)
    for n in range(5):
        progress.update(f"frame {n}")
    progress.done("5 frames")
    lines = log.getvalue().splitlines()
    assert [line.split("  ")[-1] for line in lines] == ["frame 0", "5 frames"]


def test_on_a_terminal_an_update_rewrites_its_line_and_an_interruption_leaves_it_readable() -> None:
    terminal = Terminal()
    progress = Progress(terminal)
    progress.update("frame 0")
    assert terminal.getvalue().startswith("\r")
    assert not terminal.getvalue().endswith("\n")
    progress.interrupt()
    progress.interrupt()
    assert terminal.getvalue().endswith("frame 0\n")

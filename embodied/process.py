"""The child's side of a group of processes: settings in, readiness and heartbeats out, one clear line when it fails.

``run_process`` is the only place that catches every exception. A thread of its own, with its own socket, sends the
heartbeats, so that they go on while the process works, and stop when it is stopped. The same thread ends the process
when the one that started it is gone.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Callable, Dict, NoReturn, Optional, Type, TypeVar

from embodied.config import Config, load_config
from embodied.errors import ConfigurationError, EmbodiedError
from embodied.messages import Failed, Heartbeat, Ready
from embodied.transport import MailboxSender

logger = logging.getLogger(__name__)

HEARTBEAT_EVERY_S = 0.2
ORPHAN_GRACE_S = 0.5
"""How long a process whose parent died may take to end by itself."""
PARENT_VARIABLE = "EMBODIED_PARENT_PID"

ConfigT = TypeVar("ConfigT", bound=Config)


class ProcessConfig(Config):
    """How a process is called, and by whom."""

    name: str
    """Its name in the group, in its logs and in errors."""
    supervisor: str = ""
    """Where to send readiness and heartbeats; empty if it runs alone."""


def peak_rss_mb() -> float:
    """Return the most memory this process has held at once, in MB (10^6 bytes).

    The kernel's ``VmHWM``, because ``getrusage`` also counts what the parent held when it forked.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass  # not Linux
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


class ProcessLink:
    """What a process tells its supervisor, and hears from it."""

    def __init__(self, config: ProcessConfig, parent_pid: Optional[int] = None) -> None:
        """Start sending heartbeats if there is a supervisor.

        Args:
            config: Our name and the supervisor's address.
            parent_pid: The process must end when this one is no longer its parent; None for never.
        """
        self.name = config.name
        self._parent_pid = parent_pid
        self._stopping = threading.Event()
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._ready = False
        self._failed: Optional[Failed] = None
        self._n_work = 0
        self._statistics: Dict[str, float] = {}
        self._sender = MailboxSender(config.supervisor) if config.supervisor else None
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        if self._sender is not None or parent_pid is not None:
            self._thread.start()

    @property
    def stopping(self) -> bool:
        """Whether the process is asked to end; look several times a second."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Ask the process to end, as SIGTERM does."""
        self._stopping.set()

    def wait(self, timeout_s: float) -> bool:
        """Sleep until the process is asked to end or the time is up; return ``stopping``."""
        return self._stopping.wait(timeout_s)

    def ready(self) -> None:
        """Say that all sockets are bound and the process can work."""
        logger.info("%s: ready", self.name)
        self._ready = True
        self._wake.set()

    def worked(self, n: int = 1, **statistics: float) -> None:
        """Count units of work and note statistics for the next heartbeat. Cheap; from any thread."""
        self._n_work += n
        if statistics:
            self._statistics.update(statistics)

    def fail(self, error: BaseException) -> None:
        """Say why the process ends; ``close`` waits until it is sent."""
        self._failed = Failed(name=self.name, code=type(error).__name__, message=str(error))
        self._wake.set()

    def close(self) -> None:
        """Send what is still to be said and end the thread."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def _beat(self) -> None:
        """Run the thread: readiness, heartbeats, failure, and an eye on the parent."""
        said_ready = False
        try:
            while not self._closing.is_set():
                self._end_if_orphaned()
                if self._sender is not None:
                    if self._ready and not said_ready:
                        said_ready = self._sender.send(Ready(name=self.name, pid=os.getpid()))
                    self._sender.send(self._heartbeat())
                self._wake.wait(HEARTBEAT_EVERY_S)
                self._wake.clear()
            if self._sender is not None:
                if self._ready and not said_ready:
                    self._sender.send(Ready(name=self.name, pid=os.getpid()))
                self._sender.send(self._failed or self._heartbeat())
        finally:
            if self._sender is not None:
                self._sender.close()

    def _heartbeat(self) -> Heartbeat:
        statistics = {name: float(value) for name, value in dict(self._statistics).items()}
        return Heartbeat(name=self.name, n_work=self._n_work, peak_rss_mb=peak_rss_mb(), statistics=statistics)

    def _end_if_orphaned(self) -> None:
        if self._parent_pid is None or os.getppid() == self._parent_pid:
            return
        logger.error("%s: the supervisor (process %d) is gone; ending", self.name, self._parent_pid)
        self._stopping.set()
        if not self._closing.wait(ORPHAN_GRACE_S):
            os._exit(1)  # the main thread does not look, and nobody is left to kill us


def run_process(main: Callable[[ConfigT, ProcessLink], None], config_type: Type[ConfigT]) -> NoReturn:
    """Run ``main`` as a process of its own: ``python -m package.server settings.json``.

    The settings must have a field ``process: ProcessConfig``. SIGTERM and SIGINT set ``link.stopping``. Ends with code
    0 when ``main`` returns; otherwise with 1, one line ``name: ErrorClass: text`` on stderr, and Failed sent to the
    supervisor. The trace of an error that is not of our tree goes to the log, which is stderr too.
    """
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    name = getattr(main, "__module__", "process")
    try:
        if len(sys.argv) != 2:
            raise ConfigurationError(f"expected one argument, the file with the settings, got {sys.argv[1:]}")
        config = load_config(Path(sys.argv[1]), config_type)
        process: ProcessConfig = config.process  # type: ignore[attr-defined]
        name = process.name
        link = ProcessLink(process, _parent_pid())
    except EmbodiedError as error:
        _end(name, error)
    _stop_on_signals(link)
    started_s = time.monotonic()
    failure: Optional[Exception] = None
    try:
        main(config, link)
    except EmbodiedError as error:
        failure = error
    except Exception as error:  # a defect: the trace is for the log, the line for people
        logger.exception("%s: unexpected error", name)
        failure = error
    if failure is not None:
        link.fail(failure)
    link.close()
    logger.info("%s: ended after %.1f s, peak memory %.0f MB", name, time.monotonic() - started_s, peak_rss_mb())
    _end(name, failure)


def _parent_pid() -> Optional[int]:
    """Return who must stay our parent: the one who started us, even if it is gone by now."""
    text = os.environ.pop(PARENT_VARIABLE, "")  # not for our own children
    return int(text) if text.isdigit() else None


def _stop_on_signals(link: ProcessLink) -> None:
    def handle(number: int, frame: Optional[FrameType]) -> None:
        link.stop()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


def _end(name: str, failure: Optional[Exception]) -> NoReturn:
    if failure is None:
        sys.exit(0)
    text = " ".join(str(failure).split())
    sys.stderr.write(f"{name}: {type(failure).__name__}: {text}\n")
    sys.exit(1)

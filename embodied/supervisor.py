"""The parent's side of a group of processes: it starts them, watches them, and stops them all when one is lost.

A thread watches, so that a death is noticed while the main thread works or waits. What it does then: halt the robot,
stop the rest, and leave one line that names the culprit in ``<run>/failure.txt`` and for ``check`` to raise. The main
thread learns of it there.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Type

import msgspec

from embodied import errors
from embodied.config import Config, save_config
from embodied.errors import EmbodiedError, ProcessError, TransportError
from embodied.messages import ActionResponse, Failed, Halt, Heartbeat, Ready, SupervisorMessage
from embodied.process import PARENT_VARIABLE, ProcessConfig
from embodied.runs import run_address
from embodied.security import Security
from embodied.transport import Deadline, Mailbox, RpcClient

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.05
SETTLE_S = 0.2
"""How long to look for the root of a failure: a peer's complaint may arrive before the death it complains of."""
STOPPED_AFTER_S = 1.0
"""A process without heartbeats for so long is hung if the kernel says that it is stopped …"""
SILENT_AFTER_S = 5.0
"""… and after so long in any case. Longer, because a machine under load can starve a healthy process."""
GRACE_S = 3.0
"""What a process may take to end after SIGTERM when the group fails."""

_KILLED, _HUNG, _FAILED, _LOST_PEER, _ENDED = range(5)
"""Kinds of failure, from the likeliest root to the likeliest consequence."""
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class ProcessSpec(NamedTuple):
    """A process to run: ``python -m module settings.json``."""

    name: str
    module: str
    config: Config
    """Settings with a field ``process``, which is filled in here."""
    python: str = sys.executable
    may_finish: bool = False
    """It may end with code 0 by itself, and the others go on."""


def halt_over(address: str, security: Optional[Security] = None, timeout_s: float = 0.5) -> Callable[[str], None]:
    """Return a ``halt`` that tells the bridge at ``address`` to stop the robot."""

    def halt(reason: str) -> None:
        with RpcClient(address, ActionResponse, timeout_s=timeout_s, security=security) as client:
            client.call(Halt(reason=reason))

    return halt


class _Child:
    """One process as the supervisor sees it."""

    def __init__(self, spec: ProcessSpec, log_path: Path) -> None:
        self.spec = spec
        self.log_path = log_path
        self.process: Optional[subprocess.Popen[bytes]] = None
        self.ready = False
        self.heartbeat: Optional[Heartbeat] = None
        self.failed: Optional[Failed] = None
        self.heard_s = time.monotonic()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def code(self) -> Optional[int]:
        """Exit code, None while it runs."""
        return self.process.poll() if self.process is not None else None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def failure(self) -> Optional[Tuple[int, str]]:
        """Return the kind and the text of what is wrong with it, or None."""
        code = self.code
        if code is not None and code < 0:
            return _KILLED, f"{self.name} was killed by {_signal_name(-code)}"
        if self.failed is not None:
            kind = getattr(errors, self.failed.code, None)
            is_transport = isinstance(kind, type) and issubclass(kind, TransportError)
            text = f"{self.name} failed: {self.failed.code}: {' '.join(self.failed.message.split())}"
            return _LOST_PEER if is_transport else _FAILED, text
        if code is None:
            return self._silence()
        if code == 0:
            return None if self.spec.may_finish else (_ENDED, f"{self.name} ended before it was asked to")
        last = (self.log_tail(1) or ["its log is empty"])[0]
        prefix = f"{self.name}: "
        if last.startswith(prefix):
            return _FAILED, f"{self.name} failed: {last[len(prefix) :]}"
        return _FAILED, f"{self.name} ended with code {code}: {last}"

    def _silence(self) -> Optional[Tuple[int, str]]:
        silent_s = time.monotonic() - self.heard_s
        if not self.ready or silent_s < STOPPED_AFTER_S or self.process is None:
            return None
        if _is_stopped(self.process.pid):
            return _HUNG, f"{self.name} hung: stopped, no heartbeat for {silent_s:.1f} s"
        if silent_s > SILENT_AFTER_S:
            return _HUNG, f"{self.name} hung: no heartbeat for {silent_s:.1f} s"
        return None

    def log_tail(self, n_lines: int) -> List[str]:
        """Return the last lines of the log that are not empty."""
        try:
            with self.log_path.open("rb") as file:
                file.seek(max(0, self.log_path.stat().st_size - 65536))
                lines = file.read().decode("utf-8", errors="replace").splitlines()
        except OSError:
            return []
        return [line.rstrip() for line in lines if line.strip()][-n_lines:]


class Supervisor:
    """Runs a group of processes. ``check`` often; use it as a context manager."""

    def __init__(
        self, specs: Sequence[ProcessSpec], run_directory: Path, halt: Optional[Callable[[str], None]] = None
    ) -> None:
        """Prepare. Settings go to ``<run>/config/<name>.json``, output to ``<run>/logs/<name>.log``.

        Args:
            specs: The processes, in the order in which they start.
            run_directory: The folder of the run.
            halt: Called with the reason, in the watching thread, before the rest is stopped: ``halt_over``.
        """
        names = [spec.name for spec in specs]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"specs: expected processes with different names, got {names}")
        for spec in specs:
            if not isinstance(getattr(spec.config, "process", None), ProcessConfig):
                raise ValueError(f"specs: the settings of {spec.name} have no field process: ProcessConfig")
        self._run = Path(run_directory)
        self._children = {spec.name: _Child(spec, self._run / "logs" / f"{spec.name}.log") for spec in specs}
        self._halt = halt
        self._mailbox: Optional[Mailbox] = None
        self._watcher: Optional[threading.Thread] = None
        self._changed = threading.Condition()
        self._failure: Optional[str] = None
        self._told = False
        self._stop_asked = threading.Event()
        self._quit = threading.Event()

    # ------------------------------------------------------------------------------------- for the main thread

    @property
    def statistics(self) -> Dict[str, Heartbeat]:
        """The last heartbeat of each process that has sent one, also of those that ended."""
        return {name: child.heartbeat for name, child in self._children.items() if child.heartbeat is not None}

    @property
    def pids(self) -> Dict[str, int]:
        """Process ids of those that were started."""
        return {name: child.process.pid for name, child in self._children.items() if child.process is not None}

    @property
    def failure(self) -> Optional[str]:
        """The line that says why the group failed, as soon as it is known."""
        return self._failure

    def start(self, timeout_s: float) -> None:
        """Start all processes and wait until each is ready.

        Raises:
            ProcessError: One failed, or is not ready in time; all are stopped.
            AddressInUse: Another supervisor works in this run directory.
        """
        assert self._watcher is None, "a supervisor starts once"
        deadline = Deadline(timeout_s)
        (self._run / "logs").mkdir(parents=True, exist_ok=True)
        self._mailbox = Mailbox(run_address(self._run, "supervisor"), SupervisorMessage)
        self._failure_path.unlink(missing_ok=True)
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        try:
            for child in self._children.values():
                self._spawn(child, self._mailbox.address)
        finally:
            self._watcher.start()  # also if one could not be started: it closes the mailbox
        with self._changed:
            done = self._changed.wait_for(lambda: bool(self._failure) or self._all_ready(), deadline.left_s)
        if not done:
            late = next(child for child in self._children.values() if not child.ready)
            lines = "\n".join(f"    {line}" for line in late.log_tail(5)) or "    (empty)"
            text = f"{late.name} is not ready after {timeout_s:.1f} s; the end of {late.log_path}:\n{lines}"
            self.stop(GRACE_S)
            raise ProcessError(text)
        self.check()

    def check(self) -> None:
        """Raise ProcessError if the group has failed; by then the robot is halted and the rest is stopped."""
        if self._failure is None:
            assert self._watcher is None or self._watcher.is_alive() or self._quit.is_set(), "nobody watches the group"
            return
        assert self._watcher is not None
        self._watcher.join(timeout=GRACE_S + 10.0)
        self._told = True
        raise ProcessError(self._failure)

    def finished(self, name: str) -> bool:
        """Return whether the process has ended with code 0."""
        return self._children[name].code == 0

    def wait_finished(self, name: str, timeout_s: float) -> None:
        """Wait until a process that may finish has done so.

        Raises:
            DeadlineExceeded: It still runs when the time is up.
            ProcessError: The group has failed.
        """
        left_s = Deadline(timeout_s).left_s
        with self._changed:
            done = self._changed.wait_for(lambda: bool(self._failure) or self.finished(name), left_s)
        self.check()
        if not done:
            raise errors.DeadlineExceeded(f"{name} has not finished within {timeout_s:.1f} s")

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop all processes: SIGTERM, then SIGKILL for those that run after ``timeout_s``. May be called twice."""
        self._stop_asked.set()
        watcher = self._watcher
        if watcher is None:
            return
        if self._failure is None:
            self._terminate(timeout_s)
        self._quit.set()
        watcher.join(timeout=timeout_s + GRACE_S + 10.0)
        assert not watcher.is_alive(), "the watching thread does not end"

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if isinstance(error, EmbodiedError) and not self._told and self._watcher is not None:
            # The main thread often meets a consequence of a death before the watcher has named the dead process.
            with self._changed:
                self._changed.wait_for(lambda: bool(self._failure), STOPPED_AFTER_S + 2 * SETTLE_S)
        self.stop()
        if self._failure is not None and not self._told and (error is None or isinstance(error, EmbodiedError)):
            raise ProcessError(self._failure) from error

    # ------------------------------------------------------------------------------------- processes

    @property
    def _failure_path(self) -> Path:
        return self._run / "failure.txt"

    def _all_ready(self) -> bool:
        return all(c.ready or (c.spec.may_finish and c.code == 0) for c in self._children.values())

    def _spawn(self, child: _Child, address: str) -> None:
        spec = child.spec
        path = self._run / "config" / f"{spec.name}.json"
        process = ProcessConfig(name=spec.name, supervisor=address)
        save_config(msgspec.structs.replace(spec.config, process=process), path)
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", PARENT_VARIABLE: str(os.getpid())}
        environment.update(dict.fromkeys(_ONE_THREAD, "1"))
        try:
            with child.log_path.open("wb") as log:
                child.process = subprocess.Popen(
                    [spec.python, "-m", spec.module, str(path)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,  # Ctrl-C in the terminal is for us, who stop them in order
                )
        except OSError as error:
            self._terminate(GRACE_S)
            self._stop_asked.set()
            self._quit.set()
            raise ProcessError(f"{spec.name} could not be started: {error}") from error
        child.heard_s = time.monotonic()

    def _terminate(self, timeout_s: float) -> None:
        """End all that run; from the main thread in a planned stop, from the watcher after a failure."""
        running = [child for child in self._children.values() if child.running]
        for child in running:
            assert child.process is not None
            if _is_stopped(child.process.pid):
                child.process.kill()  # it could not act on anything else
            else:
                child.process.terminate()
        deadline = Deadline(timeout_s)
        for child in running:
            assert child.process is not None
            try:
                code = child.process.wait(timeout=deadline.left_s)
                if code > 0:  # asked to end, it failed: what it could not finish must not go unsaid
                    logger.warning("%s ended with code %d: %s", child.name, code, "".join(child.log_tail(1)))
            except subprocess.TimeoutExpired:
                logger.warning("%s did not end within %.1f s and is killed", child.name, timeout_s)
                child.process.kill()
                child.process.wait(timeout=10.0)

    # ------------------------------------------------------------------------------------- the watching thread

    def _watch(self) -> None:
        assert self._mailbox is not None
        with self._mailbox as mailbox:
            while not self._quit.is_set():
                self._listen(mailbox, LOOK_EVERY_S)
                if self._stop_asked.is_set():
                    continue
                found = self._find_failures()
                if not found:
                    continue
                if found[0][0] >= _FAILED:
                    settled = Deadline(SETTLE_S)
                    while not settled.over:
                        self._listen(mailbox, settled.left_s)
                    found = self._find_failures() or found
                if not self._stop_asked.is_set():
                    self._fail(found[0][1])
                    return

    def _listen(self, mailbox: Mailbox, timeout_s: float) -> None:
        """Take what the processes say; wait for the first message only."""
        message = mailbox.receive(timeout_s)
        while message is not None:
            child = self._children.get(message.name)
            if child is None:
                logger.warning("a message from %r, which is no process of this group", message.name)
            else:
                child.heard_s = time.monotonic()
                if isinstance(message, Heartbeat):
                    child.heartbeat = message
                elif isinstance(message, Failed):
                    child.failed = message
                elif isinstance(message, Ready):
                    child.ready = True
            message = mailbox.receive(0.0)
        with self._changed:
            self._changed.notify_all()

    def _find_failures(self) -> List[Tuple[int, str]]:
        """Return all that is wrong, the likeliest root first."""
        found = [failure for child in self._children.values() if (failure := child.failure()) is not None]
        return sorted(found, key=lambda failure: failure[0])

    def _fail(self, text: str) -> None:
        """Halt the robot, stop the rest, and let the main thread know."""
        logger.error("%s", text)
        try:
            if self._halt is not None:
                self._halt(text)
        except EmbodiedError as error:
            logger.error("the robot could not be told to halt: %s", error)
        finally:
            # Known only from here on: a main thread that sees it may rely on the halt.
            with self._changed:
                self._failure = text
                self._changed.notify_all()
            self._terminate(GRACE_S)
            self._failure_path.write_text(text + "\n", encoding="utf-8")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _is_stopped(pid: int) -> bool:
    """Return whether the kernel holds the process stopped (SIGSTOP, a debugger); False where that is not told."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in ("T", "t")

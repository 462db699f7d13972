"""The folder of one run, and how a script that makes one begins and ends."""

from __future__ import annotations

import importlib
import logging
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

import msgspec
import tyro

from embodied.config import Config, git_hash
from embodied.errors import AddressInUse, ConfigurationError, EmbodiedError
from embodied.progress import Progress
from embodied.transport import is_bound, socket_address

SETTINGS_FILE = "settings.json"
LOG_FILE = "launcher.log"
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def run_address(run: Path, name: str) -> str:
    """Return the address of one of the run's sockets, for processes of this machine and user."""
    return socket_address(run / "sockets", name)


def new_run(directory: str, settings: Config) -> Path:
    """Make the folder of a run, in place of an earlier run's, with the resolved settings and the git hash in it.

    What this process logs from now on goes to ``logs/launcher.log`` in it.

    Raises:
        ConfigurationError: Something is there that is no earlier run, or the folder cannot be made: nobody's files are
            deleted by mistake.
        AddressInUse: The run that is there still works.
    """
    run = Path(directory)
    try:
        if run.exists() and not run.is_dir():
            raise ConfigurationError(f"out: {run} is a file; name a folder")
        if run.is_dir() and any(run.iterdir()):
            _check_replaceable(run)
            shutil.rmtree(run)
        (run / "logs").mkdir(parents=True)
        contents = {"git": git_hash(), "settings": settings}
        (run / SETTINGS_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(contents), indent=2) + b"\n")
        _log_to(run / "logs" / LOG_FILE)
    except OSError as error:
        raise ConfigurationError(f"out: cannot make {run}: {error}") from error
    return run


def _check_replaceable(run: Path) -> None:
    try:
        contents = msgspec.json.decode((run / SETTINGS_FILE).read_bytes(), type=Dict[str, Any])
    except (FileNotFoundError, msgspec.MsgspecError):
        contents = {}
    if set(contents) != {"git", "settings"}:
        raise ConfigurationError(f"out: {run} is not empty and is no earlier run; name another folder")
    if is_bound(run_address(run, "supervisor")):
        raise AddressInUse(f"out: the run in {run} still works; wait for its end or name another folder")


def _log_to(path: Path) -> None:
    # On the terminal a person sees the progress and one line at the end; the rest is kept here.
    logging.basicConfig(
        filename=path, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )


def run_script(name: str, work: Callable[[Progress], None]) -> int:
    """Do a script's work and return its exit code.

    Ends with 0, with 1 and one clear line after an error of the world, or with 130 when a person, or SIGTERM, stopped
    it; in either case ``work`` has left its context managers.
    """
    # A shell has what it starts in the background ignore SIGINT, and Python leaves it so; whoever sends it means it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    progress = Progress()
    try:
        work(progress)
    except (EmbodiedError, OSError) as error:
        progress.interrupt()
        sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n")
        return 1
    except KeyboardInterrupt:
        progress.interrupt()
        sys.stderr.write(f"{name}: interrupted\n")
        return INTERRUPTED
    return 0


def run_named_script(
    script: str, description: str, modules: Mapping[str, str], arguments: Optional[Sequence[str]] = None
) -> int:
    """Run one of several jobs of a script, ``SCRIPT NAME …``, and return the exit code; 2 for wrong usage.

    Args:
        script: What the script is called in messages.
        description: What ``--help`` says.
        modules: By the name of the job, the module that does it, imported only then: it has ``Settings``, a ``Config``,
            and ``main(settings, progress)``.
        arguments: The command line after the script's name; the program's own by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        sys.stdout.write(description.strip() + "\n")
        return 0 if given else 2
    name = given.pop(0)
    if name not in modules:
        sys.stderr.write(f"{script}: expected one of {', '.join(modules)}, got {name!r}\n")
        return 2
    module = importlib.import_module(modules[name])
    settings = tyro.cli(module.Settings, prog=f"{script} {name}", description=module.__doc__, args=given)
    return run_script(f"{script} {name}", lambda progress: module.main(settings, progress))

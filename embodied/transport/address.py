"""Where sockets live on the file system, and how a path is taken without stealing it from another process."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import stat
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Union

from embodied.errors import AddressInUse, ConfigurationError
from embodied.security import MAX_IPC_PATH_BYTES

_umask_lock = threading.Lock()


def socket_address(directory: Union[str, Path], name: str) -> str:
    """Return the ``ipc://`` address of a socket in ``directory``, the same for the same arguments.

    A path too long for a socket is replaced by one in the temporary directory that is derived from it.

    Raises:
        ConfigurationError: The folder in the temporary directory belongs to somebody else.
    """
    path = Path(directory).absolute() / name
    if len(os.fsencode(path)) > MAX_IPC_PATH_BYTES:
        digest = hashlib.sha256(os.fsencode(path.parent)).hexdigest()[:16]
        path = _own_temporary_folder() / digest / name
    return f"ipc://{path}"


def _own_temporary_folder() -> Path:
    """Return our folder in the temporary directory, where anybody could have made one of that name before us."""
    folder = Path(tempfile.gettempdir()) / f"embodied-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o022:
        raise ConfigurationError(f"{folder}: expected a folder of our own that nobody else can write to")
    return folder


def claim_ipc_path(path: Path) -> None:
    """Make sure that nobody listens at ``path``, and remove the file that a dead process left there.

    libzmq unlinks whatever file is there before it binds, so without this a second process would silently take the
    path of a living one.

    Raises:
        AddressInUse: A process listens there.
        ConfigurationError: Something that is not a socket lies there, or the folder cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(f"address ipc://{path}: {error}") from error
    if not stat.S_ISSOCK(mode):
        raise ConfigurationError(f"address ipc://{path}: there is a file that is not a socket; it is left alone")
    if _somebody_listens(path):
        raise AddressInUse(f"address ipc://{path}: another process is bound there")
    path.unlink(missing_ok=True)


def is_bound(address: str) -> bool:
    """Return whether a process listens at an ``ipc://`` address.

    Raises:
        ConfigurationError: That cannot be told, for lack of rights.
    """
    return _somebody_listens(Path(address[len("ipc://") :]))


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        result = probe.connect_ex(str(path))
    if result in (errno.ECONNREFUSED, errno.ENOENT):
        return False
    if result in (0, errno.EAGAIN, errno.EINPROGRESS):  # EAGAIN: the listener is too busy to answer, but there
        return True
    raise ConfigurationError(f"address ipc://{path}: {os.strerror(result)}")


@contextmanager
def private_files() -> Iterator[None]:
    """Make files created meanwhile readable by their owner alone."""
    with _umask_lock:
        before = os.umask(0o177)
        try:
            yield
        finally:
            os.umask(before)

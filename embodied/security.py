"""Who may talk to us: which addresses need keys, and the CURVE keys themselves.

Addresses that only this machine can reach (``ipc://`` with a socket file of mode 0600, tcp on the loopback) need no
keys. Every other address needs them on both ends, and the side that binds accepts only clients on its allow-list.

A directory of keys holds::

    <name>.secret            our own pair, mode 0600
    <name>.pub               our public key, to be given to the other side
    <server>.pub             for a client: the key that the server must prove to hold
    allowed/<client>.pub     for a server: the clients that may connect; read anew at every connection

Who holds a server's own pair may connect to it as well: the processes of one robot share one pair.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import stat
from pathlib import Path
from typing import NamedTuple, Optional, Tuple, Union

import zmq
import zmq.auth

from embodied.config import Config
from embodied.errors import ConfigurationError, InsecureAddress

NEW_KEYS_COMMAND = "embodied keys new"
"""Without a name it names the keys after the machine."""
MAX_IPC_PATH_BYTES = 107
"""What a Unix socket address holds on Linux, less the closing zero."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TCP = re.compile(r"tcp://(?P<host>\[[^\[\]]+\]|[^\[\]:/]+):(?P<port>\d{1,5}|\*)")


class Security(Config):
    """How a socket proves who it is. Without a directory of keys only this machine is reached."""

    keys_directory: Optional[str] = None
    """Where the keys are; None for none."""
    name: str = ""
    """Whose secret key we use, ``<name>.secret``."""
    server: str = "server"
    """For a client: whose public key, ``<server>.pub``, the other side must prove to hold."""


class KeyPair(NamedTuple):
    """A CURVE key pair in Z85."""

    public: bytes
    secret: bytes


def check_address(address: str, security: Optional[Security] = None) -> None:
    """Refuse an address that cannot work, or that other machines can reach while there are no keys.

    Raises:
        ConfigurationError: The address is not one, or its socket path is too long.
        InsecureAddress: It is not of this machine alone and ``security`` names no keys.
    """
    if address.startswith("ipc://"):
        _check_ipc(address[len("ipc://") :])
        return
    match = _TCP.fullmatch(address)
    if match is None or (match["port"] != "*" and int(match["port"]) > 65535):
        raise ConfigurationError(f"address {address!r}: expected ipc://PATH or tcp://HOST:PORT")
    if not is_loopback(match["host"].strip("[]")) and not uses_curve(address, security):
        raise InsecureAddress(
            f"address {address}: other machines can reach it and there are no keys; make them with "
            f"`{NEW_KEYS_COMMAND}` and name their directory (--keys, or keys_directory in settings), or use ipc:// or "
            "127.0.0.1"
        )


def uses_curve(address: str, security: Optional[Security]) -> bool:
    """Return whether this address is spoken to under CURVE. An ``ipc://`` address is guarded by its file instead."""
    return address.startswith("tcp://") and security is not None and security.keys_directory is not None


def _check_ipc(path: str) -> None:
    if not path or path.startswith(("@", "*")):
        raise ConfigurationError(
            f"address ipc://{path}: expected the path of a file, whose mode decides who may connect"
        )
    n_bytes = len(os.fsencode(path))
    if n_bytes > MAX_IPC_PATH_BYTES:
        raise ConfigurationError(
            f"address ipc://{path}: its path has {n_bytes} bytes, a socket allows {MAX_IPC_PATH_BYTES}; "
            "choose a shorter directory"
        )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can be behind a host name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"name: expected letters, digits, '_', '-' and '.', got {name!r}")
    return name


def own_keys(directory: Union[str, Path], name: str = "", *, server: str = "server") -> Security:
    """Return the settings for the keys in ``directory``; ``name`` may be left out where it holds one pair only.

    Raises:
        ConfigurationError: There is no such pair, or it is not clear which is meant.
    """
    found = [name] if name else sorted(path.stem for path in Path(directory).glob("*.secret"))
    if len(found) > 1:
        raise ConfigurationError(f"keys {directory}: there are {', '.join(found)}; say which with --key-name")
    if not found:
        raise ConfigurationError(f"keys {directory}: there is no pair; make one with `{NEW_KEYS_COMMAND}`")
    security = Security(keys_directory=str(directory), name=found[0], server=server)
    try:
        load_key_pair(security)
    except ValueError as error:  # a name that cannot be a file's
        raise ConfigurationError(f"keys {directory}: {error}") from error
    return security


def machine_name() -> str:
    """Return a name for this machine's keys."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:64].lstrip("_.-") or "machine"


def new_keys(directory: Union[str, Path], name: str) -> Tuple[Path, Path]:
    """Make a key pair, ``<name>.pub`` and ``<name>.secret`` (mode 0600), and return their paths.

    Raises:
        ConfigurationError: There are keys of that name already (they are kept), or the directory cannot be written.
    """
    folder = Path(directory)
    public_path, secret_path = folder / f"{_check_name(name)}.pub", folder / f"{name}.secret"
    public, secret = (key.decode("ascii") for key in zmq.curve_keypair())
    public_text = f'metadata\n    name = {name}\ncurve\n    public-key = "{public}"\n'
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "allowed").mkdir(exist_ok=True, mode=0o700)
        _write_new(secret_path, f'{public_text}    secret-key = "{secret}"\n', 0o600)
        _write_new(public_path, public_text, 0o644)
    except FileExistsError as error:
        raise ConfigurationError(f"keys {error.filename}: the file exists already and is kept") from error
    except OSError as error:
        raise ConfigurationError(f"keys {directory}: {error}") from error
    return public_path, secret_path


def _write_new(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)


def allow_client(directory: Union[str, Path], public_path: Union[str, Path]) -> Path:
    """Put a client's public key on the allow-list of ``directory`` and return the copy's path."""
    source = Path(public_path)
    return _copy_public_key(source, Path(directory) / "allowed" / f"{_check_name(source.stem)}.pub")


def trust_server(directory: Union[str, Path], public_path: Union[str, Path]) -> Path:
    """Make a public key the one that servers must prove to hold, and return the copy's path."""
    return _copy_public_key(Path(public_path), Path(directory) / "server.pub")


def _copy_public_key(source: Path, target: Path) -> Path:
    key = load_public_key(source)
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.write_text(f'curve\n    public-key = "{key.decode("ascii")}"\n', encoding="ascii")
    except OSError as error:
        raise ConfigurationError(f"keys {target}: {error}") from error
    return target


def load_public_key(path: Path) -> bytes:
    """Read a public key.

    Raises:
        ConfigurationError: There is no such file, or no key in it.
    """
    return _load(path)[0]


def load_key_pair(security: Security) -> KeyPair:
    """Read our own pair.

    Raises:
        ConfigurationError: It is missing or damaged, or others can read the secret.
    """
    assert security.keys_directory is not None
    path = Path(security.keys_directory) / f"{_check_name(security.name)}.secret"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise ConfigurationError(f"keys {path}: {error.strerror}; make them with `{NEW_KEYS_COMMAND}`") from error
    if mode & 0o077:
        raise ConfigurationError(f"keys {path}: others can read this secret (mode {mode:04o}); run chmod 600 {path}")
    public, secret = _load(path)
    if secret is None:
        raise ConfigurationError(f"keys {path}: there is no secret key in it")
    return KeyPair(public, secret)


def load_server_key(security: Security) -> bytes:
    """Read the public key that the server must prove to hold."""
    assert security.keys_directory is not None
    path = Path(security.keys_directory) / f"{_check_name(security.server)}.pub"
    if not path.is_file():
        raise ConfigurationError(f"keys {path}: there is no such file; get it with `embodied keys trust FILE`")
    return load_public_key(path)


def _load(path: Path) -> Tuple[bytes, Optional[bytes]]:
    try:
        public, secret = zmq.auth.load_certificate(path)
        zmq.utils.z85.decode(public)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise ConfigurationError(f"keys {path}: {error}") from error
    if len(public) != 40 or (secret is not None and len(secret) != 40):
        raise ConfigurationError(f"keys {path}: a key has not 40 characters")
    return public, secret


class AllowList:
    """The clients that a server accepts: the public keys in ``allowed``, and its own. For ``zmq.auth``."""

    def __init__(self, security: Security) -> None:
        assert security.keys_directory is not None
        self._folder = Path(security.keys_directory) / "allowed"
        self._own = load_key_pair(security).public

    def callback(self, domain: str, key: bytes) -> bool:
        """Return whether the key is on the list now; a damaged file allows nobody."""
        if key == self._own:
            return True
        for path in sorted(self._folder.glob("*.pub")):
            try:
                if load_public_key(path) == key:
                    return True
            except ConfigurationError:
                continue  # somebody else's damaged file must not lock out the others
        return False

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any, Callable

import pytest

from embodied.errors import AddressInUse, ConfigurationError
from embodied.messages import ActionRequest, ActionResponse, Halt, Halted, SessionEnd
from embodied.security import MAX_IPC_PATH_BYTES
from embodied.transport import LatestPublisher, LosslessProducer, Mailbox, RpcClient, RpcServer, socket_address

BINDERS = {
    "rpc": lambda address: RpcServer(address, ActionRequest),
    "latest": LatestPublisher,
    "lossless": lambda address: LosslessProducer(address, consumers=["memory"]),
    "mailbox": lambda address: Mailbox(address, SessionEnd),
}


def leave_stale_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()


@pytest.mark.parametrize("bind", BINDERS.values(), ids=BINDERS)
def test_a_living_process_keeps_its_path(tmp_path: Path, bind: Callable[[str], Any]) -> None:
    address = socket_address(tmp_path, "actions")
    with RpcServer(address, ActionRequest) as first, RpcClient(address, ActionResponse, timeout_s=10.0) as client:
        with pytest.raises(AddressInUse, match=address):
            bind(address)
        with pytest.raises(Exception, match="no answer"):
            client.call(Halt(reason=""), timeout_s=0.05)
        call = first.receive(10.0)
        assert call is not None, "the first one still gets the requests"
        call.reply(Halted(stamp_ns=0))


@pytest.mark.parametrize("bind", BINDERS.values(), ids=BINDERS)
def test_a_port_in_use_is_an_address_in_use(bind: Callable[[str], Any]) -> None:
    with RpcServer("tcp://127.0.0.1:*", ActionRequest) as first:
        with pytest.raises(AddressInUse, match=first.address):
            bind(first.address)


@pytest.mark.parametrize("bind", BINDERS.values(), ids=BINDERS)
def test_a_socket_file_is_for_its_owner_alone(tmp_path: Path, bind: Callable[[str], Any]) -> None:
    before = os.umask(0)
    try:
        with bind(socket_address(tmp_path / "sockets", "a")):
            assert stat.S_IMODE((tmp_path / "sockets" / "a").stat().st_mode) == 0o600
            assert stat.S_IMODE((tmp_path / "sockets").stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_the_file_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    leave_stale_socket(tmp_path / "actions")
    with RpcServer(socket_address(tmp_path, "actions"), ActionRequest):
        pass


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(ConfigurationError, match="not a socket"):
        RpcServer(f"ipc://{tmp_path}/notes", ActionRequest)
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="file/sockets"):
        RpcServer(f"ipc://{tmp_path}/file/sockets/a", ActionRequest)


def test_an_interface_that_this_machine_has_not_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"tcp://\[::1\]|tcp://127\.0\.0\.1:70000"):
        RpcServer("tcp://127.0.0.1:70000", ActionRequest)


def test_a_path_too_long_for_a_socket_is_replaced_by_a_short_one_that_is_always_the_same(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    address = socket_address(folder, "pipe")
    assert len(address) <= MAX_IPC_PATH_BYTES
    assert address == socket_address(folder, "pipe")
    assert address != socket_address(folder / "other", "pipe")
    with RpcServer(address, ActionRequest):
        pass
    with pytest.raises(ConfigurationError, match=f"a socket allows {MAX_IPC_PATH_BYTES}; choose a shorter directory"):
        RpcServer(f"ipc://{folder}/pipe", ActionRequest)


def test_a_temporary_folder_that_others_can_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    (tmp_path / f"embodied-{os.getuid()}").mkdir()
    (tmp_path / f"embodied-{os.getuid()}").chmod(0o777)
    with pytest.raises(ConfigurationError, match="folder of our own"):
        socket_address(tmp_path / ("long" * 30), "pipe")


def test_a_short_path_is_used_as_it_is(tmp_path: Path) -> None:
    assert socket_address(tmp_path, "pipe") == f"ipc://{tmp_path}/pipe"

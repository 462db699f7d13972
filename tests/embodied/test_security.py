from __future__ import annotations

import stat
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional

import pytest

from embodied.errors import ConfigurationError, DeadlineExceeded, InsecureAddress
from embodied.messages import ActionRequest, ActionResponse, Halt, Halted, SessionEnd
from embodied.security import (
    Security,
    allow_client,
    check_address,
    load_key_pair,
    load_public_key,
    machine_name,
    new_keys,
    own_keys,
    trust_server,
)
from embodied.transport import (
    LatestPublisher,
    LatestSubscriber,
    LosslessConsumer,
    LosslessProducer,
    RpcClient,
    RpcServer,
)

LONG_S = 10.0
REFUSED_S = 0.5


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Make a folder with the keys of a server, an allowed client and a stranger."""
    for name in ("server", "robot", "stranger"):
        new_keys(tmp_path, name)
    allow_client(tmp_path, tmp_path / "robot.pub")
    return tmp_path


def security(keys: Path, name: str) -> Security:
    return Security(keys_directory=str(keys), name=name)


@contextmanager
def halting_server(keys: Path) -> Iterator[str]:
    """Answer every call on a port of this machine under keys."""
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            call = server.receive(0.02)
            if call is not None:
                call.reply(Halted(stamp_ns=1))

    with RpcServer("tcp://127.0.0.1:*", ActionRequest, security=security(keys, "server")) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.address
        stopping.set()
        thread.join(LONG_S)


def call(address: str, identity: Optional[Security], timeout_s: float) -> object:
    with RpcClient(address, ActionResponse, security=identity) as client:
        return client.call(Halt(reason=""), timeout_s=timeout_s)


@pytest.mark.parametrize(
    "address",
    [
        "ipc:///run/pipe",
        "tcp://127.0.0.1:5555",
        "tcp://127.8.0.1:*",
        "tcp://localhost:5555",
        "tcp://[::1]:5555",
    ],
)
def test_addresses_of_this_machine_need_no_keys(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "tcp://0.0.0.0:5555",
        "tcp://*:5555",
        "tcp://192.168.1.7:5555",
        "tcp://[::]:5555",
        "tcp://robot.local:5555",
        "tcp://eth0:5555",
        "tcp://128.0.0.1:5555",
        "tcp://127.0.0.1.example.org:5555",
        "tcp://localhost.example.org:5555",
    ],
)
def test_other_addresses_without_keys_are_refused_with_the_command_that_makes_them(address: str) -> None:
    with pytest.raises(InsecureAddress, match="`embodied keys new`"):
        check_address(address)
    with pytest.raises(InsecureAddress):
        check_address(address, Security())
    check_address(address, Security(keys_directory="keys", name="server"))


@pytest.mark.parametrize(
    "address",
    ["", "pipe", "/run/pipe", "udp://127.0.0.1:5555", "tcp://127.0.0.1", "tcp://127.0.0.1:70000", "tcp://:5555"]
    + ["ipc://", "ipc://@abstract", "ipc://*", "inproc://a", "tcp://127.0.0.1:5555;tcp://0.0.0.0:1", "tcp://::1:5555"],
)
def test_what_is_no_address_is_a_configuration_error(address: str) -> None:
    with pytest.raises(ConfigurationError, match="expected") as caught:
        check_address(address)
    assert not isinstance(caught.value, InsecureAddress)


@pytest.mark.parametrize(
    "make",
    [
        lambda a: RpcServer(a, ActionRequest),
        lambda a: RpcClient(a, ActionResponse),
        LatestPublisher,
        lambda a: LatestSubscriber(a, SessionEnd),
        lambda a: LosslessProducer(a, consumers=["memory"]),
        lambda a: LosslessConsumer(a, name="memory"),
    ],
)
def test_no_channel_opens_on_an_address_without_keys(make: object) -> None:
    with pytest.raises(InsecureAddress):
        make("tcp://0.0.0.0:5555")  # type: ignore[operator]


def test_an_allowed_client_is_answered(keys: Path) -> None:
    with halting_server(keys) as address:
        assert call(address, security(keys, "robot"), LONG_S) == Halted(stamp_ns=1)


@pytest.mark.parametrize("name", ["stranger", None])
def test_an_unknown_client_and_one_without_keys_get_nothing(keys: Path, name: Optional[str]) -> None:
    with halting_server(keys) as address:
        with pytest.raises(DeadlineExceeded, match="nobody answers"):
            call(address, security(keys, name) if name else None, REFUSED_S)
        assert call(address, security(keys, "robot"), LONG_S) == Halted(stamp_ns=1)


def test_the_processes_of_one_robot_share_its_pair(keys: Path) -> None:
    with halting_server(keys) as address:
        assert call(address, security(keys, "server"), LONG_S) == Halted(stamp_ns=1)


def test_a_refused_client_is_told_to_look_at_its_keys(keys: Path) -> None:
    with halting_server(keys) as address, pytest.raises(DeadlineExceeded, match="our keys do not fit"):
        call(address, security(keys, "stranger"), REFUSED_S)


def test_the_only_pair_of_a_folder_needs_no_name(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    laptop = tmp_path_factory.mktemp("laptop")
    new_keys(laptop, "laptop")
    assert own_keys(laptop) == security(laptop, "laptop")
    assert own_keys(keys, "robot") == security(keys, "robot")
    with pytest.raises(ConfigurationError, match="robot, server, stranger; say which with --key-name"):
        own_keys(keys)
    with pytest.raises(ConfigurationError, match="there is no pair; make one with `embodied keys new`"):
        own_keys(laptop / "allowed")
    with pytest.raises(ConfigurationError, match="name: expected"):
        own_keys(keys, "../robot")


def test_a_server_whose_key_was_never_given_is_told_how_to_give_it(keys: Path) -> None:
    (keys / "server.pub").unlink()
    with pytest.raises(ConfigurationError, match="embodied keys trust FILE"):
        RpcClient("tcp://127.0.0.1:5555", ActionResponse, security=security(keys, "robot"))
    trust_server(keys, keys / "stranger.pub")
    assert load_public_key(keys / "server.pub") == load_public_key(keys / "stranger.pub")


def test_keys_can_be_named_after_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("robot.local", "-odd name-", "", "x" * 100):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        new_keys(tmp_path / (host or "none"), machine_name())


def test_a_client_does_not_talk_to_a_server_with_another_key(keys: Path) -> None:
    with halting_server(keys) as address, pytest.raises(DeadlineExceeded, match="nobody answers"):
        call(address, Security(keys_directory=str(keys), name="robot", server="stranger"), REFUSED_S)


def test_a_client_that_is_struck_off_the_list_gets_no_new_connection(keys: Path) -> None:
    with halting_server(keys) as address:
        call(address, security(keys, "robot"), LONG_S)
        (keys / "allowed" / "robot.pub").unlink()
        with pytest.raises(DeadlineExceeded):
            call(address, security(keys, "robot"), REFUSED_S)


def test_a_damaged_key_on_the_list_does_not_lock_out_the_others(keys: Path) -> None:
    (keys / "allowed" / "a.pub").write_text("junk")
    with halting_server(keys) as address:
        assert call(address, security(keys, "robot"), LONG_S) == Halted(stamp_ns=1)


def test_a_stream_runs_under_keys(keys: Path) -> None:
    end = SessionEnd(session="a", stamp_ns=0, n_observations=0)
    server, robot = security(keys, "server"), security(keys, "robot")
    with LosslessProducer("tcp://127.0.0.1:*", consumers=["memory"], security=server) as producer:
        with LosslessConsumer(producer.address, name="memory", security=robot) as consumer:
            thread = threading.Thread(target=consumer.connect, args=(LONG_S,))
            thread.start()
            producer.wait_for_consumers(LONG_S)
            thread.join(LONG_S)
            producer.send(end, LONG_S)
            assert consumer.receive(LONG_S) == end
    with LatestPublisher("tcp://127.0.0.1:*", security=server) as publisher:
        with LatestSubscriber(publisher.address, SessionEnd, security=robot) as subscriber:
            publisher.wait_for_subscribers(1, LONG_S)
            publisher.publish(end)
            assert subscriber.receive(LONG_S) == end


def test_a_secret_is_for_its_owner_alone(keys: Path) -> None:
    path = keys / "server.secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    load_key_pair(security(keys, "server"))
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(ConfigurationError, match=f"mode {mode:04o}.*chmod 600"):
            load_key_pair(security(keys, "server"))
        with pytest.raises(ConfigurationError):
            RpcServer("tcp://127.0.0.1:*", ActionRequest, security=security(keys, "server"))


def test_existing_keys_are_kept(keys: Path) -> None:
    before = (keys / "server.secret").read_bytes()
    with pytest.raises(ConfigurationError, match="kept"):
        new_keys(keys, "server")
    assert (keys / "server.secret").read_bytes() == before


def test_a_public_file_holds_no_secret(keys: Path) -> None:
    pair = load_key_pair(security(keys, "server"))
    assert load_public_key(keys / "server.pub") == pair.public
    for path in keys.rglob("*.pub"):
        assert "secret" not in path.read_text()


def test_missing_and_damaged_keys_are_told(keys: Path) -> None:
    with pytest.raises(ConfigurationError, match="nobody.secret.*`embodied keys new`"):
        load_key_pair(security(keys, "nobody"))
    with pytest.raises(ConfigurationError, match=r"absent\.pub"):
        load_public_key(keys / "absent.pub")
    for text in ("", 'curve\n    public-key = "short"\n', "public-key", 'public-key = "\x7f' + "~" * 39):
        (keys / "server.pub").write_text(text)
        with pytest.raises(ConfigurationError, match=r"server\.pub"):
            load_public_key(keys / "server.pub")


@pytest.mark.parametrize("name", ["", "../robot", "a/b", ".hidden", "a b", "x" * 65])
def test_names_of_keys_stay_in_their_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name: expected"):
        new_keys(tmp_path, name)

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, List

import numpy as np
import pytest
import zmq

from embodied.codec import MAX_FRAME_BYTES, Codec, pack
from embodied.errors import (
    DeadlineExceeded,
    MalformedMessage,
    OversizedMessage,
    RemoteError,
    StoreError,
    VersionMismatch,
)
from embodied.messages import (
    PROTOCOL_VERSION,
    ActionChunk,
    ActionReply,
    ActionRequest,
    ActionResponse,
    ErrorReply,
    Halt,
    Halted,
    SessionEnd,
)
from embodied.transport import Call, RpcClient, RpcServer, socket_address, wait_any

LONG_S = 10.0
NOT_UTF8 = UnicodeDecodeError("utf-8", b"x", 0, 1, "bad")
SHORT_S = 0.05


@pytest.fixture
def address(tmp_path: Path) -> str:
    return socket_address(tmp_path, "actions")


def halted(n: int) -> Halted:
    return Halted(stamp_ns=n)


def with_version(version: int) -> bytes:
    frame = bytearray(pack(Halt(reason="")))
    frame[4] = version
    return bytes(frame)


@contextmanager
def serving(address: str, handle: Callable[[Call], None], **settings: Any) -> Iterator[RpcServer]:
    """Serve in a thread; what the handler raises is raised at the end."""
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            call = server.receive(0.02)
            if call is not None:
                handle(call)

    with RpcServer(address, ActionRequest, **settings) as server, ThreadPoolExecutor(1) as pool:
        running = pool.submit(serve)
        try:
            yield server
        finally:
            stopping.set()
        running.result(LONG_S)


def client(address: str, timeout_s: float = LONG_S) -> RpcClient:
    return RpcClient(address, ActionResponse, timeout_s=timeout_s)


def raise_error(error: Exception) -> Callable[[Any], Any]:
    def handle(request: Any) -> Any:
        raise error

    return handle


def test_a_call_is_answered_with_its_arrays(address: str) -> None:
    def handle(call: Call) -> None:
        call.reply(ActionReply(seq=call.request.seq, accepted=True, commanded=call.request.actions * 0.5))

    chunk = ActionChunk(
        session="day-1",
        seq=4,
        observation_seq=0,
        stamp_ns=0,
        valid_until_ns=1,
        actions=np.ones((8, 3), dtype=np.float32)[:, ::-1],
    )
    with serving(address, handle), client(address) as caller:
        for _ in range(20):
            reply = caller.call(chunk)
            assert reply.seq == 4
            np.testing.assert_array_equal(reply.commanded, np.full((8, 3), 0.5, dtype=np.float32))


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (StoreError("the disk is full"), StoreError("the disk is full")),
        (DeadlineExceeded("perception"), DeadlineExceeded("perception")),
        (ValueError("label: expected a word"), ValueError("label: expected a word")),
        (VersionMismatch("version 2"), VersionMismatch("version 2")),
        (NOT_UTF8, ValueError(str(NOT_UTF8))),
        (RemoteError("Odd", "elsewhere"), RemoteError("Odd", "elsewhere")),
    ],
)
def test_what_a_handler_raises_is_raised_at_the_client(address: str, raised: Exception, expected: Exception) -> None:
    with serving(address, lambda call: call.answer(raise_error(raised))), client(address) as caller:
        with pytest.raises(type(expected)) as caught:
            caller.call(Halt(reason=""))
    assert type(caught.value) is type(expected)
    assert str(caught.value) == str(expected)


@pytest.mark.parametrize("code", ["NoSuchClass", "InternalError", "Exception", "annotations", "__doc__", "RemoteError"])
def test_an_unknown_code_becomes_a_remote_error(address: str, code: str) -> None:
    reply = ErrorReply(code=code, message="why")
    with serving(address, lambda call: call.reply(reply)), client(address) as caller:
        with pytest.raises(RemoteError, match=f"^{code}: why$") as caught:
            caller.call(Halt(reason=""))
    assert caught.value.code == code


def test_a_defect_in_a_handler_is_raised_in_the_server_and_tells_the_client_nothing(address: str) -> None:
    def meet(handle: Callable[[Call], None]) -> None:
        with serving(address, handle), client(address) as caller:
            with pytest.raises(RemoteError, match="InternalError") as caught:
                caller.call(Halt(reason=""))
            assert "secret" not in str(caught.value)

    with pytest.raises(KeyError, match="secret"):
        meet(lambda call: call.answer(raise_error(KeyError("secret"))))
    with pytest.raises(KeyError, match="secret"):
        meet(lambda call: call.fail(KeyError("secret")))


def test_calls_may_be_answered_later_and_in_another_order(address: str) -> None:
    with RpcServer(address, ActionRequest) as server, client(address) as a, client(address) as b:
        answers: dict = {}
        threads = [
            threading.Thread(target=lambda n=name, c=c: answers.update({n: c.call(Halt(reason=n))}))
            for name, c in (("a", a), ("b", b))
        ]
        for thread in threads:
            thread.start()
        calls = [server.receive(LONG_S), server.receive(LONG_S)]
        for call in reversed(calls):
            assert call is not None
            call.reply(halted(ord(call.request.reason)))
        for thread in threads:
            thread.join(LONG_S)
    assert answers == {"a": halted(ord("a")), "b": halted(ord("b"))}


def test_an_answer_after_its_deadline_is_dropped(address: str) -> None:
    with RpcServer(address, ActionRequest) as server, client(address) as caller:
        with pytest.raises(DeadlineExceeded, match=r"Halt: no answer from .* within 0\.1 s"):
            caller.call(Halt(reason="first"), timeout_s=0.1)
        late = server.receive(LONG_S)
        assert late is not None
        late.reply(halted(1))
        thread = threading.Thread(target=lambda: server.receive(LONG_S).reply(halted(2)))  # type: ignore[union-attr]
        thread.start()
        assert caller.call(Halt(reason="second")) == halted(2)
        thread.join(LONG_S)


def test_an_answer_to_another_request_is_dropped_and_counted(address: str) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        router.bind(address)

        def serve() -> None:
            sender, request_id, _ = router.recv_multipart()
            router.send_multipart([sender, bytes(8), pack(halted(1))])
            router.send_multipart([sender, request_id, pack(halted(2))])

        with client(address) as caller:
            thread = threading.Thread(target=serve)
            thread.start()
            assert caller.call(Halt(reason="")) == halted(2)
            assert caller.n_late == 1
            thread.join(LONG_S)


def test_a_wait_for_an_answer_ends_when_the_caller_learns_that_none_will_come(address: str) -> None:
    def look() -> None:
        looks.append(1)
        if len(looks) > 2:
            raise StoreError("the server died")

    looks: List[int] = []
    with serving(address, lambda call: None):
        with RpcClient(address, ActionResponse, timeout_s=LONG_S, while_waiting=look) as asking:
            with pytest.raises(StoreError, match="the server died"):
                asking.call(Halt(reason=""))
    with RpcClient(address, ActionResponse, timeout_s=LONG_S, while_waiting=look) as asking:
        with pytest.raises(StoreError, match="the server died"):
            asking.call(Halt(reason="to nobody"))


def test_an_answer_comes_through_while_the_caller_looks_around(address: str) -> None:
    with serving(address, lambda call: call.reply(halted(3))):
        with RpcClient(address, ActionResponse, timeout_s=LONG_S, while_waiting=lambda: None) as asking:
            assert asking.call(Halt(reason="")) == halted(3)


def test_a_request_to_nobody_ends_at_its_deadline_and_is_not_delivered_later(address: str) -> None:
    with client(address) as caller:
        with pytest.raises(DeadlineExceeded, match="nobody answers"):
            caller.call(Halt(reason="stale"), timeout_s=SHORT_S)
        seen: List[str] = []

        def handle(call: Call) -> None:
            seen.append(call.request.reason)
            call.reply(halted(1))

        with serving(address, handle):
            assert caller.call(Halt(reason="fresh")) == halted(1)
    assert seen == ["fresh"]


def test_a_client_outlives_its_server(address: str) -> None:
    with client(address) as caller:
        for n in range(3):
            with serving(address, lambda call, n=n: call.reply(halted(n))):
                assert caller.call(Halt(reason="")) == halted(n)
            with pytest.raises(DeadlineExceeded):
                caller.call(Halt(reason=""), timeout_s=SHORT_S)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([b"no request number"], "MalformedMessage"),
        ([b"", pack(Halt(reason=""))], "MalformedMessage"),
        ([bytes(8), b"junk"], "MalformedMessage"),
        ([bytes(8), pack(SessionEnd(session="", stamp_ns=0, n_observations=0))], "MalformedMessage"),
        ([bytes(8), pack(Halt(reason="")), b"more"], "MalformedMessage"),
        ([bytes(8), pack(Halt(reason="x" * 5000))], "OversizedMessage"),
        ([bytes(8), with_version(PROTOCOL_VERSION + 1)], "VersionMismatch"),
    ],
)
def test_malformed_requests_are_answered_and_counted_and_service_goes_on(
    address: str, frames: List[bytes], code: str
) -> None:
    with serving(address, lambda call: call.reply(halted(1)), max_bytes=4096) as server:
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.linger = 0
            socket.connect(address)
            socket.send_multipart(frames)
            assert socket.poll(10_000)
            _, reply = socket.recv_multipart()
            assert Codec(ErrorReply).unpack(reply).code == code
        with client(address) as caller:
            assert caller.call(Halt(reason="")) == halted(1)
        assert server.n_malformed == 1


def test_a_frame_beyond_all_bounds_costs_its_sender_the_connection_and_others_nothing(address: str) -> None:
    with serving(address, lambda call: call.reply(halted(1))) as server, client(address) as caller:
        with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
            stranger.linger = 0
            monitor = stranger.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            stranger.connect(address)
            stranger.send_multipart([bytes(8), bytes(MAX_FRAME_BYTES + 1)])
            assert monitor.poll(10_000), "the server hangs up before it has taken the frame"
            stranger.disable_monitor()
            monitor.close()
            assert caller.call(Halt(reason="")) == halted(1)
        assert server.n_malformed == 0, "it never came in"


def test_an_answer_that_is_none_is_a_malformed_message(address: str) -> None:
    end = SessionEnd(session="", stamp_ns=0, n_observations=0)
    with serving(address, lambda call: call.reply(end)), client(address) as caller, pytest.raises(MalformedMessage):
        caller.call(Halt(reason=""))


def test_an_answer_that_is_too_large_becomes_a_typed_error(address: str) -> None:
    def handle(request: Any) -> Any:
        return ActionReply(seq=0, accepted=True, commanded=np.zeros((65 * 1024 * 1024, 1), dtype=np.uint8))

    with serving(address, lambda call: call.answer(handle)), client(address) as caller:
        with pytest.raises(OversizedMessage):
            caller.call(Halt(reason=""))


def test_a_call_is_answered_once(address: str) -> None:
    def handle(call: Call) -> None:
        call.reply(halted(1))
        with pytest.raises(AssertionError, match="answered already"):
            call.reply(halted(2))

    with serving(address, handle), client(address) as caller:
        assert caller.call(Halt(reason="")) == halted(1)


def test_waiting_for_any_tells_which_channels_are_ready(tmp_path: Path) -> None:
    addresses = [socket_address(tmp_path, name) for name in ("one", "two")]
    with RpcServer(addresses[0], ActionRequest) as one, RpcServer(addresses[1], ActionRequest) as two:
        assert wait_any([one, two], SHORT_S) == []
        with client(addresses[1]) as caller:
            thread = threading.Thread(target=caller.call, args=(Halt(reason=""),))
            thread.start()
            assert wait_any([one, two], LONG_S) == [two]
            call = two.receive(0.0)
            assert call is not None
            call.reply(halted(0))
            thread.join(LONG_S)

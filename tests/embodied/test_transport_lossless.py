from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, List

import msgspec
import numpy as np
import pytest
import zmq

import embodied
from embodied.codec import Codec, pack
from embodied.errors import (
    AddressInUse,
    ConfigurationError,
    DeadlineExceeded,
    MalformedMessage,
    OversizedMessage,
    PeerLost,
    ProtocolError,
    VersionMismatch,
)
from embodied.messages import (
    PROTOCOL_VERSION,
    Credit,
    ErrorReply,
    Hello,
    Observation,
    ProducerMessage,
    SessionEnd,
    Welcome,
)
from embodied.transport import Counters, LosslessConsumer, LosslessProducer, socket_address

LONG_S = 10.0
SHORT_S = 0.05


def numbered(n: int) -> SessionEnd:
    return SessionEnd(session="day-1", stamp_ns=0, n_observations=n)


@pytest.fixture
def address(tmp_path: Path) -> str:
    return socket_address(tmp_path, "pipe")


def connect(producer: LosslessProducer, *consumers: LosslessConsumer) -> None:
    """Connect all consumers, which needs both ends at work."""
    with ThreadPoolExecutor(len(consumers)) as pool:
        connecting = [pool.submit(consumer.connect, LONG_S) for consumer in consumers]
        producer.wait_for_consumers(LONG_S)
        for future in connecting:
            future.result(LONG_S)


def connect_error(producer: LosslessProducer, consumer: LosslessConsumer) -> BaseException:
    """Return how the producer refuses the consumer."""
    with ThreadPoolExecutor(1) as pool:
        connecting = pool.submit(consumer.connect, LONG_S)
        while not connecting.done():
            producer.counters  # lets the producer look
            time.sleep(0.005)
        error = connecting.exception()
    assert error is not None
    return error


@contextmanager
def pair(address: str, **settings: Any) -> Iterator[tuple]:
    with LosslessProducer(address, consumers=["memory"], **settings) as producer:
        with LosslessConsumer(address, name="memory") as consumer:
            connect(producer, consumer)
            yield producer, consumer


@contextmanager
def stranger(address: str) -> Iterator[zmq.Socket]:
    """Return a bare socket that may send anything."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(address)
        yield socket


def answer(producer: LosslessProducer, socket: zmq.Socket) -> Any:
    """Let the producer look until the stranger has an answer that is not empty."""
    end_s = time.monotonic() + LONG_S
    while time.monotonic() < end_s:
        producer.counters
        if socket.poll(10):
            frame = socket.recv()
            if frame:
                return Codec(ProducerMessage).unpack(frame)
    raise AssertionError("no answer")


def test_every_message_reaches_every_consumer_once_and_in_order(address: str) -> None:
    n_messages = 300
    taken: dict = {"memory": [], "recorder": []}

    def consume(name: str, every: int) -> None:
        with LosslessConsumer(address, name=name) as consumer:
            consumer.connect(LONG_S)
            while consumer.n_received < n_messages:
                message = consumer.receive(LONG_S)
                assert message is not None
                taken[name].append(message.n_observations)
                if consumer.n_received % every == 0 or consumer.n_received == n_messages:
                    consumer.acknowledge(durable=consumer.n_received)

    threads = [threading.Thread(target=consume, args=a) for a in (("memory", 1), ("recorder", 3))]
    with LosslessProducer(address, consumers=list(taken), window=4) as producer:
        for thread in threads:
            thread.start()
        producer.wait_for_consumers(LONG_S)
        for n in range(n_messages):
            producer.send(numbered(n), LONG_S)
            assert all(c.sent - c.received <= 4 for c in producer.counters.values())
        producer.flush(LONG_S, durable=True)
        assert set(producer.counters.values()) == {Counters(n_messages, n_messages, n_messages)}
        for thread in threads:
            thread.join(LONG_S)
    assert taken == {"memory": list(range(n_messages)), "recorder": list(range(n_messages))}


def test_arrays_arrive_as_they_were_sent(address: str) -> None:
    message = Observation(
        session="day-1",
        seq=0,
        stamp_ns=0,
        T_world_base=np.diag([1.0, 2.0, 3.0, 1.0]),
        cameras=(),
        proprioception=np.arange(100_000, dtype=np.float32),
    )
    with pair(address) as (producer, consumer):
        producer.send(message, LONG_S)
        received = consumer.receive(LONG_S)
        np.testing.assert_array_equal(received.proprioception, message.proprioception)
        np.testing.assert_array_equal(received.T_world_base, message.T_world_base)
        assert not received.proprioception.flags.writeable


def test_a_full_window_holds_the_producer_until_there_is_credit(address: str) -> None:
    with pair(address, window=2) as (producer, consumer):
        producer.send(numbered(0), LONG_S)
        producer.send(numbered(1), LONG_S)
        with pytest.raises(DeadlineExceeded, match="memory: no room for SessionEnd"):
            producer.send(numbered(2), SHORT_S)
        assert [consumer.receive(LONG_S).n_observations for _ in range(2)] == [0, 1]
        with pytest.raises(DeadlineExceeded):
            producer.send(numbered(2), 0.0)  # received, but no credit was given
        consumer.acknowledge()
        producer.send(numbered(2), LONG_S)
        assert consumer.receive(LONG_S).n_observations == 2, "what was refused was not sent as well"
        assert consumer.receive(SHORT_S) is None


def test_one_slow_consumer_keeps_a_message_from_the_others_too(address: str) -> None:
    with LosslessProducer(address, consumers=["fast", "slow"], window=1) as producer:
        with LosslessConsumer(address, name="fast") as fast, LosslessConsumer(address, name="slow") as slow:
            connect(producer, fast, slow)
            producer.send(numbered(0), LONG_S)
            assert fast.receive(LONG_S) is not None
            fast.acknowledge()
            with pytest.raises(DeadlineExceeded, match="^slow: no room"):
                producer.send(numbered(1), SHORT_S)
            assert fast.receive(SHORT_S) is None


def test_flush_tells_received_from_durable(address: str) -> None:
    with pair(address) as (producer, consumer):
        producer.send(numbered(0), LONG_S)
        with pytest.raises(DeadlineExceeded, match="memory: not everything received"):
            producer.flush(SHORT_S)
        consumer.receive(LONG_S)
        consumer.acknowledge()
        producer.flush(LONG_S)
        with pytest.raises(DeadlineExceeded, match="memory: not everything on disk"):
            producer.flush(SHORT_S, durable=True)
        consumer.acknowledge(durable=1)
        producer.flush(LONG_S, durable=True)
        assert producer.counters == {"memory": Counters(1, 1, 1)}
        with pytest.raises(ValueError, match="durable: expected 1 to 1, got 2"):
            consumer.acknowledge(durable=2)


def test_consumers_that_do_not_come_are_named(address: str) -> None:
    with LosslessProducer(address, consumers=["memory", "recorder"]) as producer:
        with pytest.raises(DeadlineExceeded, match="memory, recorder: not connected"):
            producer.wait_for_consumers(SHORT_S)
        with pytest.raises(DeadlineExceeded, match="memory, recorder: no room"):
            producer.send(numbered(0), SHORT_S)


def test_a_producer_that_does_not_come_is_missed(address: str) -> None:
    with LosslessConsumer(address, name="memory") as consumer, pytest.raises(DeadlineExceeded, match="no producer"):
        consumer.connect(SHORT_S)


def test_a_consumer_that_closes_is_lost(address: str) -> None:
    with pair(address) as (producer, consumer):
        producer.send(numbered(0), LONG_S)
        consumer.close()
        with pytest.raises(PeerLost, match=r"memory \(1 messages on the way\)"):
            producer.flush(LONG_S)
        with pytest.raises(PeerLost):
            producer.send(numbered(1), LONG_S)


def test_a_consumer_whose_process_is_killed_is_lost_within_a_second(address: str, tmp_path: Path) -> None:
    program = (
        "import sys; from embodied.transport import LosslessConsumer\n"
        f"consumer = LosslessConsumer({address!r}, name='memory'); consumer.connect(10)\n"
        "print('connected', flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(embodied.__file__).parents[1])}
    with LosslessProducer(address, consumers=["memory"]) as producer:
        with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, env=environment) as process:
            producer.wait_for_consumers(LONG_S)
            producer.send(numbered(0), LONG_S)
            process.send_signal(signal.SIGKILL)
            begin_s = time.monotonic()
            with pytest.raises(PeerLost, match="memory"):
                producer.flush(LONG_S)
            assert time.monotonic() - begin_s < 1.0


def test_a_consumer_that_takes_nothing_is_lost_after_its_time(address: str) -> None:
    with pair(address, window=2, peer_timeout_s=0.2) as (producer, _):
        producer.send(numbered(0), LONG_S)
        with pytest.raises(PeerLost, match="memory"):
            producer.flush(LONG_S)


def test_an_idle_consumer_is_not_lost(address: str) -> None:
    with pair(address, peer_timeout_s=0.01) as (producer, consumer):
        producer.send(numbered(0), LONG_S)
        consumer.receive(LONG_S)
        consumer.acknowledge()
        producer.flush(LONG_S)
        assert consumer.receive(SHORT_S) is None
        producer.send(numbered(1), LONG_S)
        assert consumer.receive(LONG_S).n_observations == 1


def test_a_second_consumer_of_the_same_name_is_refused_and_the_first_goes_on(address: str) -> None:
    with pair(address) as (producer, consumer), LosslessConsumer(address, name="memory") as second:
        error = connect_error(producer, second)
        assert isinstance(error, AddressInUse)
        producer.send(numbered(0), LONG_S)
        assert consumer.receive(LONG_S).n_observations == 0


def test_a_consumer_of_an_unknown_name_is_refused(address: str) -> None:
    with LosslessProducer(address, consumers=["memory"]) as producer:
        with LosslessConsumer(address, name="spy") as consumer:
            error = connect_error(producer, consumer)
    assert isinstance(error, ConfigurationError)
    assert str(error) == "no consumer is called 'spy' here; expected memory"


def test_a_consumer_that_comes_back_goes_on_once_the_loss_is_known(address: str) -> None:
    with pair(address) as (producer, consumer):
        producer.send(numbered(0), LONG_S)
        with ThreadPoolExecutor(1) as pool:
            connecting = pool.submit(consumer.connect, LONG_S)  # closes its connection and makes another
            while not connecting.done():
                producer.counters
                time.sleep(0.005)
            connecting.result()
        with pytest.raises(PeerLost, match=r"memory \(1 messages on the way\)"):
            producer.send(numbered(1), LONG_S)
        producer.send(numbered(2), LONG_S)
        assert consumer.receive(LONG_S).n_observations == 2
        assert producer.counters == {"memory": Counters(1, 0, 0)}


def is_connected(producer: LosslessProducer) -> bool:
    """Tell whether the producer thinks so, after having tried."""
    producer._feel()
    try:
        producer.wait_for_consumers(0.0)
    except DeadlineExceeded:
        return False
    return True


def test_a_consumer_that_comes_back_with_nothing_missed_is_welcome(address: str) -> None:
    with pair(address) as (producer, consumer):
        producer.send(numbered(0), LONG_S)
        consumer.receive(LONG_S)
        consumer.acknowledge()
        producer.flush(LONG_S)
        consumer.close()
        end_s = time.monotonic() + LONG_S
        while is_connected(producer):  # what is sent before the end is known is missed, which is another case
            assert time.monotonic() < end_s
        with pytest.raises(PeerLost):
            producer.send(numbered(1), LONG_S)
        connect(producer, consumer)
        producer.send(numbered(1), LONG_S)
        assert consumer.receive(LONG_S).n_observations == 1


def test_a_consumer_knows_when_its_producer_is_gone_and_finds_the_next(address: str) -> None:
    with LosslessConsumer(address, name="memory") as consumer:
        assert not consumer.connected
        with LosslessProducer(address, consumers=["memory"]) as producer:
            connect(producer, consumer)
            producer.send(numbered(0), LONG_S)
            assert consumer.connected
        assert consumer.receive(LONG_S).n_observations == 0, "what was sent before the end still arrives"
        end_s = time.monotonic() + LONG_S
        while consumer.connected:
            assert time.monotonic() < end_s
        with LosslessProducer(address, consumers=["memory"]) as producer:
            connect(producer, consumer)
            producer.send(numbered(1), LONG_S)
            assert consumer.receive(LONG_S).n_observations == 1


def test_another_protocol_version_is_refused_on_both_sides(address: str) -> None:
    with LosslessProducer(address, consumers=["memory"]) as producer, stranger(address) as socket:
        socket.send(pack(Hello(name="memory", protocol_version=PROTOCOL_VERSION + 1)))
        reply = answer(producer, socket)
        assert isinstance(reply, ErrorReply)
        assert reply.code == "VersionMismatch"
        frame = bytearray(pack(Hello(name="memory")))
        frame[4] += 1
        socket.send(frame)
        assert answer(producer, socket).code == "VersionMismatch"


def test_a_consumer_raises_the_version_mismatch_that_it_is_told(address: str) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        router.bind(address)
        with LosslessConsumer(address, name="memory") as consumer, ThreadPoolExecutor(1) as pool:
            connecting = pool.submit(consumer.connect, LONG_S)
            assert router.poll(10_000)
            identity, _ = router.recv_multipart()
            router.send_multipart([identity, pack(ErrorReply(code="VersionMismatch", message="version 2"))])
            with pytest.raises(VersionMismatch, match="version 2"):
                connecting.result(LONG_S)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([b"no message"], "MalformedMessage"),
        ([b""], "MalformedMessage"),
        ([b"two", b"frames"], "MalformedMessage"),
        ([pack(numbered(0))], "MalformedMessage"),
        ([bytes(100_000)], "OversizedMessage"),
        ([pack(Credit(received=1))], "ProtocolError"),
        ([pack(Hello(name="x" * 1000))], "ConfigurationError"),
    ],
)
def test_what_the_protocol_does_not_allow_is_answered_and_the_stream_goes_on(
    address: str, frames: List[bytes], code: str
) -> None:
    with pair(address) as (producer, consumer), stranger(address) as socket:
        socket.send_multipart(frames)
        reply = answer(producer, socket)
        assert isinstance(reply, ErrorReply)
        assert reply.code == code
        assert producer.n_malformed == (0 if code == "ConfigurationError" else 1)
        producer.send(numbered(0), LONG_S)
        assert consumer.receive(LONG_S).n_observations == 0


@pytest.mark.parametrize("credit", [Credit(received=2), Credit(received=-1), Credit(received=1, durable=2)])
def test_a_credit_for_what_was_never_sent_does_not_count(address: str, credit: Credit) -> None:
    with LosslessProducer(address, consumers=["memory"]) as producer, stranger(address) as socket:
        socket.send(pack(Hello(name="memory")))
        assert isinstance(answer(producer, socket), Welcome)
        producer.send(numbered(0), LONG_S)
        assert isinstance(answer(producer, socket), SessionEnd)
        socket.send(pack(credit))
        assert answer(producer, socket).code == "MalformedMessage"
        assert producer.counters == {"memory": Counters(1, 0, 0)}


def test_bytes_that_are_no_message_raise_at_the_consumer(address: str) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        router.bind(address)
        with LosslessConsumer(address, name="memory") as consumer, ThreadPoolExecutor(1) as pool:
            connecting = pool.submit(consumer.connect, LONG_S)
            assert router.poll(10_000)
            identity, _ = router.recv_multipart()
            router.send_multipart([identity, pack(Welcome(window=1))])
            connecting.result(LONG_S)
            for broken in (b"junk", pack(Hello(name="not for consumers"))):
                router.send_multipart([identity, broken])
                with pytest.raises(MalformedMessage):
                    consumer.receive(LONG_S)
            router.send_multipart([identity, pack(ErrorReply(code="ProtocolError", message="what?"))])
            with pytest.raises(ProtocolError, match="what?"):
                consumer.receive(LONG_S)
            assert consumer.n_received == 0


def test_an_oversized_message_is_refused_before_anybody_gets_it(address: str) -> None:
    class Large(msgspec.Struct, tag="large"):
        data: np.ndarray

    with pair(address) as (producer, consumer):
        with pytest.raises(OversizedMessage):
            producer.send(Large(data=np.zeros(65 * 1024 * 1024, dtype=np.uint8)), LONG_S)
        producer.send(numbered(0), LONG_S)
        assert consumer.receive(LONG_S).n_observations == 0
        assert producer.counters == {"memory": Counters(1, 0, 0)}


def test_settings_of_the_pipe_are_checked(address: str) -> None:
    for settings in ({"window": 0}, {"window": 10_000}, {"consumers": []}, {"consumers": ["a", "a"]}):
        with pytest.raises(ValueError, match="expected"):
            LosslessProducer(address, **{"consumers": ["memory"], **settings})
    with pair(address) as (producer, _), pytest.raises(ValueError, match="timeout_s"):
        producer.send(numbered(0), float("inf"))

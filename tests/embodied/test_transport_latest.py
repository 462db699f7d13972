from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

import pytest
import zmq

from embodied.errors import DeadlineExceeded, MalformedMessage
from embodied.messages import Failed, Ready, SessionEnd, SupervisorMessage
from embodied.transport import LatestPublisher, LatestSubscriber, Mailbox, MailboxSender, socket_address

LONG_S = 10.0
SHORT_S = 0.05


@pytest.fixture
def address(tmp_path: Path) -> str:
    return socket_address(tmp_path, "latest")


def numbered(n: int) -> SessionEnd:
    return SessionEnd(session="day-1", stamp_ns=0, n_observations=n)


def wait_until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def test_a_late_subscriber_finds_the_newest_message_and_never_an_older_one(address: str) -> None:
    with LatestPublisher(address) as publisher, LatestSubscriber(address, SessionEnd) as subscriber:
        publisher.wait_for_subscribers(1, LONG_S)
        for n in range(40):
            publisher.publish(numbered(n))
        seen = [-1]
        end_s = time.monotonic() + LONG_S
        while seen[-1] != 39:
            assert time.monotonic() < end_s
            message = subscriber.receive(SHORT_S)
            if message is None:
                publisher.repeat()  # the newest can be kept back, see there
            else:
                seen.append(message.n_observations)
        assert seen == sorted(set(seen))
        assert subscriber.receive(SHORT_S) is None, "each message is received once"


def test_every_subscriber_gets_the_newest(address: str) -> None:
    with LatestPublisher(address) as publisher:
        with LatestSubscriber(address, SessionEnd) as a, LatestSubscriber(address, SessionEnd) as b:
            publisher.wait_for_subscribers(2, LONG_S)
            publisher.publish(numbered(7))
            assert a.receive(LONG_S) == b.receive(LONG_S) == numbered(7)


def test_the_newest_message_can_be_sent_again_to_who_missed_it(address: str) -> None:
    with LatestPublisher(address) as publisher:
        publisher.repeat()  # nothing yet
        for n in (1, 2):
            publisher.publish(numbered(n))  # nobody listens
        with LatestSubscriber(address, SessionEnd) as subscriber:
            publisher.wait_for_subscribers(1, LONG_S)
            publisher.repeat()
            assert subscriber.receive(LONG_S) == numbered(2)


def test_subscribers_that_do_not_come_are_missed(address: str) -> None:
    with LatestPublisher(address) as publisher, LatestSubscriber(address, SessionEnd):
        publisher.wait_for_subscribers(1, LONG_S)
        with pytest.raises(DeadlineExceeded, match="1 of 2 subscribers"):
            publisher.wait_for_subscribers(2, SHORT_S)


def test_a_subscriber_that_leaves_is_not_counted(address: str) -> None:
    with LatestPublisher(address) as publisher, LatestSubscriber(address, SessionEnd) as stays:
        with LatestSubscriber(address, SessionEnd):
            publisher.wait_for_subscribers(2, LONG_S)
        wait_until(lambda: publisher.n_subscribers == 1)
        publisher.publish(numbered(1))
        assert stays.receive(LONG_S) == numbered(1)


def test_a_waiting_subscriber_finds_a_publisher_that_comes_back(address: str) -> None:
    # It subscribes anew while it waits in receive: libzmq does that in the thread of the socket.
    with LatestSubscriber(address, SessionEnd) as subscriber, ThreadPoolExecutor(1) as pool:
        for n in range(2):
            receiving = pool.submit(subscriber.receive, LONG_S)
            with LatestPublisher(address) as publisher:
                publisher.wait_for_subscribers(1, LONG_S)
                publisher.publish(numbered(n))
                assert receiving.result(LONG_S) == numbered(n)


def test_a_publisher_without_subscribers_does_not_wait(address: str) -> None:
    with LatestPublisher(address) as publisher:
        for n in range(1000):
            publisher.publish(numbered(n))


def test_a_subscriber_says_that_what_it_got_is_no_message(address: str) -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.linger = 0
        socket.bind(address)
        with LatestSubscriber(address, SessionEnd) as subscriber:
            assert socket.recv() == b"\x01"
            socket.send(b"junk")
            with pytest.raises(MalformedMessage):
                subscriber.receive(LONG_S)


def test_a_mailbox_receives_from_all_senders_in_order_and_drops_what_is_no_message(address: str) -> None:
    with Mailbox(address, SupervisorMessage) as mailbox, MailboxSender(address) as a, MailboxSender(address) as b:
        assert mailbox.receive(SHORT_S) is None
        for sender, name in ((a, "a"), (b, "b")):
            assert sender.send(numbered(0))
            for pid in range(5):
                assert sender.send(Ready(name=name, pid=pid))
        got = [mailbox.receive(LONG_S) for _ in range(10)]
        for name in ("a", "b"):
            assert [m.pid for m in got if m.name == name] == list(range(5))
        assert mailbox.n_malformed == 2


def test_a_sender_whose_mailbox_is_not_there_never_waits(address: str) -> None:
    with MailboxSender(address) as sender:
        while sender.send(Failed(name="a", code="", message="")):
            pass
        sender.close(linger_ms=0)

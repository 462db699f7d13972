"""Sockets between processes: bounded, typed, with deadlines. The only package that imports zmq beside ``security``.

=====================  =======================================================  =====================================
channel                classes                                                  delivery
=====================  =======================================================  =====================================
observations, memory   LosslessProducer, LosslessConsumer                       every message once, or an error
observations, control  LatestPublisher, LatestSubscriber                        newest only
recall, actions        RpcServer, RpcClient                                     answered, or a typed error
supervisor             Mailbox, MailboxSender                                   in order, never waits
=====================  =======================================================  =====================================
"""

from __future__ import annotations

from embodied.security import Security
from embodied.transport.address import is_bound, socket_address
from embodied.transport.channel import Channel, Deadline, wait_any
from embodied.transport.latest import LatestPublisher, LatestSubscriber
from embodied.transport.lossless import Counters, LosslessConsumer, LosslessProducer
from embodied.transport.reports import Mailbox, MailboxSender
from embodied.transport.rpc import Call, RpcClient, RpcServer

__all__ = [
    "Call",
    "Channel",
    "Counters",
    "Deadline",
    "LatestPublisher",
    "LatestSubscriber",
    "LosslessConsumer",
    "LosslessProducer",
    "Mailbox",
    "MailboxSender",
    "RpcClient",
    "RpcServer",
    "Security",
    "is_bound",
    "socket_address",
    "wait_any",
]

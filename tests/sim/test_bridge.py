"""The bridge on real sockets: it runs in a thread, the test is operator, policy and consumers."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest
import zmq

from arm_simulator import TASK, ArmSimulator
from embodied.codec import Codec, pack
from embodied.errors import DeadlineExceeded, EmbodiedError, ProcessError
from embodied.messages import (
    ActionChunk,
    ActionResponse,
    ErrorReply,
    Halt,
    Halted,
    Message,
    Observation,
    SessionEnd,
    SessionStart,
)
from embodied.process import ProcessConfig, ProcessLink
from embodied.transport import LatestSubscriber, LosslessConsumer, RpcClient
from sim.bridge import Bridge, BridgeConfig, BridgeWorld
from sim.house_world import HouseWorld
from sim.houses_simulator import CameraSettings, HousesSettings, HousesSimulator
from sim.manipulation import TaskWorld
from sim.operator_messages import (
    ChangeHouse,
    EndSession,
    GetOperatorStatus,
    OperatorResponse,
    StartSession,
)
from sim.scene import Scene
from sim.truth import TrueChange, read_truth
from sim_scenes import furnished_room

DEADLINE_S = 10.0
START_NS = 1_767_603_600_000_000_000


def without_mug(scene: Scene, seed: int) -> tuple[Scene, list[TrueChange]]:
    """A night in which somebody takes the mug away."""
    change = TrueChange(
        kind="removed", instance_id=2, category="mug", from_position_m=(0.8, 0.1, 0.8), to_position_m=None
    )
    return scene.with_instances(tuple(i for i in scene.instances if i.instance_id != 2)), [change]


class Rig:
    """A bridge in a thread, and everybody else's ends of its wires."""

    def __init__(self, directory: Path, world: BridgeWorld | None = None, **changed: Any) -> None:
        fields: dict[str, Any] = {
            "pipe": f"ipc://{directory}/pipe",
            "latest": f"ipc://{directory}/latest",
            "actions": f"ipc://{directory}/actions",
            "operator": f"ipc://{directory}/operator",
            "dataset": "",
            "consumers": ("memory",),
            "peer_timeout_s": 5.0,
            "flush_timeout_s": 5.0,
            "truth_directory": str(directory / "truth"),
            "simulator": HousesSettings(camera=CameraSettings(width_px=32, height_px=24)),
        }
        self.config = BridgeConfig(**{**fields, **changed})
        self.link = ProcessLink(ProcessConfig(name="bridge"))
        self.error: EmbodiedError | None = None
        self._world = world
        self._bound = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._bound.wait(DEADLINE_S)
        self.operator = RpcClient(self.config.operator, OperatorResponse, timeout_s=DEADLINE_S)
        self.actions = RpcClient(self.config.actions, ActionResponse, timeout_s=DEADLINE_S)
        self.policy = LatestSubscriber(self.config.latest, Observation)
        self.memory = LosslessConsumer(self.config.pipe, name="memory")
        self.memory.connect(DEADLINE_S)

    def _run(self) -> None:
        scene = furnished_room()
        try:
            world = self._world or HouseWorld(scene, HousesSimulator(scene, self.config.simulator), without_mug)
            with Bridge(self.config, self.link, world) as bridge:
                self._bound.set()
                bridge.run()
        except EmbodiedError as error:
            self.error = error

    def start(self, session: str = "day-1") -> None:
        self.operator.call(StartSession(session=session, stamp_ns=START_NS))

    def send(self, seq: int, n_steps: int = 3, **changed: Any) -> Any:
        fields: dict[str, Any] = {
            "session": "day-1",
            "seq": seq,
            "observation_seq": 0,
            "stamp_ns": START_NS,
            "valid_until_ns": START_NS + 10**12,
            "actions": np.tile(np.array([[0.2, 0.0, 0.5]], dtype=np.float32), (n_steps, 1)),
        }
        return self.actions.call(ActionChunk(**{**fields, **changed}))

    def take(self, n: int) -> list[Any]:
        """Receive from the pipe as a memory that writes everything to disk at once."""
        messages = []
        for _ in range(n):
            message = self.memory.receive(DEADLINE_S)
            assert message is not None
            messages.append(message)
            self.memory.acknowledge(durable=self.memory.n_received)
        return messages

    def end(self) -> Any:
        """End the session while the memory goes on writing."""
        answer: list[Any] = []
        operator = RpcClient(self.config.operator, OperatorResponse, timeout_s=DEADLINE_S)
        caller = threading.Thread(target=lambda: answer.append(operator.call(EndSession())))
        caller.start()
        while not isinstance(self.take(1)[0], SessionEnd):
            pass
        caller.join()
        operator.close()
        return answer[0]

    def join(self) -> None:
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()

    def close(self) -> None:
        self.link.stop()
        self.join()
        for channel in (self.operator, self.actions, self.policy, self.memory):
            channel.close()
        self.link.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()
    assert made.error is None


def test_a_session_reaches_the_memory_from_start_to_end(rig: Rig, tmp_path: Path) -> None:
    rig.start()
    reply = rig.send(0)
    assert reply.accepted
    assert len(reply.commanded) == 3
    received = rig.take(5)
    assert isinstance(received[0], SessionStart)
    assert [o.seq for o in received[1:]] == [0, 1, 2, 3]
    ended = rig.end()
    assert (ended.session, ended.n_observations) == ("day-1", 4)
    truth = read_truth(tmp_path / "truth" / "day-1.json")
    assert [o.category for o in truth.objects] == ["table", "mug", "cabinet"]
    assert [pose.seq for pose in truth.poses] == [0, 1, 2, 3]
    # What was sent is not the truth, but close to it.
    for pose, observation in zip(truth.poses, received[1:]):
        assert isinstance(observation, Observation)
        error_m = np.hypot(observation.T_world_base[0, 3] - pose.x_m, observation.T_world_base[1, 3] - pose.y_m)
        assert 0 < error_m < 0.06


def test_the_policy_gets_the_newest_observation(rig: Rig) -> None:
    rig.start()
    first = rig.policy.receive(DEADLINE_S)
    assert first is not None
    assert (first.seq, first.awaiting_action) == (0, True)
    rig.send(0, n_steps=1)
    second = rig.policy.receive(DEADLINE_S)
    assert second is not None
    assert (second.seq, second.awaiting_action) == (1, True)


def test_a_night_changes_the_house_and_its_truth_goes_to_the_next_session(rig: Rig, tmp_path: Path) -> None:
    rig.start()
    rig.end()
    assert rig.operator.call(ChangeHouse(seed=1)).n_changes == 1
    rig.start("day-2")
    received = rig.take(2)
    labels = received[1].cameras[0].segment_labels
    assert "mug" not in labels
    rig.end()
    truth = read_truth(tmp_path / "truth" / "day-2.json")
    assert [change.kind for change in truth.changes] == ["removed"]
    assert [o.category for o in truth.objects] == ["table", "cabinet"]
    assert not read_truth(tmp_path / "truth" / "day-1.json").changes


def test_truth_goes_nowhere_but_to_the_truth_directory(tmp_path: Path) -> None:
    rig = Rig(tmp_path, truth_directory=None)
    rig.start()
    rig.end()
    rig.close()
    assert rig.error is None
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_halt_between_two_steps_takes_effect_before_the_next(tmp_path: Path) -> None:
    # The window lets one observation out at a time, so the bridge stands in the middle of the chunk.
    rig = Rig(tmp_path, window=3)
    rig.start()
    rig.send(0, n_steps=40)
    answer: list[Any] = []
    halting = threading.Thread(target=lambda: answer.append(rig.actions.call(Halt(reason="test"))))
    halting.start()
    received: list[Message] = []
    while halting.is_alive():
        message = rig.memory.receive(0.02)
        if message is not None:
            received.append(message)
            rig.memory.acknowledge()
    halting.join()
    assert isinstance(answer[0], Halted)
    assert len(received) < 40
    assert rig.send(1).reason == "halted: test"
    status = rig.operator.call(GetOperatorStatus())
    assert status.halted
    assert status.seq < 40
    rig.close()
    assert rig.error is None


def test_chunks_are_refused_before_a_session(rig: Rig) -> None:
    reply = rig.send(0)
    assert not reply.accepted
    assert reply.reason.startswith("wrong_session: ")


def test_a_halt_is_answered_before_a_session(rig: Rig) -> None:
    assert isinstance(rig.actions.call(Halt(reason="test")), Halted)


def test_the_operator_is_refused_what_makes_no_sense_and_the_bridge_lives_on(rig: Rig) -> None:
    with pytest.raises(ValueError, match="expected one to be running"):
        rig.operator.call(EndSession())
    for name in ("", "../day", "a/b", "x" * 65):
        with pytest.raises(ValueError, match="session: expected"):
            rig.start(name)
    rig.start()
    with pytest.raises(ValueError, match="expected none to be running"):
        rig.start("day-2")
    with pytest.raises(ValueError, match="expected none to be running"):
        rig.operator.call(ChangeHouse(seed=1))


def test_a_session_is_neither_held_twice_nor_before_the_one_before(rig: Rig) -> None:
    rig.start()
    rig.send(0)
    rig.end()
    with pytest.raises(ValueError, match="expected a new name"):
        rig.start()
    with pytest.raises(ValueError, match="stamp_ns: expected"):
        rig.start("day-2")
    rig.operator.call(StartSession(session="day-2", stamp_ns=START_NS + 10**12))
    rig.end()


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"junk", "MalformedMessage"),
        (pack(SessionEnd(session="", stamp_ns=0, n_observations=0)), "MalformedMessage"),
        (pack(Halt(reason=""))[:-1], "MalformedMessage"),
        (pack(Halt(reason=""))[:4] + b"\x63\x00" + pack(Halt(reason=""))[6:], "VersionMismatch"),
    ],
)
def test_bytes_of_a_stranger_are_answered_and_the_session_goes_on(rig: Rig, frame: bytes, code: str) -> None:
    rig.start()
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.linger = 0
        stranger.connect(rig.config.actions)
        stranger.send_multipart([bytes(8), frame])
        assert stranger.poll(DEADLINE_S * 1000)
        assert Codec(ErrorReply).unpack(stranger.recv_multipart()[-1]).code == code
    assert rig.send(0).accepted
    assert rig.end().n_observations == 4


def test_the_status_says_how_it_goes(rig: Rig) -> None:
    before = rig.operator.call(GetOperatorStatus())
    assert (before.session, before.seq, before.n_frames, before.active_s) == ("", -1, 0, 0.0)
    rig.start()
    after = rig.operator.call(GetOperatorStatus())
    assert (after.session, after.seq, after.n_frames, after.halted) == ("day-1", 0, 1, False)
    assert set(after.stage_ms) == {"render", "noise", "send", "publish", "truth"}
    assert after.active_s > 0


def test_a_lost_consumer_halts_the_robot_and_ends_the_bridge(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.start()
    rig.memory.close(linger_ms=0)
    with suppress(DeadlineExceeded):  # the bridge may be gone before its answer is read
        rig.send(0, n_steps=40)
    rig.join()
    assert isinstance(rig.error, ProcessError)
    assert "memory" in str(rig.error)
    rig.close()


def test_a_consumer_lost_in_a_demonstration_ends_the_bridge_as_well(tmp_path: Path) -> None:
    rig = Rig(tmp_path, TaskWorld(ArmSimulator()))
    rig.operator.call(StartSession(session="day-1", stamp_ns=START_NS, task=TASK, demonstrate=True))
    rig.memory.close(linger_ms=0)
    rig.join()
    assert isinstance(rig.error, ProcessError)
    assert "memory" in str(rig.error)
    rig.close()


def test_a_session_does_not_start_before_the_policy_listens(tmp_path: Path) -> None:
    rig = Rig(tmp_path, n_subscribers=2, peer_timeout_s=0.2)
    with pytest.raises(DeadlineExceeded, match="1 of 2"):
        rig.start()
    rig.join()
    assert isinstance(rig.error, DeadlineExceeded)
    rig.close()

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embodied.codec import Codec, pack
from embodied.messages import ActionChunk, CameraFrame, Observation, StreamMessage
from sim.bridge_session import BridgeSession, SessionSettings, StageTimes
from sim.houses_simulator import CameraSettings, HousesSettings, HousesSimulator
from sim.scene import Scene
from sim_scenes import box_template, furnished_room, room_scene

SECOND_NS = 1_000_000_000
START_NS = 1_767_603_600 * SECOND_NS


def new_session(scene: Scene | None = None, seed: int = 0) -> tuple[HousesSimulator, BridgeSession]:
    camera = CameraSettings(width_px=64, height_px=48)
    simulator = HousesSimulator(scene or furnished_room(), HousesSettings(camera=camera))
    return simulator, BridgeSession(simulator, "day-1", START_NS, (seed, 0), SessionSettings())


def chunk(seq: int = 0, n_steps: int = 3, **changed: Any) -> ActionChunk:
    fields: dict[str, Any] = {
        "session": "day-1",
        "seq": seq,
        "observation_seq": 0,
        "stamp_ns": START_NS,
        "valid_until_ns": START_NS + 100 * SECOND_NS,
        "actions": np.tile(np.array([[0.3, 0.0, 0.4]], dtype=np.float32), (n_steps, 1)),
    }
    return ActionChunk(**{**fields, **changed})


def drive(session: BridgeSession, seq: int = 0, n_steps: int = 3) -> list[Observation]:
    assert session.accept(chunk(seq, n_steps)).accepted
    observations = []
    while session.busy:
        observations.append(session.advance().observation)
    return observations


def test_a_chunk_gives_one_observation_a_step_and_only_the_last_awaits_the_next() -> None:
    _, session = new_session()
    first = session.first().observation
    later = drive(session)
    assert [o.seq for o in (first, *later)] == [0, 1, 2, 3]
    assert [o.awaiting_action for o in (first, *later)] == [True, False, False, True]
    assert [o.stamp_ns - START_NS for o in (first, *later)] == [0, 200_000_000, 400_000_000, 600_000_000]
    assert first.action is None
    np.testing.assert_allclose(later[0].action, [0.3, 0.0, 0.4])
    np.testing.assert_allclose(later[0].proprioception, [0.3, 0.0, 0.4], rtol=0.05, atol=1e-3)
    ending = session.closing()
    assert (ending.n_observations, ending.stamp_ns) == (4, later[-1].stamp_ns)


def test_an_observation_is_of_the_forms_on_the_wire() -> None:
    _, session = new_session()
    camera = session.first().observation.cameras[0]
    assert camera.depth is not None
    assert camera.segments is not None
    assert (camera.rgb.dtype, camera.depth.dtype, camera.segments.dtype) == (np.uint8, np.uint16, np.uint16)
    assert camera.segments.max() == len(camera.segment_labels)
    assert set(camera.segment_labels) <= {"table", "mug", "cabinet"}


def test_commands_are_cut_to_the_limits_and_the_reply_says_so() -> None:
    _, session = new_session()
    session.first()
    reply = session.accept(chunk(actions=np.array([[5.0, 0.0, -9.0]], dtype=np.float32)))
    assert reply.commanded is not None
    np.testing.assert_allclose(reply.commanded, [[0.8, 0.0, -1.6]])
    np.testing.assert_array_equal(session.advance().observation.action, reply.commanded[0])


def test_a_bumper_is_reported() -> None:
    _, session = new_session(room_scene([(box_template("box", "box", (0.4, 2.0, 1.0)), -1.3, 0.0, 0.0)]))
    session.first()
    session.accept(chunk(actions=np.full((6, 3), (0.8, 0.0, 0.0), dtype=np.float32)))
    collided = [session.advance().observation.collided for _ in range(6)]
    assert not collided[0]
    assert collided[-1]


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"session": "day-2"}, "wrong_session"),
        ({"seq": -1}, "not_newer"),
        ({"valid_until_ns": START_NS - 1}, "stale"),
        ({"actions": np.zeros((3, 2), dtype=np.float32)}, "malformed"),
        ({"actions": np.zeros((0, 3), dtype=np.float32)}, "malformed"),
        ({"actions": np.zeros((65, 3), dtype=np.float32)}, "malformed"),
        ({"actions": np.zeros(3, dtype=np.float32)}, "malformed"),
        ({"actions": np.full((1, 3), np.nan, dtype=np.float32)}, "malformed"),
        ({"actions": np.full((1, 3), np.inf, dtype=np.float32)}, "malformed"),
        ({"actions": np.full((1, 3), -1e300)}, "malformed"),
        ({"actions": np.zeros((1, 3), dtype=np.int32)}, "malformed"),
        ({"observation_seq": 1}, "malformed"),
    ],
)
def test_a_bad_chunk_is_refused_with_its_kind_and_moves_nothing(changed: dict[str, Any], kind: str) -> None:
    simulator, session = new_session()
    session.first()
    before = simulator.T_world_base
    reply = session.accept(chunk(**changed))
    assert not reply.accepted
    assert reply.reason.startswith(f"{kind}: ")
    assert reply.commanded is None
    assert not session.busy
    np.testing.assert_array_equal(simulator.T_world_base, before)


def test_a_chunk_is_refused_while_another_is_executed_and_when_it_is_sent_again() -> None:
    _, session = new_session()
    session.first()
    session.accept(chunk(0))
    assert session.accept(chunk(1)).reason.startswith("busy: ")
    while session.busy:
        session.advance()
    assert session.accept(chunk(0)).reason.startswith("not_newer: ")
    assert session.accept(chunk(1)).accepted


def test_commands_that_would_begin_too_late_are_dropped_and_the_reply_says_so() -> None:
    _, session = new_session()
    session.first()
    reply = session.accept(chunk(n_steps=10, valid_until_ns=START_NS + SECOND_NS // 2))
    assert reply.commanded is not None
    assert len(reply.commanded) == 3
    observations = [session.advance().observation for _ in range(3)]
    assert [o.awaiting_action for o in observations] == [False, False, True]


def test_a_halt_stops_at_once_and_for_the_rest_of_the_session() -> None:
    _, session = new_session()
    session.first()
    session.accept(chunk())
    session.advance()
    session.halt("memory died")
    assert not session.busy
    assert session.accept(chunk(1)).reason == "halted: memory died"


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_noise() -> None:
    def run(seed: int) -> list[bytes]:
        _, session = new_session(seed=seed)
        return [bytes(pack(o)) for o in (session.first().observation, *drive(session))]

    assert run(3) == run(3)
    assert run(3) != run(4)


# --------------------------------------------------------------------------------- truth does not cross the wire


def crowded_room() -> Scene:
    mug = box_template("mug", "mug", (0.3, 0.3, 0.5))
    return room_scene([(mug, 0.5, 0.4 * k - 1.2, 0.6) for k in range(7)])


def decoded(observation: Observation) -> Observation:
    message = Codec(StreamMessage).unpack(pack(observation))
    assert isinstance(message, Observation)
    return message


def test_the_numbers_of_segments_say_nothing_about_which_thing_it_is() -> None:
    _, session = new_session(crowded_room())
    frames = [session.first()]
    for seq in range(10):
        session.accept(chunk(seq, actions=np.full((4, 3), (0.0, 0.0, 0.02 * (-1) ** seq), dtype=np.float32)))
        frames.extend(session.advance() for _ in range(4))
    numbers: dict[int, list[int]] = {}
    for frame in frames:
        camera = decoded(frame.observation).cameras[0]
        assert camera.segments is not None
        assert camera.segment_labels == ("mug",) * 7
        for instance_id in range(1, 8):
            number = np.unique(camera.segments[frame.reading.views[0].instance_ids == instance_id])
            assert len(number) == 1
            numbers.setdefault(instance_id, []).append(int(number[0]))
    # Each thing goes by each of the seven numbers at some time, and rarely keeps one.
    for seen in numbers.values():
        assert set(seen) == set(range(1, 8))
        assert np.mean(np.diff(seen) == 0) < 0.5


def test_the_path_cannot_be_had_by_adding_up_the_speeds() -> None:
    simulator, session = new_session()
    start = simulator.T_world_base
    session.first()
    told_m = sum(0.2 * float(o.proprioception[0]) for o in drive(session))
    true_m = float(np.linalg.norm(simulator.T_world_base[:2, 3] - start[:2, 3]))
    assert told_m == pytest.approx(true_m, rel=0.05)
    assert abs(told_m - true_m) > 1e-5


def test_the_pose_and_depth_on_the_wire_are_the_noisy_ones() -> None:
    simulator, session = new_session()
    frame = session.first()
    observation = decoded(frame.observation)
    error = np.abs(observation.T_world_base - simulator.T_world_base).max()
    assert 0 < error < 0.1
    depth = observation.cameras[0].depth
    assert depth is not None
    assert not np.array_equal(depth, np.round(frame.reading.views[0].depth_m * 1000).astype(np.uint16))


def test_an_observation_has_no_field_in_which_truth_could_hide() -> None:
    # A new field of these structures must be weighed here before it may cross.
    observation = (
        "session seq stamp_ns T_world_base cameras proprioception action intended_action collided awaiting_action"
    )
    camera = "name intrinsics T_base_camera rgb rgb_encoding depth segments segment_labels"
    assert Observation.__struct_fields__ == tuple(observation.split())
    assert CameraFrame.__struct_fields__ == tuple(camera.split())


def test_stage_times_are_means() -> None:
    times = StageTimes()
    times.add(render=0.010, noise=0.002)
    times.add(render=0.020, noise=0.002)
    assert times.mean_ms == {"render": pytest.approx(15.0), "noise": pytest.approx(2.0)}
    assert times.n_frames == 2

"""A session whose time does not wait for chunks. No wall clock here: the bridge keeps it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from arm_simulator import TASK, ArmSimulator
from embodied.action_queue import ActionQueueSettings
from embodied.messages import ActionChunk, ActionReply, Observation
from sim.bridge_session import BridgeSession, SessionSettings
from sim.manipulation import TaskEpisode

PERIOD_NS = 50_000_000
START_NS = 1_767_603_600_000_000_000


def new_session(demonstrate: bool = False, **changed: Any) -> BridgeSession:
    simulator = ArmSimulator()
    simulator.load(TaskEpisode(TASK, 1))
    settings = SessionSettings(ahead=True, **changed)
    return BridgeSession(simulator, "day-1", START_NS, (0, 0), settings, demonstrate=demonstrate)


def put(session: BridgeSession, seq: int, from_step: int | None, *values: float) -> ActionReply:
    """Send a chunk that tells its values by how far it moves, and holds the gripper half open."""
    return session.accept(
        ActionChunk(
            session="day-1",
            seq=seq,
            observation_seq=0,
            stamp_ns=START_NS,
            valid_until_ns=START_NS + 1000 * PERIOD_NS,
            start_ns=None if from_step is None else START_NS + from_step * PERIOD_NS,
            actions=np.array([[value, 0.0, 0.5] for value in values], dtype=np.float32),
        )
    )


def run(session: BridgeSession, n_steps: int) -> list[Observation]:
    return [session.advance().observation for _ in range(n_steps)]


def moves(observations: list[Observation]) -> list[float]:
    return [round(float(o.action[0]), 3) for o in observations if o.action is not None]


def test_time_begins_with_the_first_chunk_and_then_passes_whether_or_not_more_come() -> None:
    session = new_session()
    first = session.first().observation
    assert (first.awaiting_action, session.busy, session.step_wall_s) == (True, False, 0.0)
    assert put(session, 0, 0, 0.1, 0.2).accepted
    assert session.step_wall_s == pytest.approx(0.05)
    observations = run(session, 4)
    assert [o.stamp_ns - START_NS for o in observations] == [k * PERIOD_NS for k in (1, 2, 3, 4)]
    assert [o.awaiting_action for o in observations] == [False, True, True, True]
    assert session.busy


def test_a_robot_without_an_action_stands_still_and_goes_on_holding() -> None:
    session = new_session()
    session.first()
    put(session, 0, 0, 0.1)
    _, still = run(session, 2)
    assert still.action is not None
    np.testing.assert_allclose(still.action, [0.0, 0.0, 0.5])
    assert session.action_counts["held"] == 1


def test_a_chunk_is_taken_while_another_is_carried_out_and_what_is_over_is_told_and_dropped() -> None:
    session = new_session()
    session.first()
    put(session, 0, 0, 0.1, 0.1, 0.1, 0.1, 0.1)
    run(session, 2)
    reply = put(session, 1, 0, 0.5, 0.6, 0.7, 0.8)
    assert (reply.accepted, reply.n_late) == (True, 2)
    assert reply.commanded is not None
    np.testing.assert_allclose(reply.commanded[:, 0], [0.7, 0.8])
    assert moves(run(session, 3)) == [0.7, 0.8, 0.0]


def test_a_chunk_whose_time_is_over_is_refused_and_the_robot_goes_on_with_the_one_before() -> None:
    session = new_session()
    session.first()
    put(session, 0, 0, 0.1, 0.2, 0.3, 0.4)
    run(session, 2)
    reply = put(session, 1, 0, 0.9, 0.9)
    assert (reply.accepted, reply.reason.split(":")[0], reply.n_late) == (False, "stale", 2)
    assert put(session, 1, 2, 0.9).reason.startswith("not_newer")
    assert moves(run(session, 2)) == [0.3, 0.4]


def test_a_chunk_without_an_instant_begins_at_once_and_limits_hold() -> None:
    session = new_session()
    session.first()
    put(session, 0, None, 0.1)
    run(session, 1)
    reply = put(session, 1, None, 7.0)
    assert reply.commanded is not None
    assert moves(run(session, 1)) == [1.0]


def test_chunks_are_blended_where_the_session_says_so() -> None:
    session = new_session(queue=ActionQueueSettings(overlap="blend"))
    session.first()
    put(session, 0, 0, 0.0, 0.0, 0.0)
    put(session, 1, 0, 0.8, 0.8, 0.8)
    assert moves(run(session, 3)) == [0.2, 0.4, 0.6]


def test_a_halt_or_the_end_of_the_world_stops_the_clock() -> None:
    session = new_session()
    session.first()
    put(session, 0, 0, 0.1, 0.1)
    run(session, 1)
    session.halt("test")
    assert (session.busy, session.step_wall_s) == (False, 0.0)
    assert put(session, 1, 1, 0.1).reason == "halted: test"
    ended = new_session()
    ended.first()
    put(ended, 0, 0, 0.1)
    assert run(ended, 40)[-1].awaiting_action is False
    assert (ended.ended, ended.busy) == (True, False)


def test_an_expert_is_waited_for_as_ever() -> None:
    session = new_session(demonstrate=True)
    session.first()
    assert session.busy
    session.advance()
    assert (session.step_wall_s, session.action_counts) == (0.0, {})


@pytest.mark.parametrize("factor", [0.0, -1.0, np.nan, np.inf])
def test_time_that_would_not_pass_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="real_time_factor"):
        new_session(real_time_factor=factor)

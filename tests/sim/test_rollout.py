"""An episode in lock-step: what is carried out, what is shown of it, and when it is over."""

from __future__ import annotations

import numpy as np
import pytest

from arm_simulator import STEP_M, TASK, ArmSimulator
from sim.manipulation import TaskEpisode
from sim.rollout import EXPERT, Act, Acted, BeginEpisode, EpisodeBegun, Play, Rollout
from sim.simulator import Reading

LEFT = np.tile(np.array([[-1.0, 0.0, 0.0]], dtype=np.float32), (4, 1))


class CastingArm(ArmSimulator):
    """Knows one more player, who always goes left, and counts its pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.n_pictures = 0
        self.player = EXPERT

    def observe(self) -> Reading:
        self.n_pictures += 1
        return super().observe()

    def cast(self, player: str) -> None:
        if player != "left":
            raise ValueError(f"player: expected left, got {player!r}")
        self.player = player

    def expert_action(self) -> np.ndarray:
        return super().expert_action() if self.player == EXPERT else LEFT[0]


def way_of_the_expert(seed: int) -> np.ndarray:
    """Return the actions after which its task is done."""
    arm, actions, success = ArmSimulator(), [], False
    arm.load(TaskEpisode(TASK, seed))
    while not success:
        actions.append(arm.limited(arm.expert_action()[None])[0])
        success = arm.step(actions[-1], 0.05).success
    return np.stack(actions)


def begun(simulator: ArmSimulator, seed: int = 5) -> tuple[Rollout, EpisodeBegun]:
    rollout = Rollout(simulator)
    answer = rollout.answer(BeginEpisode(task=TASK, seed=seed))
    assert isinstance(answer, EpisodeBegun)
    return rollout, answer


def test_a_chunk_shows_its_last_instants_and_costs_no_other_pictures() -> None:
    simulator = CastingArm()
    rollout, first = begun(simulator)
    assert (first.instruction, first.action_names) == ("go to the red square", ("dx", "dy", "gripper"))
    assert [(i.step, sorted(i.images)) for i in first.instants] == [(0, ["above", "wrist"])]
    done = rollout.answer(Act(actions=LEFT, n_instants=2))
    assert isinstance(done, Acted)
    assert [instant.step for instant in done.instants] == [3, 4]
    assert (done.n_steps, done.ended, simulator.n_pictures) == (4, False, 3)
    moved = first.instants[0].proprioception - done.instants[-1].proprioception
    np.testing.assert_allclose(moved[0], 4 * STEP_M, atol=1e-6)
    assert (done.instants[-1].images["above"] != first.instants[0].images["above"]).any()


def test_actions_are_cut_to_the_limits() -> None:
    rollout, first = begun(ArmSimulator())
    done = rollout.answer(Act(actions=3.0 * LEFT[:1]))
    moved = first.instants[0].proprioception - done.instants[-1].proprioception
    np.testing.assert_allclose(moved[0], STEP_M, atol=1e-6)


@pytest.mark.parametrize("show_end", [False, True])
def test_an_episode_is_over_with_success_in_the_middle_of_a_chunk(show_end: bool) -> None:
    rollout, _ = begun(ArmSimulator())
    way = way_of_the_expert(seed=5)
    done = rollout.answer(Act(actions=np.concatenate([way, LEFT]), show_end=show_end))
    assert (done.success, done.ended, done.n_steps) == (True, True, len(way))
    assert [instant.step for instant in done.instants] == ([len(way)] if show_end else [])
    with pytest.raises(ValueError, match="Act: expected an episode that goes on, got none"):
        rollout.answer(Act(actions=LEFT))


def test_an_episode_that_nobody_does_ends_where_the_simulator_ends_it() -> None:
    rollout = Rollout(CastingArm())
    assert rollout.answer(BeginEpisode(task=TASK, seed=5, show=False)).instants == ()
    done = rollout.answer(Play(player="left", show_every=15))
    assert (done.success, done.ended, done.n_steps) == (False, True, 40)
    assert [instant.step for instant in done.instants] == [15, 30, 40]


def test_what_cannot_be_done_is_refused() -> None:
    rollout, _ = begun(ArmSimulator())
    for actions in (LEFT[:0], LEFT[:, :2], LEFT[0]):
        with pytest.raises(ValueError, match=r"actions: expected shape \(1 or more, 3\)"):
            rollout.answer(Act(actions=actions))
    with pytest.raises(ValueError, match="finite"):
        rollout.answer(Act(actions=np.full((1, 3), np.nan, dtype=np.float32)))
    with pytest.raises(ValueError, match="player: expected expert in arm, got 'left'"):
        rollout.answer(Play(player="left"))
    with pytest.raises(ValueError, match="player: expected left, got 'nobody'"):
        begun(CastingArm())[0].answer(Play(player="nobody"))
    with pytest.raises(ValueError, match="task: expected"):
        rollout.answer(BeginEpisode(task="no-such-task", seed=0))

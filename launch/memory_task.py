"""One task of memory for the demo: a small policy that remembers, and its twin that does not, in the same episodes.

Both were trained on the same demonstrations, and for as long; they run by onnxruntime. What they do is played anew
each time.
"""

from __future__ import annotations

from pathlib import Path

from manipulation_policy import CheckpointPolicy
from manipulation_rollouts import Played, open_rollouts, play_policy
from manipulation_tasks import Task

from embodied.errors import ConfigurationError
from embodied.progress import Progress
from embodied.report.data import TaskItem
from embodied.report.strips import Strip, strips_jpeg
from embodied.report.wording import share
from policies.vla.acting import open_actor
from sim.episode import MemoryTaskScore
from sim.tabletop import TASKS

POLICIES = Path(__file__).with_name("demo_policies")
"""Exported by ``launch/export_policy.py``: ``memory`` and ``twin``."""
TASK = Task("tabletop", "remember_color_3")
FIRST_SEED = 200_000
"""Far from those of the demonstrations that the policies learned from."""
N_EPISODES = 10


def try_memory_task(progress: Progress, policies: Path = POLICIES) -> tuple[MemoryTaskScore | None, TaskItem]:
    """Have both policies play; return how often they did it, and the report's part.

    Where they cannot be run there is no score, and the report's part says why.
    """
    try:
        score, item = _play(progress, policies)
    except ConfigurationError as error:
        progress.done(f"no task of memory: {error}")
        return None, TaskItem(text=f"Two policies were to be put to a task of memory here, but cannot be run: {error}")
    progress.done(
        f"task of memory: {score.with_memory} of {score.episodes} done with a memory, {score.without_memory} without"
    )
    return score, item


def _play(progress: Progress, policies: Path) -> tuple[MemoryTaskScore, TaskItem]:
    folders = {"with its memory": policies / "memory", "without a memory": policies / "twin"}
    actors = {name: open_actor(folder) for name, folder in folders.items()}
    ask = open_rollouts(TASK, actors["with its memory"].backend.record.interface.height_px)
    played: dict[str, list[Played]] = {name: [] for name in folders}
    for name, actor in actors.items():
        policy = CheckpointPolicy(actor, name)
        for number in range(N_EPISODES):
            progress.update(f"task of memory, {name}: {number} of {N_EPISODES} episodes")
            played[name].append(play_policy(ask, TASK, FIRST_SEED + number, policy, show_end=True))
    remembering, forgetting = played.values()
    score = MemoryTaskScore(
        task=str(TASK),
        episodes=N_EPISODES,
        with_memory=sum(each.success for each in remembering),
        without_memory=sum(each.success for each in forgetting),
    )
    # One in which the memory made the difference, if there is one.
    shown = max(range(N_EPISODES), key=lambda number: remembering[number].success - forgetting[number].success)
    return score, _item(score, {name: those[shown] for name, those in played.items()}, FIRST_SEED + shown)


def _item(score: MemoryTaskScore, played: dict[str, Played], seed: int) -> TaskItem:
    chance = TASK.chance
    assert chance is not None, "the table's tasks have one"
    n = score.episodes
    text = (
        f"“{TASKS[TASK.name].instruction}” ({score.task}) When the robot is let go, nothing that it sees tells what "
        f"was shown. A policy that reads what it remembers while it acts did it in {score.with_memory} of {n} "
        f"episodes; its twin, the same network trained in the same way without a memory, in {score.without_memory} of "
        f"{n}. Guessing does it in {share(chance)}. Below, both in the episode of seed {seed}: until they move they "
        "see the same."
    )
    strips = [
        Strip(
            title=f"{name}: {'done' if each.success else 'failed'} after {each.n_steps} steps",
            frames=each.frames,
            captions=[f"step {step}" for step in each.frame_steps],
            success=each.success,
        )
        for name, each in played.items()
    ]
    return TaskItem(text=text, strip_jpeg=strips_jpeg(strips))

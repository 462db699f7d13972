"""A robot remembers a house: two simulated days, questions about them, drives to the answers, a task, and a report.

Four processes do the work and meet over ZeroMQ: the bridge (house, robot and sensors), the memory, the recorder and the
policy. This module starts them, tells the policy what to do, asks the memory through the public client, and judges the
answers by the simulator's truth, which only the bridge and this script can read.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path

import msgspec
from episode_group import FIRST_MORNING_NS, START_TIMEOUT_S, Group, addresses_of, memory_spec, recorder_spec
from episode_settings import SimEpisode, bridge_python
from memory_task import try_memory_task

from embodied import Memory
from embodied.clock import NANOSECONDS
from embodied.config import git_hash
from embodied.errors import ProcessError
from embodied.messages import Change, ObjectRecord, RunTask, TaskStatus
from embodied.process import ProcessConfig
from embodied.progress import Progress
from embodied.report import write_report
from embodied.report.collect import collect
from embodied.report.data import PictureItem
from embodied.supervisor import ProcessSpec, Supervisor, halt_over
from memory_bank.dense.logs import fuse_log, picture_jpeg
from policies.server import PolicyConfig
from sim.bridge import BridgeConfig
from sim.collision import navigable_grid
from sim.episode import (
    Drive,
    EpisodeSummary,
    GoalResult,
    QuestionResult,
    ask,
    choose_goals,
    judge_drive,
    score_goals,
    score_questions,
)
from sim.episode_report import complete
from sim.habitat_dataset import write_dataset
from sim.houses import generate_house
from sim.houses.changes import change_overnight
from sim.judge import score_changes, score_objects
from sim.operator_messages import ChangeHouse, EndSession, GetOperatorStatus, OperatorStatus, StartSession
from sim.questions import make_questions
from sim.scene import Scene
from sim.simulator_settings import CameraSettings, HabitatSettings, HousesSettings
from sim.truth import TruthSession, read_truth

DAY_NS = 86_400 * NANOSECONDS
EVENING_NS = FIRST_MORNING_NS + DAY_NS + 8 * 3_600 * NANOSECONDS


def process_specs(settings: SimEpisode, run: Path, dataset: Path, addresses: dict[str, str]) -> list[ProcessSpec]:
    """Return the settings of the four processes. Only the bridge is told where the truth goes."""
    camera = CameraSettings(width_px=settings.pixels, height_px=settings.pixels)
    bridge = BridgeConfig(
        pipe=addresses["pipe"],
        latest=addresses["latest"],
        actions=addresses["actions"],
        operator=addresses["operator"],
        dataset=str(dataset),
        seed=settings.seed,
        simulator=HabitatSettings(camera=camera) if settings.simulator == "habitat" else HousesSettings(camera=camera),
        truth_directory=str(run / "truth"),
    )
    policy = PolicyConfig(
        process=ProcessConfig(name="policy"),
        latest=addresses["latest"],
        actions=addresses["actions"],
        memory=addresses["memory"],
        tasks=addresses["tasks"],
    )
    return [
        ProcessSpec("bridge", "sim.server", bridge, python=bridge_python(settings)),
        memory_spec(settings, run, addresses),
        recorder_spec(run, addresses),
        ProcessSpec("policy", "policies.server", policy),
    ]


class Episode:
    """The story: two days, an evening of questions, and the drives to their answers."""

    def __init__(self, settings: SimEpisode, run: Path, group: Group, scene: Scene, progress: Progress) -> None:
        self.settings = settings
        self.run = run
        self.group = group
        self.scene = scene
        self.progress = progress
        self.coverage: dict[str, float] = {}
        self.n_frames = 0
        self.moving_s = 0.0

    def look_around(self, session: str, stamp_ns: int) -> TruthSession:
        """Let the robot explore for one session; return the truth of it."""
        self.group.operate(StartSession(session=session, stamp_ns=stamp_ns))
        task = RunTask(kind="explore", session=session, max_steps=self.settings.max_steps)
        status, took_s = self.group.run_task(task, f"{session}: exploring")
        if status.state != "succeeded":
            raise ProcessError(f"{session}: the robot could not explore the house: {status.detail}")
        self._count(status, took_s)
        self.coverage[session] = round(status.progress, 3)
        self.group.operate(EndSession())
        return read_truth(self.run / "truth" / f"{session}.json")

    def drive(
        self, session: str, stamp_ns: int, goals: Sequence[QuestionResult]
    ) -> tuple[tuple[Drive, GoalResult], ...]:
        """Send the robot to what the memory answered; return the drives with their verdicts."""
        self.group.operate(StartSession(session=session, stamp_ns=stamp_ns))
        drives = [self._drive_to(session, goal) for goal in goals]
        self.group.operate(EndSession())
        truth = read_truth(self.run / "truth" / f"{session}.json")
        today = change_overnight(self.scene, self.settings.seed)[0]
        grid = navigable_grid(today)
        poses = {pose.seq: pose for pose in truth.poses}
        return tuple((d, judge_drive(d, poses[d.end_seq], truth.objects, grid, today.regions)) for d in drives)

    def _drive_to(self, session: str, goal: QuestionResult) -> Drive:
        target_m = goal.answer.objects[0].position_m
        task = RunTask(kind="go_to", session=session, target_m=target_m, max_steps=self.settings.max_steps)
        status, took_s = self.group.run_task(task, f"{session}: {goal.question.text}")
        self._count(status, took_s)
        operator = self.group.operate(GetOperatorStatus())
        assert isinstance(operator, OperatorStatus)
        return Drive(
            question=goal.question,
            target_m=target_m,
            end_seq=operator.seq,
            n_steps=status.n_steps,
            arrived=status.state == "succeeded",
            detail=status.detail,
        )

    def _count(self, status: TaskStatus, took_s: float) -> None:
        self.n_frames += status.n_steps
        self.moving_s += took_s


def summarise(
    episode: Episode,
    days: tuple[TruthSession, TruthSession],
    objects: tuple[tuple[ObjectRecord, ...], tuple[ObjectRecord, ...]],
    changes: Sequence[Change],
    results: Sequence[QuestionResult],
    goals: Sequence[GoalResult],
    wall_s: dict[str, float],
) -> EpisodeSummary:
    """Score the episode."""
    rss_mb = episode.group.peak_rss_mb()
    return EpisodeSummary(
        seed=episode.settings.seed,
        git=git_hash(),
        simulator=episode.settings.simulator,
        n_rooms=episode.settings.n_rooms,
        n_frames=episode.n_frames,
        n_collisions=sum(day.n_collisions for day in days),
        coverage=episode.coverage,
        objects=score_objects(days[1].objects, objects[1]),
        objects_day_one=score_objects(days[0].objects, objects[0]),
        changes=score_changes(days[1].changes, changes),
        questions=score_questions(results),
        goals=score_goals(goals, episode.settings.n_goals),
        frames_per_second=episode.n_frames / max(episode.moving_s, 1e-6),
        peak_rss_mb=round(sum(rss_mb.values()), 1),
        processes_rss_mb=rss_mb,
        stages_ms=episode.group.stages_ms(),
        wall_s={name: round(seconds, 2) for name, seconds in wall_s.items()},
    )


def run_house_episode(settings: SimEpisode, run: Path, progress: Progress) -> EpisodeSummary:
    """Live through two days and leave everything in ``run``."""
    scene = generate_house(settings.seed, settings.n_rooms, settings.variety, settings.light)
    dataset = write_dataset(scene, run / "house")
    categories = {scene.category_of(i.instance_id) for i in scene.instances}
    progress.done(
        f"house of seed {settings.seed}: {len(scene.regions)} rooms, {len(scene.instances)} objects of "
        f"{len(categories)} categories"
    )
    addresses = addresses_of(run)
    specs = process_specs(settings, run, dataset, addresses)
    with Supervisor(specs, run, halt_over(addresses["actions"])) as supervisor, ExitStack() as stack:
        supervisor.start(timeout_s=START_TIMEOUT_S)
        progress.done("bridge, memory, recorder and policy are ready")
        group = Group(supervisor, addresses, progress, stack)
        return _two_days(Episode(settings, run, group, scene, progress), group.memory)


def _two_days(episode: Episode, memory: Memory) -> EpisodeSummary:
    settings, progress = episode.settings, episode.progress
    started_s = progress.elapsed_s
    day_one = episode.look_around("day-1", FIRST_MORNING_NS)
    objects_one = memory.objects()
    progress.done(f"day-1: {len(day_one.poses)} frames, {len(objects_one)} objects remembered")
    first_s = progress.elapsed_s
    episode.group.operate(ChangeHouse(seed=settings.seed))
    day_two = episode.look_around("day-2", FIRST_MORNING_NS + DAY_NS)
    objects_two = memory.objects()
    changes = memory.changes(since_ns=day_two.start_ns)
    progress.done(f"day-2: {len(day_two.poses)} frames, {len(objects_two)} objects, {len(changes)} changes noticed")
    second_s = progress.elapsed_s
    results = ask(memory, make_questions(day_one, day_two, settings.seed))
    for result in results:
        progress.done(f"{'right' if result.correct else 'WRONG'}  {result.question.text} {result.answer.text}")
    drives = episode.drive("errands", EVENING_NS, choose_goals(results, settings.n_goals))
    for _, goal in drives:
        progress.done(
            f"{'there' if goal.success else 'MISSED'}  {goal.question} {goal.geodesic_m:.2f} m of way left, "
            f"{'in view' if goal.in_view else 'not in view'}"
        )
    evening_s = progress.elapsed_s
    score, task = try_memory_task(progress)
    wall_s = {
        "before": started_s,
        "day_one": first_s - started_s,
        "day_two": second_s - first_s,
        "evening": evening_s - second_s,
        "memory_task": progress.elapsed_s - evening_s,
    }
    goals = [goal for _, goal in drives]
    summary = summarise(episode, (day_one, day_two), (objects_one, objects_two), changes, results, goals, wall_s)
    summary = msgspec.structs.replace(summary, memory_task=score)
    (episode.run / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
    created = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    remembered = collect(memory, episode.run / "logs", title="A robot remembers a house", created=created)
    data = complete(remembered, settings, summary, day_two.changes, results, drives, episode.run / "logs")
    data = msgspec.structs.replace(data, task=task)
    if settings.mesh:
        data = msgspec.structs.replace(data, pictures=(*data.pictures, *make_meshes(episode.run / "logs", progress)))
    write_report(episode.run / "report.html", data)
    return summary


def make_meshes(logs: Path, progress: Progress) -> list[PictureItem]:
    """Write the mesh of each day beside its log; return pictures of them."""
    pictures = []
    for day in ("day-1", "day-2"):
        mesh = fuse_log(logs / f"{day}.mcap", progress=lambda n, day=day: progress.update(f"mesh of {day}: {n} frames"))
        mesh.write(logs / f"{day}.ply")
        progress.done(f"mesh of {day}: {len(mesh.faces)} triangles")
        pictures.append(PictureItem(caption=f"The surfaces seen on {day}, from above", jpeg=picture_jpeg(mesh)))
    return pictures

"""A robot remembers a house: two simulated days, questions about them, and a report.

    python launch/sim_episode.py --seed 0 --out runs/demo

Four processes do the work and meet over ZeroMQ: the bridge (house, robot and sensors), the memory, the recorder and the
policy. This script starts them, tells the policy what to do, asks the memory through the public client, and judges the
answers by the simulator's truth, which only the bridge and this script can read.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import msgspec
import tyro

from embodied import Memory
from embodied.clock import NANOSECONDS
from embodied.config import Config, git_hash
from embodied.errors import ConfigurationError, ProcessError
from embodied.messages import Change, GetTask, ObjectRecord, RunTask, TaskResponse, TaskStatus
from embodied.process import ProcessConfig, peak_rss_mb
from embodied.progress import Progress
from embodied.recording.server import RecorderConfig
from embodied.report import write_report
from embodied.report.collect import collect
from embodied.report.data import PictureItem
from embodied.runs import new_run, run_address, run_script
from embodied.supervisor import ProcessSpec, Supervisor, halt_over
from embodied.transport import RpcClient
from memory_bank.dense.library import open3d
from memory_bank.dense.logs import fuse_log, picture_jpeg
from memory_bank.perception.simulator import SimulatorPerceptionConfig
from memory_bank.server import MemoryConfig
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
from sim.houses_simulator import CameraSettings, HousesSettings
from sim.judge import score_changes, score_objects
from sim.operator_messages import (
    ChangeHouse,
    EndSession,
    GetOperatorStatus,
    OperatorRequest,
    OperatorResponse,
    OperatorStatus,
    StartSession,
)
from sim.questions import make_questions
from sim.scene import Scene
from sim.truth import TruthSession, read_truth

FIRST_MORNING_NS = 1_767_603_600 * NANOSECONDS
"""2026-01-05 09:00 UTC."""
DAY_NS = 86_400 * NANOSECONDS
EVENING_NS = FIRST_MORNING_NS + DAY_NS + 8 * 3_600 * NANOSECONDS
POLL_S = 0.05
CHANNELS = ("pipe", "latest", "actions", "operator", "memory", "tasks")


class SimEpisode(Config):
    """Two days in a simulated house."""

    simulator: Literal["houses"] = "houses"
    """Which simulator the bridge runs."""
    seed: int = 0
    """Draws the house, the noise, what changes overnight, and the questions."""
    out: str = "runs/episode"
    """Where everything goes; must not exist yet, or be an earlier run, which is replaced."""
    n_rooms: int = 5
    """Rooms of the house, 4 or more."""
    image_px: int = 256
    """Width and height of the camera's image."""
    dropout: float = 0.0
    """Share of things in view that the simulated detector overlooks."""
    label_noise: float = 0.0
    """Share of things in view that it calls something else."""
    max_steps: int = 700
    """Steps of the robot a day."""
    n_goals: int = 2
    """Answers that the robot drives to."""
    mesh: bool = False
    """Fuse each day's depth images into a mesh, beside its log, and show it in the report; needs open3d."""


class Group:
    """What this script says to the running processes. A process that dies ends every wait for an answer."""

    def __init__(self, supervisor: Supervisor, addresses: dict[str, str], progress: Progress, stack: ExitStack) -> None:
        self.supervisor = supervisor
        self.progress = progress

        def client(name: str, response: Any, timeout_s: float) -> RpcClient:
            return stack.enter_context(
                RpcClient(addresses[name], response, timeout_s=timeout_s, while_waiting=supervisor.check)
            )

        self._operator = client("operator", OperatorResponse, 30.0)
        self._tasks = client("tasks", TaskResponse, 5.0)
        self.memory = stack.enter_context(Memory(addresses["memory"], timeout_s=20.0, while_waiting=supervisor.check))

    def operate(self, request: OperatorRequest) -> OperatorResponse:
        """Tell the bridge what the one who runs the episode wants."""
        response: OperatorResponse = self._operator.call(request)
        return response

    def run_task(self, request: RunTask, headline: str) -> tuple[TaskStatus, float]:
        """Have the policy do something to its end; return its last status and the seconds that it took."""
        started_s = time.perf_counter()
        status: TaskStatus = self._tasks.call(request)
        while status.state == "running":
            time.sleep(POLL_S)
            status = self._tasks.call(GetTask())
            rate = status.n_steps / max(time.perf_counter() - started_s, 1e-6)
            self.progress.update(f"{headline}: {status.n_steps} frames, {rate:.0f}/s, {status.progress:.0%} done")
        return status, time.perf_counter() - started_s


def process_specs(settings: SimEpisode, run: Path, dataset: Path, addresses: dict[str, str]) -> list[ProcessSpec]:
    """Return the settings of the four processes. Only the bridge is told where the truth goes."""
    bridge = BridgeConfig(
        pipe=addresses["pipe"],
        latest=addresses["latest"],
        actions=addresses["actions"],
        operator=addresses["operator"],
        dataset=str(dataset),
        seed=settings.seed,
        simulator=HousesSettings(camera=CameraSettings(width_px=settings.image_px, height_px=settings.image_px)),
        truth_directory=str(run / "truth"),
    )
    memory = MemoryConfig(
        process=ProcessConfig(name="memory"),
        pipe=addresses["pipe"],
        memory=addresses["memory"],
        database=str(run / "memory.db"),
        simulator=SimulatorPerceptionConfig(
            seed=settings.seed, dropout=settings.dropout, label_noise=settings.label_noise
        ),
    )
    recorder = RecorderConfig(
        process=ProcessConfig(name="recorder"), pipe=addresses["pipe"], directory=str(run / "logs")
    )
    policy = PolicyConfig(
        process=ProcessConfig(name="policy"),
        latest=addresses["latest"],
        actions=addresses["actions"],
        memory=addresses["memory"],
        tasks=addresses["tasks"],
    )
    return [
        ProcessSpec("bridge", "sim.server", bridge),
        ProcessSpec("memory", "memory_bank.server", memory),
        ProcessSpec("recorder", "embodied.recording.server", recorder),
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
    heartbeats = episode.group.supervisor.statistics
    rss_mb = {name: round(beat.peak_rss_mb, 1) for name, beat in sorted(heartbeats.items())}
    rss_mb["launcher"] = round(peak_rss_mb(), 1)
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
        stages_ms={
            name: {k: round(v, 3) for k, v in sorted(beat.statistics.items()) if k.endswith("_ms")}
            for name, beat in sorted(heartbeats.items())
        },
        wall_s={name: round(seconds, 2) for name, seconds in wall_s.items()},
    )


def run_episode(settings: SimEpisode, run: Path, progress: Progress) -> EpisodeSummary:
    """Run the whole episode and leave everything in ``run``."""
    scene = generate_house(settings.seed, n_rooms=settings.n_rooms)
    dataset = write_dataset(scene, run / "house")
    categories = {scene.category_of(i.instance_id) for i in scene.instances}
    progress.done(
        f"house of seed {settings.seed}: {len(scene.regions)} rooms, {len(scene.instances)} objects of "
        f"{len(categories)} categories"
    )
    addresses = {name: run_address(run, name) for name in CHANNELS}
    specs = process_specs(settings, run, dataset, addresses)
    with Supervisor(specs, run, halt_over(addresses["actions"])) as supervisor, ExitStack() as stack:
        supervisor.start(timeout_s=40.0)
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
    wall_s = {
        "before": started_s,
        "day_one": first_s - started_s,
        "day_two": second_s - first_s,
        "evening": progress.elapsed_s - second_s,
    }
    goals = [goal for _, goal in drives]
    summary = summarise(episode, (day_one, day_two), (objects_one, objects_two), changes, results, goals, wall_s)
    (episode.run / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
    created = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    remembered = collect(memory, episode.run / "logs", title="A robot remembers a house", created=created)
    data = complete(remembered, settings, summary, day_two.changes, results, drives, episode.run / "logs")
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


def check(settings: SimEpisode) -> None:
    """Refuse what cannot work before anything is made or replaced.

    Raises:
        ConfigurationError: A setting is out of its range, or open3d is missing and a mesh is asked for.
    """
    ranges: dict[str, tuple[float, float]] = {
        "n_rooms": (4, 8),
        "seed": (0, 2**31),
        "image_px": (64, 1024),
        "dropout": (0.0, 1.0),
        "label_noise": (0.0, 1.0),
        "max_steps": (1, 100_000),
        "n_goals": (0, 10),
    }
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            raise ConfigurationError(f"{name}: expected {low} to {high}, got {value}")
    if settings.mesh:
        open3d()


def main(settings: SimEpisode) -> int:
    """Run the episode; return the exit code."""

    def work(progress: Progress) -> None:
        check(settings)
        run = new_run(settings.out, settings)
        summary = run_episode(settings, run, progress)
        progress.done(
            f"objects {summary.objects.precision:.2f} right, {summary.objects.recall:.2f} found; changes F1 "
            f"{summary.changes.f1:.2f}; questions {summary.questions.correct:.2f} of {summary.questions.asked}; drives "
            f"{summary.goals.success:.2f}; {summary.frames_per_second:.0f} frames/s; {summary.peak_rss_mb:.0f} MB"
        )
        print(f"\nreport   {run / 'report.html'}\nsummary  {run / 'summary.json'}")
        print(f'ask      embodied recall "where is the mug?" --memory {run / "memory.db"}')

    return run_script("sim_episode", work)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(SimEpisode)))

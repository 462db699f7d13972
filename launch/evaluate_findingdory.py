"""Measure whether the memory of a day's work leads the robot back: FindingDory's tasks in our own houses.

One episode is a house and a day of pick and place in it; every method watches the same day and gets the same words.
Published figures are of photo-realistic scenes and other wordings: they are for orientation only.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import simplejpeg
from evaluation_run import (
    Curve,
    Episode,
    EpisodeResult,
    EvaluationSettings,
    Failure,
    PageSettings,
    Row,
    evaluate,
    houses,
    measure,
)
from findingdory_agents import our_agent
from findingdory_baselines import Captions, Oracle, TextAgent
from msgspec import structs
from PIL import Image

from embodied.clock import NANOSECONDS
from embodied.errors import ConfigurationError
from embodied.figures import MeasuredFigure
from embodied.geometry import yaw_of
from embodied.messages import Observation
from embodied.progress import Progress
from memory_bank.perception.simulator import SimulatorPerceptionConfig
from sim.findingdory.agents import Agent
from sim.findingdory.asking import instructions_of
from sim.findingdory.experience import Experience
from sim.findingdory.goals import CATEGORIES, Instruction
from sim.findingdory.phase_two import Evening
from sim.findingdory.scoring import FAILURES, Judge, Score
from sim.findingdory.walking import Pose
from sim.houses import generate_house
from sim.simulator_settings import CameraSettings

MORNING_NS = 1_767_600_000 * NANOSECONDS
"""2026-01-05 08:00 UTC."""
OURS, ORACLE = "ours", "oracle"
GOAL_HL, GOAL_CATEGORY, GOAL_ORACLE = 0.80, 0.60, 0.99
MAX_FAILURES = 6
MIN_IMAGE_PX = 64
UNREACHABLE_M = 100.0
"""Told as the distance to a goal to which no way leads."""
PAGE = PageSettings(
    title="FindingDory's tasks in our houses",
    introduction=(
        "A robot rearranged a house for a day; afterwards it is told where to go back to, and answers with frames of "
        "the day. hl_sr: the frames satisfy the goals. ll_sr: they are satisfied where the robot stands after driving "
        "there. spl: success weighted by path length. dtg: distance to the goal; sc: the thing fills enough of the "
        "image. Houses, frames and wordings are our own, so published figures (GPT-4o 0.27, a fine-tuned Qwen2.5-VL-3B "
        "0.52, an oracle 0.96) are no measure for these."
    ),
    values=("hl_sr", "ll_sr", "hl_spl", "ll_spl", "dtg_m", "dtg_sr", "sc_sr"),
    curves=(Curve("hl_sr", over="n_interactions"), Curve("hl_sr", over="n_frames")),
    smaller_is_better=("dtg_m",),
)


class Settings(EvaluationSettings):
    """What to measure."""

    seed: int = 620
    """Of the first house; the others follow."""
    label_noise: float = 0.1
    """Share of detections with a wrong label."""
    dropout: float = 0.1
    """Share of things in a frame that the detector overlooks."""
    image_px: int = 192
    """Width and height of the images."""
    uniform_frames: int = 96
    """Captions of the text agent that sees the whole day."""
    recent_frames: int = 48
    """Captions of the one that sees its end."""


class Album:
    """What is kept of the stream beside the agents: where the robot believed to be, and pictures for the report."""

    def __init__(self) -> None:
        self.believed: list[Pose] = []
        self._jpegs: list[bytes] = []

    def take(self, observation: Observation) -> None:
        """Keep an observation."""
        T = observation.T_world_base
        self.believed.append((float(T[0, 3]), float(T[1, 3]), yaw_of(T)))
        self._jpegs.append(simplejpeg.encode_jpeg(np.ascontiguousarray(observation.cameras[0].rgb), quality=80))

    def side_by_side(self, frames: Sequence[int]) -> bytes:
        """Return some frames in a row as one JPEG."""
        pictures = [np.asarray(Image.open(io.BytesIO(self._jpegs[frame]))) for frame in frames]
        return simplejpeg.encode_jpeg(np.ascontiguousarray(np.concatenate(pictures, axis=1)), quality=80)


def run_house(settings: Settings, episode: Episode) -> EpisodeResult:
    """Let every method watch one day and answer its instructions."""
    seed = episode.seed
    experience = Experience(
        generate_house(seed),
        session=f"day-{seed}",
        start_ns=MORNING_NS,
        seed=seed,
        camera=CameraSettings(width_px=settings.image_px, height_px=settings.image_px),
    )
    perception = SimulatorPerceptionConfig(dropout=settings.dropout, label_noise=settings.label_noise, seed=seed)
    oracle, album, captions = Oracle(), Album(), Captions(perception)
    ours = our_agent(seed, settings.label_noise, settings.dropout)
    agents: list[Agent] = [
        ours,
        TextAgent(f"recent {settings.recent_frames}", captions, settings.recent_frames, recent=True),
        TextAgent(f"uniform {settings.uniform_frames}", captions, settings.uniform_frames, recent=False),
        oracle,
    ]
    try:
        for message in experience:
            for agent in agents:
                agent.watch(message)
            if isinstance(message, Observation):
                album.take(message)
        judge = Judge(Evening(experience.truth(), experience.floor, experience.camera))
        instructions = instructions_of(judge, seed)
        oracle.tell(judge, instructions)
        return _ask(judge, instructions, agents, album)
    finally:
        ours.close()


def _ask(judge: Judge, instructions: Sequence[Instruction], agents: Sequence[Agent], album: Album) -> EpisodeResult:
    """Give every instruction to every agent and judge its answer."""
    rows: list[Row] = []
    failures: list[tuple[bool, float, Failure]] = []
    truth = judge.evening.truth
    size = {"n_interactions": float(len(truth.interactions)), "n_frames": float(truth.n_frames)}
    for instruction in instructions:
        for agent in agents:
            frames = [int(frame) for frame in agent.choose(instruction.text)]
            score = judge.score(instruction, frames, album.believed)
            told = _told(judge, instruction, frames, score)
            row = _row(instruction, agent.name, score, told if agent.name == OURS else "")
            rows.append(structs.replace(row, values={**row.values, **size}))
            if agent.name == OURS and not score.hl_success:
                picture = _picture(judge, instruction, frames, album)
                failure = Failure(title=instruction.text, text=told, picture_jpeg=picture)
                failures.append((score.ll_success, -score.dtg_m, failure))
    worst = sorted(failures, key=lambda each: each[:2])[:MAX_FAILURES]
    return EpisodeResult(rows=tuple(rows), failures=tuple(failure for *_, failure in worst))


def _row(instruction: Instruction, method: str, score: Score, told: str) -> Row:
    return Row(
        key=instruction.text,
        method=method,
        category=instruction.category,
        values={
            "hl_sr": float(score.hl_success),
            "ll_sr": float(score.ll_success),
            "hl_spl": score.hl_spl,
            "ll_spl": score.ll_spl,
            "dtg_m": min(score.dtg_m, UNREACHABLE_M),
            "dtg_sr": float(score.dtg_success),
            "sc_sr": float(score.sc_success),
        },
        wrong=(told,) if told and not (score.hl_success and score.ll_success) else (),
        notes={"template": instruction.template, "failure": score.failure},
    )


def _told(judge: Judge, instruction: Instruction, frames: Sequence[int], score: Score) -> str:
    """Return what was answered and what would have been right, for people."""
    names = judge.evening.truth.after
    wanted = "; ".join(
        " or ".join([*(f"{names.category_of(i)} {i}" for i in goal.instances[:4]), *goal.rooms]) or str(goal.pose)
        for goal in instruction.goals
    )
    return f"{score.failure or 'wrong frames, right place after the drive'}: frames {list(frames)} for {wanted}"


def _picture(judge: Judge, instruction: Instruction, frames: Sequence[int], album: Album) -> bytes:
    """Return what was answered first beside a frame that would have been right."""
    right = judge.right_frames(instruction.goals[0])
    return album.side_by_side([*(f for f in frames[:1] if 0 <= f < len(album.believed)), right[len(right) // 2]])


def summarise(rows: Sequence[Row]) -> list[MeasuredFigure]:
    """Return the figures: means over instructions, with what the other methods have."""
    figures = [measure(rows, "hl_sr", goal=GOAL_HL)]
    figures += [
        measure(rows, "hl_sr", name=f"hl_sr.{category}", category=category, goal=GOAL_CATEGORY)
        for category in CATEGORIES
        if any(row.category == category for row in rows)
    ]
    figures.append(measure(rows, "hl_sr", name="oracle.hl_sr", method=ORACLE, goal=GOAL_ORACLE))
    for name in PAGE.values[1:]:
        unit = "m" if name.endswith("_m") else ""
        figures.append(measure(rows, name, unit=unit, higher_is_better=name not in PAGE.smaller_is_better))
    for failure in FAILURES:
        shares = [structs.replace(row, values={"failed": float(row.notes["failure"] == failure)}) for row in rows]
        figures.append(measure(shares, "failed", name=f"failed.{failure}", higher_is_better=False))
    return figures


def check(settings: Settings) -> None:
    """Refuse settings with which nothing could be seen.

    Raises:
        ConfigurationError: A setting is out of its range.
    """
    for name, least, most in (
        ("image_px", MIN_IMAGE_PX, float("inf")),
        ("uniform_frames", 1, float("inf")),
        ("recent_frames", 1, float("inf")),
        ("label_noise", 0.0, 1.0),
        ("dropout", 0.0, 1.0),
    ):
        if not least <= getattr(settings, name) <= most:
            raise ConfigurationError(f"{name}: expected {least} to {most}, got {getattr(settings, name)}")


def main(settings: Settings, progress: Progress) -> None:
    """Measure, print what went wrong, and write figures and report."""
    check(settings)
    evaluate("findingdory", settings, houses(settings), run_house, summarise, progress, PAGE)

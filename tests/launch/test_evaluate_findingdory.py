"""FindingDory's evaluation: readers answer what captions tell, the oracle is right, and rows say what went wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "launch"))

from evaluate_findingdory import Album, Settings, _ask, check, summarise
from evaluation_run import Row
from findingdory_baselines import Caption, Captions, Oracle, Reader, TextAgent, carried_in

from embodied.errors import ConfigurationError
from embodied.geometry import intrinsics_from_fov, planar_pose
from embodied.messages import CameraFrame, Observation
from findingdory_day import BOOK, HAT, MUG, NINE_NS, ROUTE, SECOND_NS, TEMPLATES, day, house
from memory_bank.perception.simulator import SimulatorPerceptionConfig
from sim.collision import navigable_grid
from sim.findingdory.agents import ExperienceMessage
from sim.findingdory.asking import instructions_of
from sim.findingdory.experience import Camera
from sim.findingdory.phase_two import Evening
from sim.findingdory.scoring import Judge
from sim.findingdory.walking import Floor
from sim.simulator_settings import CameraSettings

CAMERA = CameraSettings(width_px=32, height_px=32)


def captions() -> list[Caption]:
    """Return the hand-made day in captions: what is held, and all things at their places."""
    made = []
    for frame, (second, _, _, _, held) in enumerate(ROUTE):
        in_hand = TEMPLATES[held].category if held else ""
        shares = {"mug": 0.01, "book": 0.02, "hat": 0.01, "teddy bear": 0.005 + 0.001 * frame}
        shares[{1: "table", 4: "dresser", 8: "table", 9: "dresser"}.get(frame, "desk")] = 0.2
        made.append(Caption(frame, NINE_NS + second * SECOND_NS, shares, held > 0, in_hand))
    return made


def observation(seq: int) -> Observation:
    """Return a frame of the hand-made day with a held thing in the middle, as segments."""
    segments = np.zeros((32, 32), dtype=np.uint16)
    segments[18:24, 14:18] = 1
    segments[0:4, 0:8] = 2
    frame = CameraFrame(
        name="head",
        intrinsics=intrinsics_from_fov(32, 32, np.pi / 2),
        T_base_camera=np.eye(4),
        rgb=np.zeros((32, 32, 3), dtype=np.uint8),
        depth=np.full((32, 32), 1000, dtype=np.uint16),
        segments=segments,
        segment_labels=("mug", "clock"),
    )
    second, x_m, y_m, yaw_rad, held = ROUTE[seq]
    return Observation(
        session="a",
        seq=seq,
        stamp_ns=NINE_NS + second * SECOND_NS,
        T_world_base=planar_pose(x_m, y_m, yaw_rad),
        cameras=(frame,),
        proprioception=np.array([0, 0, 0, float(held > 0)], dtype=np.float32),
    )


def test_what_was_carried_is_read_off_the_gripper_and_what_was_in_hand() -> None:
    carried = carried_in(captions())
    assert [(c.label, c.first, c.last) for c in carried] == [("mug", 2, 3), ("book", 6, 7), ("hat", 10, 11)]
    assert carried[1].duration_s == 390.0


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("go to the first object you interacted with today", [4]),
        ("go to the last object you interacted with today", [12]),
        ("go to the second object you interacted with today", [8]),
        ("go to the second-to-last object you interacted with today", [8]),
        ("go to the object you interacted with immediately after the mug", [8]),
        ("go to the object you interacted with immediately before the hat", [8]),
        ("go to the object that took the longest to rearrange", [8]),
        ("go to the object that took 30 seconds to rearrange", [12]),
        ("go to the object that you were interacting with at 09:20", [8]),
        ("visit all the objects that you interacted with today", [4, 8, 12]),
        ("revisit the third, then the first object you interacted with today, in this order", [12, 4]),
        ("go to the first furniture you picked an object up from today", [1]),
        ("go to the last furniture you placed an object on today", [12]),
        ("go to an object that you picked up from a dresser", [12]),
        ("go to an object that you placed on a table", [8]),
        ("go to the furniture on which you placed the grey hat", [12]),
        ("go to the furniture from which you picked up the grey book", [5]),
        ("go to a table that you placed an object on today", [8]),
        ("go to a teddy bear", [13]),
        ("go back to where you were at 09:40", [8]),
    ],
)
def test_the_reader_answers_what_captions_tell(text: str, frames: list[int]) -> None:
    assert Reader(captions()).answer(text) == frames


def test_of_names_of_one_length_the_first_by_its_letters_is_meant_in_every_process() -> None:
    words = ("lamp", "vase", "sofa", "book", "bowl", "ball", "fork", "oven")
    seen = [Caption(n, n, {word: 0.1}, False, "") for n, word in enumerate(words)]
    assert Reader(seen).answer("go to an object that you did not interact with") == [words.index("ball")]


def test_a_reader_without_captions_has_no_answer() -> None:
    assert Reader([]).answer("go to the mug") == []


def test_readers_share_captions_and_each_reads_its_own_part_of_the_day() -> None:
    shared = Captions(SimulatorPerceptionConfig())
    recent = TextAgent("recent", shared, 2, recent=True)
    spread = TextAgent("uniform", shared, 7, recent=False)
    for seq in range(len(ROUTE)):
        recent.watch(observation(seq))
        spread.watch(observation(seq))
    assert [caption.frame for caption in shared.all] == list(range(len(ROUTE)))
    assert shared.all[2].in_hand == "mug"
    assert shared.all[0].in_hand == ""
    assert set(shared.all[2].shares) == {"mug", "clock"}
    assert recent.choose("go to a clock")[0] >= len(ROUTE) - 2
    assert spread.choose("go to the first object you interacted with") == [4]


class Fixed:
    """Answers the same whatever it is asked."""

    name = "ours"

    def watch(self, message: ExperienceMessage) -> None:
        """Look at nothing."""

    def choose(self, instruction: str) -> list[int]:
        """Return the frame beside the book."""
        return [8]


@pytest.fixture(scope="module")
def rows_and_failures() -> tuple[list[Row], list[str]]:
    truth = day()
    judge = Judge(Evening(truth, Floor(navigable_grid(house()), house().regions), Camera(truth.after, CAMERA)))
    instructions = instructions_of(judge, seed=2)
    oracle, kept = Oracle(), Album()
    oracle.tell(judge, instructions)
    for seq in range(len(ROUTE)):
        kept.take(observation(seq))
    result = _ask(judge, instructions, [Fixed(), oracle], kept)
    assert all(failure.picture_jpeg[:2] == b"\xff\xd8" for failure in result.failures)
    rows = [msgspec.structs.replace(row, episode="house") for row in result.rows]
    return rows, [failure.title for failure in result.failures]


def test_the_oracle_is_right_and_a_fixed_answer_is_right_where_it_happens_to_be(
    rows_and_failures: tuple[list[Row], list[str]],
) -> None:
    rows, failures = rows_and_failures
    figures = {figure.name: figure for figure in summarise(rows)}
    assert figures["oracle.hl_sr"].value == 1.0
    assert 0.0 < figures["hl_sr"].value < 0.5
    assert figures["hl_sr"].goal == 0.8
    assert figures["hl_sr"].peers == {"oracle": 1.0}
    assert figures["dtg_m"].higher_is_better is False
    failed = [figures[name].value for name in figures if name.startswith("failed.")]
    assert len(failed) == 4
    assert sum(failed) == pytest.approx(1.0 - figures["ll_sr"].value)
    wrong = [row for row in rows if row.method == "ours" and not row.values["hl_sr"]]
    assert set(failures) <= {row.key for row in wrong}
    assert {row.notes["failure"] for row in wrong} <= {"misidentification", "wrong number of targets"}
    assert all(row.wrong for row in wrong)
    assert {BOOK, HAT, MUG} == {i.instance_id for i in day().interactions}


@pytest.mark.parametrize(("name", "value"), [("image_px", 8), ("uniform_frames", 0), ("dropout", 1.5)])
def test_settings_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name}: expected .* got {value}"):
        check(msgspec.structs.replace(Settings(out="a.json"), **{name: value}))


def test_an_oracle_that_was_told_nothing_says_so() -> None:
    with pytest.raises(ValueError, match="told the truth"):
        Oracle().choose("go to the mug")

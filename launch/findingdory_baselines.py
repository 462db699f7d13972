"""What FindingDory's published baselines become without a vision-language model: readers of captions, and an oracle.

A caption is what the detector says of one frame (the same faulty detector that the memory has): labels without colours,
with the frame's time and whether the gripper holds something. One reader by keywords answers from the most recent
frames, or from frames spread evenly over the day, as many as the published history has. The oracle is given the truth
and the goals.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied.clock import NANOSECONDS
from embodied.messages import Observation
from memory_bank.perception.protocol import Detection, View
from memory_bank.perception.simulator import SimulatorPerception, SimulatorPerceptionConfig
from sim.findingdory.agents import ExperienceMessage
from sim.findingdory.goals import Goal, Instruction
from sim.findingdory.scoring import Judge

IN_HAND_ROWS = (0.4, 0.9)
"""Share of the image's height between which the middle of a thing in hand lies."""
IN_HAND_COLUMNS = (0.4, 0.6)
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh")
_SURE_COVERAGE = 0.003
NUDGES = ((0.2, 0.0, 0.0), (-0.2, 0.0, 0.0), (0.0, 0.2, 0.0), (0.0, -0.2, 0.0), (0.0, 0.0, 0.2), (0.0, 0.0, -0.2))
"""Metres and radians by which a pose may be missed and still be right."""
SURE_COVERAGE = 2.0
"""By this factor the thing fills more of the image than it must."""


@dataclass(frozen=True)
class Caption:
    """One frame in words and numbers."""

    frame: int
    stamp_ns: int
    shares: dict[str, float]
    """Share of the image that the largest thing of each label fills."""
    holds: bool
    in_hand: str
    """Label of what is probably held, "" for nothing."""


@dataclass(frozen=True)
class Carried:
    """Captions in a row in which the gripper was closed."""

    label: str
    first: int
    last: int
    """Indices of captions."""
    duration_s: float


class Captions:
    """Captions of all frames, for several readers."""

    def __init__(self, perception: SimulatorPerceptionConfig) -> None:
        self._detector = SimulatorPerception(perception)
        self.all: list[Caption] = []

    def watch(self, message: ExperienceMessage) -> None:
        """Caption a frame that has none yet."""
        if isinstance(message, Observation) and message.seq >= len(self.all):
            self.all.append(caption_of(message, self._detector))


class TextAgent:
    """Answers by keywords from captions of some frames."""

    def __init__(self, name: str, captions: Captions, n_frames: int, *, recent: bool) -> None:
        """Prepare to watch.

        Args:
            name: For the figures.
            captions: May be shared with other agents.
            n_frames: Captions that it can read.
            recent: The last frames; otherwise frames spread evenly.
        """
        self.name = name
        self._captions = captions
        self._n_frames, self._recent = n_frames, recent

    def watch(self, message: ExperienceMessage) -> None:
        """Caption a frame."""
        self._captions.watch(message)

    def choose(self, instruction: str) -> Sequence[int]:
        """Return the frames that the captions suggest."""
        captions = self._captions.all
        if self._recent or len(captions) <= self._n_frames:
            kept = captions[-self._n_frames :]
        else:
            kept = [captions[int(k)] for k in np.linspace(0, len(captions) - 1, self._n_frames).round()]
        return Reader(kept).answer(instruction)


def caption_of(observation: Observation, detector: SimulatorPerception) -> Caption:
    """Return what the detector says of an observation."""
    camera = observation.cameras[0]
    assert camera.depth is not None
    view = View(
        session=observation.session,
        seq=observation.seq,
        stamp_ns=observation.stamp_ns,
        rgb=camera.rgb,
        depth_m=camera.depth.astype(np.float32) / 1000.0,
        intrinsics=camera.intrinsics,
        T_world_camera=observation.T_world_base @ camera.T_base_camera,
        segments=camera.segments,
        segment_labels=camera.segment_labels,
    )
    shares: dict[str, float] = {}
    held: list[tuple[float, str]] = []
    holds = bool(observation.proprioception[-1] > 0.5)
    for detection in detector.detect(view):
        share = float(detection.mask.mean())
        shares[detection.label] = max(share, shares.get(detection.label, 0.0))
        if holds and _is_in_hand(detection):
            held.append((share, detection.label))
    return Caption(observation.seq, observation.stamp_ns, shares, holds, max(held)[1] if held else "")


def _is_in_hand(detection: Detection) -> bool:
    rows, columns = np.nonzero(detection.mask)
    row, column = rows.mean() / detection.mask.shape[0], columns.mean() / detection.mask.shape[1]
    return bool(IN_HAND_ROWS[0] <= row <= IN_HAND_ROWS[1] and IN_HAND_COLUMNS[0] <= column <= IN_HAND_COLUMNS[1])


class Reader:
    """Reads an instruction beside a list of captions; what it does not understand it answers with what is named."""

    def __init__(self, captions: Sequence[Caption]) -> None:
        self._captions = list(captions)
        labels = {label for caption in captions for label in caption.shares}
        # Those of one length by their letters: the order of a set is another in each process.
        self._labels = sorted(labels, key=lambda label: (-len(label), label))
        self._carried = carried_in(self._captions)

    def answer(self, text: str) -> list[int]:
        """Return frames, none if the captions say nothing about it."""
        if not self._captions:
            return []
        # The words before "that", "from which", … name the target.
        head = re.split(r"\b(?:that|from|on|you)\b", text)[0]
        if re.search(r"\brooms?\b", head) or "where you were" in text:
            return self._place(text)
        chosen = self._fitting(self._chosen(text), text)
        labels = self._named(head)
        is_furniture = "furniture" in head or (bool(labels) and re.search(r"picked|placed", text) is not None)
        if re.search(r"interact|moved|rearrange|picked|placed|put|carried|took", text) and not re.search(
            r"\bnot\b", text
        ):
            if labels:
                fits = [self._stands_by(c, text, labels) if is_furniture else c.label in labels for c in chosen]
                chosen = [c for c, fit in zip(chosen, fits, strict=True) if fit]
            frames = [self._beside(c, text) if is_furniture else self._after(c) for c in chosen]
            return list(dict.fromkeys(frames)) if re.search(r"\ball\b|in this order", text) else frames[:1]
        handled = {carried.label for carried in self._carried}
        wanted = labels or [label for label in self._labels if label not in handled]
        return [self._best(wanted[0])] if wanted else []

    def _named(self, text: str) -> list[str]:
        """Return the labels that are words of a text, the longest first."""
        return [label for label in self._labels if re.search(rf"\b{re.escape(label)}\b", text)]

    def _fitting(self, carried: list[Carried], text: str) -> list[Carried]:
        """Return the carryings of what an instruction names beside its target: a thing, or the furniture it was on."""
        thing = re.search(r"(?:picked up|placed|put down) the (.*)", text)
        named = [c for c in carried if thing and c.label in self._named(thing.group(1))]
        furniture = re.search(r"(?:from|on) an? (.*)", text)
        beside = self._named(furniture.group(1))[:1] if furniture else []
        if beside:
            return [c for c in carried if self._stands_by(c, text, beside)]
        return named or carried

    def _stands_by(self, carried: Carried, text: str, labels: Sequence[str]) -> bool:
        """Tell whether a piece of furniture shows beside a carrying, at the end that the instruction speaks of."""
        return any(label in self._captions[self._end(carried, text)].shares for label in labels)

    def _chosen(self, text: str) -> list[Carried]:
        """Return the carryings that an instruction speaks of, in the order of its words."""
        carried = self._carried
        listed = re.search(r"the ((?:\w+, then the )+\w+) object", text)
        if listed:
            numbers = [ORDINALS.index(word) for word in listed.group(1).split(", then the ") if word in ORDINALS]
            return [carried[n] for n in numbers if n < len(carried)]
        for word, step in (("after", 1), ("before", -1), ("between", 1)):
            at = re.search(rf"\b{word}\b(.*)", text)
            for n, item in enumerate(carried):
                if at and item.label and item.label in at.group(1) and 0 <= n + step < len(carried):
                    return [carried[n + step]]
        clock = re.search(r"at (\d\d):(\d\d)", text)
        if clock:
            second = 3600 * int(clock.group(1)) + 60 * int(clock.group(2)) + 30
            return sorted(carried, key=lambda c: abs(self._second_of_day(c) - second))[:1]
        length = re.search(r"took (\d+) seconds", text)
        if length:
            return sorted(carried, key=lambda c: abs(c.duration_s - float(length.group(1))))[:1]
        if "longest" in text or "shortest" in text:
            return sorted(carried, key=lambda c: c.duration_s, reverse="longest" in text)[:1]
        number = next((n for n, word in enumerate(ORDINALS) if re.search(rf"\b{word}\b", text)), None)
        if re.search(r"\blast\b", text):
            return carried[-1 - (number or 0) :][:1]
        return carried[number : number + 1] if number is not None else carried

    def _second_of_day(self, carried: Carried) -> float:
        middle_ns = (self._captions[carried.first].stamp_ns + self._captions[carried.last].stamp_ns) // 2
        return middle_ns / NANOSECONDS % 86_400

    def _place(self, text: str) -> list[int]:
        """Return a frame of a room or a moment, by the clock alone."""
        clock = re.search(r"at (\d\d):(\d\d)", text)
        if clock:
            second = 3600 * int(clock.group(1)) + 60 * int(clock.group(2)) + 30
            before = [c for c in self._captions if c.stamp_ns / NANOSECONDS % 86_400 <= second]
            return [(before or self._captions)[-1 if before else 0].frame]
        if "most time" in text and len(self._captions) > 1:
            stamps = np.array([c.stamp_ns for c in self._captions])
            return [self._captions[int(np.diff(stamps).argmax())].frame]
        if re.search(r"picked|put", text) and "neither" not in text and self._carried:
            ends = [self._captions[c.first if "picked" in text else c.last].frame for c in self._carried]
            return ends if "all" in text else ends[:1]
        return [self._captions[-1].frame]

    def _after(self, carried: Carried) -> int:
        """Return the next frame in which a thing that was put down is seen, or the last in which it was held."""
        for caption in self._captions[carried.last + 1 : carried.last + 4]:
            if carried.label in caption.shares:
                return caption.frame
        return self._captions[min(carried.last + 1, len(self._captions) - 1)].frame

    def _beside(self, carried: Carried, text: str) -> int:
        """Return the frame beside a carrying in which the furniture should show."""
        return self._captions[self._end(carried, text)].frame

    def _end(self, carried: Carried, text: str) -> int:
        """Return the caption before a thing was picked up, or after it was put down, as an instruction asks."""
        return max(0, carried.first - 1) if "picked" in text else min(carried.last + 1, len(self._captions) - 1)

    def _best(self, label: str) -> int:
        """Return the frame in which a label is largest."""
        return max(self._captions, key=lambda caption: caption.shares.get(label, 0.0)).frame


def carried_in(captions: Sequence[Caption]) -> list[Carried]:
    """Return the stretches in which the gripper was closed, with the label that is most often in hand."""
    carried: list[Carried] = []
    first: int | None = None
    for index, caption in enumerate(captions):
        if caption.holds and first is None:
            first = index
        is_last = index + 1 == len(captions) or not captions[index + 1].holds
        if first is not None and caption.holds and is_last:
            labels = Counter(c.in_hand for c in captions[first : index + 1] if c.in_hand)
            label = labels.most_common(1)[0][0] if labels else ""
            duration_s = (caption.stamp_ns - captions[first].stamp_ns) / NANOSECONDS
            carried.append(Carried(label, first, index, duration_s))
            first = None
    return carried


class Oracle:
    """Everything in context, with truth: it knows which frames are right, and drives the nearest first."""

    name = "oracle"

    def __init__(self) -> None:
        self._judge: Judge | None = None
        self._instructions: dict[str, Instruction] = {}

    def tell(self, judge: Judge, instructions: Sequence[Instruction]) -> None:
        """Hand over the truth, after the day."""
        self._judge = judge
        self._instructions = {instruction.text: instruction for instruction in instructions}

    def watch(self, message: ExperienceMessage) -> None:
        """Look at nothing."""

    def choose(self, instruction: str) -> Sequence[int]:
        """Return right frames, of those with some margin the nearest."""
        if self._judge is None:
            raise ValueError("oracle: expected to be told the truth before it is asked")
        asked = self._instructions[instruction]
        evening = self._judge.evening
        here = evening.truth.now_pose[:2]
        left = list(asked.goals)
        frames: list[int] = []
        while left:
            to_go_m = evening.floor.ways.field(here)
            options = []
            for goal in left[:1] if asked.ordered else left:
                sure = self._sure(goal)
                rows, columns = evening.floor.cells_of(evening.truth.poses[sure, :2])
                nearest = int(to_go_m[rows, columns].argmin())
                options.append((float(to_go_m[rows[nearest], columns[nearest]]), left.index(goal), sure[nearest]))
            _, index, frame = min(options)
            frames.append(frame)
            here = (float(evening.truth.poses[frame, 0]), float(evening.truth.poses[frame, 1]))
            del left[index]
        return frames

    def _sure(self, goal: Goal) -> list[int]:
        """Return the right frames beside which all poses are right as well, so that a drive may err."""
        assert self._judge is not None
        evening = self._judge.evening
        poses, coverage = evening.truth.poses, evening.still
        right = evening.judge(goal, poses, coverage).is_right
        sure = right.copy()
        for nudge in NUDGES:
            sure &= evening.judge(goal, poses + np.array(nudge), coverage / SURE_COVERAGE).is_right
        return [int(frame) for frame in np.flatnonzero(sure if sure.any() else right)]

"""The house that a bridge's robot lives in, and what the judge learns of its sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Optional, Sequence, Tuple

from sim.bridge_session import BridgeSession, Frame
from sim.operator_messages import StartSession
from sim.scene import Scene
from sim.simulator import Simulator
from sim.truth import TrueChange, write_truth
from sim.truth_recorder import TruthRecorder

Overnight = Callable[[Scene, int], Tuple[Scene, Sequence[TrueChange]]]


class HouseWorld:
    """``BridgeWorld`` of a house: it stays from session to session, and changes overnight."""

    def __init__(self, scene: Scene, simulator: Simulator[Scene], overnight: Overnight) -> None:
        self.simulator = simulator
        self._scene = scene
        self._overnight = overnight
        self._changes: Tuple[TrueChange, ...] = ()
        self._recorder: Optional[TruthRecorder] = None

    def begin(self, request: StartSession) -> str:
        """Put the robot at its start; all sessions share the house's frame.

        Raises:
            ValueError: A task is asked for.
        """
        if request.task:
            raise ValueError(f"task: expected none in a house, got {request.task!r}")
        self.simulator.load(self._scene)
        self._recorder = None
        return "map"

    def record(self, frame: Frame) -> None:
        """Note what is truly in view of the first camera."""
        view, observation = frame.reading.views[0], frame.observation
        assert view.instance_ids is not None, "a house's judge needs a camera with instances"
        if self._recorder is None:
            self._recorder = TruthRecorder(self._scene, self.simulator.cameras[0].intrinsics, view.T_base_camera)
        self._recorder.record(
            observation.seq,
            observation.stamp_ns,
            self.simulator.T_world_base,
            view.instance_ids,
            observation.collided,
        )

    def finish(self, session: BridgeSession, seed: int, directory: Optional[Path]) -> Optional[bool]:
        """Write what was true; there is no task to be done."""
        assert self._recorder is not None, "a session begins with an observation"
        if directory is not None:
            truth = self._recorder.finish(session.session, seed, session.start_ns, session.now_ns, self._changes)
            write_truth(truth, directory)
        self._changes = ()
        return None

    def change(self, seed: int) -> int:
        """Let the night pass; return how many things changed."""
        self._scene, changes = self._overnight(self._scene, seed)
        self.simulator.load(self._scene)
        self._changes += tuple(changes)
        return len(changes)

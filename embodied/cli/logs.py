"""Commands on recorded sessions: log info, recover, export, mesh. The libraries they need are loaded when they run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, List, Optional

from embodied.cli.output import say, say_json, table
from embodied.cli.text import time_text
from embodied.messages import SessionStart


def add_commands(commands: Any) -> None:
    """Add the parsers of these commands."""
    parser = commands.add_parser("log", help="Look into, mend and unpack recorded sessions.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    def add(name: str, run: Any, summary: str) -> argparse.ArgumentParser:
        action: argparse.ArgumentParser = actions.add_parser(name, help=summary, description=summary)
        action.add_argument("file", metavar="FILE", help="an MCAP")
        action.set_defaults(run=run)
        return action

    add("info", info, "Say what a log holds.").add_argument("--json", action="store_true", help="print JSON")
    add("recover", recover, "Make a complete log of one that was cut off or damaged.").add_argument(
        "--out", metavar="OUT", help="by default FILE with .recovered.mcap at its end"
    )
    _add_export(actions)
    action = add("mesh", mesh, "Fuse the depth images of a log into a mesh (needs open3d).")
    action.add_argument("--out", metavar="OUT", help="PLY, GLB or OBJ; by default FILE with .ply at its end")
    action.add_argument("--picture", metavar="JPEG", help="also draw it")


def _add_export(actions: Any) -> None:
    summary = "Write the frames of a log as JPEG, PNG and text files, or logs as a LeRobot dataset."
    action = actions.add_parser("export", help=summary, description=summary)
    action.add_argument("files", metavar="FILE", nargs="+", help="MCAPs; one for frames, an episode each for lerobot")
    action.add_argument("--format", choices=("frames", "lerobot"), default="frames", help="by default frames")
    action.add_argument("--out", metavar="DIR", help="by default FILE without its ending; lerobot needs it")
    action.add_argument("--fps", type=int, metavar="N", help="frames a second, where the logs do not say; lerobot only")
    action.set_defaults(run=export)


def info(arguments: argparse.Namespace) -> None:
    """Show what is in a log."""
    from embodied.recording import log_info

    found = log_info(arguments.file)
    if arguments.json:
        say_json(found)
        return
    if found.damage:
        state = found.damage
    else:
        state = "complete" if found.ended else "complete, but its session was cut off"
    say(
        [
            f"{found.path}: {found.n_bytes / 1e6:.1f} MB, {state}",
            f"session {found.session or 'unknown'} of robot {found.robot or 'unknown'}: {found.n_observations} "
            f"observations, {found.duration_s:.1f} s from {time_text(found.start_ns)} UTC",
            *told(found.start),
            *(f"{key}: {value}" for key, value in sorted(found.metadata.items()) if key not in ("session", "robot")),
            "",
            *table(
                ("topic", "schema", "messages", "MB"),
                [(t.topic, t.schema, str(t.n_messages), f"{t.n_bytes / 1e6:.2f}") for t in found.topics],
            ),
        ]
    )


def told(start: Optional[SessionStart]) -> List[str]:
    """Return lines on what the robot was told to do, and what its numbers are; only what the log says."""
    if start is None:
        return []
    lines = [
        ("instruction", start.instruction),
        ("actions", ", ".join(start.action_names)),
        ("proprioception", ", ".join(start.proprioception_names)),
        ("control period", f"{start.control_period_s:g} s" if start.control_period_s else ""),
    ]
    return [f"{name}: {text}" for name, text in lines if text]


def recover(arguments: argparse.Namespace) -> None:
    """Save what can be saved."""
    from embodied.recording import recover as recover_log

    source = Path(arguments.file)
    found = recover_log(source, arguments.out or source.with_suffix(".recovered.mcap"))
    lost = f", {found.n_damaged_chunks} damaged chunks left out" if found.n_damaged_chunks else ""
    say(
        [
            f"{source}: {found.damage or 'nothing is wrong with it'}",
            f"saved {found.n_observations} observations ({found.n_messages} messages, {found.duration_s:.1f} s){lost} "
            f"to {found.out}",
        ]
    )


def export(arguments: argparse.Namespace) -> None:
    """Take logs apart."""
    from embodied.recording import export_session

    if arguments.format == "lerobot":
        _export_lerobot(arguments)
        return
    if len(arguments.files) > 1:
        raise ValueError(f"file: expected one for the format frames, got {len(arguments.files)}")
    if arguments.fps is not None:
        raise ValueError("--fps: expected with the format lerobot only")
    (file,) = arguments.files
    directory = Path(arguments.out) if arguments.out else Path(file).with_suffix("")
    say([f"{export_session(file, directory)} observations written to {directory}"])


def _export_lerobot(arguments: argparse.Namespace) -> None:
    from embodied.recording.lerobot_export import export_lerobot

    if not arguments.out:
        raise ValueError("--out: expected a folder for the dataset, got none")
    done = export_lerobot(arguments.files, arguments.out, fps=arguments.fps)
    say([f"{done.n_episodes} episodes, {done.n_frames} frames, {done.n_tasks} tasks written to {arguments.out}"])


def mesh(arguments: argparse.Namespace) -> None:
    """Make a surface of a log's depth."""
    from embodied.plugins import load_plugin
    from embodied.progress import Progress

    mesh_log = load_plugin("embodied.mesh", "log", "makes meshes of logs")
    source = Path(arguments.file)
    out = Path(arguments.out) if arguments.out else source.with_suffix(".ply")
    progress = Progress(sys.stderr)
    n_vertices, n_faces = mesh_log(
        source,
        out,
        Path(arguments.picture) if arguments.picture else None,
        lambda n: progress.update(f"{n} observations"),
    )
    progress.interrupt()
    also = f", its picture to {arguments.picture}" if arguments.picture else ""
    say([f"{n_vertices} vertices, {n_faces} triangles written to {out}{also}"])

"""A robot in a simulated world: two days in a house and questions about them, or demonstrations of a task.

    python launch/sim_episode.py --seed 0 --out runs/demo
    python launch/sim_episode.py --simulator habitat --bridge-python /path/to/python --out runs/habitat
    python launch/sim_episode.py --simulator metaworld --task cue_delay --episodes 5 --out runs/demonstrations

In a house (``houses``, ``habitat``) the robot explores on two days between which things change, the memory is asked
about them, and the robot drives to the answers; at the end an arm is put to a task of memory. At a task (``metaworld``,
``mikasa``, ``tabletop``) the simulator's expert shows how it is done, one session a demonstration. Everything is
recorded.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tyro
from episode_settings import SimEpisode, check

from embodied.progress import Progress
from embodied.runs import new_run, run_script


def main(settings: SimEpisode) -> int:
    """Run the episode; return the exit code."""

    def work(progress: Progress) -> None:
        check(settings)
        run = new_run(settings.out, settings)
        if settings.in_house:
            _two_days(settings, run, progress)
        else:
            _demonstrations(settings, run, progress)

    return run_script("sim_episode", work)


def _two_days(settings: SimEpisode, run: Path, progress: Progress) -> None:
    from house_episode import run_house_episode

    summary = run_house_episode(settings, run, progress)
    progress.done(
        f"objects {summary.objects.precision:.2f} right, {summary.objects.recall:.2f} found; changes F1 "
        f"{summary.changes.f1:.2f}; questions {summary.questions.correct:.2f} of {summary.questions.asked}; drives "
        f"{summary.goals.success:.2f}; {summary.frames_per_second:.0f} frames/s; {summary.peak_rss_mb:.0f} MB"
    )
    print(f"\nreport   {run / 'report.html'}\nsummary  {run / 'summary.json'}")
    print(f'ask      embodied recall "where is the mug?" --memory {run / "memory.db"}')


def _demonstrations(settings: SimEpisode, run: Path, progress: Progress) -> None:
    from manipulation_episode import run_demonstrations

    summary = run_demonstrations(settings, run, progress)
    progress.done(
        f"{summary.n_successes} of {summary.n_episodes} demonstrations of {summary.task} succeeded; {summary.n_frames} "
        f"frames, {summary.frames_per_second:.1f} frames/s; {summary.peak_rss_mb:.0f} MB"
    )
    print(f"\nlogs     {run / 'logs'}\nsummary  {run / 'summary.json'}")
    print(f"export   embodied log export {run / 'logs'}/*.mcap --format lerobot --out {run / 'dataset'}")


if __name__ == "__main__":
    sys.exit(main(tyro.cli(SimEpisode)))

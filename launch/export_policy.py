"""Write a trained policy as ONNX files: whoever runs them needs neither torch nor, for its own instructions, MiniLM.

    python launch/export_policy.py runs/remember --out policies/remember

The folder that is written takes the place of the checkpoint wherever a policy acts or is evaluated.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import tyro

from embodied.config import Config
from embodied.errors import ConfigurationError
from embodied.progress import Progress
from embodied.runs import run_script
from policies.vla.backend import SamplingConfig


class ExportSettings(Config):
    """What to export."""

    checkpoint: Annotated[str, tyro.conf.Positional]
    """Folder of a policy that train.py vla wrote."""
    out: str
    """Folder of the exported one: new, or an earlier export, which is replaced."""
    half: bool = False
    """Store weights in 16 bits: half the size, and nearly the same actions."""
    sampling: SamplingConfig = SamplingConfig()
    """How actions will be drawn: the steps of denoising become part of the network."""


def export(settings: ExportSettings, progress: Progress) -> None:
    """Export the policy, and compare it with what it was exported from."""
    try:
        from policies.vla.onnx_export import export_policy, greatest_difference
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "safetensors", "onnx"):
            raise
        raise ConfigurationError(f'exporting needs {error.name}: pip install "embodied-memory[vla]"') from error
    from policies.vla.backend import TorchBackend
    from policies.vla.onnx_backend import OnnxBackend

    checkpoint, out, sampling = Path(settings.checkpoint), Path(settings.out), settings.sampling
    progress.update(f"exporting {checkpoint}")
    export_policy(checkpoint, out, sampling, half=settings.half)
    progress.update(f"comparing {out} with {checkpoint}")
    difference = greatest_difference(OnnxBackend(out, sampling), TorchBackend(checkpoint, sampling), sampling)
    size_mb = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    progress.done(
        f"{out}: {size_mb:.1f} MB; actions differ from the checkpoint's by at most {difference:.1g}, in -1 to 1"
    )


def main(settings: ExportSettings) -> int:
    """Export; return the exit code."""
    return run_script("export_policy", lambda progress: export(settings, progress))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(ExportSettings, description=__doc__)))

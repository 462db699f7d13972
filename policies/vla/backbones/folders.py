"""Reading model folders: nothing is downloaded, no code of a folder is run, only safetensors weights are read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from embodied.errors import ConfigurationError
from policies.vla.backbones.pictures import Pictures

HINT = 'pip install "embodied-memory[backbones]"'


def first_line(error: BaseException) -> str:
    """Return what an error says, cut to one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def read_description(path: Path) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        ConfigurationError: There is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"vision {path.parent}: holds no model: {first_line(error)}") from error


def import_transformers() -> Any:
    """Return the library.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise ConfigurationError(f"vision transformers: {HINT} ({first_line(error)})") from error
    return transformers


def load_network(network_class: Any, folder: Path, training: str, **options: Any) -> Any:
    """Load a network of ``transformers`` with all its weights.

    What is not to be trained stays in the precision in which it was saved.

    Args:
        network_class: The library's.
        folder: As its ``save_pretrained`` writes it.
        training: What is trained.
        options: Changes to its configuration.

    Raises:
        ConfigurationError: The folder holds no such network, or not all of its weights.
    """
    try:
        with _quiet(import_transformers().utils.logging):
            network, found = network_class.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype="float32" if training == "all" else "auto",
                output_loading_info=True,
                **options,
            )
    except Exception as error:
        # A broken folder shows in many ways: OSError, ValueError, KeyError, safetensors' own.
        raise ConfigurationError(f"vision {folder}: cannot be loaded: {first_line(error)}") from error
    missing = sorted(found["missing_keys"])
    if missing:
        raise ConfigurationError(f"vision {folder}: lacks {len(missing)} weights, such as {missing[0]}")
    return network


@contextlib.contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """Keep the library from listing the weights of a folder that are not used: those that are missing are found."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def open_pictures(folder: Path, side_px: int) -> Pictures:
    """Return how a model folder of ``transformers`` wants its images.

    Raises:
        ConfigurationError: It does not say so.
    """
    path = folder / "preprocessor_config.json"
    if path.exists():
        described = read_description(path)
    else:
        # Where newer versions of the library write it.
        path = folder / "processor_config.json"
        described = read_description(path).get("image_processor", {})
    return scaled_pictures(path, side_px, described.get("image_mean"), described.get("image_std"))


def scaled_pictures(path: Path, side_px: int, mean: Any, deviation: Any) -> Pictures:
    """Check what a file says of the images' mean and deviation.

    Raises:
        ConfigurationError: It is not three numbers each, or no size that an image can have.
    """
    if side_px < 1:
        raise ConfigurationError(f"vision.side_px: expected at least 1, got {side_px}")
    try:
        means, deviations = (msgspec.convert(each, tuple[float, float, float]) for each in (mean, deviation))
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"vision {path}: mean and deviation of images: {first_line(error)}") from error
    if min(deviations) <= 0.0:
        raise ConfigurationError(f"vision {path}: deviation of images: expected above 0, got {deviations}")
    return Pictures(side_px, means, deviations)

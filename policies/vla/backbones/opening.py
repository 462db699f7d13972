"""From settings to an image encoder. The libraries are loaded with the first encoder that needs them."""

from __future__ import annotations

from policies.vla.backbones.protocol import PretrainedBackbone, PretrainedVision
from policies.vla.backbones.settings import TimmVision, TransformersVision
from policies.vla.config import Interface


def open_backbone(settings: PretrainedVision, interface: Interface, n_stacked: int) -> PretrainedBackbone:
    """Load an encoder.

    Args:
        settings: Which, and what of it is trained.
        interface: Tells of the cameras.
        n_stacked: Frames of each camera that are seen at once.

    Raises:
        ConfigurationError: Folder, library or weights are missing, damaged or do not fit the settings.
    """
    n_cameras = len(interface.cameras)
    if isinstance(settings, TimmVision):
        from policies.vla.backbones.timm_vision import TimmBackbone

        return TimmBackbone(settings, n_cameras, n_stacked)
    if isinstance(settings, TransformersVision):
        from policies.vla.backbones.transformers_vision import TransformersBackbone

        return TransformersBackbone(settings, n_cameras, n_stacked)
    from policies.vla.backbones.vlm_vision import open_vlm

    return open_vlm(settings, n_cameras, n_stacked)

"""What a policy is trained on."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class TrainingBatch(NamedTuple):
    """Calls of a policy: B groups, each of one episode, of T calls in the order of time.

    C cameras, S stacked frames, K actions a chunk, A numbers an action, P numbers of proprioception.
    """

    images: Tensor
    """uint8 (B, T, C*S, height, width, 3): each camera's frames, oldest first."""
    steps: Tensor
    """int64 (B, T): the control step of each call, 0 at the beginning of the episode."""
    present: Tensor
    """bool (B, T): False where a group is shorter, at its end."""
    words: Tensor
    """float32 (B, 384): the instruction's embedding."""
    instructions: tuple[str, ...]
    """The B instructions."""
    proprioception: Tensor
    """float32 (B, T, P), normalised."""
    actions: Tensor
    """float32 (B, T, K, A), normalised to -1 to 1: action k is taken k steps after the call."""
    is_action: Tensor
    """bool (B, T, K): False behind the end of the episode."""
    weight: Tensor
    """float32 (B, T): of each call in the loss."""
    keypoints: Tensor
    """float32 (B, T, C, 2, 2): where in each camera's picture the tool comes to rest next, and where it is: u and v as
    shares of width and height. Zeros where that is unknown."""
    has_keypoint: Tensor
    """bool (B, T, C, 2): whether it is known and in the picture."""
    positions: Tensor
    """float32 (B, T, 2, 3): the same two points in ``base``, normalised as proprioception is. Zeros where unknown."""
    view: Tensor
    """float32 (B, 3): left, top and size of the part that the images show, as shares of the pictures as the cameras
    took them: 0, 0, 1 but for augmentation."""

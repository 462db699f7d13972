"""The working memory of a policy, held by the memory process: two streams of tokens an episode (MemoryVLA)."""

from __future__ import annotations

import numpy as np

from embodied.messages.base import Message


class WriteTokens(Message, tag="write_tokens"):
    """Add what a policy perceived at one step of an episode to its bank. Steps of an episode only grow."""

    episode: str
    step: int
    perceptual: np.ndarray
    """float32 (n_tokens, d_perceptual)."""
    cognitive: np.ndarray
    """float32 (n_tokens, d_cognitive)."""
    note: bytes = b""
    """Kept with the step, and opaque to the memory: what a policy that starts anew must find, such as its answer at the
    step, which its memory, with the step in it, does not give again."""


class ReadTokens(Message, tag="read_tokens"):
    """Ask for the bank of an episode; an episode that nobody wrote to has an empty one."""

    episode: str


class ClearTokens(Message, tag="clear_tokens"):
    """Drop the bank of an episode that is over."""

    episode: str


class TokensReply(Message, tag="tokens_reply"):
    """The bank of an episode, oldest entry first. Both streams are consolidated on their own."""

    episode: str
    last_step: int
    """The step written last; -1 for none. A policy that starts anew goes on behind it."""
    perceptual_steps: np.ndarray
    """float64 (n_entries,): merged entries may lie between steps."""
    perceptual: np.ndarray
    """float32 (n_entries, n_tokens, d_perceptual)."""
    cognitive_steps: np.ndarray
    """float64 (m_entries,)."""
    cognitive: np.ndarray
    """float32 (m_entries, n_tokens, d_cognitive)."""
    note: bytes = b""
    """What was written with the last step."""
    capacity: int = 0
    """Entries that a stream holds at most: a policy was trained for one; 0: not told."""
    consolidation: str = ""
    """What a full stream does: merge or fifo; empty: not told."""
    merged_step: str = ""
    """The step of a merged entry: earlier, mean or count; empty: not told."""

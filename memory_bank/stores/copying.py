"""Copies a memory from one store to another, and checks a store: ``embodied memory copy`` and ``check``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from embodied.errors import StoreError
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.stores.opening import open_store
from memory_bank.stores.protocol import META_UNFINISHED, Batch, Contents, Store
from memory_bank.stores.rows import rooms_to_bytes

Progress = Callable[[str], None]

_KEYFRAMES_AT_ONCE = 256


def copy_memory(source: str, target: str, progress: Progress = lambda line: None) -> None:
    """Copy a memory, and read the copy back to compare; the function behind the entry point ``copy``.

    Args:
        source: A memory file or a database's address; it is not changed, and must not change meanwhile.
        target: The same; made if it is not there, and refused if it holds anything.
        progress: Takes a line now and then.

    Raises:
        StoreError: One of them cannot be opened, the source is damaged or was written to meanwhile, the target is not
            empty, or the copy is not the same. A copy that was not finished is never opened as a memory.
    """
    reader = open_store(source, read_only=True)
    try:
        writer = open_store(target)
        try:
            copy_store(reader, writer, progress)
        finally:
            writer.close()
    finally:
        reader.close()


def copy_store(source: Store, target: Store, progress: Progress = lambda line: None) -> None:
    """Copy all of an open store into an open, empty one, and compare; see ``copy_memory``."""
    held = target.load()
    if held.sessions or held.tracks or held.maps or held.meta or target.keyframe_indices():
        raise StoreError("the target of the copy holds a memory already; name another, or delete it")
    version = source.version
    contents = source.load()
    target.write(
        Batch(
            sessions={session.session: session for session in contents.sessions},
            tracks={track.id: track for track in contents.tracks},
            maps=contents.maps,
            rooms=contents.rooms,
            meta={**contents.meta, META_UNFINISHED: b""},
        )
    )
    indices = source.keyframe_indices()
    for start, keyframes in _keyframes(source, indices):
        target.write(Batch(keyframes=list(keyframes)))
        progress(f"{start + len(keyframes)} of {len(indices)} keyframes copied")
    for first, block in sorted(contents.keyframe_blocks.items()):
        target.write(Batch(keyframe_blocks={first: block}))
    target.write(Batch(removed_meta={META_UNFINISHED}))
    try:
        if source.version != version:
            raise StoreError("the memory was written to while it was copied; stop its process, or copy again")
        progress("comparing")
        _compare(source, contents, target, indices)
    except BaseException:
        target.write(Batch(meta={META_UNFINISHED: b""}))
        raise


def _keyframes(store: Store, indices: Sequence[int]) -> Iterator[tuple[int, tuple[Keyframe, ...]]]:
    """Return all keyframes, so many at a time that they fit, and how many came before."""
    for start in range(0, len(indices), _KEYFRAMES_AT_ONCE):
        yield start, store.keyframes(indices[start : start + _KEYFRAMES_AT_ONCE])


def _compare(source: Store, contents: Contents, target: Store, indices: Sequence[int]) -> None:
    """Make sure that a copy, read back from its disk, is what was copied.

    Raises:
        StoreError: It is not.
    """
    copied = target.load()
    pairs = {
        "sessions": (contents.sessions, copied.sessions),
        "tracks": tuple([track.to_bytes() for track in each.tracks] for each in (contents, copied)),
        "keyframes": (indices, target.keyframe_indices()),
        "blocks of keyframes": (contents.keyframe_blocks, copied.keyframe_blocks),
        "maps": (contents.maps, copied.maps),
        "rooms": tuple({f: rooms_to_bytes(r) for f, r in each.rooms.items()} for each in (contents, copied)),
        "meta": (contents.meta, copied.meta),
    }
    differing = [name for name, (one, other) in pairs.items() if one != other]
    for (start, ours), (_, theirs) in zip(_keyframes(source, indices), _keyframes(target, indices)):
        if ours != theirs:
            differing.append(f"keyframes from {indices[start]} on")
            break
    if differing:
        raise StoreError(f"the copy differs in: {', '.join(differing)}; it is marked as not finished")


def check_memory(target: str, progress: Progress = lambda line: None) -> None:
    """Read all of a memory and check it; the function behind the entry point ``check``.

    Raises:
        StoreError: It cannot be opened, or something is damaged; the text says what.
    """
    store = open_store(target, read_only=True)
    try:
        store.check()
    finally:
        store.close()

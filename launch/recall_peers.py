"""Other people's stores, doing what ``benchmark_recall.py`` asks of ours. None of them is a dependency of this project.

Each is built as its documentation says, with its own defaults where it has any, kept in a folder and opened from there.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from recall_data import Frames, Question


class Peer(Protocol):
    """One of the others."""

    name: str
    module: str
    """What must be importable."""

    def build(self, frames: Frames, folder: Path) -> None:
        """Take in everything and leave it in an empty folder."""
        ...

    def open(self, folder: Path, frames: Frames) -> None:
        """Get ready to answer; ``frames`` is for those that keep no filters themselves."""
        ...

    def search(self, question: Question) -> list[int]:
        """Return rows, best first."""
        ...


def is_there(peer: Peer) -> bool:
    """Tell whether what a peer needs is installed."""
    try:
        importlib.import_module(peer.module)
    except ImportError:
        return False
    return True


class FaissFlat:
    """faiss ``IndexFlatIP``: exact; filters as a selector of rows, made from plain arrays in time order."""

    name = "faiss flat"
    module = "faiss"

    def build(self, frames: Frames, folder: Path) -> None:
        """Write the index."""
        faiss = importlib.import_module(self.module)
        index = faiss.IndexFlatIP(frames.vectors.shape[1])
        index.add(frames.vectors)
        faiss.write_index(index, str(folder / "flat.faiss"))

    def open(self, folder: Path, frames: Frames) -> None:
        """Read the index."""
        self._faiss: ModuleType = importlib.import_module(self.module)
        self._faiss.omp_set_num_threads(1)
        self._index = self._faiss.read_index(str(folder / "flat.faiss"))
        self._frames = frames

    def search(self, question: Question) -> list[int]:
        """Scan what the selector lets through."""
        faiss, frames = self._faiss, self._frames
        first, last = 0, len(frames.times_s)
        if question.span_s is not None:
            first = int(np.searchsorted(frames.times_s, question.span_s[0], side="left"))
            last = int(np.searchsorted(frames.times_s, question.span_s[1], side="right"))
        parameters = None
        if question.box is not None:
            positions = frames.positions_m[first:last]
            inside = ((positions >= question.box[0]) & (positions <= question.box[1])).all(axis=1)
            rows = first + np.flatnonzero(inside)
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorArray(rows))
        elif question.span_s is not None:
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorRange(first, last, True))
        _, ids = self._index.search(question.vector[None], question.k, params=parameters)
        return [int(i) for i in ids[0] if i >= 0]


class Emem:
    """eMEM: SQLite, hnswlib and an R-tree. It knows balls and no boxes: it is asked for the ball around the box."""

    name = "eMEM"
    module = "emem"

    def _config(self, folder: Path, n: int) -> Any:
        emem = importlib.import_module("emem.config")
        return emem.SpatioTemporalMemoryConfig(
            db_path=str(folder / "memory.db"),
            hnsw_path=str(folder / "memory.bin"),
            hnsw_max_elements=n + 16,
        )

    def build(self, frames: Frames, folder: Path) -> None:
        """Add observation by observation, in batches."""
        store = importlib.import_module("emem.store")
        types = importlib.import_module("emem.types")
        memory = store.MemoryStore(self._config(folder, len(frames.vectors)))
        for first in range(0, len(frames.vectors), 5000):
            memory.add_observations_batch(
                [
                    types.ObservationNode(
                        text="",
                        coordinates=frames.positions_m[row].astype(float),
                        # An instant of zero would become now.
                        timestamp=float(frames.times_s[row]),
                        id=str(row),
                        embedding=frames.vectors[row],
                    )
                    for row in range(first, min(first + 5000, len(frames.vectors)))
                ]
            )
        memory.close()

    def open(self, folder: Path, frames: Frames) -> None:
        """Open the files."""
        store = importlib.import_module("emem.store")
        self._memory = store.MemoryStore(self._config(folder, len(frames.vectors)))
        self._memory._hnsw.set_num_threads(1)

    def search(self, question: Question) -> list[int]:
        """Search by vector, with its own filters."""
        center, radius = None, None
        if question.box is not None:
            center = (question.box[0] + question.box[1]) / 2
            radius = float(np.linalg.norm(question.box[1] - question.box[0]) / 2)
        found = self._memory.semantic_search_by_vector(
            question.vector,
            n_results=question.k,
            time_range=question.span_s,
            spatial_center=center,
            spatial_radius=radius,
        )
        return [int(item.id) for item in found]


class QdrantEdge:
    """qdrant-edge: HNSW in one segment, an index on each field that filters."""

    name = "qdrant-edge"
    module = "qdrant_edge"

    def build(self, frames: Frames, folder: Path) -> None:
        """Upsert, index the fields, then build the graph."""
        q = importlib.import_module(self.module)
        config = q.EdgeConfig(
            vectors=q.EdgeVectorParams(size=frames.vectors.shape[1], distance=q.Distance.Cosine),
            optimizers=q.EdgeOptimizersConfig(default_segment_number=1, max_segment_size=8_000_000),
            max_search_threads=1,
        )
        shard = q.EdgeShard.create(str(folder), config)
        for name in ("t", "x", "y", "z"):
            shard.update(q.UpdateOperation.create_field_index(name, q.PayloadSchemaType.Float))
        for first in range(0, len(frames.vectors), 2000):
            points = []
            for row in range(first, min(first + 2000, len(frames.vectors))):
                x, y, z = frames.positions_m[row].tolist()
                payload = {"t": float(frames.times_s[row]), "x": x, "y": y, "z": z}
                points.append(q.Point(row, frames.vectors[row].tolist(), payload))
            shard.update(q.UpdateOperation.upsert_points(points))
        shard.flush()
        shard.optimize()
        shard.close()

    def open(self, folder: Path, frames: Frames) -> None:
        """Load the shard."""
        self._q = importlib.import_module(self.module)
        self._shard = self._q.EdgeShard.load(str(folder))

    def search(self, question: Question) -> list[int]:
        """Query with the filter that the question names."""
        q, must = self._q, []
        if question.span_s is not None:
            first, last = question.span_s
            must.append(q.FieldCondition("t", range=q.RangeFloat(gte=first, lte=last)))
        if question.box is not None:
            for axis, low, high in zip("xyz", question.box[0].tolist(), question.box[1].tolist()):
                must.append(q.FieldCondition(axis, range=q.RangeFloat(gte=low, lte=high)))
        request = q.SearchRequest(
            query=q.Query.Nearest(question.vector.tolist()),
            limit=question.k,
            filter=q.Filter(must=must) if must else None,
        )
        return [int(hit.id) for hit in self._shard.search(request)]


class Lance:
    """LanceDB: IVF-PQ with its defaults and a refine factor of 10; filters before the search; scalar indexes."""

    name = "LanceDB"
    module = "lancedb"

    def build(self, frames: Frames, folder: Path) -> None:
        """Write the table and its indexes."""
        lancedb, pa = importlib.import_module(self.module), importlib.import_module("pyarrow")
        n, dim = frames.vectors.shape
        columns = {
            "id": pa.array(np.arange(n)),
            "t": pa.array(frames.times_s),
            **{axis: pa.array(frames.positions_m[:, i].astype(float)) for i, axis in enumerate("xyz")},
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(frames.vectors.ravel()), dim),
        }
        table = lancedb.connect(str(folder)).create_table("frames", pa.table(columns))
        table.create_index(metric="cosine", vector_column_name="vector")
        for name in ("t", "x", "y", "z"):
            table.create_scalar_index(name)

    def open(self, folder: Path, frames: Frames) -> None:
        """Open the table."""
        self._table = importlib.import_module(self.module).connect(str(folder)).open_table("frames")

    def search(self, question: Question) -> list[int]:
        """Search with a filter in SQL."""
        wanted = []
        if question.span_s is not None:
            wanted.append(f"t >= {question.span_s[0]!r} AND t <= {question.span_s[1]!r}")
        if question.box is not None:
            for axis, low, high in zip("xyz", question.box[0].tolist(), question.box[1].tolist()):
                wanted.append(f"{axis} >= {low!r} AND {axis} <= {high!r}")
        query = self._table.search(question.vector).distance_type("cosine").limit(question.k).refine_factor(10)
        if wanted:
            query = query.where(" AND ".join(wanted), prefilter=True)
        return [int(i) for i in query.select(["id", "_distance"]).to_arrow()["id"].to_pylist()]


PEERS: tuple[type[Any], ...] = (FaissFlat, Emem, QdrantEdge, Lance)

"""What the rows of a memory's file hold: msgpack, and vectors in 16 and 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from edge_agent.memory.entries import Entry, Ghost
from edge_agent.memory.verifier import PairLabel

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from edge_agent.memory.index import Vector
    from edge_agent.memory.standing import Counted

STANDING: Final = "standing "
"""Before the name of a way of answering, and of a kind of question, among the facts."""
_entries = msgspec.msgpack.Decoder(Entry)
_ghosts = msgspec.msgpack.Decoder(Ghost)
_labels = msgspec.msgpack.Decoder(list[PairLabel])
_checks = msgspec.msgpack.Decoder(dict[str, tuple[int, int]])
_counted = msgspec.msgpack.Decoder(tuple[float, float])
_moment = msgspec.msgpack.Decoder(float)
_pairs = msgspec.msgpack.Decoder(list[tuple[str, str, int, int]])


class Loaded(NamedTuple):
    """Everything that was on the disk; ``broken`` counts rows that could not be read."""

    entries: list[Entry]
    vectors: list[Vector]
    ghosts: list[Ghost]
    ghost_vectors: list[Vector]
    centres: Vector | None
    labels: list[PairLabel]
    rewordings: list[tuple[str, str, int, int]]
    checks: dict[str, tuple[int, int]]
    standing: dict[str, Counted]
    not_before_s: float
    broken: int


def load_rows(connection: sqlite3.Connection) -> Loaded:
    """Read every row; those that cannot be read are counted."""
    facts = dict(connection.execute("SELECT name, value FROM facts").fetchall())
    dimensions = int(facts.get("dimensions", b"384"))
    entries, vectors, ghosts, ghost_vectors, broken = [], [], [], [], 0
    for blob, packed in connection.execute("SELECT entry, vectors FROM entries ORDER BY id"):
        try:
            entry = _entries.decode(blob)
            rows = unpack(packed, len(entry.wordings))
        except (msgspec.DecodeError, ValueError):
            broken += 1
            continue
        entries.append(entry)
        vectors.extend(rows)
    for blob, packed in connection.execute("SELECT ghost, vector FROM ghosts ORDER BY id"):
        try:
            ghosts.append(_ghosts.decode(blob))
        except msgspec.DecodeError:
            broken += 1
            continue
        ghost_vectors.append(_large(packed))
    centres = facts.get("centres")
    return Loaded(
        entries,
        vectors,
        ghosts,
        ghost_vectors,
        _as_rows(centres, dimensions) if centres else None,
        _labels.decode(facts["labels"]) if "labels" in facts else [],
        _pairs.decode(facts["rewordings"]) if "rewordings" in facts else [],
        _checks.decode(facts["checks"]) if "checks" in facts else {},
        _standing(facts),
        _moment.decode(facts["not_before_s"]) if "not_before_s" in facts else 0.0,
        broken,
    )


def _standing(facts: dict[str, bytes]) -> dict[str, Counted]:
    return {
        name.removeprefix(STANDING): _counted.decode(value)
        for name, value in facts.items()
        if name.startswith(STANDING)
    }


def pack(vectors: Sequence[Vector]) -> bytes:
    """Return vectors in 16 bits."""
    return np.asarray(vectors, np.float16).tobytes()


def unpack(packed: bytes, count: int) -> list[Vector]:
    """Return ``count`` vectors. Raises ``ValueError`` when there are not so many."""
    return list(np.frombuffer(packed, np.float16).reshape(count, -1).astype(np.float32))


def _as_rows(packed: bytes, dimensions: int) -> Vector:
    rows = np.frombuffer(packed, np.float16).reshape(-1, dimensions).astype(np.float32)
    return np.ascontiguousarray(rows)


def small(vector: Vector) -> bytes:
    """Return a vector in int8: what a ghost keeps."""
    return np.round(vector / max(float(np.abs(vector).max()), 1e-9) * 127).astype(np.int8).tobytes()


def _large(packed: bytes) -> Vector:
    rows = np.frombuffer(packed, np.int8).astype(np.float32)
    return np.asarray(rows / max(float(np.linalg.norm(rows)), 1e-9), np.float32)

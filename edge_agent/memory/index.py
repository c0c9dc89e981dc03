"""The nearest vectors: inverted lists over clusters of the sphere.

Vectors have length 1, so that a product is a cosine. A few hundred are searched whole; beyond that
a question is held against the centres of about √n clusters, and then against the members of the
nearest few. Adding and removing one costs microseconds; clusters that grow too large are split, and
a rebuild makes new ones aside (``rebuilt``), which whoever owns the index puts in its place.

Why no library: docs/decisions/0021-inverted-lists-of-our-own.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

WHOLE: Final = 256
"""Up to so many vectors there is one list."""
_PROBES: Final = 4
_CLOSE: Final = 0.02
_FAR: Final = 0.35
_LEAST_STEP: Final = 0.001
_TOO_LARGE: Final = 4
_ROUNDS: Final = 8
_SAMPLE: Final = 64
"""Vectors for each cluster that its centre is found from, at most."""


class _List:
    """The members of one cluster: row keys and their vectors, with room to grow."""

    def __init__(self, dimensions: int) -> None:
        self.count = 0
        self.keys = np.empty(16, np.int64)
        self.vectors = np.empty((16, dimensions), np.float32)

    def add(self, key: int, vector: Vector) -> None:
        if self.count == len(self.keys):
            self.keys = np.concatenate([self.keys, np.empty_like(self.keys)])
            self.vectors = np.concatenate([self.vectors, np.empty_like(self.vectors)])
        self.keys[self.count], self.vectors[self.count] = key, vector
        self.count += 1

    def remove(self, key: int) -> None:
        (place,) = np.flatnonzero(self.keys[: self.count] == key)
        self.count -= 1
        self.keys[place], self.vectors[place] = self.keys[self.count], self.vectors[self.count]


class ClusterIndex:
    """Vectors by key, found by likeness."""

    def __init__(self, dimensions: int, centres: Vector | None = None) -> None:
        self.dimensions = dimensions
        self.inserted = 0
        """Vectors added since the clusters were made."""
        self._centres = np.zeros((1, dimensions), np.float32) if centres is None else centres
        self._lists = [_List(dimensions) for _ in self._centres]
        self._where: dict[int, int] = {}
        self.scanned = 0
        """Members that the last search looked at."""

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, key: int) -> bool:
        return key in self._where

    @property
    def clusters(self) -> int:
        """How many lists there are."""
        return len(self._lists)

    @property
    def centres(self) -> Vector:
        """The centres, to be kept."""
        return self._centres

    @property
    def wants_rebuild(self) -> bool:
        """Whether a fifth has come since the clusters were made."""
        return len(self) > WHOLE and self.inserted > len(self) / 5

    def add(self, key: int, vector: Vector) -> None:
        """Add a vector of length 1; a key that is there is replaced."""
        self.remove(key)
        self.inserted += 1
        place = self._place_for(vector)
        members = self._lists[place]
        if self.clusters > 1:
            step = max(_LEAST_STEP, 1 / (members.count + 1))
            self._centres[place] = _unit(
                self._centres[place] + (vector - self._centres[place]) * step
            )
        members.add(key, vector)
        self._where[key] = place
        if self.clusters > 1 and members.count > max(64, _TOO_LARGE * len(self) / self.clusters):
            self._split(place)

    def remove(self, key: int) -> None:
        """Remove a vector, if it is there."""
        place = self._where.pop(key, None)
        if place is not None:
            self._lists[place].remove(key)

    def search(self, vector: Vector, count: int = 32) -> list[tuple[int, float]]:
        """Return the nearest keys with their cosines, the nearest first."""
        places = self._nearest_lists(vector)
        found = [
            (members.keys[: members.count], members.vectors[: members.count] @ vector)
            for members in (self._lists[place] for place in places)
            if members.count
        ]
        if not found:
            return []
        keys = np.concatenate([keys for keys, _ in found])
        cosines = np.concatenate([cosines for _, cosines in found])
        self.scanned = len(keys)
        if len(keys) > count:
            best = np.argpartition(-cosines, count)[:count]
            keys, cosines = keys[best], cosines[best]
        order = np.argsort(-cosines, kind="stable")
        return [(int(keys[place]), float(cosines[place])) for place in order]

    def vector(self, key: int) -> Vector:
        """Return the vector of a key. Raises ``KeyError``."""
        members = self._lists[self._where[key]]
        (place,) = np.flatnonzero(members.keys[: members.count] == key)
        vector: Vector = members.vectors[place]
        return vector

    def rebuilt(self, seed: int = 0) -> ClusterIndex:
        """Return another index of the same vectors with new clusters; this one stays as it is."""
        keys = np.concatenate([each.keys[: each.count] for each in self._lists])
        vectors = np.concatenate([each.vectors[: each.count] for each in self._lists])
        return build(keys, vectors, seed)

    def _place_for(self, vector: Vector) -> int:
        if self.clusters == 1:
            return 0
        likeness = self._centres @ vector
        place = int(likeness.argmax())
        if likeness[place] >= _FAR:
            return place
        self._open(vector[None])
        return self.clusters - 1

    def _nearest_lists(self, vector: Vector) -> Iterable[int]:
        if self.clusters <= _PROBES:
            return range(self.clusters)
        likeness = self._centres @ vector
        best = np.argpartition(-likeness, min(2 * _PROBES, self.clusters - 1))[: 2 * _PROBES]
        best = best[np.argsort(-likeness[best])]
        close = likeness[best[0]] - likeness[best[1]] < _CLOSE
        nearest: list[int] = best[: 2 * _PROBES if close else _PROBES].tolist()
        return nearest

    def _open(self, centres: Vector) -> None:
        self._centres = np.concatenate([self._centres, centres])
        self._lists.extend(_List(self.dimensions) for _ in centres)

    def _split(self, place: int) -> None:
        """Part a list that has grown too large into two."""
        members = self._lists[place]
        keys, vectors = members.keys[: members.count], members.vectors[: members.count]
        centres = _centres_of(vectors, 2, np.random.default_rng(place))
        side = (vectors @ centres.T).argmax(1)
        if not 0 < side.sum() < len(side):
            return
        self._centres[place] = centres[0]
        self._open(centres[1:])
        for number, target in enumerate((place, self.clusters - 1)):
            self._lists[target] = _List(self.dimensions)
            for key, vector in zip(keys[side == number], vectors[side == number], strict=True):
                self._lists[target].add(int(key), vector)
                self._where[int(key)] = target


def build(keys: NDArray[np.int64], vectors: Vector, seed: int = 0) -> ClusterIndex:
    """Return an index of vectors with clusters made for them."""
    count, dimensions = vectors.shape
    if count <= WHOLE:
        centres = None
    else:
        clusters = min(1024, max(16, round(count**0.5)))
        generator = np.random.default_rng(seed)
        chosen = generator.permutation(count)[: clusters * _SAMPLE]
        centres = _centres_of(vectors[chosen], clusters, generator)
    return fill(ClusterIndex(dimensions, centres), keys, vectors)


def fill(index: ClusterIndex, keys: NDArray[np.int64], vectors: Vector) -> ClusterIndex:
    """Put vectors into an empty index whose centres stand."""
    places = _nearest(vectors, index.centres) if index.clusters > 1 else np.zeros(len(keys), int)
    order = np.argsort(places, kind="stable")
    bounds = np.searchsorted(places[order], np.arange(index.clusters + 1))
    for place, members in enumerate(index._lists):  # noqa: SLF001 - of this file
        rows = order[bounds[place] : bounds[place + 1]]
        if len(rows):
            members.keys, members.vectors = keys[rows].astype(np.int64), vectors[rows].copy()
            members.count = len(rows)
    index._where = dict(zip(keys.tolist(), places.tolist(), strict=True))  # noqa: SLF001
    index.inserted = 0
    return index


def _centres_of(vectors: Vector, clusters: int, generator: np.random.Generator) -> Vector:
    """Return the centres of spherical k-means, started from members that are drawn."""
    centres = vectors[generator.choice(len(vectors), clusters, replace=False)].copy()
    for _ in range(_ROUNDS):
        places = _nearest(vectors, centres)
        order = np.argsort(places, kind="stable")
        starts = np.searchsorted(places[order], np.arange(clusters))
        sums = np.add.reduceat(
            np.concatenate([vectors[order], np.zeros((1, vectors.shape[1]), np.float32)]), starts
        )
        counts = np.bincount(places, minlength=clusters)
        sums[counts == 0] = vectors[generator.integers(len(vectors), size=int((counts == 0).sum()))]
        centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    return np.ascontiguousarray(centres, np.float32)


def _nearest(vectors: Vector, centres: Vector) -> NDArray[np.int64]:
    """Return the nearest centre of each vector, a block at a time."""
    return np.concatenate(
        [
            (vectors[start : start + 4096] @ centres.T).argmax(1)
            for start in range(0, len(vectors), 4096)
        ]
    )


def _unit(vector: Vector) -> Vector:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)

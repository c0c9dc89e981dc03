"""Answers what people ask of a memory: shows, searches, forgets, exports, imports, checks."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent.memory.days import report
from edge_agent.memory.requests import (
    PAGE,
    REQUEST_BYTES,
    CheckMemory,
    ExportEntries,
    ForgetEntries,
    ImportEntries,
    MemoryRequest,
    ReportDays,
    SearchMemory,
    ShowMemory,
)
from edge_agent.memory.taking_over import take_over
from shared.errors import MemoryRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.memory.entries import Entry
    from edge_agent.memory.index import Vector
    from edge_agent.memory.memory import Memory
    from edge_agent.memory.store import MemoryStore

_SHOWN: Final = ("id", "task", "wordings", "answer", "state", "model", "version", "created_s")
_PAGE_BYTES: Final = REQUEST_BYTES // 2


class MemoryDesk:
    """Does what is asked of one memory and its store, in the thread that may touch it.

    Without an embedder nothing is imported, and only words are searched for.
    """

    def __init__(
        self,
        memory: Memory,
        store: MemoryStore,
        embed: Callable[[str], Vector] | None,
        *,
        running: bool = False,
    ) -> None:
        self._memory = memory
        self._store = store
        self._embed = embed
        self._running = running

    def do(self, request: MemoryRequest) -> dict[str, Any]:  # noqa: PLR0911 - one for each request
        """Return the answer to a request. Raises ``MemoryRefused`` or ``StoreError``."""
        match request:
            case ShowMemory():
                return self._show()
            case SearchMemory(text, most):
                return {"entries": [_shown(entry) for entry in self._search(text, most)]}
            case ForgetEntries():
                return {"forgotten": self._forget(request)}
            case ExportEntries(after):
                return self._export(after)
            case ImportEntries(entries):
                return self._import(entries)
            case ReportDays(most):
                if self._running:
                    self._memory.write_day(time.time())  # with how large it is by now
                return {"days": report(self._memory.days.all()[-most:])}
            case CheckMemory():
                return {"faults": self._store.faults(), **self._show()}

    def _show(self) -> dict[str, Any]:
        memory, entries = self._memory, list(self._memory.entries.values())
        checks, share = memory.checks, memory.checks.wrong_share
        versions = Counter((entry.model, entry.version) for entry in entries)
        return {
            "entries": len(entries),
            "ghosts": len(memory.ghosts),
            "archived": len(self._store.archived()),
            "bytes": sum(entry.bytes for entry in entries),
            "states": dict(Counter(entry.state for entry in entries)),
            "versions": [
                {"model": model, "version": version, "entries": count}
                for (model, version), count in versions.most_common()
            ],
            "oldest_s": min((entry.created_s for entry in entries), default=None),
            "not_before_s": memory.not_before_s,
            "checks": {"right": checks.right, "wrong": checks.wrong},
            "wrong": {"low": share.low, "high": share.high}
            | ({"mean": share.mean} if checks.counts else {}),
        }

    def _search(self, text: str, most: int) -> list[Entry]:
        words = text.casefold().split()
        having = [entry for entry in self._memory.everything() if _has(entry, words)]
        known = {entry.id for entry in having}
        if self._embed is not None:
            like = self._memory.like(self._embed(text))
            having += [entry for entry in like if entry.id not in known]
        return having[:most]

    def _forget(self, wanted: ForgetEntries) -> int:
        if wanted == ForgetEntries():
            raise MemoryRefused(
                "nothing was named to be forgotten: name entries, a text, a moment, a version or "
                "an owner"
            )
        if wanted == ForgetEntries(before_s=wanted.before_s) and wanted.before_s is not None:
            return self._memory.begin_epoch(wanted.before_s)
        words = wanted.containing.casefold().split()
        chosen = [
            entry.id
            for entry in self._memory.everything()
            if (not wanted.entries or entry.id in wanted.entries)
            and _has(entry, words)
            and (wanted.before_s is None or entry.created_s < wanted.before_s)
            and (not wanted.version or wanted.version in (entry.version, entry.model))
            and (not wanted.owner or entry.owner.partition("#")[0] == wanted.owner)
        ]
        return self._memory.forget(chosen)

    def _export(self, after: int) -> dict[str, Any]:
        """Return the next page; ``after`` is none on the last one."""
        rest = [entry for entry in self._memory.everything() if entry.id > after]
        page: list[dict[str, Any]] = []
        size = 0
        for entry in rest[:PAGE]:
            row = msgspec.to_builtins(entry)
            size += len(msgspec.json.encode(row))
            if page and size > _PAGE_BYTES:
                break
            page.append(row)
        more = len(page) < len(rest)
        return {"entries": page, "after": page[-1]["id"] if page and more else None}

    def _import(self, entries: tuple[Entry, ...]) -> dict[str, Any]:
        if self._embed is None:
            raise MemoryRefused(
                "entries are found by their vectors: name the embedder that they are made with"
            )
        return take_over(self._memory, entries, self._embed, time.time())


def _has(entry: Entry, words: list[str]) -> bool:
    """Return whether an entry has all these words, in its wordings or its answer."""
    texts = " ".join((*entry.wordings, entry.answer)).casefold()
    return all(word in texts for word in words)


def _shown(entry: Entry) -> dict[str, Any]:
    row = msgspec.to_builtins(entry)
    return {name: row[name] for name in _SHOWN}

"""Which entries may answer a question at all, however like it they are: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_agent.memory.entries import Entry
    from shared.tasks import Task


class Eligible(NamedTuple):
    """Whose question it is, of what task, and whose answers count since when.

    ``versions`` are those that answer above now; answers of nobody known count, and if none is
    known all do. ``only_version`` is the one that an operator has named, empty for none.
    """

    task: Task
    owner: str
    now_s: float
    versions: Collection[str]
    not_before_s: float
    only_version: str

    def counts(self, entry: Entry) -> bool:
        """Return whether an entry may answer."""
        return (
            entry.owner == self.owner
            and entry.task == self.task
            and entry.state != "expired"
            and (entry.expires_s is None or entry.expires_s > self.now_s)
            and (not self.versions or not entry.version or entry.version in self.versions)
            and entry.created_s >= self.not_before_s
            and (not self.only_version or entry.version == self.only_version)
        )

"""The ledger of jobs: where each one is, so that none is lost and none counts twice. Pure.

A job waits, is out with a node, or has ended; it ends once. A node that is gone gives back what it
had, and what a node has refused, or been silent about, goes to another. The first answer counts,
whoever gives it; what comes after it is known for a repeat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from cloud_agent.center.placement.jobs import FleetJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Ending = Literal["answered", "failed", "unanswered"]


class PostedJob(NamedTuple):
    """A job as it was given to the centre; ``references`` never leave it."""

    kind: str
    text: str
    references: tuple[str, ...] = ()


class JobEntry(msgspec.Struct, kw_only=True):
    """Where one job is.

    ``node`` is who has it now, empty while it waits, and ``silent_s`` until when it may be silent;
    ``tried`` are those who had it before, and ``owing`` those of them who may still say something:
    they were silent or gone. ``late`` says that an answer came after the end.
    """

    job: FleetJob
    posted: PostedJob
    round: int
    came_s: float
    node: str = ""
    sent_s: float = 0.0
    silent_s: float = 0.0
    attempts: int = 0
    tried: tuple[str, ...] = ()
    owing: tuple[str, ...] = ()
    ending: Ending | None = None
    late: bool = False


class LedgerCounts(NamedTuple):
    """How many jobs came, how they ended, and how many answers came that counted no more."""

    came: int
    answered: int
    failed: int
    unanswered: int
    repeats: int
    given_again: int

    @property
    def open(self) -> int:
        """Jobs that have not ended."""
        return self.came - self.answered - self.failed - self.unanswered


class JobLedger:
    """All jobs that have not ended, and those that ended lately."""

    def __init__(self, *, attempts: int, remembered: int = 10_000) -> None:
        """Give a job up once it was out ``attempts`` times and failed each time."""
        self._attempts = attempts
        self._remembered = remembered
        self._open: dict[str, JobEntry] = {}
        self._ended: dict[str, JobEntry] = {}
        self._count = dict.fromkeys(
            ("came", "answered", "failed", "unanswered", "repeats", "given_again"), 0
        )

    @property
    def counts(self) -> LedgerCounts:
        """What the ledger has counted."""
        return LedgerCounts(**self._count)

    def add(self, job: FleetJob, posted: PostedJob, round_: int, now_s: float) -> None:
        """Take a job in; it waits."""
        self._open[job.id] = JobEntry(job=job, posted=posted, round=round_, came_s=now_s)
        self._count["came"] += 1

    def waiting(self) -> list[JobEntry]:
        """Return the jobs that nobody has."""
        return [entry for entry in self._open.values() if not entry.node]

    def out(self) -> Iterator[JobEntry]:
        """Go through the jobs that some node has."""
        return (entry for entry in self._open.values() if entry.node)

    def of_round(self, round_: int) -> list[JobEntry]:
        """Return the jobs of a round that have not ended."""
        return [entry for entry in self._open.values() if entry.round == round_]

    def give(self, job: str, node: str, now_s: float, patience_s: float) -> JobEntry:
        """Note that a node gets a job, and may be silent about it for so long."""
        entry = self._open[job]
        entry.node, entry.sent_s, entry.silent_s = node, now_s, now_s + patience_s
        entry.owing = tuple(name for name in entry.owing if name != node)
        entry.attempts += 1
        self._count["given_again"] += entry.attempts > 1
        return entry

    def find(self, job: str) -> JobEntry | None:
        """Return a job that has not ended, or has ended lately."""
        return self._open.get(job) or self._ended.get(job)

    def end(self, job: str, ending: Ending) -> JobEntry | None:
        """Note that a job has ended; return it, or None for one that has ended before."""
        entry = self._open.pop(job, None)
        if entry is None:
            self._count["repeats"] += job in self._ended
            return None
        entry.ending = ending
        self._count[ending] += 1
        self._ended[job] = entry
        while len(self._ended) > self._remembered:
            self._ended.pop(next(iter(self._ended)))
        return entry

    def hear_late(self, job: str) -> JobEntry | None:
        """Return a job that ended without an answer, the first time that one comes after all."""
        entry = self._ended.get(job)
        if entry is None or entry.late or entry.ending == "answered":
            return None
        entry.late = True
        return entry

    def take_back(self, job: str, *, owing: bool = False) -> None:
        """Let a job wait again; who had it may be ``owing`` a word, having said nothing yet."""
        entry = self._open.get(job)
        if entry is None or not entry.node:
            return
        if owing:
            entry.owing = (*entry.owing, entry.node)
        entry.tried, entry.node = (*entry.tried, entry.node), ""

    def take_back_from(self, is_gone: Callable[[str], bool]) -> list[JobEntry]:
        """Let all jobs of nodes that are gone wait again; return them."""
        gone = [entry for entry in self.out() if is_gone(entry.node)]
        for entry in gone:
            self.take_back(entry.job.id, owing=True)
        return gone

    def fail(self, job: str, node: str) -> JobEntry | None:
        """Let a job wait again at which a node failed; return it if it failed too often and ended.

        A failure need not say whose it is: ``node`` is empty then, and while an earlier node owes
        its word the failure is that one's. Who has the job now goes on with it.
        """
        entry = self._open.get(job)
        if entry is None:
            return None
        if (node or not entry.owing) and node in ("", entry.node):
            had_it = bool(entry.node)
            self.take_back(job)
            too_often = had_it and entry.attempts >= self._attempts
            return self.end(job, "failed") if too_often else None
        spoken = node or entry.owing[0]
        entry.owing = tuple(name for name in entry.owing if name != spoken)
        return None

    def overdue(self, now_s: float) -> list[JobEntry]:
        """End the jobs whose time has run out, and return them."""
        late = [entry for entry in self._open.values() if entry.job.deadline_s <= now_s]
        for entry in late:
            self.end(entry.job.id, "unanswered")
        return late

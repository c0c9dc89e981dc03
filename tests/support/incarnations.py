"""Incarnations of one name, their statuses, and a topic that brings them in any order."""

from __future__ import annotations

from shared.membership.incarnation import Incarnation, Move
from shared.membership.status import Status


def standing(epoch: int = 10, boot: str = "b", *, heartbeat_s: float = 5.0) -> Incarnation:
    return Incarnation(epoch=epoch, boot=boot, heartbeat_s=heartbeat_s)


def settled(epoch: int = 10, boot: str = "b") -> Incarnation:
    """One that has heard an echo of its own."""
    made = standing(epoch, boot)
    assert made.hear(online(epoch, boot)) is Move.NOTHING
    return made


def online(epoch: int, boot: str) -> Status:
    return Status("online", epoch, boot=boot)


def offline(epoch: int, boot: str) -> Status:
    return Status("offline", epoch, boot=boot)


class Process:
    """One process with our name: its standing, and what the broker has yet to bring it."""

    def __init__(self, epoch: int, boot: str) -> None:
        self.standing = standing(epoch, boot)
        self.coming: list[tuple[Status, bool]] = []
        self.will = offline(epoch, boot)
        self.fenced = False


class Topic:
    """The topic of their status, on a broker that loses nothing and lets wills come late."""

    def __init__(self) -> None:
        self.retained: Status | None = None
        self.living: list[Process] = []
        self.late: list[Status] = []
        self._boots = 0

    def say(self, status: Status) -> None:
        self.retained = status
        for process in self.living:
            process.coming.append((status, True))

    def start(self, epoch: int, *, boot_after: bool) -> Process:
        """Start a process whose boot id is greater, or less, than those of all before it."""
        self._boots += 1
        boot = f"z{self._boots:04}" if boot_after else f"a{9999 - self._boots:04}"
        process = Process(epoch, boot)
        self.living.append(process)
        self._connect(process)
        return process

    def crash(self, process: Process) -> None:
        self.living.remove(process)
        self.late.append(process.will)

    def bury(self) -> None:
        """Let the oldest of the late wills go out."""
        if self.late:
            self.say(self.late.pop(0))

    def announce(self, process: Process) -> None:
        self.say(online(process.standing.epoch, process.standing.boot))

    def deliver(self, process: Process) -> None:
        status, live = process.coming.pop(0)
        move = process.standing.hear(status, live=live)
        if move is Move.FENCED:
            process.fenced = True
            self.living.remove(process)
        elif move is Move.RENEW:
            self.say(process.will)
            process.will = offline(process.standing.epoch, process.standing.boot)
            self._connect(process)
        elif move is Move.ANNOUNCE:
            self.announce(process)

    def settle(self) -> None:
        """Let everybody announce and hear until nothing is under way."""
        while self.late:
            self.bury()
        for _ in range(4):
            for process in self.living[:]:
                self.announce(process)
            turns = 0
            while busy := [process for process in self.living if process.coming]:
                self.deliver(busy[0])
                turns += 1
                assert turns < 10_000, "they answer each other without end"

    def _connect(self, process: Process) -> None:
        process.coming = [(self.retained, False)] if self.retained is not None else []
        self.announce(process)

"""A night on the disk: a folder each, whose files say how far it came.

::

    nights/believed.json      the night whose model serves, and the one before
    nights/asked              somebody wants a night now
    nights/0007/order.json    what was ordered: a folder with this and no outcome is unfinished
    nights/0007/rows.json     what is learned, chosen once
    nights/0007/adapter/      what was learned, on the frozen base
    nights/0007/bundle/       the model that was packed of both
    nights/0007/outcome.json  what came of it

Every file is written in one step, so that a process killed at any point finds the one or the other.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec

from edge_agent.nights.settings import NightSettings
from shared.errors import StoreError
from shared.runtimes.model_settings import ModelSettings
from shared.storage.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

NIGHTS: Final = "nights"
_KEPT: Final = 2
"""Nights whose models are kept besides that of the night before: to go back to."""
_MODEL: Final = ("bundle", "adapter")
_MAKING: Final = (".*", "tuned", "checkpoint.pt", "lesson*")
"""What a model is made of and by: a killed process leaves it, and others under such names."""

Verdict = Literal["passed", "rejected", "failed", "nothing"]
"""Serve it; a gate says no; it could not be trained; there was nothing to learn."""
_Kind = TypeVar("_Kind")


class NightRow(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, the wordings that are learned, and one that is not, by which it is tested.

    ``entry`` is the memory's number, 0 for what was never an entry.
    """

    entry: int = 0
    wordings: tuple[str, ...] = ()
    held_out: str = ""
    answer: str

    @property
    def probe(self) -> str:
        """The question by which it is tested: one that was not learned, where there is one."""
        return self.held_out or self.wordings[0]


class GateReading(msgspec.Struct, frozen=True, kw_only=True):
    """What one gate read, where it had to be, and whether it was."""

    value: float
    bound: float
    open: bool


class NightRows(msgspec.Struct, frozen=True, kw_only=True):
    """What one night is about: what is new, and what must not be forgotten.

    ``fresh`` asks for a new adapter: the last one knows something that was to be forgotten.
    ``rejected`` has the gates of a first try; with it, this is the second.
    """

    new: tuple[NightRow, ...]
    old: tuple[NightRow, ...]
    fresh: bool = False
    rejected: dict[str, GateReading] = {}

    @property
    def all(self) -> tuple[NightRow, ...]:
        """What is new, and behind it what is old."""
        return (*self.new, *self.old)


class NightOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a night is to do.

    ``model`` is the one that serves, ``own`` the digest of the settings' own, and ``warm`` the
    night whose adapter it goes on from (0: none). ``day`` is the local date on which it was
    ordered, ``ordered_s`` the time, in seconds since the epoch.
    """

    number: int
    day: str
    ordered_s: float
    memory: str
    model: ModelSettings
    own: str
    warm: int
    night: NightSettings


class NightOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a night; ``learned`` has the entries that the model now answers right.

    ``rejected`` has the gates of a first try, where there was a second. ``seconds`` are those since
    it was ordered, however many processes it took.
    """

    number: int
    verdict: Verdict
    why: str = ""
    gates: dict[str, GateReading] = {}
    rejected: dict[str, GateReading] = {}
    new: int = 0
    old: int = 0
    learned: dict[int, float] = {}
    bundle: str = ""
    steps: int = 0
    seconds: float = 0.0


def told_of(outcome: NightOutcome) -> dict[str, float | str]:
    """Return what a report of days says of a night: how it ended, and what each gate read."""
    gates = {name: round(gate.value, 4) for name, gate in outcome.gates.items()}
    learned = len(outcome.learned)
    return {"night": outcome.number, "verdict": outcome.verdict, "learned": learned, **gates}


class Believed(msgspec.Struct, frozen=True, kw_only=True):
    """The night whose model serves (0: the settings' own), and what it takes the place of.

    ``watched`` until it has shown that it does not do worse than the one before, of whose answers
    ``same`` of ``compared`` were those from above; ``own`` is the digest of the settings' own
    model, on which it was built. ``latest`` is the last night that was decided on: one that was
    taken back is not served again.
    """

    night: int
    before: int
    own: str
    since_s: float
    latest: int = 0
    watched: bool = True
    compared: float = 0
    same: float = 0


class NightFolder:
    """The folder of all nights of one agent."""

    def __init__(self, state: Path) -> None:
        self.path = state / NIGHTS

    def of(self, number: int) -> Path:
        """Return the folder of one night."""
        return self.path / f"{number:04d}"

    @property
    def numbers(self) -> list[int]:
        """The nights that were ordered, the first one first."""
        return sorted(int(each.parent.name) for each in self.path.glob("[0-9]*/order.json"))

    @property
    def unfinished(self) -> int | None:
        """The last night, if nothing has come of it, or a model on which nobody has decided.

        The latter is left where an agent was killed, and the process that trained was not.
        Raises ``StoreError``.
        """
        numbers = self.numbers
        if not numbers:
            return None
        outcome, believed = self.outcome(numbers[-1]), self.believed
        decided = 0 if believed is None else max(believed.latest, believed.night)
        passed = outcome is not None and outcome.verdict == "passed"
        is_open = outcome is None or (passed and decided < numbers[-1])
        return numbers[-1] if is_open else None

    def order(self, number: int) -> NightOrder:
        """Return what was ordered. Raises ``StoreError``."""
        return _read(self.of(number) / "order.json", NightOrder)

    def outcome(self, number: int) -> NightOutcome | None:
        """Return what came of a night; None while nothing has. Raises ``StoreError``."""
        path = self.of(number) / "outcome.json"
        return _read(path, NightOutcome) if path.exists() else None

    def rows(self, number: int) -> NightRows | None:
        """Return what a night is about; None before that is chosen. Raises ``StoreError``."""
        path = self.of(number) / "rows.json"
        return _read(path, NightRows) if path.exists() else None

    def bundle(self, number: int) -> Path:
        """Return where a night's model lies."""
        return self.of(number) / "bundle"

    @property
    def believed(self) -> Believed | None:
        """Which model serves; None is the settings' own. Raises ``StoreError``."""
        path = self.path / "believed.json"
        return _read(path, Believed) if path.exists() else None

    def write_order(self, order: NightOrder) -> None:
        """Begin a night."""
        self.of(order.number).mkdir(parents=True, exist_ok=True)
        _write(self.of(order.number) / "order.json", order)

    def write_rows(self, number: int, rows: NightRows) -> None:
        """Say what a night is about."""
        _write(self.of(number) / "rows.json", rows)

    def try_again(self, number: int, rows: NightRows) -> None:
        """Begin a night anew about fewer rows; what it was at is gone."""
        self._remove(number, *_MAKING, *_MODEL)
        self.write_rows(number, rows)

    def write_outcome(self, outcome: NightOutcome) -> None:
        """End a night."""
        _write(self.of(outcome.number) / "outcome.json", outcome)
        self.tidy(outcome)

    def tidy(self, outcome: NightOutcome) -> None:
        """Keep of a night that has ended only a model that may serve, and no text.

        Of what it was about the numbers of entries stay: who forgets an entry means all of it.
        """
        rows = self.rows(outcome.number)
        if rows is not None:
            bare = NightRows(new=_numbers_of(rows.new), old=_numbers_of(rows.old))
            self.write_rows(outcome.number, bare)
        self._remove(outcome.number, *_MAKING)
        if outcome.verdict != "passed":
            self._remove(outcome.number, *_MODEL)

    def believe(self, believed: Believed) -> None:
        """Say which model serves from now on, and let go of those that nobody goes back to."""
        _write(self.path / "believed.json", believed)
        kept = {believed.night, believed.before, *self.numbers[-_KEPT:]}
        for number in set(self.numbers) - kept:
            self._remove(number, *_MODEL)

    def ask(self) -> None:
        """Have a running agent begin a night."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "asked").touch()

    def take_asked(self) -> bool:
        """Return whether somebody asked since this was last called."""
        try:
            (self.path / "asked").unlink()
        except FileNotFoundError:
            return False
        return True

    def _remove(self, number: int, *names: str) -> None:
        """Remove what has these names in a night's folder; ``*`` stands for anything."""
        for path in [path for name in names for path in self.of(number).glob(name)]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _numbers_of(rows: tuple[NightRow, ...]) -> tuple[NightRow, ...]:
    return tuple(NightRow(entry=row.entry, answer="") for row in rows if row.entry)


def _write(path: Path, value: Any) -> None:
    write_atomically(path, msgspec.json.format(msgspec.json.encode(value)), mode=0o600)


def _read(path: Path, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); move its folder away") from error

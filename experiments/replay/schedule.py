"""From arrivals to what is played: sliced, scaled in time, capped, and given to devices.

Pure. Arrivals keep to the device they name: every name gets one of ours, in order of appearance,
beginning anew when there are more names than devices. Those that name none take turns.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta

from shared.errors import DataError, InvalidPrompt
from shared.tasks import check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from experiments.traces import Arrival
    from shared.tasks import Options, Task

_Seconds = Annotated[float, Meta(ge=0)]
MOST_PROMPTS: Final = 5_000_000
"""They are held in memory: a few hundred bytes each."""


class Slice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of a trace is played, and how fast."""

    begin_s: Annotated[_Seconds, Meta(description="first second of the trace that is played")] = 0.0
    end_s: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="second of the trace at which to stop; none: its end"),
    ] = None
    speed: Annotated[
        float, Meta(gt=0, description="how many seconds of the trace pass in one second")
    ] = 1.0
    prompts: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="at most so many prompts; none: all")
    ] = None


class ScheduledRequest(NamedTuple):
    """One prompt to be sent: ``at_s`` on the clock of the run, ``timeout_s`` None for the usual."""

    number: int
    at_s: float
    device: str
    task: Task
    text: str
    label: str | None
    timeout_s: float | None
    priority: int = 0
    options: Options = {}  # noqa: RUF012 - of a named tuple


class Plays(NamedTuple):
    """What is to be played, in order of time: the first at once, whenever it came in the slice.

    ``silence_s`` is how long the slice is silent before it, in seconds of the trace.
    """

    each: list[ScheduledRequest]
    silence_s: float


def make_plays(arrivals: Iterable[Arrival], part: Slice, devices: Sequence[str]) -> Plays:
    """Return what is to be played.

    Raises ``DataError`` when nothing is left of the trace or too much, or a prompt has no text or
    options that its task does not have.
    """
    if part.end_s is not None and part.end_s <= part.begin_s:
        raise DataError(f"the slice ends at {part.end_s:g} s, not after its begin; correct end_s")
    plays: list[ScheduledRequest] = []
    names: dict[str, str] = {}
    begin_s: float | None = None
    for number, arrival in enumerate(islice(_cut(arrivals, part), part.prompts)):
        if number == MOST_PROMPTS:
            raise DataError(
                f"the trace has more than {MOST_PROMPTS:,} prompts; play a part of it: --end-s, "
                "--prompts"
            )
        if begin_s is None:
            begin_s = arrival.at_s
        if arrival.device:
            device = names.setdefault(arrival.device, devices[len(names) % len(devices)])
        else:
            device = devices[number % len(devices)]
        at_s = (arrival.at_s - begin_s) / part.speed
        plays.append(_scheduled(number, arrival, at_s, device))
    if begin_s is None:
        raise DataError("no arrival lies in the slice of the trace; widen it")
    return Plays(plays, begin_s - part.begin_s)


def _scheduled(number: int, arrival: Arrival, at_s: float, device: str) -> ScheduledRequest:
    """Return an arrival as it is asked, or raise ``DataError`` where it cannot be."""
    if not arrival.text:
        raise DataError(f"arrival {number + 1} has no text; name a prompt set for the trace")
    try:
        check(arrival.task, arrival.options)
    except InvalidPrompt as error:
        raise DataError(f"arrival {number + 1}: {error}") from error
    return ScheduledRequest(
        number,
        at_s,
        device,
        arrival.task,
        arrival.text,
        arrival.label,
        arrival.deadline_s,
        arrival.priority,
        arrival.options,
    )


def prompt_id(run: str, number: int) -> UUID:
    """Return the id of a prompt of a run: the same when it is resumed, another in another run."""
    return UUID(bytes=blake2b(f"{run} {number}".encode(), digest_size=16).digest())


def fingerprint(plays: Sequence[ScheduledRequest]) -> str:
    """Return what tells prompts and their times apart, whoever is asked: 32 hexadecimal digits."""
    digest = blake2b(digest_size=16)
    for play in plays:
        options = (msgspec.json.encode(play.options, order="sorted"),) if play.options else ()
        digest.update(repr((play.at_s, play.task, play.text, play.label, *options)).encode())
    return digest.hexdigest()


def _cut(arrivals: Iterable[Arrival], part: Slice) -> Iterator[Arrival]:
    for arrival in arrivals:
        if part.end_s is not None and arrival.at_s >= part.end_s:
            return
        if arrival.at_s >= part.begin_s:
            yield arrival

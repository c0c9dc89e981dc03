"""What things cost on a machine: written by ``recserve measure``, read by ``recserve plan``.

All times are those of a core. A *cold* one is that of work that comes after a pause of tens of
milliseconds, when caches are cold and threads asleep; a *warm* one that of work that comes straight
after other work of its kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = 1
_Microseconds = Annotated[float, Meta(ge=0)]


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Microseconds of one core."""

    cold_us: _Microseconds
    warm_us: _Microseconds

    def beyond(self, part: Cost) -> Cost:
        """Return what it has on top of a part of it; what was measured is never less than none."""
        cold_us = max(self.cold_us - part.cold_us, 0.0)
        return Cost(cold_us, max(self.warm_us - part.warm_us, 0.0))


class AgentCosts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an agent's event loop spends on one prompt, the model apart.

    ``keep``: a device, on a prompt that it answers. ``escalate``: on top of that, to send it up and
    to take the result. ``answer``: an upper agent, from taking a prompt to its reply; ``pass_on``:
    to the prompt's dispatch to the next tier. ``message``: the broker, on one message to one
    subscriber. ``generate``: a replay, on one prompt of a virtual device, and
    ``watch_us`` a second, to watch the agents. ``on_path`` is the share
    of all this that comes before the effect is out; what follows are acknowledgements and logs.
    """

    keep: Cost
    escalate: Cost
    answer: Cost
    pass_on: Cost
    message: Cost
    generate: Cost
    watch_us: _Microseconds
    on_path: Annotated[float, Meta(gt=0, le=1)]


class BatchTimes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One size of batch as it was measured: the time of a run, warm."""

    prompts: int
    p50_us: _Microseconds
    p99_us: _Microseconds


class ModelTimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a model runs on a batch.

    ``run_us`` for the run, ``prompt_us`` for each prompt and ``byte_us`` for each byte of text;
    ``held_run_us`` and ``held_prompt_us`` of that the interpreter's lock is held, so that the
    agent's event loop stands still; ``cold_us`` comes on top after a pause. ``spread`` holds 21
    quantiles (0, 5 … 100 %) of measured over expected time. ``threads`` it ran with.
    """

    threads: Annotated[int, Meta(ge=1)]
    run_us: _Microseconds
    prompt_us: _Microseconds
    byte_us: _Microseconds
    held_run_us: _Microseconds
    held_prompt_us: _Microseconds
    cold_us: _Microseconds
    spread: Annotated[tuple[Annotated[float, Meta(ge=0)], ...], Meta(min_length=2)]
    batches: tuple[BatchTimes, ...]


class TogetherSpeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tokens a second, all texts together, of so many texts under way at once."""

    texts: int
    tokens_s: Annotated[float, Meta(ge=0)]


class WritingTimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a model writes that makes a token of every text under way at each step.

    ``prefill_us`` to begin a text and ``prefill_token_us`` for each token of its prompt;
    ``step_us`` for each step, and ``decode_token_us`` for each token that it makes: an engine with
    a batch has much of the first, one that takes its texts in turn none. ``held_share`` of all that
    the interpreter's lock is held. ``cold_us``, ``spread`` and ``threads`` as in ``ModelTimes``.
    """

    threads: Annotated[int, Meta(ge=1)]
    prefill_us: _Microseconds
    prefill_token_us: _Microseconds
    step_us: _Microseconds
    decode_token_us: _Microseconds
    held_share: Annotated[float, Meta(ge=0, le=1)]
    cold_us: _Microseconds
    spread: Annotated[tuple[Annotated[float, Meta(ge=0)], ...], Meta(min_length=2)]
    together: tuple[TogetherSpeed, ...]


class MachineProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One machine; ``models`` by ``model_key``, and models that write under ``writers``."""

    format: Annotated[int, Meta(ge=FORMAT, le=FORMAT)] = FORMAT
    machine: str
    cores: Annotated[int, Meta(ge=1)]
    measured: str
    broker: str
    versions: dict[str, str]
    handling: AgentCosts
    models: dict[str, ModelTimes]
    writers: dict[str, WritingTimes] = {}


def expected_us(times: ModelTimes, text_bytes: float, runs: float, prompts: float = 1.0) -> float:
    """Return the time of warm runs on prompts of so many bytes together, in microseconds."""
    return times.run_us * runs + times.prompt_us * prompts + times.byte_us * text_bytes


def writing_us(
    times: WritingTimes, *, texts: float, tokens_in: float, steps: float, tokens_out: float
) -> float:
    """Return the time of so many texts begun, tokens read, steps, and tokens written, warm."""
    return (
        times.prefill_us * texts
        + times.prefill_token_us * tokens_in
        + times.step_us * steps
        + times.decode_token_us * tokens_out
    )


def model_key(name: str, threads: int) -> str:
    """Return what a model is called among those measured: a bundle may run with more threads."""
    return name if threads == 1 else f"{name} ({threads} threads)"


def check_place(path: Path) -> None:
    """Raise ``DataError`` if a file cannot be written there: sooner than after all the work."""
    if not path.parent.is_dir():
        raise DataError(f"{path}: cannot be written, there is no folder {path.parent}")


def write_measured(path: Path, measured: MachineProfile) -> None:
    """Write a machine's file; raises ``DataError`` when that cannot be done."""
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=2) + b"\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error


def read_measured(path: Path) -> MachineProfile:
    """Read a machine's file; raises ``DataError`` that names it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=MachineProfile)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); `recserve measure` writes such a file"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is no file of `recserve measure`: {error}") from error

"""Lets what an agent's policies have seen and learned outlive its process.

Written in groups, every few seconds, soon after other settings of the policy and when the agent
leaves, never on a prompt's path: an agent that is killed loses what came since. What was learned of
another model, or under another policy, is no evidence: such a file is put aside and said, as is one
that is damaged.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from shared.errors import MalformedMessage
from shared.runtimes import short_digest
from shared.storage.files import write_atomically
from shared.supervision import Supervised
from shared.tasks import Task
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.agent.build import AgentParts
    from shared.agent.settings import AgentSettings

_log = get_logger()
EVERY_S: Final = 30.0
"""Between two looks at whether there is anything new to write."""
_LOOK_S: Final = 1.0
"""Between two at whether the policy has other settings: under those the file is no evidence."""
_FORM: Final = 1
_CHECK_BYTES: Final = 32


class _Learned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in the file, behind its SHA-256: of which model and policy, since when, by task."""

    form: Annotated[int, msgspec.Meta(ge=_FORM, le=_FORM)]
    model: str
    bundle: str
    policy: dict[str, Any]
    wall_s: float
    tasks: dict[Task, Any]


_decoder = msgspec.msgpack.Decoder(_Learned)


@contextlib.asynccontextmanager
async def keeping_what_is_learned(
    folder: Path | None, settings: AgentSettings, parts: AgentParts, *, every_s: float = EVERY_S
) -> AsyncIterator[None]:
    """Take up what an earlier life learned, and write down now and then what this one does.

    Without a ``folder`` nothing is kept. A file that cannot be written costs a line in the log.
    """
    if folder is None:
        yield
        return
    file = LearnedFile(folder / f"{settings.agent}.learned", parts)
    file.take_up()
    saving = Supervised("what is learned", lambda: _save_now_and_then(file, every_s))
    try:
        yield
    finally:
        await saving.stop()
        await file.save()


async def _save_now_and_then(file: LearnedFile, every_s: float) -> None:
    saved_s = time.monotonic()
    while True:
        await asyncio.sleep(min(_LOOK_S, every_s))
        if not file.fits or time.monotonic() - saved_s >= every_s:
            await file.save()
            saved_s = time.monotonic()


class LearnedFile:
    """The file of one agent."""

    def __init__(self, path: Path, parts: AgentParts) -> None:
        self._path = path
        self._parts = parts
        self._saved = parts.station.tier.changes
        self._saved_under = parts.station.tier.policy

    @property
    def fits(self) -> bool:
        """Whether what is written was learned under the settings that hold now."""
        return self._saved_under is self._parts.station.tier.policy

    @property
    def _policy(self) -> dict[str, Any]:
        """The policy's settings; a centre may change them under way."""
        policy: dict[str, Any] = msgspec.to_builtins(self._parts.station.tier.policy)
        return policy

    def take_up(self) -> None:
        """Let the policies recall what the file holds; put it aside if that is not theirs."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("what was learned cannot be read", file=str(self._path), reason=str(error))
            return
        try:
            learned = _read(content)
            self._check(learned)
            self._recall(learned)
        except (MalformedMessage, ValueError) as error:
            self._put_aside(str(error))

    async def save(self) -> None:
        """Write down what the policies remember, if a prompt came since that was last done."""
        tier, model = self._parts.station.tier, self._parts.slot.model
        changes, self._saved_under = tier.changes, tier.policy
        if changes == self._saved or not (tasks := tier.remember(time.monotonic())):
            return
        learned = _Learned(_FORM, model.name, short_digest(model), self._policy, time.time(), tasks)
        payload = msgspec.msgpack.encode(learned)
        content = hashlib.sha256(payload).digest() + payload
        try:
            await asyncio.to_thread(write_atomically, self._path, content, mode=0o600)
        except OSError as error:
            reason = error.strerror or str(error)
            _log.warning("what is learned cannot be written", file=str(self._path), reason=reason)
        else:
            self._saved = changes

    def _check(self, learned: _Learned) -> None:
        """Raise ``ValueError`` unless it was learned of our model, under our policy."""
        model = self._parts.slot.model
        if (learned.model, learned.bundle) != (model.name, short_digest(model)):
            before = f"{learned.model} {learned.bundle}".strip()
            raise ValueError(f"it was learned of another model, {before}")
        if learned.policy != self._policy:
            raise ValueError("it was learned under another policy, or other settings of it")

    def _recall(self, learned: _Learned) -> None:
        """Raise ``ValueError`` for what no policy of ours has written.

        The time since then counts as far as the clock knows it: one that stands before what was
        written does not.
        """
        at_s = time.monotonic() - max(time.time() - learned.wall_s, 0.0)
        tier = self._parts.station.tier
        for task, memory in learned.tasks.items():
            tier.recall(task, memory, at_s)
        _log.info("what was learned is taken up", tasks=sorted(learned.tasks), file=str(self._path))

    def _put_aside(self, reason: str) -> None:
        aside = self._path.with_name(f"{self._path.name}.aside")
        with contextlib.suppress(OSError):
            self._path.replace(aside)
        _log.warning("what was learned is put aside", file=str(aside), reason=reason)


def _read(content: bytes) -> _Learned:
    """Raise ``MalformedMessage`` when the content is not as it was written."""
    check, payload = content[:_CHECK_BYTES], content[_CHECK_BYTES:]
    if hashlib.sha256(payload).digest() != check:
        raise MalformedMessage("the file is damaged")
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"another version wrote it: {error}") from error

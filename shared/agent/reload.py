"""Exchanges the model of a running agent on SIGHUP, and says what became of that.

The settings are read again from where they came from when the agent started. What they say of the
model is taken if it is another one, by its settings or by its content; all else needs a restart,
and is said to. The status has the outcome, which ``recserve reload`` waits for. How a model is
exchanged is the business of ``shared.serving.slot``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from shared.errors import RecServeError, cut
from shared.membership.status import DETAIL_CHARACTERS, Reload
from shared.runtimes import digest_of, load_model, short_digest
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import FrameType

    from shared.agent.build import AgentParts
    from shared.agent.settings import AgentSettings
    from shared.runtimes import ModelSettings

    Reread: TypeAlias = Callable[[], AgentSettings]
    """Reads an agent's settings again, from where it was started with. Raises ``SettingsError``."""

_log = get_logger()
_Outcome: TypeAlias = Literal["exchanged", "unchanged", "rolled back"]


@contextlib.asynccontextmanager
async def reloading(
    parts: AgentParts, settings: AgentSettings, reread: Reread
) -> AsyncIterator[None]:
    """Exchange the model on SIGHUP for as long as the context lasts, inside ``holding_hangups``.

    Where the signal tells that our terminal is gone, it ends the agent, as SIGTERM does.
    """
    reloader = ModelReloader(parts, settings, reread)
    loop = asyncio.get_running_loop()
    held = signal.getsignal(signal.SIGHUP)
    assert isinstance(held, _HeldHangup)  # noqa: S101 - see above

    def hang_up() -> None:
        if held.lost_its_terminal():
            loop.add_signal_handler(signal.SIGHUP, lambda: None)  # the shell says it again
            signal.raise_signal(signal.SIGTERM)
        else:
            reloader.ask()

    running = asyncio.create_task(reloader.run(), name="reload")
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    if held.heard:
        reloader.ask()
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@contextlib.contextmanager
def holding_hangups() -> Iterator[None]:
    """Keep a SIGHUP until ``reloading`` is there to hear it: it would end a process that loads."""
    before = signal.signal(signal.SIGHUP, _HeldHangup())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # see the agents' __main__
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


class _HeldHangup:
    """Takes note of SIGHUP, and ends the process as ever if it means that the terminal is gone."""

    def __init__(self) -> None:
        self.heard = False
        self._ends_with_terminal = (
            signal.getsignal(signal.SIGHUP) is signal.SIG_DFL and _has_terminal()
        )

    def lost_its_terminal(self) -> bool:
        """Say whether we had a terminal, were not told to outlive it (nohup), and it is gone."""
        return self._ends_with_terminal and not _has_terminal()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.lost_its_terminal():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.heard = True


class ModelReloader:
    """Exchanges one agent's model when it is asked to; asked meanwhile, once more afterwards."""

    def __init__(self, parts: AgentParts, settings: AgentSettings, reread: Reread) -> None:
        self._parts = parts
        self._settings = settings
        self._reread = reread
        self._asked = asyncio.Event()
        self._number = 0

    def ask(self) -> None:
        """Have the settings read and the model exchanged soon."""
        self._asked.set()

    async def run(self) -> None:
        """Do what is asked, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            self._number += 1
            self._parts.announcer.tell(Reload(self._number))
            outcome, detail = await self._reload()
            self._parts.metrics.reloads.labels(outcome).inc()
            detail = cut(detail)[:DETAIL_CHARACTERS]
            self._parts.announcer.tell(Reload(self._number, outcome, detail))

    async def _reload(self) -> tuple[_Outcome, str]:
        """Return what became of it, and what else there is to know."""
        model = self._parts.slot.model
        try:
            wanted = await asyncio.to_thread(self._reread)
            untaken = ", ".join(self._untaken(wanted))
            outcome = await self._exchange(wanted.model)
        except RecServeError as error:
            name, bundle = model.name, short_digest(model)
            _log.warning("model not exchanged", model=name, bundle=bundle, reason=str(error))
            return "rolled back", str(error)
        except Exception as error:  # noqa: BLE001 - the next one is to be tried all the same
            _log.exception("a reload broke")
            return "rolled back", f"{type(error).__name__}: {error}"
        if outcome == "unchanged":
            _log.info("model unchanged", model=model.name, bundle=short_digest(model))
        if not untaken:
            return outcome, ""
        _log.warning("settings changed that only a restart takes", keys=untaken)
        return outcome, f"changed, too, and only taken by a restart: {untaken}"

    async def _exchange(self, wanted: ModelSettings) -> _Outcome:
        """Exchange the model if another one is wanted, or none is known to be the same."""
        ours = self._settings.model
        wanted = msgspec.structs.replace(wanted, batch_prompts=ours.batch_prompts)
        digest = await asyncio.to_thread(digest_of, wanted)
        if wanted == ours and digest and digest == self._parts.slot.model.digest:
            return "unchanged"
        await self._parts.slot.exchange(lambda: load_model(wanted))
        self._settings = msgspec.structs.replace(self._settings, model=wanted)
        return "exchanged"

    def _untaken(self, wanted: AgentSettings) -> list[str]:
        """Return the keys that differ from what the agent runs with, and are not the model's."""
        old, new = msgspec.to_builtins(self._settings), msgspec.to_builtins(wanted)
        return [
            key
            for key in _differing(old, new)
            if not key.startswith("model.") or key == "model.batch_prompts"
        ]


def _differing(old: dict[str, Any], new: dict[str, Any], above: str = "") -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        one, other = old.get(key), new.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _differing(one, other, f"{above}{key}.")
        elif one != other:
            yield f"{above}{key}"


def _has_terminal() -> bool:
    """Say whether this process has a terminal that controls it, and that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True

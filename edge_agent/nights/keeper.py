"""The nights of a running edge: begun when they are due, their models exchanged, watched, believed.

What takes time is another process; here are a look at the clock now and then, the exchange of the
model, and the comparison of its first answers with those from above. Whatever goes wrong costs a
line in the log: the model that serves goes on serving.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.nights.belief import believed_now, open_order, order_next, with_night
from edge_agent.nights.canary import AgreedAbove, judge
from edge_agent.nights.due import why_due
from edge_agent.nights.folder import Believed, told_of
from edge_agent.nights.probing import probe_ghosts
from edge_agent.nights.trainer import train
from shared.errors import RecServeError
from shared.messages import Failure
from shared.runtimes import digest_of, load_model
from shared.tasks import agrees
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edge_agent.memory.wing import Wing
    from edge_agent.nights.folder import NightFolder, NightOrder, NightOutcome
    from edge_agent.nights.settings import NightSettings
    from shared.agent.build import AgentParts
    from shared.cascade.tier import Escalation
    from shared.messages import Result
    from shared.runtimes import ModelSettings
    from shared.serving.slot import ModelSlot
    from shared.serving.solver import ModelRunner
    from shared.tasks import Task

_log = get_logger()
LOOK_S: Final = 5.0
"""Between two looks at whether anything is to be done."""
_MEMORY: Final = 200
"""Comparisons of the model that is believed which count: older ones fade."""


class NightKeeper:
    """Holds the nights of one edge agent."""

    def __init__(
        self,
        settings: NightSettings,
        own: ModelSettings,
        nights: NightFolder,
        wing: Wing,
        *,
        training: Callable[[NightFolder, int], Awaitable[NightOutcome]] = train,
        look_s: float = LOOK_S,
    ) -> None:
        """Keep the nights in a folder; ``own`` is the settings' model, on which they are built.

        ``training`` is done in a process of its own.
        """
        self._settings = settings
        self._own = own
        self._digest = digest_of(own)
        self._nights = nights
        self._wing = wing
        self._train = training
        self._look_s = look_s
        self._believed = believed_now(nights, self._digest)
        self._agreement = AgreedAbove()
        self._probed = ""
        """The day on which it was last asked for what it learned."""

    def observe(self, escalation: Escalation, result: Result) -> None:
        """Compare the model's own answer with the one from above; returns at once."""
        by_model = escalation.observation.way == "model"
        if not by_model or result.degraded or isinstance(result.outcome, Failure):
            return
        ours = escalation.local_result.outcome
        self.compare(same=not isinstance(ours, Failure) and agrees(ours, result.outcome))

    def compare(self, *, same: bool) -> None:
        """Count an answer of the model that was, or was not, the one from above."""
        watched = self._believed is not None and self._believed.watched
        self._agreement = self._agreement.note(same=same, most=0 if watched else _MEMORY)

    async def run(self, parts: AgentParts) -> None:
        """Look after the nights until cancelled."""
        while True:
            try:
                await self._look(parts.slot)
                await self._probe(parts.batcher)
            except RecServeError as error:
                _log.error("a night went wrong, and the model goes on", reason=str(error))
            except Exception:  # noqa: BLE001 - nights are not what the agent is there for
                _log.exception("a night broke, and the model goes on")
            await asyncio.sleep(self._look_s)

    async def _look(self, slot: ModelSlot) -> None:
        if self._believed is not None and self._believed.watched:
            await self._watch(slot, self._believed)
            return
        order = open_order(self._nights, self._digest)
        if order is None and (why := await self._why(slot)):
            # In a thread: every file of the bundle is hashed.
            order = await asyncio.to_thread(order_next, self._nights, self._settings, self._own)
            _log.info("a night begins", night=order.number, reason=why)
        if order is not None:
            await self._hold(slot, order)

    async def _probe(self, runner: ModelRunner) -> None:
        """Ask once a day for some of what was learned."""
        today = f"{datetime.now().astimezone():%Y-%m-%d}"
        if today == self._probed:
            return
        self._probed = today
        asked, lost = await probe_ghosts(self._wing, runner, self._settings.ghosts_probed)
        if asked:
            _log.info("the model was asked for what it learned", ghosts=asked, lost=lost)

    async def _why(self, slot: ModelSlot) -> str:
        """Return why a night is to begin; empty if none is."""
        if self._nights.take_asked():
            return "it was asked for"
        numbers = self._nights.numbers
        last = self._nights.order(numbers[-1]) if numbers else None
        task: Task = "generate" if "generate" in slot.model.tasks else "classify"
        waiting, fresh = await self._wing.learnable(task, last.ordered_s if last else 0.0)
        now = datetime.now().astimezone()
        return why_due(self._settings, now, last.day if last else "", waiting, fresh)

    async def _hold(self, slot: ModelSlot, order: NightOrder) -> None:
        outcome = await self._train(self._nights, order.number)
        self._wing.note_night(told_of(outcome))
        said = {"night": order.number, "seconds": outcome.seconds, "new": outcome.new}
        if outcome.verdict != "passed":
            _log.warning(
                f"a night's model is not served: {outcome.verdict}", reason=outcome.why, **said
            )
            return
        _log.info("a night's model passed its gates", learned=len(outcome.learned), **said)
        try:
            await self._serve(slot, order.number)
        except RecServeError as error:
            why = f"its model cannot be served: {error}"  # and it is not tried at every look
            self._nights.write_outcome(
                msgspec.structs.replace(outcome, verdict="failed", why=why, learned={})
            )
            raise
        self._believe_new(order)

    def _believe_new(self, order: NightOrder) -> None:
        """Watch the model of a night, which serves now, against the one before."""
        before = self._agreement
        self._agreement = AgreedAbove()
        self._believe(
            Believed(
                night=order.number,
                before=order.warm,
                own=order.own,
                since_s=time.time(),
                latest=order.number,
                compared=before.compared,
                same=before.same,
            )
        )

    async def _watch(self, slot: ModelSlot, believed: Believed) -> None:
        """Keep a model that has been served for a while, or take it back."""
        before = AgreedAbove(believed.compared, believed.same)
        watched_s = time.time() - believed.since_s
        judgement = judge(self._settings, before, self._agreement, watched_s)
        if judgement == "keep":
            await self._keep(believed)
        elif judgement == "take back":
            await self._serve(slot, believed.before)
            _log.warning(
                "a night's model is taken back",
                night=believed.night,
                agreed=self._agreement,
                agreed_before=before,
            )
            self._believe(
                msgspec.structs.replace(
                    believed, night=believed.before, watched=False, since_s=time.time()
                )
            )
            self._agreement = before

    async def _keep(self, believed: Believed) -> None:
        """Let the memory go of what the model knows now."""
        outcome, rows = self._nights.outcome(believed.night), self._nights.rows(believed.night)
        if outcome is not None and rows is not None:
            taught = [row.entry for row in rows.new]
            await self._wing.internalise(outcome.learned, taught, outcome.bundle)
        _log.info("a night's model is kept", night=believed.night, agreed=self._agreement)
        self._believe(msgspec.structs.replace(believed, watched=False))

    async def _serve(self, slot: ModelSlot, night: int) -> None:
        """Exchange the model for that of a night. Raises ``BundleError``; then it goes on."""
        wanted = with_night(self._nights, self._own, night)
        await slot.exchange(lambda: load_model(wanted))

    def _believe(self, believed: Believed) -> None:
        self._nights.believe(believed)
        self._believed = believed

"""Sends an escalated prompt to one living agent of the tier above, and to another if need be."""

from __future__ import annotations

import asyncio
import math
import random
import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from shared.bus import Published
from shared.errors import BusError
from shared.membership.balancer import LoadBalancer
from shared.membership.listening import Listening
from shared.membership.watcher import StatusWatcher
from shared.supervision import logged_if_broken
from shared.tasks import TASKS
from shared.telemetry.log import get_logger
from shared.telemetry.rejections import RejectionLog
from shared.wire.burden import link, packet_bytes
from shared.wire.codec import encode_prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from shared.bus import Bus
    from shared.membership.balancer import Pick
    from shared.membership.roster import Roster
    from shared.membership.status import Status
    from shared.membership.watcher import HeardStatus
    from shared.messages import Prompt
    from shared.tasks import Task
    from shared.telemetry.metrics import Metrics
    from shared.wire.topics import Topics

_log = get_logger()
_TRIES = 8
"""Agents that one prompt is offered to in a row: more that are not there are somebody's making."""


class Dispatcher:
    """Knows who is alive above and puts prompts on their topics."""

    def __init__(
        self,
        bus: Bus,
        topics: Topics,
        metrics: Metrics,
        *,
        tier: str,
        above: Sequence[str],
        pool: str = "",
        origin: str = "",
        labels: str = "",
        tasks: Collection[Task] = TASKS,
        listen_s: float = math.inf,
        draw: random.Random | None = None,
    ) -> None:
        """Send as of the prompts' own origins, or all as of ``origin`` where one is named.

        The latter is for an agent with a bus of its own to the tiers above, on a broker that does
        not know the devices: results come back to it there, with all hops, and are its to pass on.
        ``tasks`` and ``labels`` (``shared.membership.status.name_labels``) are those of our model:
        agents that choose among other labels are not asked. Statuses are heard until ``listen_s``
        after the last prompt that went up.
        """
        self.choice = LoadBalancer(
            above,
            draw or random.Random(),  # noqa: S311 - spreads load, guards nothing
            pool=pool,
            labels=labels,
            tasks=tasks,
            listening=Listening(listen_s),
        )
        self._tier = tier
        self._bus = bus
        self.topics = topics
        self._metrics = metrics
        self._statuses = StatusWatcher(bus, topics, self._hear, RejectionLog(metrics))
        self._origin = origin
        self._appeared: list[Callable[[], None]] = []
        for roster in self.choice.rosters:
            metrics.open_breakers.labels(roster.tier).set_function(roster.count_open_breakers)
            metrics.agents_above.labels(roster.tier).set_function(partial(self._count, roster))
        self._rest_timer: asyncio.TimerHandle | None = None
        self._beginning: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen to the statuses of the tiers above, until they are known and nothing goes up."""
        self.choice.wake(time.monotonic())
        await self._watch_all()

    def stop(self) -> None:
        """Look no more at whether statuses have to be heard: the connection ends anyway."""
        if self._rest_timer is not None:
            self._rest_timer.cancel()

    def on_agent(self, appeared: Callable[[], None]) -> None:
        """Call ``appeared`` whenever an agent above comes alive, or works again after failures.

        Not when its breaker lets a first trial through: whoever waits would come for that one place
        all at once. The next prompt, or a repeat, is the trial.
        """
        self._appeared.append(appeared)

    def doubt(self, agent: str, *, stopped: bool) -> None:
        """Prefer others to an agent that said nothing when it was asked again.

        Where its heartbeat is late too, or it ``stopped`` saying that it works, that is a failure.
        """
        self._wake()
        self._passed_over(agent, self.choice.doubt(agent, time.monotonic(), stopped=stopped))

    def failed(self, agent: str) -> None:
        """Count a model's failure against an agent; being ``busy`` is none.

        Agents that fail several times in a row are passed over for a while, and a tier of nothing
        else as if it were dead. Behind a pool's address nobody knows whose failure it was.
        """
        self._passed_over(agent, self.choice.failed(agent, time.monotonic()))

    def works(self, agent: str) -> None:
        """Take note that an agent said it is at work."""
        self.choice.works(agent, time.monotonic())

    def succeeded(self, agent: str) -> None:
        """Take note that an agent answered; one that was passed over may be sent prompts again."""
        roster = self.choice.succeeded(agent, time.monotonic())
        if roster is not None:
            self._welcome(agent, roster)

    async def send(
        self,
        prompt: Prompt,
        up: int,
        *,
        to: str = "",
        tried: Collection[str] = (),
        again: bool = False,
    ) -> Pick | None:
        """Send the prompt ``up`` tiers and return who has it; None if nobody took it.

        It goes ``to`` the agent named, if there is one that can take it. Else a tier without a free
        agent is passed over for the next one up, then for those below it. Agents in ``tried`` were
        silent or busy and are left out; with ``again`` they all get another chance once no other is
        left. A broker that knows of no subscriber makes us try the next agent at once, a few times.
        Raises ``BusError`` when it could not be sent: ``TooLarge`` if it never can.
        """
        self._wake()
        for _ in range(_TRIES):
            now_s = time.monotonic()
            chosen = self.choice.choose(prompt, up, now_s, to=to, tried=tried, again=again)
            if chosen is None:
                return None
            delivery = await self._publish(prompt, chosen, now_s)
            if delivery is Published.TAKEN:
                return chosen
            # It is not connected, whatever it said last; its next word brings it back.
            chosen.roster.forget(chosen.agent)
        return None

    def why_nobody(self, task: Task) -> str:
        """Say why no agent above takes a prompt, in words for whoever asked."""
        now_s = time.monotonic()
        if any(roster.alone_with_others(task, now_s) for roster in self.choice.rosters):
            return f"no agent above answers {task}"
        if any(roster.misfits(now_s) for roster in self.choice.rosters):
            return "no agent above is alive whose model has the same labels as ours"
        return "no agent above is alive"

    async def _publish(self, prompt: Prompt, chosen: Pick, now_s: float) -> Published:
        if self._origin:
            own = {"origin": self._origin, "sender": self._origin}
            prompt = msgspec.structs.replace(prompt, **own)
        prompt = chosen.hand(prompt)
        topic = self.topics.prompt(chosen.address, prompt.task, prompt.origin, prompt.sender)
        payload = encode_prompt(prompt, now_s)
        try:
            delivery = await self._bus.publish(
                topic, payload, expiry_s=max(prompt.deadline_s - now_s, 0.0)
            )
        except BusError as error:
            to = chosen.address
            _log.warning("prompt not sent", id=str(prompt.id), to=to, reason=str(error))
            raise
        name = link(self._tier, chosen.roster.tier)
        self._metrics.count_link(name, "up", packet_bytes(topic, payload))
        return delivery

    def _wake(self) -> None:
        """Have the statuses heard from now on; the prompt does not wait for them.

        It goes to whom we knew. Should that agent have gone meanwhile, the broker says that nobody
        is there, or the statuses do, a round trip later.
        """
        if self.choice.wake(time.monotonic()):
            self._beginning = asyncio.ensure_future(self._listen())
        self._rest_later()

    async def _listen(self) -> None:
        with logged_if_broken("listening to the statuses above"):
            await self._watch_all()

    async def _watch_all(self) -> None:
        for roster in self.choice.rosters:
            await self._statuses.watch(roster.tier)

    def _rest_later(self) -> None:
        left_s = self.choice.listening.due_s - time.monotonic()
        if self._rest_timer is None and math.isfinite(left_s):
            self._rest_timer = asyncio.get_running_loop().call_later(left_s, self._rest)

    def _rest(self) -> None:
        """Listen no more, unless something needs it; what does looks again later."""
        self._rest_timer = None
        now_s = time.monotonic()
        if self.choice.rest(now_s):
            for roster in self.choice.rosters:
                self._statuses.ignore(roster.tier)
        elif self.choice.listening.due_s > now_s:
            self._rest_later()

    def _passed_over(self, agent: str, roster: Roster | None) -> None:
        if roster is not None:
            _log.warning("agent above passed over", agent=agent, tier=roster.tier)

    def _hear(self, heard: HeardStatus) -> None:
        (tier, agent), status, kept = heard
        if status is None:
            self.choice.forget(tier, agent)
            return
        now_s, clock_ms = time.monotonic(), int(time.time() * 1000)
        roster = self.choice.hear(tier, agent, status, now_s, clock_ms=clock_ms, kept=kept)
        if roster is not None:
            self._introduce(agent, status, roster)

    def _introduce(self, agent: str, status: Status, roster: Roster) -> None:
        self._welcome(agent, roster)
        if roster.is_misfit(status):
            _log.warning(
                "agent above has other labels and is not asked",
                agent=agent,
                tier=roster.tier,
                model=status.model,
                labels=status.labels,
                ours=roster.labels,
            )

    def _welcome(self, agent: str, roster: Roster) -> None:
        _log.info("agent above", agent=agent, tier=roster.tier)
        self.choice.listening.use(time.monotonic())
        self._rest_later()
        for appeared in self._appeared:
            appeared()

    def _count(self, roster: Roster) -> int:
        return self.choice.count_fit(roster, time.monotonic())

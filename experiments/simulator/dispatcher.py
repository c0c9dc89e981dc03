"""An agent's sight of the tiers above, and its word to them, in simulated time.

Who listens hears every status of the tiers above. To spare a large fleet millions of them, an agent
takes in what was announced since when it next has something to send or to doubt: the same statuses,
as of when they were announced. Only of an agent that comes alive all who listen hear at once, since
prompts may wait for one. Their way to the agent takes no time here, though the broker's work
counts, and so does it for those who begin to listen and stop. All knew the tiers above from before.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from shared.membership.balancer import LoadBalancer
from shared.membership.listening import Listening
from shared.membership.roster import is_alive
from shared.protocol.evidence import Blame, Credit, Doubt, Trust
from shared.wire.burden import link, packet_bytes
from shared.wire.codec import encode_prompt

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Collection

    from experiments.simulator.clock import SimulatedClock
    from experiments.simulator.network import Network
    from experiments.simulator.ports import PromptReader
    from shared.agent.settings import AgentSettings
    from shared.membership.status import Status
    from shared.messages import Prompt
    from shared.wire.topics import Topics


class Announced(NamedTuple):
    """The latest status of an agent: which one it is, when it came, and who is meant."""

    number: int
    at_s: float
    status: Status
    agent: PromptReader


class StatusBoard:
    """The latest statuses of all upper agents, by tier and agent.

    ``listeners`` are told at once of an agent that comes alive: its tier and its name, and
    ``listening`` is how many hear the statuses of a tier.
    """

    def __init__(self) -> None:
        self.tiers: dict[str, dict[str, Announced]] = {}
        self.listeners: list[Callable[[str, str], None]] = []
        self.listening: Counter[str] = Counter()

    def announce(self, tier: str, agent: PromptReader, status: Status, now_s: float) -> None:
        """Take in a status."""
        known = self.tiers.setdefault(tier, {})
        before = known.get(agent.name)
        number = before.number + 1 if before else 1
        known[agent.name] = Announced(number, now_s, status, agent)
        if before is None or not is_alive(before.status, before.at_s, now_s):
            for listener in self.listeners:
                listener(tier, agent.name)


class SimulatedDispatcher:
    """One agent's way up."""

    def __init__(
        self,
        clock: SimulatedClock,
        network: Network,
        board: StatusBoard,
        settings: AgentSettings,
        name: str,
        topics: Topics,
        draw: random.Random,
    ) -> None:
        tier = settings.tier
        self.choice = LoadBalancer(
            tier.above, draw, listening=Listening(settings.upstream.listen_s)
        )
        self._clock = clock
        self._network = network
        self._board = board
        self._topics = topics
        self._name = name
        self._tier = tier.name
        self._heard: dict[str, int] = {}
        self._appeared: list[Callable[[], None]] = []
        self._rests_later = False
        self._began_s = clock.now_s
        board.listeners.append(self._come_alive)
        self._look()
        if not self.choice.rest(clock.now_s):
            self._begin()

    def on_agent(self, appeared: Callable[[], None]) -> None:
        """Call ``appeared`` whenever an agent above comes alive, or works again after failures."""
        self._appeared.append(appeared)

    def heed(self, evidence: Credit | Trust | Doubt | Blame) -> None:
        """Take in what word from above tells of an agent."""
        now_s = self._clock.now_s
        match evidence:
            case Credit(agents):
                back = [self.choice.succeeded(agent, now_s) for agent in agents]
                if any(back):
                    self._welcome()
            case Trust(agent):
                self.choice.works(agent, now_s)
            case Doubt(agent, stopped):
                self._wake()
                self.choice.doubt(agent, now_s, stopped=stopped)
            case Blame(agent):
                self.choice.failed(agent, now_s)

    def send(self, prompt: Prompt, up: int, *, to: str, tried: Collection[str], again: bool) -> str:
        """Give the prompt to an agent above and return which, or nothing."""
        now_s = self._clock.now_s
        self._wake()
        chosen = self.choice.choose(prompt, up, now_s, to=to, tried=tried, again=again)
        if chosen is not None:
            above, prompt = chosen.roster.tier, chosen.hand(prompt)
            topic = self._topics.prompt(chosen.agent, prompt.task, prompt.origin, prompt.sender)
            size = packet_bytes(topic, encode_prompt(prompt, now_s))
            self._network.link_bytes[link(self._tier, above)] += size
            reader = self._board.tiers[above][chosen.agent].agent
            self._network.send(self._name, chosen.agent, size, reader.take_prompt, prompt)
        return chosen.agent if chosen else ""

    def _wake(self) -> None:
        """Hear what came since the last time; who begins to listen hears it after this prompt."""
        if self.choice.wake(self._clock.now_s):
            self._begin()
        else:
            self._look()
        self._rest_later()

    def _begin(self) -> None:
        """Subscribe: a packet each way, and the status that the broker kept of every agent."""
        self._began_s = self._clock.now_s
        for roster in self.choice.rosters:
            self._board.listening[roster.tier] += 1
            self._network.carry(1, 1 + len(self._board.tiers.get(roster.tier, ())))

    def _rest_later(self) -> None:
        if not self._rests_later:
            self._rests_later = True
            self._clock.at(self.choice.listening.due_s, self._rest)

    def _rest(self) -> None:
        """Unsubscribe, unless something needs the statuses; what does looks again later."""
        self._rests_later = False
        self._look()
        if self.choice.rest(self._clock.now_s):
            for roster in self.choice.rosters:
                self._board.listening[roster.tier] -= 1
                self._network.carry(1, 1)
        elif self.choice.listening.due_s > self._clock.now_s:
            self._rest_later()

    def _look(self) -> None:
        """Hear the statuses that came since the last time."""
        for roster in self.choice.rosters:
            for name, announced in self._board.tiers.get(roster.tier, {}).items():
                if self._heard.get(name) != announced.number:
                    self._hear(roster.tier, name, announced)

    def _come_alive(self, tier: str, name: str) -> None:
        if not self.choice.listening.on:
            return
        if self._hear(tier, name, self._board.tiers[tier][name]):
            self._welcome()

    def _hear(self, tier: str, name: str, announced: Announced) -> bool:
        """Take in a status; what came before we began to listen the broker had kept for us."""
        self._heard[name] = announced.number
        kept = announced.at_s <= self._began_s
        heard_s = max(announced.at_s, self._began_s)
        return self.choice.hear(tier, name, announced.status, heard_s, kept=kept) is not None

    def _welcome(self) -> None:
        self.choice.listening.use(self._clock.now_s)
        self._rest_later()
        for appeared in self._appeared:
            appeared()

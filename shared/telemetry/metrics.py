"""What an agent counts, in Prometheus' terms; each agent has a registry of its own.

The page docs/metrics.md is written from what is described here.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta
from msgspec.structs import force_setattr
from prometheus_client import PlatformCollector, ProcessCollector, start_http_server

from shared.errors import SettingsError
from shared.settings.address import Address, read_host
from shared.settings.base import Closed, Port
from shared.telemetry.described import DescribedRegistry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from wsgiref.simple_server import WSGIServer

    from shared.telemetry.described import Described

_NAMES = 8
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TIER = "the agent's own tier"
_ABOVE = "a tier above"
_TASK = "`classify`, `tag`, `generate`"


class MetricsSettings(Closed, frozen=True, kw_only=True):
    """Where Prometheus finds this agent."""

    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="TCP port of /metrics; 0: none")] = 0

    def __post_init__(self) -> None:
        """Hold the address to the form of one."""
        force_setattr(self, "host", read_host(self.host, "metrics.host"))


class Metrics:
    """The counters of one agent."""

    def __init__(self) -> None:
        self.registry = DescribedRegistry()
        self._server: WSGIServer | None = None
        self._links: set[str] = set()
        self._tiers: set[str] = set()
        self._describe_decisions()
        self._describe_requests()
        self._describe_model()
        self._describe_above()
        self._describe_memory()
        self._describe_trouble()
        self._describe_agent()
        self.registry.log_lines()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    @property
    def described(self) -> Sequence[Described]:
        """Every metric of ours, as its readers find it."""
        return self.registry.described

    def introduce(self, agent: str, tier: str, model: str, bundle: str) -> None:
        """Say whose metrics these are, and which model answers from now on."""
        self._about.info(
            {
                "version": version("recserve"),
                "agent": agent,
                "tier": tier,
                "model": model,
                "bundle": bundle,
            }
        )

    def count_link(self, link: str, direction: Literal["up", "down"], packet_bytes: int) -> None:
        """Count a packet on a link."""
        link = _one_of_few(self._links, link)
        self.link_bytes.labels(link, direction).inc(packet_bytes)

    def count_answer(self, tier: str, waited_s: float, *, degraded: bool) -> None:
        """Count what an asker waited for an answer of a tier."""
        tier = _one_of_few(self._tiers, tier)
        self.answer_seconds.labels(tier, "yes" if degraded else "no").observe(waited_s)

    def serve(self, settings: MetricsSettings) -> None:
        """Serve ``/metrics`` if a port is set; raises ``SettingsError`` if it is taken."""
        if not settings.port:
            return
        try:
            self._server, _ = start_http_server(
                settings.port, settings.host, registry=self.registry
            )
        except OSError as error:
            where = Address(settings.host, settings.port)
            raise SettingsError(f"metrics: cannot listen on {where} ({error.strerror})") from error

    def close(self) -> None:
        """Stop serving ``/metrics``."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _describe_decisions(self) -> None:
        self.prompts = self.registry.counter(
            "recserve_prompts",
            "Prompts judged, by what became of them. One that was escalated and comes to nothing "
            "counts as degraded as well.",
            tier=_TIER,
            task=_TASK,
            outcome="`kept`, `escalated`, `degraded`, `failed`",
        )
        self.tokens = self.registry.counter(
            "recserve_tokens",
            "Tokens of texts: of prompts as the model reads them, and written. A text that was "
            "called off does not count.",
            tier=_TIER,
            direction="`read`, `written`",
        )
        self.compared = self.registry.counter(
            "recserve_compared",
            "Prompts that went up and whose answer came back here.",
            tier=_TIER,
            task=_TASK,
            agreed="`yes` where it says what this agent would have said, else `no`",
        )
        self.threshold = self.registry.gauge(
            "recserve_threshold", "Current threshold on the confidence.", tier=_TIER, task=_TASK
        )
        self.policy = self.registry.gauge(
            "recserve_policy",
            "What the policy of a tier is to hold, and what it believes.",
            tier=_TIER,
            task=_TASK,
            figure="by policy: `beta_ratio`, `budget_spent_ratio`, `disagreement_ratio` with "
            "`disagreement_low_ratio` and `disagreement_high_ratio`, `alarms_total` of `quality`, "
            "`gain_1_ratio` and on, `adaptation_trust_ratio` of those that adapt",
        )

    def _describe_requests(self) -> None:
        self.accepted = self.registry.counter(
            "recserve_accepted", "Prompts that this device took responsibility for."
        )
        self.answered = self.registry.counter(
            "recserve_answered",
            "Their results.",
            kind="`answer`, `degraded`, `failure`, `withdrawn`",
        )
        for kind in ("answer", "degraded", "failure", "withdrawn"):
            self.answered.labels(kind)  # a share of none is 0, not nothing
        self.pending = self.registry.gauge(
            "recserve_pending", "Prompts that this device accepted and that have no result yet."
        )
        self.unaccounted = self.registry.gauge(
            "recserve_unaccounted",
            "Accepted less answered less pending: anything but 0 is a fault.",
        )
        self.answer_seconds = self.registry.histogram(
            "recserve_answer_seconds",
            "What askers of a device waited: from a prompt's arrival to its answer. For a prompt "
            "of an earlier run the time begins with this one.",
            _BUCKETS_S,
            tier=f"the tier that answered; those past the first {_NAMES} are `other`",
            degraded="`yes` where a better answer could not be had, else `no`",
        )

    def _describe_model(self) -> None:
        self.seconds = self.registry.histogram(
            "recserve_prompt_seconds",
            "Time from a prompt's arrival at this agent to its decision.",
            _BUCKETS_S,
            tier=_TIER,
        )
        self.queue_seconds = self.registry.histogram(
            "recserve_queue_seconds",
            "Time that a prompt waited for the model's turn.",
            _BUCKETS_S,
        )
        self.waiting = self.registry.gauge(
            "recserve_waiting_prompts", "Prompts that wait for the model's turn."
        )
        self.batch_prompts = self.registry.histogram(
            "recserve_batch_prompts", "Prompts that the model ran together.", _BATCHES
        )

    def _describe_above(self) -> None:
        self.connected = self.registry.gauge(
            "recserve_connected",
            "1 while the connection to a broker stands, else 0.",
            broker="`own`, or `above` for the broker of `upstream.mqtt`",
        )
        self.agents_above = self.registry.gauge(
            "recserve_agents_above",
            "Living agents that prompts can be sent to, as of when their statuses were last heard.",
            tier=_ABOVE,
        )
        self.open_breakers = self.registry.gauge(
            "recserve_open_breakers",
            "Agents above that are passed over, or only tried, because they failed.",
            tier=_ABOVE,
        )

    def _describe_memory(self) -> None:
        self.remembered = self.registry.counter(
            "recserve_memory_questions",
            "Questions that an edge looked up in its memory.",
            task=_TASK,
            outcome="`given`: answered from it; `examples`: shown to the model; `check`: known, "
            "and sent up to be compared; `unknown`: left to the model; `late`: not waited for",
        )
        self.lessons = self.registry.counter(
            "recserve_memory_lessons",
            "Answers from above that the memory heard.",
            task=_TASK,
            outcome="`stored`, `confirmed`, `conflict`: it contradicts what was known; `refused`",
        )
        self.entries = self.registry.gauge(
            "recserve_memory_entries", "Questions that it remembers."
        )
        self.wrong = self.registry.gauge(
            "recserve_memory_wrong_ratio",
            "Share of the checked answers of which the tier above said another thing.",
            bound="`mean`, and `low` and `high` of its 95 % interval",
        )

    def _describe_trouble(self) -> None:
        self.repeats = self.registry.counter(
            "recserve_repeats",
            "What went or came more than once.",
            kind="`retry`: a prompt sent again after silence; `prompt`, `ask`, `result`: one that "
            "came again; `revision`: a better answer after a degraded one",
        )
        self.refused = self.registry.counter(
            "recserve_refused",
            "Messages and prompts not taken.",
            fault="`malformed`; `version`: of another form; `retained`; `flooded`; `unsaid`: an "
            "answer that nobody was there for; or the code of the refusal: `invalid_prompt`, "
            "`unknown_task`, `model_failed`, `quarantined`, `busy`, `expired`, `stopping`, `lost`, "
            "`too_long`",
        )
        self.source_faults = self.registry.counter(
            "recserve_source_faults",
            "What went wrong at a source of prompts.",
            source="the source's name in the settings",
            fault="`dropped`, `unreadable`, `refused`, `failed`, `vanished`: a prompt that got no "
            "answer; `not written`: an answer; `not remembered`, `forgotten`: how far it was; "
            "`broken`: a fault of RecServe",
        )
        self.link_bytes = self.registry.counter(
            "recserve_link_bytes",
            "Bytes of MQTT PUBLISH packets put on a link.",
            link=f"two tiers: `device-edge`; those past the first {_NAMES} are `other`",
            direction="`up`, `down`",
        )

    def _describe_agent(self) -> None:
        self.reloads = self.registry.counter(
            "recserve_reloads",
            "Times that this agent was asked to exchange its model.",
            outcome="`exchanged`; `unchanged`: it was the one already; `rolled back`: the new one "
            "could not be loaded or failed its probe, and the one before answers on",
        )
        for outcome in ("exchanged", "unchanged", "rolled back"):
            self.reloads.labels(outcome)
        self._about = self.registry.info(
            "recserve_info",
            "Always 1; its labels say what runs here.",
            version="of RecServe",
            agent="the agent's name",
            tier=_TIER,
            model="the model's name",
            bundle="the first characters of the SHA-256 of its bundle's manifest; for a model of "
            "the Hugging Face hub of its commit; empty if unknown",
        )


def _one_of_few(known: set[str], name: str) -> str:
    """Return a name that may stand in a label.

    Names of other tiers are known only from what prompts and answers say of themselves, so all but
    the first few are counted as one.
    """
    if name not in known and len(known) >= _NAMES:
        return "other"
    known.add(name)
    return name

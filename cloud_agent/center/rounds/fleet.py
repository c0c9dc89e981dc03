"""The fleet as placement sees it: which nodes may take a job, and which models they could hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloud_agent.center.placement.jobs import OpenNode
from cloud_agent.center.placement.weighing import Holding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from cloud_agent.center.catalogue.cards import Catalogue
    from cloud_agent.center.registry.members import FleetMember, Registry
    from shared.tasks import Task

_DEVICE: Final = "device"
_CHANGING: Final = frozenset({"loading"})
_COMING: Final = frozenset({"fetching", "verified"})
_BYTES_PER_S: Final = 2e6
"""Of a link that nobody has measured yet."""
_MEMORY_BYTES: Final = float("inf")


class FleetView:
    """Looks at a registry with a catalogue in hand."""

    def __init__(self, registry: Registry, catalogue: Catalogue) -> None:
        self._registry = registry
        self._catalogue = catalogue

    def is_gone(self, node: str) -> bool:
        """Say whether a node is dead, or is no longer known; a suspect one may yet answer."""
        member = self._registry.find(node)
        return member is None or member.life == "dead"

    def open_nodes(
        self, task: Task, queued_s: Mapping[str, float], rtt_s: Mapping[str, float]
    ) -> list[OpenNode]:
        """Return the nodes that may be given a job of a task.

        They are alive, answer such tasks, are not between two models, and run a model that is in
        the catalogue. ``queued_s`` is what we have given each; what it says itself counts if that
        is more.
        """
        nodes = []
        for member, model in self._serving():
            status = member.status
            if status is None or task not in status.tasks:
                continue
            said_s = status.load.wait_ms / 1000
            backlog_s = max(queued_s.get(member.name, 0.0), said_s)
            nodes.append(OpenNode(member.name, model, backlog_s, rtt_s.get(member.name, 0.02)))
        return nodes

    def holdings(
        self, rtt_s: Mapping[str, float], shipped: Collection[str] | None
    ) -> list[Holding]:
        """Return what every node holds and could hold; ``shipped`` are bundles that can be sent.

        A node that is on its way to another model is taken to hold that one already.
        """
        found = []
        for member, model in self._serving():
            report = member.report
            on_disk = {model}
            memory_bytes, bytes_per_s = _MEMORY_BYTES, _BYTES_PER_S
            if report is not None:
                on_disk |= {held.digest for held in report.bundles if held.digest}
                memory_bytes = float(report.memory_bytes) or _MEMORY_BYTES
            if member.state is not None and member.state.bytes_s > 0:
                bytes_per_s = member.state.bytes_s
            found.append(
                Holding(
                    node=member.name,
                    model=self._coming(member) or model,
                    memory_bytes=memory_bytes,
                    bytes_per_s=bytes_per_s,
                    rtt_s=rtt_s.get(member.name, 0.02),
                    on_disk=frozenset(on_disk),
                    reachable=None if shipped is None else frozenset(shipped),
                )
            )
        return found

    def model_of(self, node: str) -> str | None:
        """Return the model that a node serves, if the catalogue has it."""
        member = self._registry.find(node)
        return None if member is None else self._model(member)

    def unmeasured(self) -> list[tuple[str, str]]:
        """Return living nodes whose model is not in the catalogue, and what they say it is."""
        return [
            (member.name, member.status.model)
            for member in self._registry
            if member.life == "alive"
            and member.tier != _DEVICE
            and member.status is not None
            and self._model(member) is None
        ]

    def _serving(self) -> Iterator[tuple[FleetMember, str]]:
        for member in self._registry:
            changing = member.state is not None and member.state.phase in _CHANGING
            if member.life != "alive" or member.tier == _DEVICE or changing:
                continue
            model = self._model(member)
            if model is not None:
                yield member, model

    def _coming(self, member: FleetMember) -> str | None:
        """Return the model that a node is fetching or loading, if the catalogue has it."""
        state = member.state
        coming = state is not None and state.phase in _COMING and state.wanted in self._catalogue
        return state.wanted if state is not None and coming else None

    def _model(self, member: FleetMember) -> str | None:
        """Return the digest of the model in use, from the status, which has its beginning."""
        short = member.status.bundle if member.status is not None else ""
        if not short:
            return None
        return next((c.name for c in self._catalogue if c.name.startswith(short)), None)

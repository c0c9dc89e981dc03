"""What a site consists of, and the settings that its agents get. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from shared.tasks import TASKS

if TYPE_CHECKING:
    from chaos.disks import Disk
    from shared.tasks import Task

Role = Literal["device", "edge", "cloud"]
ROOT: Final = Path(__file__).parents[1]
_ABOVE: Final[dict[Role, Role | None]] = {"device": "edge", "edge": "cloud", "cloud": None}
_BUNDLES: Final[dict[Task, dict[Role, str]]] = {
    "classify": {
        "device": "sentiment-device", "edge": "sentiment-edge", "cloud": "sentiment-cloud",
    },
    "tag": {"device": "entities-device", "edge": "entities-edge", "cloud": "entities-edge"},
    "generate": {
        "device": "translate-device", "edge": "translate-edge", "cloud": "translate-cloud",
    },
}  # fmt: skip
_WRITES: Final[dict[str, Any]] = {"runtime": "genai", "max_new_tokens": 64}
_HASTY: Final[dict[str, Any]] = {
    "mqtt": {"keepalive_s": 2, "reconnect_max_s": 1.0},
    "heartbeat_s": 1.0,
    "upstream": {"patience_s": 4.0},
    "limits": {"timeout_s": 10.0, "drain_s": 3.0},
}


@dataclass(frozen=True)
class Plan:
    """Who is there, and what is wrong with them from the start.

    An agent serves one model, so each machine runs an agent for each of the ``tasks``, and
    ``devices``, ``edges`` and ``clouds`` count machines; what has a machine's name is meant for all
    of its agents. ``trouble`` are flags of ``chaos.launcher`` by machine, ``settings`` changes by
    role; ``hasty`` ones are those of a site that notices everything soon, else they are the
    defaults. With ``links`` every agent reaches its broker through a proxy of its own; with
    ``crowd`` the devices share one process, called ``device-1``. With ``upper`` the cloud is on a
    broker of its own, and edge agents on both. Agents of the role of ``disk`` keep their state on
    that. ``packet_bytes`` is what the broker carries at most, if not the usual. ``logs`` are
    machines whose standard error has no reader any more, or a full disk. With ``lines`` devices
    read a file of prompts, too. With ``remembers`` each edge agent has a memory.
    """

    tasks: tuple[Task, ...] = ("classify",)
    devices: int = 2
    edges: int = 2
    clouds: int = 1
    links: bool = False
    crowd: bool = False
    hasty: bool = True
    upper: bool = False
    lines: bool = False
    remembers: bool = False
    packet_bytes: int = 0
    disk: Disk | None = None
    logs: dict[str, Literal["no reader", "full"]] = field(default_factory=dict)
    trouble: dict[str, tuple[str, ...]] = field(default_factory=dict)
    settings: dict[Role, dict[str, Any]] = field(default_factory=dict)

    def names(self, role: Role) -> list[str]:
        """Return the names of the agents of one role."""
        count = {"device": self.devices, "edge": self.edges, "cloud": self.clouds}[role]
        machines = [f"{role}-{number}" for number in range(1, count + 1)]
        return [agent_at(machine, task) for machine in machines for task in self.tasks]

    def at(self, name: str) -> list[str]:
        """Return the processes at a machine; what is no machine's name is a process itself."""
        return [process for process in self.processes() if machine_of(process) == name] or [name]

    def agents(self) -> dict[str, Role]:
        """Return every agent with its role, the top first: nobody then starts without an above."""
        roles: tuple[Role, ...] = ("cloud", "edge", "device")
        return {name: role for role in roles for name in self.names(role)}

    def above(self) -> list[str]:
        """Return the agents above the devices."""
        return [*self.names("edge"), *self.names("cloud")]

    def processes(self) -> list[str]:
        """Return the names of the processes, in the order of starting."""
        return [name for name, role in self.agents().items() if not self._shares(name, role)]

    def settings_of(
        self, name: str, *, port: int, state: Path, metrics: int, upper_port: int = 0
    ) -> dict[str, Any]:
        """Return an agent's settings: ``port`` of its broker, ``metrics`` its own (0: none)."""
        role, task = self.agents()[name], task_of(name)
        bundle = ROOT / "models" / "bundles" / _BUNDLES[task][role]
        settings: dict[str, Any] = {
            "agent": name,
            "tier": {"name": role, "policy": {"kind": "quantile", "beta": 0.3}},
            "model": {"source": str(bundle)} | (_WRITES if task == "generate" else {}),
            "mqtt": {"port": port, "protocol": "5"},
            "state": str(state),
            "metrics": {"port": metrics},
            "log": {"level": "warning", "format": "json"},
        }
        if self.hasty:
            _merge(settings, _HASTY)
        if _ABOVE[role]:
            settings["tier"]["upstream"] = _ABOVE[role]
        if role == "device" and not self.upper:
            settings["tier"]["beyond"] = ["cloud"]
        if role == "edge" and self.upper:
            settings["upstream"] = settings.get("upstream", {}) | {"mqtt": {"port": upper_port}}
        if role == "device" and self.lines:
            settings["sources"] = {"lines": lines_of(state, name)}
        if role == "edge" and self.remembers:
            settings["memory"] = _remembering(state, name)
        _merge(settings, self.settings.get(role, {}))
        return settings

    def _shares(self, name: str, role: Role) -> bool:
        return self.crowd and role == "device" and name != "device-1"


def agent_at(machine: str, task: Task) -> str:
    """Return the name of the agent that serves a task at a machine."""
    return machine if task == "classify" else f"{machine}-{task}"


def machine_of(agent: str) -> str:
    """Return the name of the machine that an agent runs at."""
    return "-".join(agent.split("-")[:2])


def task_of(agent: str) -> Task:
    """Return the task that an agent serves."""
    return next(task for task in TASKS if agent_at(machine_of(agent), task) == agent)


def lines_of(state: Path, device: str) -> dict[str, Any]:
    """Return the source of a device's file of prompts, which lies beside its state folder."""
    path, answers = (state.with_name(f"{device}.{kind}") for kind in ("lines", "answers"))
    return {"kind": "file", "path": str(path), "answers": str(answers)}


def embedder_of(state: Path) -> Path:
    """Return the folder of what edge agents find like questions by."""
    return state.with_name("embedder")


def memory_of(state: Path, edge: str) -> Path:
    """Return the folder of what an edge agent remembers, which lies beside its state folder."""
    return state.with_name(f"{edge}-memory")


def _remembering(state: Path, edge: str) -> dict[str, Any]:
    """Return settings of a memory that gives an answer again after one from above."""
    return {
        "embedder": str(embedder_of(state)),
        "folder": str(memory_of(state, edge)),
        "rule": "worth",
        "patience_s": 2.0,
    }


def _merge(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and "kind" not in value:
            _merge(settings.setdefault(key, {}), value)
        else:
            settings[key] = value

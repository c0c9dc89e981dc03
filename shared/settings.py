"""Settings: typed, closed and loud.

They come from a YAML file, then ``RECSERVE_…`` variables (two underscores part the levels:
``RECSERVE_TIER__POLICY__BETA=0.2``), then ``--set tier.policy.beta=0.2`` flags; the last word
counts. A key that nobody knows stops the start with its path and the nearest key that exists.
Paths in a file are relative to that file when they begin with a dot.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec
import yaml
from msgspec import Meta

from shared.errors import SettingsError
from shared.policies import PolicySettings, Quantile
from shared.runtimes import ModelSettings
from shared.topics import check_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX = "RECSERVE_"
# Besides its own error: 2001-99-99 is taken for a date that is none, and nesting may be too deep.
_NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)
_NOT_SETTINGS = frozenset({"RECSERVE_MQTT_PASSWORD", "RECSERVE_DATA"})

Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]


class _Closed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, by keyword only, and closed to unknown keys."""


class TierSettings(_Closed, frozen=True, kw_only=True):
    """The place of an agent in the cascade."""

    name: Annotated[str, Meta(description="name of the tier, one topic level")]
    policy: Annotated[
        PolicySettings, Meta(description="what decides between keeping and escalating")
    ] = Quantile()
    upstream: Annotated[
        str | None, Meta(description="tier to escalate to; none at the top of the cascade")
    ] = None
    beyond: Annotated[
        tuple[str, ...],
        Meta(description="tiers above the upstream that can be reached directly, nearest first"),
    ] = ()

    @property
    def above(self) -> tuple[str, ...]:
        """All tiers that this one can send prompts to, nearest first."""
        return (self.upstream, *self.beyond) if self.upstream else ()


class TlsSettings(_Closed, frozen=True, kw_only=True):
    """Verification of the broker, and of us."""

    ca_file: Annotated[str, Meta(description="authority that signed the broker; empty: system")] = (
        ""
    )
    cert_file: Annotated[str, Meta(description="our client certificate, if any")] = ""
    key_file: Annotated[str, Meta(description="its key, if in a file of its own")] = ""


class MqttSettings(_Closed, frozen=True, kw_only=True):
    """How to reach the broker."""

    host: Annotated[str, Meta(min_length=1, description="name or address of the broker")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=1, le=65535, description="its TCP port")] = 1883
    root: Annotated[str, Meta(description="first level or levels of every topic")] = "recserve"
    protocol: Annotated[
        Literal["auto", "5", "3.1.1"],
        Meta(description="MQTT version; auto asks for 5 and falls back"),
    ] = "auto"
    username: Annotated[str, Meta(description="user name; equal to the agent's name")] = ""
    password_file: Annotated[
        str, Meta(description="file with the password; else RECSERVE_MQTT_PASSWORD")
    ] = ""
    tls: Annotated[TlsSettings | None, Meta(description="TLS, if the broker speaks it")] = None
    plain_on_network: Annotated[
        bool, Meta(description="send in the clear to other machines, a password too")
    ] = False
    keepalive_s: Annotated[
        int, Meta(ge=1, le=65535, description="seconds; a dead link is noticed within two of them")
    ] = 15
    connect_timeout_s: Annotated[Seconds, Meta(description="limit on each step of connecting")] = (
        5.0
    )
    reconnect_min_s: Annotated[Seconds, Meta(description="first wait before a reconnect")] = 0.5
    reconnect_max_s: Annotated[Seconds, Meta(description="longest wait before a reconnect")] = 30.0
    drain_s: Annotated[Seconds, Meta(description="wait for acknowledgements when closing")] = 5.0


class UpstreamSettings(_Closed, frozen=True, kw_only=True):
    """How prompts travel to the tier above."""

    pool: Annotated[
        str, Meta(description="address a $share pool of this name instead of single agents")
    ] = ""
    patience_s: Annotated[
        float, Meta(ge=0, description="how long a prompt waits for a living agent above")
    ] = 2.0
    retry_min_s: Annotated[Seconds, Meta(description="silence before the first retry")] = 1.0
    retry_max_s: Annotated[Seconds, Meta(description="longest silence before a retry")] = 8.0


class LimitSettings(_Closed, frozen=True, kw_only=True):
    """Bounds on what an agent takes in."""

    timeout_s: Annotated[Seconds, Meta(description="time for a prompt that names none")] = 30.0
    prompt_bytes: Annotated[int, Meta(ge=1, le=1 << 19, description="longest prompt, UTF-8")] = (
        65_536
    )
    queue_prompts: Annotated[Count, Meta(description="prompts that may wait for the model")] = 1_000
    remember_prompts: Annotated[
        Count, Meta(description="answered prompts kept to answer repeats from")
    ] = 20_000
    drain_s: Annotated[Seconds, Meta(description="time to finish what is in hand on SIGTERM")] = 8.0


class LogSettings(_Closed, frozen=True, kw_only=True):
    """What is logged, and how."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="least severe level shown")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "console"], Meta(description="auto: console on a terminal")
    ] = "auto"


class MetricsSettings(_Closed, frozen=True, kw_only=True):
    """Where Prometheus finds this agent."""

    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="TCP port of /metrics; 0: none")] = 0


class AgentSettings(_Closed, frozen=True, kw_only=True):
    """Everything an edge or cloud agent needs to know."""

    agent: Annotated[str, Meta(description="name of the agent: client id and topic level")]
    tier: TierSettings
    model: ModelSettings
    mqtt: MqttSettings = MqttSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    pool: Annotated[str, Meta(description="$share pool to serve besides the own address")] = ""
    heartbeat_s: Annotated[float, Meta(gt=0, le=3600, description="time between two statuses")] = (
        5.0
    )
    limits: LimitSettings = LimitSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()

    def __post_init__(self) -> None:
        """Hold every name to what a topic can carry."""
        check_name(self.agent, "agent")
        check_name(self.tier.name, "tier.name")
        for name, what in (
            (self.tier.upstream, "tier.upstream"),
            (self.pool, "pool"),
            (self.upstream.pool, "upstream.pool"),
        ):
            if name:
                check_name(name, what)
        for name in self.tier.beyond:
            check_name(name, "tier.beyond")
        if self.tier.beyond and not self.tier.upstream:
            raise SettingsError("tier.beyond needs tier.upstream, the tier below those")
        if len({self.tier.name, *self.tier.above}) <= len(self.tier.above):
            raise SettingsError("tier.name, tier.upstream and tier.beyond must all differ")


class SourceSettings(_Closed, frozen=True, kw_only=True):
    """Where a device takes prompts from besides its Python API and its ``ask`` topic."""

    lines: Annotated[
        str, Meta(description="file with one prompt a line; '-' is standard input")
    ] = ""
    in_flight: Annotated[Count, Meta(description="prompts of the source under way at once")] = 16


class DeviceSettings(AgentSettings, frozen=True, kw_only=True):
    """Everything a device agent needs to know."""

    source: SourceSettings = SourceSettings()
    in_flight: Annotated[Count, Meta(description="prompts asked and not yet answered, at most")] = (
        1_000
    )


_Settings = TypeVar("_Settings", bound=msgspec.Struct)


def load(
    kind: type[_Settings],
    file: str | Path,
    *,
    environment: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
) -> _Settings:
    """Read settings of one kind from a YAML file, the environment and flags.

    ``flags`` are ``path.to.key=value`` texts whose values are read as YAML. Raises
    ``SettingsError`` with one sentence that names the file, variable or flag, the key and what is
    wrong.
    """
    path = Path(file)
    tree = _read_yaml(path)
    put: dict[str, str] = {}
    for name, text in sorted((environment or {}).items()):
        if name.startswith(PREFIX) and name not in _NOT_SETTINGS:
            keys = name[len(PREFIX) :].lower().split("__")
            _put(tree, keys, text, f"variable {name}")
            put[".".join(keys)] = f"variable {name}"
    for flag in flags:
        key, separator, text = flag.partition("=")
        if not separator:
            raise SettingsError(f"--set {flag!r} is not of the form path.to.key=value")
        _put(tree, key.strip().split("."), text, f"--set {flag}")
        put[key.strip()] = f"--set {flag}"
    return convert(kind, tree, str(path), put)


def convert(
    kind: type[_Settings], tree: Any, where: str, put: Mapping[str, str] | None = None
) -> _Settings:
    """Turn a tree of plain values into settings.

    Errors name ``where`` the values are from, or who ``put`` the one at fault there.
    """
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        key, fault = _explain(error, kind)
        for put_key, source in (put or {}).items():
            if f"{key}.".startswith(f"{put_key}.") or f"{put_key}.".startswith(f"{key}."):
                where = source
        raise SettingsError(f"{where}: {fault}") from error
    except UnicodeEncodeError as error:
        raise SettingsError(f"{where}: {error.object!r} is not UTF-8") from error
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from error


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = _resolve(yaml.safe_load(path.read_text(encoding="utf-8")), path.parent)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 ({error.reason})") from error
    except _NOT_YAML as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise SettingsError(f"{path}: is not YAML{line}: {problem}") from error
    if not isinstance(tree, dict):
        raise SettingsError(f"{path}: must hold a mapping of keys to values")
    return tree


def _resolve(tree: Any, base: Path) -> Any:
    """Make texts that are relative paths (``./…``, ``../…``) independent of where we run."""
    if isinstance(tree, dict):
        return {key: _resolve(value, base) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_resolve(value, base) for value in tree]
    if isinstance(tree, str) and tree.startswith(("./", "../")):
        return os.path.normpath(base / tree)
    return tree


def _put(tree: dict[str, Any], keys: list[str], text: str, where: str) -> None:
    """Set one value deep in the tree."""
    *above, last = keys
    for key in above:
        level = tree.get(key)
        if level is None:
            level = tree[key] = {}
        if not isinstance(level, dict):
            raise SettingsError(f"{where}: {key!r} holds a value, not further keys")
        tree = level
    try:
        tree[last] = yaml.safe_load(text)
    except _NOT_YAML as error:
        raise SettingsError(f"{where}: the value is not YAML") from error


def _explain(error: msgspec.ValidationError, kind: type[Any]) -> tuple[str, str]:
    """Return the key that is wrong and a sentence, for an unknown one with the nearest known."""
    text, _, at = str(error).partition(" - at ")
    path = at.strip("`").removeprefix("$").lstrip(".")
    unknown = re.search(r"unknown field `(.+)`", text)
    if not unknown:
        missing = re.search(r"missing required field `(.+)`", text)
        if missing:
            key = _join(path, missing[1])
            return key, f"the key {key!r} is missing"
        return path, f"{path or 'the file'}: {text[0].lower()}{text[1:]}"
    key, known = _join(path, unknown[1]), _fields(kind, path)
    close = difflib.get_close_matches(unknown[1], known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
    return key, f"unknown key {key!r}; {hint}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _fields(kind: type[Any], path: str) -> list[str]:
    """Return the names of the fields of the settings at a dotted path."""
    node: Any = msgspec.inspect.type_info(kind)
    for level in re.findall(r"[A-Za-z_]+", path):
        node = next(f.type for s in _structs(node) for f in s.fields if f.encode_name == level)
    return sorted({field.encode_name for s in _structs(node) for field in s.fields})


def _structs(node: Any) -> list[msgspec.inspect.StructType]:
    """Find the settings classes inside an optional, a union, a list or a mapping."""
    if isinstance(node, msgspec.inspect.StructType):
        return [node]
    if isinstance(node, msgspec.inspect.Metadata):
        return _structs(node.type)
    if isinstance(node, msgspec.inspect.UnionType):
        return [found for inner in node.types for found in _structs(inner)]
    inner = getattr(node, "item_type", None) or getattr(node, "value_type", None)
    return _structs(inner) if inner is not None else []

"""Writes the reference pages in ``docs/`` from the code they describe; a test compares them.

``python -m recserve.reference`` (``make docs``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
import msgspec

from cloud_agent.center.settings import CenterPart
from experiments.testbed.processes import UpSettings
from recserve.any_settings import AnySettings
from recserve.cli import main as command_line
from shared.telemetry.metrics import Metrics
from shared.wire.topic_table import TABLE

DOCS: Final = Path(__file__).parents[1] / "docs"
_NOTE = "<!-- Written by `make docs`; change the code, not this page. -->\n"


def pages() -> dict[str, str]:
    """Return the text of every generated page by file name."""
    return {
        "cli.md": _cli(),
        "metrics.md": _metrics(),
        "settings.md": _settings(),
        "topics.md": _topics(),
    }


def _metrics() -> str:
    rows = "\n".join(
        f"| `{metric.name}` | {metric.type} | {_unit(metric.name)} | {_labels(metric.labels)} "
        f"| {metric.meaning} |"
        for metric in Metrics().described
    )
    return (
        f"{_NOTE}# Metrics\n\n"
        "An agent serves `/metrics` for Prometheus where `metrics.port` is set. Labels take few "
        "values, whatever prompts and answers say of themselves. A histogram has the series "
        "`_bucket`, `_sum` and `_count`. Beside these are the usual `process_…` of every "
        "Prometheus client (memory, processor time, open files, start) and `python_info`. "
        "[deploy.md](deploy.md#watching-a-site) has alert rules and a Grafana board.\n\n"
        f"| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n{rows}\n"
    )


def _unit(name: str) -> str:
    bare = name.removesuffix("_total")
    units = {"seconds": "s", "bytes": "bytes", "prompts": "prompts"}
    return next((unit for ending, unit in units.items() if bare.endswith(f"_{ending}")), "–")


def _labels(labels: dict[str, str]) -> str:
    return "<br>".join(f"`{name}`: {values}" for name, values in labels.items()) or "none"


def _topics() -> str:
    rows = "\n".join(f"| `{topic}` | {writer} | {carries} |" for topic, writer, carries in TABLE)
    return (
        f"{_NOTE}# Topics\n\n"
        "`{root}` is `mqtt.root` in the settings and defaults to `recserve`. Everything travels at "
        "QoS 1 on clean sessions.\n\n"
        f"| topic | written by | carries |\n|---|---|---|\n{rows}\n"
    )


def _settings() -> str:
    head = (
        f"{_NOTE}# Settings\n\n"
        "Settings come from a YAML file, then from the environment (`RECSERVE_TIER__NAME=edge`; "
        "two underscores part the levels), then from `--set tier.name=edge`; the last word counts. "
        "A key that does not exist stops the start. `sources`, `outbox` and `in_flight` are for "
        "devices only, `memory` for edge agents, `center` and `trainer` for cloud agents.\n\n"
        "## An agent\n\n"
    )
    up = _schema(UpSettings)
    agents = up["properties"].pop("agents")["items"]
    return (
        head + _table(_schema(AnySettings)) + "\n## `recserve up`\n\n" + _table(up)
        + "\nEach entry of `agents`:\n\n" + _table(agents)
        + "\n## The centre of a fleet\n\nBesides, it has `mqtt` and `log` as an agent does.\n\n"
        + _table(_schema(CenterPart))
    )  # fmt: skip


def _schema(kind: Any) -> Any:
    """Return the JSON schema of settings with every reference in it followed."""
    whole = msgspec.json.schema(kind)

    def follow(node: Any) -> Any:
        if isinstance(node, list):
            return [follow(inner) for inner in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            node = whole["$defs"][node["$ref"].rpartition("/")[2]] | {"description": ""} | node
        return {key: follow(inner) for key, inner in node.items() if key != "$ref"}

    return follow(whole)


def _table(settings: Any) -> str:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{key}` | {type_} | {default} | {meaning} |"
        for key, type_, default, meaning in _rows(settings, "")
    ]
    return "\n".join(lines) + "\n"


def _commands(context: click.Context) -> list[str]:
    """Return the help of every command below one, and of those below it."""
    group = context.command
    if not isinstance(group, click.Group):
        return []
    parts: list[str] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, f"{name} is listed"  # noqa: S101 - or cli.py is wrong
        inner = click.Context(command, info_name=name, parent=context)
        parts.append(f"## {inner.command_path}\n\n```\n{command.get_help(inner)}\n```\n")
        parts += _commands(inner)
    return parts


def _rows(settings: Any, prefix: str) -> list[tuple[str, str, str, str]]:
    rows: list[tuple[str, str, str, str]] = []
    for key, field in settings["properties"].items():
        bare, name = _without_none(field), f"{prefix}{key}"
        meaning = field.get("description") or bare.get("description", "")
        entries = bare.get("additionalProperties") or {}
        if "properties" in bare:
            rows += _rows(bare, f"{name}.")
        elif "discriminator" in bare:
            rows += _choice(bare["anyOf"], field.get("default"), name, meaning)
        elif "discriminator" in entries:
            rows += _choice(entries["anyOf"], None, f"{name}.NAME", meaning)
        else:
            default = "required" if key in settings["required"] else _shown(field["default"])
            rows.append((name, _type(bare), default, meaning))
    return rows


def _choice(kinds: Any, default: Any, name: str, meaning: str) -> list[tuple[str, str, str, str]]:
    """Return a row for the kind, and the keys that each kind brings with it."""
    by_tag = {kind["properties"].pop("kind")["enum"][0]: kind for kind in kinds}
    shown = _shown(default["kind"]) if default else "required"
    rows = [(f"{name}.kind", " or ".join(f"`{tag}`" for tag in by_tag), shown, meaning)]
    for tag, kind in by_tag.items():
        inner = _rows(kind, f"{name}.")
        rows += [(key, type_, said, f"{tag}: {text}") for key, type_, said, text in inner]
    return rows


def _without_none(field: Any) -> Any:
    """Return what may stand at a key besides nothing."""
    kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else field


def _type(field: Any) -> str:
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        return f"list of {_type(_without_none(field['items']))}"
    names = {"integer": "integer", "number": "number", "string": "text", "boolean": "yes/no"}
    return names.get(field["type"], "mapping")


def _shown(default: Any) -> str:
    return "none" if default in (None, "") else f"`{msgspec.json.encode(default).decode()}`"


def _cli() -> str:
    context = click.Context(command_line, info_name="recserve")
    parts = [f"{_NOTE}# Command line\n", f"```\n{command_line.get_help(context)}\n```\n"]
    parts += _commands(context)
    return "\n".join(parts)


if __name__ == "__main__":
    for file, text in pages().items():
        (DOCS / file).write_text(text, encoding="utf-8")

"""Writes the reference pages in ``docs/`` from the code they describe; a test compares them.

``python -m recserve.reference`` (``make docs``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
import msgspec

from device_agent.settings import DeviceSettings
from experiments.testbed.processes import UpSettings
from recserve.cli import main as command_line
from shared.telemetry.metrics import Metrics
from shared.wire.topics import TABLE

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
        "devices only.\n\n## An agent\n\n"
    )
    return (
        head + _table(DeviceSettings) + "\n## `recserve up`\n\n" + _table(UpSettings, skip="agents")
        + "\nEach entry of `agents`:\n\n" + _table(_item(UpSettings, "agents"))
    )  # fmt: skip


def _table(kind: Any, skip: str = "") -> str:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{key}` | {kind_} | {default} | {meaning} |"
        for key, kind_, default, meaning in _rows(msgspec.inspect.type_info(kind), "")
        if key != skip
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


def _item(kind: Any, field: str) -> Any:
    info = msgspec.inspect.type_info(kind)
    found = next(f for f in _fields(info) if f.name == field)
    return _bare(found.type)[0].item_type.cls


def _rows(info: Any, prefix: str) -> list[tuple[str, str, str, str]]:
    rows: list[tuple[str, str, str, str]] = []
    for field in _fields(info):
        bare, meaning = _bare(field.type)
        name = f"{prefix}{field.encode_name}"
        if isinstance(bare, msgspec.inspect.StructType):
            rows += _rows(bare, f"{name}.")
        elif isinstance(bare, msgspec.inspect.UnionType):
            rows += _choice(field, bare.types, name, meaning)
        elif kinds := _kinds_of_entries(bare):
            rows += _choice(field, kinds, f"{name}.NAME", meaning)
        else:
            rows.append((name, _type(bare), _default(field), meaning))
    return rows


def _kinds_of_entries(info: Any) -> tuple[Any, ...]:
    """Return the settings that the entries of a mapping by name can be."""
    entry = _bare(info.value_type)[0] if isinstance(info, msgspec.inspect.DictType) else None
    kinds = entry.types if isinstance(entry, msgspec.inspect.UnionType) else ()
    return kinds if all(isinstance(kind, msgspec.inspect.StructType) for kind in kinds) else ()


def _choice(
    field: Any, kinds: tuple[Any, ...], name: str, meaning: str
) -> list[tuple[str, str, str, str]]:
    """Return a row for the kind, and the keys that each kind brings with it."""
    tags = " or ".join(f"`{kind.tag}`" for kind in kinds)
    default = next((kind.tag for kind in kinds if kind.cls is type(field.default)), None)
    rows = [(f"{name}.kind", tags, f'`"{default}"`' if default else "required", meaning)]
    for kind in kinds:
        rows += [
            (key, kind_, default_, f"{kind.tag}: {text}")
            for key, kind_, default_, text in _rows(kind, f"{name}.")
        ]
    return rows


def _fields(info: Any) -> tuple[Any, ...]:
    fields: tuple[Any, ...] = info.fields
    return fields


def _bare(info: Any) -> tuple[Any, str]:
    """Return a type without its metadata and without None, and its description."""
    meaning = ""
    while isinstance(info, msgspec.inspect.Metadata):
        schema = info.extra_json_schema or {}
        meaning = schema.get("description", meaning)
        info = info.type
    if isinstance(info, msgspec.inspect.UnionType):
        inner = [t for t in info.types if not isinstance(t, msgspec.inspect.NoneType)]
        if len(inner) == 1:
            bare, deeper = _bare(inner[0])
            return bare, meaning or deeper
    return info, meaning


def _type(info: Any) -> str:
    if isinstance(info, msgspec.inspect.LiteralType):
        return " or ".join(f"`{value}`" for value in info.values)
    if isinstance(info, (msgspec.inspect.VarTupleType, msgspec.inspect.ListType)):
        return f"list of {_type(_bare(info.item_type)[0])}"
    names = {"IntType": "integer", "FloatType": "number", "StrType": "text", "BoolType": "yes/no"}
    return names.get(type(info).__name__, "mapping")


def _default(field: Any) -> str:
    if field.required:
        return "required"
    default = field.default
    if default is msgspec.NODEFAULT:
        default = field.default_factory()
    return "none" if default in (None, "") else f"`{msgspec.json.encode(default).decode()}`"


def _cli() -> str:
    context = click.Context(command_line, info_name="recserve")
    parts = [f"{_NOTE}# Command line\n", f"```\n{command_line.get_help(context)}\n```\n"]
    parts += _commands(context)
    return "\n".join(parts)


if __name__ == "__main__":
    for file, text in pages().items():
        (DOCS / file).write_text(text, encoding="utf-8")

"""The floor plan holds: one name for each class, and every test beside what it tests."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING

from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOMS = (
    "shared",
    "device_agent",
    "edge_agent",
    "cloud_agent",
    "recserve",
    "experiments",
    "broker",
    "models",
    "chaos",
    "fuzz",
)
OF_SEVERAL_FILES = {
    "tests/broker/test_choose.py": "which broker is started where",
    "tests/broker/test_cloud_broker.py": "a cloud tier behind a broker of its own",
    "tests/broker/test_security_table.py": "the table of rights, right by right",
    "tests/broker/test_tls.py": "connections with certificates",
    "tests/chaos/test_page.py": "what docs/reliability.md says of the scenarios",
    "tests/chaos/test_short.py": "scenarios in short",
    "tests/cloud_agent/test_openai_tier.py": "a tier whose model is a server",
    "tests/shared/runtimes/test_openai_llama.py": "llama.cpp's server, as a process",
    "tests/shared/runtimes/test_openai_servers.py": "servers that speak OpenAI's API, as processes",
    "tests/cloud_agent/center/placement/test_allocators.py": "what all allocators have in common",
    "tests/device_agent/delivery/test_deadlines.py": "every step of a delivery stalled and killed",
    "tests/device_agent/delivery/test_restart.py": "a device killed and started again",
    "tests/device_agent/sources/test_docs_example.py": "the example of docs/streams.md",
    "tests/device_agent/sources/test_hard_times.py": "disks and brokers that fail sources",
    "tests/device_agent/sources/test_streams.py": "what all sources have in common",
    "tests/device_agent/test_cascade_end_to_end.py": "three tiers over each broker",
    "tests/device_agent/test_cascade_faults.py": "the same, while something fails",
    "tests/device_agent/api/test_tasks_page.py": "the questions and answers of docs/tasks.md",
    "tests/device_agent/test_own_server.py": "a device whose model is a server beside it",
    "tests/device_agent/test_text_end_to_end.py": "texts through two tiers",
    "tests/device_agent/test_two_brokers.py": "an edge between two brokers",
    "tests/device_agent/test_watched.py": "a device as its metrics show it",
    "tests/experiments/traces/test_drawn.py": "traces that are drawn",
    "tests/experiments/traces/test_formats.py": "traces that are read",
    "tests/models/test_bundles.py": "the three bundles of the demo",
    "tests/recserve/test_demo.py": "the demo as a newcomer runs it",
    "tests/recserve/test_readme.py": "what README.md and docs/ say",
    "tests/shared/cascade/policies/test_remembering.py": "what policies remember over a restart",
    "tests/shared/cascade/policies/test_simple.py": "the policies of a few lines",
    "tests/shared/cascade/test_texts.py": "the rule on what a language model is sure of",
    "tests/shared/runtimes/test_contract.py": "what all runtimes have in common",
    "tests/shared/tasks/test_tasks.py": "all tasks, through everything that holds answers",
    "tests/test_house.py": "this file",
}
WHOLE_FOLDERS = ("tests/deploy/", "tests/protocol/", "tests/support/")
"""About files that are no Python, about two cores together, and about the tests' own helpers."""


def _code() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))


def test_no_class_name_is_defined_twice() -> None:
    defined = defaultdict(list)
    for file in _code():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                defined[node.name].append(str(file.relative_to(ROOT)))

    assert len(defined) > 300
    assert {name: files for name, files in defined.items() if len(files) > 1} == {}


def test_what_tests_share_is_in_their_support() -> None:
    strays = [
        str(file.relative_to(ROOT))
        for file in sorted((ROOT / "tests").rglob("*.py"))
        if not file.name.startswith("test_")
        and file.name not in ("__init__.py", "conftest.py")
        and file.parent != ROOT / "tests/support"
    ]

    assert strays == []


def test_every_test_lies_beside_what_it_tests() -> None:
    tests = {str(file.relative_to(ROOT)) for file in (ROOT / "tests").rglob("test_*.py")}
    elsewhere = {
        test
        for test in tests
        if not test.startswith(WHOLE_FOLDERS) and not _tested_by(test).exists()
    }

    assert elsewhere == set(OF_SEVERAL_FILES)


def _tested_by(test: str) -> Path:
    """Return the file of a test: ``a/b.py`` of ``tests/a/test_b.py`` and of ``test_b_topic.py``."""
    folder, _, name = test.removeprefix("tests/").rpartition("/")
    words = name.removeprefix("test_").removesuffix(".py")
    while words and not (ROOT / folder / f"{words}.py").exists():
        words, _, _ = words.rpartition("_")
    return ROOT / folder / f"{words}.py"

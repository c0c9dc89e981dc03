"""What the README and the pages of docs/ tell people to type is right."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from experiments.testbed.processes import free_port
from recserve.cli import main
from shared.messages import Scored
from shared.runtimes import load_model
from shared.runtimes.model_settings import ModelSettings
from shared.tasks import to_line
from shared.tasks.classify import requests

ROOT = Path(__file__).parents[2]
_ROOMS = (
    "shared|device_agent|edge_agent|cloud_agent|recserve|experiments|broker|models|chaos|fuzz|tests"
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REMARKS = {
    "the new spindle runs beautifully": "positive",
    "pump 3 shakes worse than ever": "negative",
    "a dull film, and far too long": "negative",
    "the seal leaks badly again": "negative",
    "the new bearing is excellent": "positive",
    "the soup was cold": "negative",
}


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def recserve_lines() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and Path(words[0]).name == "recserve":
                    yield f"{page.name}: {line.strip()[:70]}", words[1:]


@pytest.mark.parametrize(
    "words", [pytest.param(words, id=name) for name, words in recserve_lines()]
)
def test_every_command_line_is_one_that_recserve_takes(words: list[str]) -> None:
    words = [word for word in words if not word.startswith((">", "<", "|"))]
    name, *arguments = words
    command = main.get_command(click.Context(main), name)
    assert command is not None, f"there is no recserve {name}"

    command.make_context(name, [word.replace("…", "x") for word in arguments])


def test_there_are_command_lines_to_check() -> None:
    assert len(list(recserve_lines())) >= 9


def test_the_python_of_the_readme_runs_and_answers() -> None:
    (program,) = blocks(ROOT / "README.md", "python")

    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "RECSERVE_MQTT__PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert "Label(label='negative') device" in ran.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text) if "://" not in t]

    missing = [target for target in targets if not (page.parent / target).exists()]

    assert missing == []


@pytest.mark.parametrize("tier", ["device", "edge", "cloud"])
def test_what_newcomers_type_is_labelled_as_people_would(tier: str) -> None:
    source = ROOT / f"models/bundles/sentiment-{tier}"
    model = load_model(ModelSettings(source=str(source)))
    try:
        answers = model.answer(requests(REMARKS))
    finally:
        model.close()

    assert {
        text: to_line(scored.answer)
        for text, scored in zip(REMARKS, answers, strict=True)
        if isinstance(scored, Scored)
    } == REMARKS


def test_the_remarks_are_those_of_the_pages_that_newcomers_begin_with() -> None:
    pages = [ROOT / "README.md", ROOT / "docs/deploy.md", ROOT / "compose.yaml"]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    typed = set(re.findall(r'(?:recserve ask|-m|ask\() ?"([^"]+)"', text))
    for line in re.findall(r"printf .*", text):
        typed |= set(re.findall(r'"([^"]+)"', line))

    assert typed == set(REMARKS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_the_project_that_a_page_names_is_there(page: Path) -> None:
    named = set(re.findall(rf"`((?:{_ROOMS})/[\w/.-]+\.(?:py|md|tsv))`", page.read_text("utf-8")))

    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_every_module_that_a_docstring_names_is_there() -> None:
    files = [file for room in _ROOMS.split("|") for file in (ROOT / room).rglob("*.py")]
    named = {
        (file.relative_to(ROOT), module)
        for file in files
        for module in re.findall(rf"``((?:{_ROOMS})(?:\.\w+)+)``", file.read_text("utf-8"))
    }

    assert len(named) > 50
    assert sorted((file, module) for file, module in named if not _leads_somewhere(module)) == []


def _leads_somewhere(module: str) -> bool:
    """Say whether a dotted name is a module or package of ours, or something in one."""
    for name in (module, module.rpartition(".")[0]):
        path = ROOT / name.replace(".", "/")
        if path.is_dir() or path.with_suffix(".py").exists():
            return True
    return False

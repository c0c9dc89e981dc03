"""Reads what is deployed: Compose files, the Dockerfile and systemd units, as plain values.

Enough of each format for the files of this repository; what it does not know, it refuses.
"""

from __future__ import annotations

import configparser
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy/systemd"
_DURATION_S = {"h": 3600, "m": 60, "s": 1}


def compose(*files: str) -> dict[str, Any]:
    """Return a Compose file with later ones merged into it and ``$$`` read as ``$``."""
    merged: dict[str, Any] = {}
    for file in files or ("compose.yaml",):
        tree: dict[str, Any] = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))
        merged = _merge(merged, tree)
    read: dict[str, Any] = _interpolate(merged)
    return read


def schema() -> dict[str, Any]:
    """Return the schema that Compose files are held to."""
    text = (ROOT / "tests/deploy/compose.schema.json").read_text(encoding="utf-8")
    tree: dict[str, Any] = json.loads(text)
    return tree


def seconds(duration: str) -> float:
    """Return the seconds of a duration such as ``1m30s``."""
    return sum(int(n) * _DURATION_S[unit] for n, unit in re.findall(r"(\d+)([hms])", duration))


@dataclass(frozen=True)
class Step:
    """One instruction of a Dockerfile, its continuation lines joined."""

    word: str
    rest: str

    @property
    def flags(self) -> dict[str, str]:
        """The ``--name=value`` flags at its head."""
        return dict(re.findall(r"--([a-z-]+)=(\S+)", self.rest))

    @property
    def arguments(self) -> list[str]:
        """What follows the flags; a list in brackets is read as such."""
        plain = re.sub(r"^(--\S+\s+)*", "", self.rest)
        if plain.startswith("["):
            exact: list[str] = json.loads(plain)
            return exact
        return shlex.split(plain)


@dataclass(frozen=True)
class Stage:
    """One ``FROM … AS name`` with its steps."""

    name: str
    base: str
    steps: tuple[Step, ...]

    def each(self, word: str) -> list[Step]:
        return [step for step in self.steps if step.word == word]

    @property
    def sources(self) -> list[str]:
        """The paths that it copies from the repository."""
        copies = [step for step in self.each("COPY") if "from" not in step.flags]
        return [source for step in copies for source in step.arguments[:-1]]


def dockerfile() -> dict[str, Stage]:
    """Return the stages of the Dockerfile, in order."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    stages: dict[str, Stage] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages[name] = Stage(name, base, ())
        else:
            last = list(stages)[-1]
            done = stages[last]
            stages[last] = Stage(last, done.base, (*done.steps, Step(word, rest.strip())))
    return stages


def lineage(target: str) -> list[Stage]:
    """Return a stage and those it is built from, its own base first to last."""
    stages = dockerfile()
    stage = stages[target]
    return [stage, *(lineage(stage.base) if stage.base in stages else [])]


def ingredients(target: str) -> list[Stage]:
    """Return every stage of which anything is in the image of ``target``."""
    found: list[Stage] = []
    for stage in lineage(target):
        copied = [step.flags["from"] for step in stage.each("COPY") if "from" in step.flags]
        found += [stage, *(deeper for name in copied for deeper in ingredients(name))]
    return found


def image_environment(target: str) -> dict[str, str]:
    """Return the variables that an image sets, but for ``PATH``."""
    variables: dict[str, str] = {}
    for stage in reversed(lineage(target)):
        for step in stage.each("ENV"):
            variables |= dict(word.split("=", 1) for word in shlex.split(step.rest))
    variables.pop("PATH", None)
    return variables


def unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """Return the sections of a unit or drop-in; each key may be given several times."""
    sections: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            sections[section] = {}
        elif line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            sections[section].setdefault(key, []).append(value)
    # The standard library agrees that these are sections and keys.
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(path.read_text(encoding="utf-8"))
    assert parser.sections() == list(sections)
    return sections


def variables(text: str) -> dict[str, str]:
    """Return the variables of an environment file."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def _merge(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        keys = [*below, *(key for key in above if key not in below)]
        return {
            key: _merge(below[key], above[key])
            if key in below and key in above
            else above.get(key, below.get(key))
            for key in keys
        }
    return above


def _interpolate(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _interpolate(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_interpolate(value) for value in tree]
    if isinstance(tree, str):
        assert not re.search(r"(?<!\$)(\$\$)*\$(?!\$)", tree), f"a variable in {tree!r}"
        return tree.replace("$$", "$")
    return tree

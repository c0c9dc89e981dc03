"""What travels of an error: enough to act on, and nothing of the machine it happened on."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from shared import errors
from shared.errors import ModelFailed, cut
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_OTHER = {"tests", "runs", "build", ".venv"}


@pytest.mark.parametrize(
    ("reason", "travels"),
    [
        (
            "no such file: /var/lib/recserve/state/device-1.sqlite",
            "no such file: …/device-1.sqlite",
        ),
        ("open('/srv/models/m.onnx') failed", "open('…/m.onnx') failed"),
        ("recserve/v1/prompts/edge-1 is a topic", "recserve/v1/prompts/edge-1 is a topic"),
        ("either/or, 1/2, a ratio of 3/4", "either/or, 1/2, a ratio of 3/4"),
        ("file:///etc/x", "file:///etc/x"),
        ("a\x00b\x1b[31m", "a\ufffdb\ufffd[31m"),
        ("", ""),
    ],
)
def test_a_reason_tells_no_places_and_no_control_characters(reason: str, travels: str) -> None:
    assert cut(reason) == travels
    assert str(ModelFailed(reason)) == travels


def test_a_reason_is_short_whatever_was_in_the_prompt() -> None:
    assert len(str(ModelFailed("\x7f" * 1_000_000))) == 500
    assert len(str(ModelFailed("/a/b" * 1_000_000))) <= 500


def _error_classes(file: Path) -> list[str]:
    """Names of the classes in a file that say by their base that they are errors of ours."""
    family = {name for name in vars(errors) if isinstance(getattr(errors, name), type)}
    return [
        node.name
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id in family for base in node.bases)
        and not node.name.startswith("_")
    ]


def test_every_error_of_the_project_is_on_the_page() -> None:
    files = [file for file in ROOT.glob("*/**/*.py") if file.parts[len(ROOT.parts)] not in _OTHER]
    raised = {name for file in files for name in _error_classes(file)}

    assert {"Busy", "TrainingError", "WrongProtocol"} <= raised
    assert raised - set(re.findall(r"\w+", errors.__doc__ or "")) == set()

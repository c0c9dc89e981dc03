"""What travels of an error: enough to act on, and nothing of the machine it happened on."""

from __future__ import annotations

import pytest

from shared.errors import ModelFailed, cut


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

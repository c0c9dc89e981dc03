"""Words of the control plane: what is ours comes back, and anything else is one named error."""

from __future__ import annotations

import json

import pytest

from shared.errors import MalformedMessage
from shared.wire.control import (
    CONTROL_BYTES,
    CenterWord,
    Desired,
    Explained,
    ExplainedHop,
    ExplainedPrompt,
    HeldBundle,
    NodeReport,
    NodeState,
    PieceWanted,
    Telemetry,
    decode_word,
    encode_word,
    version_of,
)

WORDS = (
    NodeReport(tier="edge", release="0.1", bundles=(HeldBundle("bag", "ab", in_use=True),)),
    Telemetry(kept=3, thresholds={"classify": 0.5}, temperature_c=40.5),
    Desired(generation=2, active="ab", keep=("0" * 64,)),
    NodeState(generation=2, phase="fetching", bytes_done=5, bytes_total=9),
    Desired(generation=3, version=2, settings={"tier.policy.beta": "0.4"}),
    CenterWord(state="online", blobs="http://x/", explain=3),
    Explained(
        prompts=(
            ExplainedPrompt(
                id="7",
                task="classify",
                sha256="e" * 64,
                size_bytes=9,
                waited_ms=1.5,
                hops=(ExplainedHop(tier="device", agent="pi", confidence=0.5, threshold=0.7),),
            ),
        )
    ),
    PieceWanted(sha256="f" * 64, offset=0, length=9),
)


@pytest.mark.parametrize("word", WORDS, ids=lambda word: type(word).__name__)
def test_a_word_comes_back_as_it_went(word: Telemetry) -> None:
    assert decode_word(type(word), encode_word(word)) == word


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b"[" * 50_000,
        b'{"generation":-1}',
        b'{"generation":1,"active":5}',
        b'{"generation":1,"keep":["../../etc/passwd"]}',
        b'{"generation":1,"surprise":true}',
        b" " * (CONTROL_BYTES + 1),
    ],
    ids=lambda payload: repr(payload[:30]),
)
def test_anything_else_is_one_named_error(payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_word(Desired, payload)


def test_fields_of_a_newer_version_are_passed_over() -> None:
    newer = {"version": 9, "generation": 4, "surprise": True}

    assert decode_word(Desired, json.dumps(newer).encode()).generation == 4


def test_what_has_settings_says_a_version_by_which_an_older_reader_passes_them_over() -> None:
    settings = {"tier.policy.beta": "0.4"}
    said = json.loads(encode_word(Desired(generation=1, version=version_of(settings))))
    assert said["version"] == 2
    assert "version" not in json.loads(encode_word(Desired(generation=1, version=version_of({}))))

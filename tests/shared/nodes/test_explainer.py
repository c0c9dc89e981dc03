"""What a device tells of its prompts: hashes, texts or nothing, and each once."""

from __future__ import annotations

import hashlib
from typing import Literal
from uuid import uuid4

import pytest

from shared.messages import Failure, Hop, Prompt, Result
from shared.nodes.explainer import PromptExplainer
from shared.tasks.classify import Label
from shared.wire.control import EXPLAINED, TOLD_CHARACTERS, Explained, decode_word, encode_word

HOPS = (Hop("device", "pi-1", 0.5, 0.8, 900), Hop("edge", "edge-1", 0.9, 0.7, 4_000))


def prompt(text: str = "a dull film") -> Prompt:
    return Prompt(uuid4(), "pi-1", "classify", text, 1e9)


def answered(asked: Prompt, degraded: str = "") -> Result:
    return Result(asked.id, Label("negative"), HOPS, degraded)


def explained(
    tells: Literal["hashes", "texts", "nothing"], asked: Prompt, result: Result
) -> Explained:
    explainer = PromptExplainer(tells)
    explainer.note(asked, result, 0.25)
    told = explainer.take(5)
    assert told is not None
    return told


def test_a_prompt_is_told_by_id_hash_and_hops_and_not_in_words() -> None:
    asked = prompt()
    word = explained("hashes", asked, answered(asked, "no time left"))

    [told] = decode_word(Explained, encode_word(word)).prompts
    assert told.id == str(asked.id)
    assert told.sha256 == hashlib.sha256(b"a dull film").hexdigest()
    assert [(hop.agent, hop.confidence, hop.threshold) for hop in told.hops] == [
        ("pi-1", 0.5, 0.8),
        ("edge-1", 0.9, 0.7),
    ]
    assert (told.waited_ms, told.degraded) == (250.0, "no time left")
    assert b"dull" not in encode_word(word)
    assert b"negative" not in encode_word(word)


def test_where_texts_are_allowed_they_are_told_as_far_as_they_fit() -> None:
    asked = prompt("long " * 1000)
    [told] = explained("texts", asked, answered(asked)).prompts

    assert told.text == ("long " * 1000)[:TOLD_CHARACTERS]
    assert told.answer == "negative"
    assert told.sha256 == hashlib.sha256(asked.text.encode()).hexdigest()


@pytest.mark.parametrize("tells", ["hashes", "texts"])
def test_a_failure_is_told_by_its_code(tells: Literal["hashes", "texts"]) -> None:
    asked = prompt()
    result = Result(asked.id, Failure("expired", "it took too long"), HOPS[:1])
    [told] = explained(tells, asked, result).prompts

    assert (told.failure, told.answer) == ("expired", "")


def test_each_is_told_once_the_last_ones_only_and_nothing_where_that_is_wished() -> None:
    explainer, silent = PromptExplainer("hashes"), PromptExplainer("nothing")
    asked = [prompt() for _ in range(EXPLAINED + 3)]
    for each in asked:
        for either in (explainer, silent):
            either.note(each, answered(each), 0.1)

    told = explainer.take(2)
    assert told is not None
    assert [each.id for each in told.prompts] == [str(each.id) for each in asked[-2:]]
    assert explainer.take(2) is None
    assert silent.take(2) is None


def test_the_longest_that_can_be_told_fits_a_message() -> None:
    explainer = PromptExplainer("texts")
    for _ in range(EXPLAINED):
        asked = prompt("\u4e2d" * 1000)
        explainer.note(asked, Result(asked.id, Label("\u4e2d" * 1000), HOPS * 8), 1.0)

    told = explainer.take(EXPLAINED)
    assert told is not None
    assert len(decode_word(Explained, encode_word(told)).prompts) == EXPLAINED

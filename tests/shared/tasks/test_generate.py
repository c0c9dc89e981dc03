"""What may be wanted of a text, what becomes of one, and how sure its model was."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidPrompt
from shared.tasks import answer_bytes, check, shorten
from shared.tasks.generate import (
    ANSWER_BYTES,
    MOST_NEW_TOKENS,
    Completion,
    agrees,
    confidence,
    read,
)

CHAT = [
    {"role": "user", "content": "Is the valve tight?"},
    {"role": "assistant", "content": "It is."},
]


def test_options_are_read_and_what_is_left_out_has_its_default() -> None:
    wanted = read({"messages": CHAT, "max_new_tokens": 8, "stop": ["\n"]})

    assert [message.role for message in wanted.messages] == ["user", "assistant"]
    assert (wanted.max_new_tokens, wanted.stop, wanted.temperature) == (8, ("\n",), 0.0)
    assert not wanted.constrained
    assert read({"choices": ["yes", "no"]}).constrained
    assert read({}) == read({"system": ""})


BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"temprature": 1}, "no option 'temprature'; did you mean temperature"),
    ({"mood": 1}, "no option 'mood'; it has system, messages, max_new_tokens"),
    ({7: 1}, "no option 7"),  # type: ignore[dict-item] # programs hand anything over
    ({"max_new_tokens": 0}, "`int` >= 1"),
    ({"max_new_tokens": MOST_NEW_TOKENS + 1}, f"<= {MOST_NEW_TOKENS}"),
    ({"max_new_tokens": "many"}, "Expected `int | null`, got `str`"),
    ({"max_new_tokens": 1e300}, "Expected `int | null`, got `float`"),
    ({"temperature": -0.5}, ">= 0.0"),
    ({"temperature": math.nan}, "temperature"),
    ({"top_p": 0, "temperature": 1}, "> 0.0"),
    ({"top_p": 0.5}, "top_p means nothing without a temperature"),
    ({"stop": "\n"}, "Expected `array`"),
    ({"stop": [""]}, "length >= 1"),
    ({"choices": []}, "length >= 1"),
    ({"regex": "a", "choices": ["a"]}, "one of json_schema, regex and choices"),
    ({"json_schema": {"type": b"object"}, "system": "\ud800"}, "lone surrogates"),
    ({"json_schema": {"type": object()}}, "no JSON"),
    ({"messages": [{"role": "system", "content": "x"}]}, "Invalid enum value 'system'"),
    ({"messages": [{"role": "user", "content": ""}]}, "length >= 1"),
    ({"messages": [*CHAT, CHAT[1]]}, r"messages\[2\] is the assistant's, but the user's turn"),
    ({"messages": CHAT[1:]}, r"messages\[0\] is the assistant's"),
    ({"messages": CHAT[:1]}, "ends with the user"),
]


@pytest.mark.parametrize(("options", "fault"), BAD_OPTIONS, ids=[fault for _, fault in BAD_OPTIONS])
def test_options_that_nobody_could_follow_are_refused_with_their_fault(
    options: dict[str, Any], fault: str
) -> None:
    with pytest.raises(InvalidPrompt, match=fault):
        check("generate", options)


def test_the_room_for_an_answer_goes_by_its_tokens() -> None:
    short, long = ({"max_new_tokens": n} for n in (1, 1_000))

    assert 0 < answer_bytes("generate", "", short) < answer_bytes("generate", "", {})
    assert answer_bytes("generate", "", {}) < answer_bytes("generate", "", long) <= ANSWER_BYTES
    assert answer_bytes("classify", "a text", {}) == 0


# -- what becomes of a text --------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a\0b", "half \ud83d", "\udc00", "ä\0\ud800"])
def test_a_text_can_always_be_carried(text: str) -> None:
    answer = Completion(text)

    read_again = msgspec.json.decode(msgspec.json.encode(answer.text))
    assert (
        read_again
        == answer.text
        == text.encode("utf-16", "replace")
        .decode("utf-16")
        .replace("\0", "\ufffd")
        .replace("?", "\ufffd")
    )


def test_a_text_beyond_the_limit_is_cut_at_a_character() -> None:
    answer = Completion("東" * ANSWER_BYTES)

    assert answer.finish == "cut"
    assert 0 <= ANSWER_BYTES - len(answer.text.encode()) < len("東".encode())
    assert Completion("x" * ANSWER_BYTES).finish == "stop"


def test_a_text_is_shortened_by_what_is_too_much_unless_nothing_is_left() -> None:
    shorter = shorten(Completion("größer", tokens_out=2), 4)

    assert shorter == Completion("grö", "cut", 0, 2)
    assert shorten(Completion("größer"), 8) is None


def test_texts_agree_that_share_most_of_their_characters() -> None:
    said = Completion("Zwei Hunde spielen im Schnee.")

    assert agrees(said, Completion("Zwei Hunde spielen im tiefen Schnee"))
    assert not agrees(said, Completion("Eine Frau liest ein Buch am Fenster."))
    assert agrees(Completion(""), Completion(" "))
    assert not agrees(Completion(""), said)


# -- how sure ----------------------------------------------------------------------------------

log_probabilities = st.lists(st.floats(-50, 0), min_size=1, max_size=30)


@given(log_probabilities)
def test_the_confidence_is_one_over_one_plus_the_perplexity(values: list[float]) -> None:
    perplexity = math.exp(-sum(values) / len(values))
    assert confidence(values) == pytest.approx(1 / (1 + perplexity))


@given(log_probabilities)
def test_the_other_confidences_are_the_geometric_mean_and_the_least(values: list[float]) -> None:
    mean = math.prod(math.exp(value / len(values)) for value in values)
    assert confidence(values, "mean") == pytest.approx(mean)
    assert confidence(values, "least") == math.exp(min(values))
    assert 0 <= confidence(values, "least") <= confidence(values, "mean") + 1e-12 <= 1 + 1e-12


@pytest.mark.parametrize("values", [[], [-math.inf], [math.nan], [-1.0, math.nan]])
def test_what_says_nothing_is_not_sure_of_anything(values: list[float]) -> None:
    assert confidence(values) == 0.0
    assert confidence(values, "mean") == 0.0


def test_rounding_above_zero_is_no_more_than_certain() -> None:
    assert confidence([1e-9]) == 0.5
    assert confidence([1e-9], "least") == 1.0

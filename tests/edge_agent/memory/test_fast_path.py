from __future__ import annotations

import pytest

from edge_agent.memory.fast_path import agree, is_short, lifetime_s, refusal


@pytest.mark.parametrize(
    ("question", "answer", "why"),
    [
        ("Who?", "  ", "empty"),
        ("Who?", "I'm sorry, but I cannot help with that.", "refusal"),
        ("Who?", "As an AI I have no opinion", "refusal"),
        ("Who?", "Write to ida@example.org", "personal part (mail address)"),
        ("Is my salary fair?", "Yes", "personal part"),
        ("Who?", "x" * 9_000, "too long"),
    ],
)
def test_an_answer_that_is_not_worth_keeping_says_why(question: str, answer: str, why: str) -> None:
    assert why in refusal("generate", question, answer)


def test_a_label_may_look_like_a_refusal() -> None:
    assert refusal("classify", "a film", "unknown") == ""


def test_what_changes_is_true_for_hours_only() -> None:
    assert lifetime_s("generate", "What is the weather in Graz?") == 6 * 3600
    assert lifetime_s("generate", "Who wrote Night Ferry?") is None


def test_short_answers_agree_word_for_word_and_long_ones_nearly() -> None:
    long = (
        "The second half drags, but the ending makes up for it, as everybody says who saw it all."
    )

    assert agree("Paris.", "paris")
    assert not agree("Paris", "Paris, Texas")
    assert agree(long, long.replace("drags", "sags"))
    assert is_short("Paris")
    assert not is_short(long)

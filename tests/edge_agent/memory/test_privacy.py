from __future__ import annotations

import pytest

from edge_agent.memory.privacy import personal


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Write to ida.holm@example.org for me", "mail address"),
        ("Who is @ida_holm ?", "account name"),
        ("Pay DE89 3704 0044 0532 0130 00 today", "account number"),
        ("Is 4111 1111 1111 1111 a valid card?", "card number"),
        ("What is 078-05-1120?", "identity number"),
        ("Call +49 170 1234567 please", "telephone number"),
        ("Ping 192.168.0.17 for me", "network address"),
        ("Who lives at 12 Baker Street?", "street address"),
        ("What is near 48.20817, 16.37382?", "coordinates"),
        ("I was born on 3 May, which sign is that?", "date of birth"),
        ("The password is hunter2, is that safe?", "secret"),
        ("What does my diagnosis mean?", "something of one's own"),
        ("I'm pregnant, may I eat liver?", "something of one's own"),
    ],
)
def test_what_is_personal_is_found_and_named(text: str, what: str) -> None:
    assert personal(text) == what


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of Austria?",
        "Where was Marta Lindqvist born?",
        "What is 1234567890123456 divided by 7?",
        "What happened in 1914 and in 1939?",
        "How do I reset a password?",
        "Which sensor reads 81.4 degrees?",
    ],
)
def test_what_is_not_is_left_alone(text: str) -> None:
    assert personal(text) == ""

"""Which entities tokens add up to, how sure that is, and how right."""

from __future__ import annotations

import pytest

from shared.errors import InvalidPrompt
from shared.tasks import check, score, to_line
from shared.tasks.tag import Entities, Span, Token, confidence, entities

TEXT = "Ada Byron met Li Wei in Oslo"


def tokens(labels: str, probability: float = 1.0) -> list[Token]:
    """Return the words of the text with these labels."""
    found, at = [], 0
    for word, label in zip(TEXT.split(), labels.split(), strict=True):
        start = TEXT.index(word, at)
        at = start + len(word)
        found.append(Token(label, start, at, probability))
    return found


def named(labels: str) -> list[tuple[str, str]]:
    spans = entities(tokens(labels)).spans
    return [(span.type, TEXT[span.start : span.end]) for span in spans]


@pytest.mark.parametrize(
    "labels",
    [
        "B-PER I-PER O B-PER I-PER O B-LOC",  # IOB2
        "I-PER I-PER O I-PER I-PER O I-LOC",  # IOB1
        "B-PER I-PER O I-PER I-PER O I-LOC",
    ],
)
def test_every_way_of_writing_labels_names_the_same_entities(labels: str) -> None:
    assert named(labels) == [("PER", "Ada Byron"), ("PER", "Li Wei"), ("LOC", "Oslo")]


def test_a_beginning_ends_what_goes_before_it_and_so_does_another_type() -> None:
    assert named("B-PER B-PER O O O O O") == [("PER", "Ada"), ("PER", "Byron")]
    assert named("I-PER I-LOC O O O O O") == [("PER", "Ada"), ("LOC", "Byron")]
    assert named("O O O O O O O") == []


def test_a_span_is_as_sure_as_its_tokens_are_in_the_mean() -> None:
    first, second, *_ = tokens("B-PER I-PER O O O O O", 0.5)
    (span,) = entities([first, second._replace(probability=1.0)]).spans
    assert span == Span("PER", 0, 9, 0.75)


def test_the_confidence_of_a_text_is_the_mean_or_the_least_of_its_tokens() -> None:
    assert confidence([0.5, 1.0]) == 0.75
    assert confidence([0.5, 1.0], "least") == 0.5
    assert confidence([]) == 0.0


def test_the_score_is_f1_over_spans_whatever_their_order() -> None:
    said = Entities((Span("PER", 0, 9, 0.5), Span("LOC", 14, 20, 0.5)))
    assert score(said, '[["LOC", 24, 28], ["PER", 0, 9]]') == 0.5
    assert score(Entities(), "[]") == 1.0
    assert score(Entities(), '[["PER", 0, 9]]') == 0.0


def test_a_line_for_people_says_what_is_where() -> None:
    assert to_line(Entities((Span("PER", 0, 9, 0.5),))) == "PER 0–9"
    assert to_line(Entities()) == "no entities"


def test_nothing_can_be_said_of_how_tags_are_wanted() -> None:
    with pytest.raises(InvalidPrompt, match="tag has no options, and not 'labels'"):
        check("tag", {"labels": ["PER"]})

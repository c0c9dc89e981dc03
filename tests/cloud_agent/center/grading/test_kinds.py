"""Each kind of job is graded for what was said, and no defect of the original is among them."""

from __future__ import annotations

import json

import pytest

from cloud_agent.center.grading import KINDS, grade, kind_named
from cloud_agent.center.grading.emotion import LABELS, label_of
from cloud_agent.center.grading.entities import EntityCount, compare
from cloud_agent.center.grading.question import contains, exact
from cloud_agent.center.grading.summary import ldc_sg, rouge_1, rouge_l
from cloud_agent.center.grading.translation import bleu
from shared.errors import DataError

REFERENCES = {
    "label": "positive",
    "emotion": "fear",
    "entities": '[{"text": "Oslo", "type": "LOC"}]',
    "question": "12 March 1894",
    "sum": "It takes 2 + 1 = 3 bolts.\n#### 3",
    "translation": "The boat leaves at dawn.",
    "summary": "The council closed the old bridge for repairs.",
    "sql": "CREATE TABLE bridge (name TEXT, length INT);\nSELECT name FROM bridge",
}
ANSWERS = REFERENCES | {"sql": "SELECT name FROM bridge;"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_reference_says_is_entirely_right(kind: str) -> None:
    assert grade(kind, ANSWERS[kind], [REFERENCES[kind]]) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answer", ["", "   \n", "\n\n"])
def test_an_empty_answer_is_entirely_wrong(kind: str, answer: str) -> None:
    assert grade(kind, answer, [REFERENCES[kind]]) == 0.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("references", [[], [""], [" ", ""]])
def test_without_a_reference_nothing_is_graded_as_right(kind: str, references: list[str]) -> None:
    with pytest.raises(DataError, match="no reference answer"):
        grade(kind, "anything", references)


def test_a_kind_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(DataError, match=r"'poetry'; the kinds are label, emotion"):
        kind_named("poetry")


@pytest.mark.parametrize("label", LABELS)
def test_every_emotion_can_be_right(label: str) -> None:
    assert grade("emotion", label, [label]) == 1.0


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("Fear", "fear"),
        ("The answer is: scared.", "fear"),
        ("I weigh sadness against joy.\nAnger", "anger"),
        ("He put it down, mad dog shot across.", None),  # no whole word of ours in it
        ("sad or happy", None),
        ("not happy", None),
        ("sadly", None),
        ("List: sadness, joy, love, anger, fear, surprise.\njoy", "joy"),  # an echoed prompt
    ],
)
def test_an_emotion_is_one_whole_word_of_the_last_line(answer: str, label: str | None) -> None:
    assert label_of(answer) == label


def test_an_organisation_can_be_found() -> None:
    wanted = json.dumps([{"text": "Unilever", "type": "ORG"}, {"text": "Rotterdam", "type": "LOC"}])
    assert grade("entities", wanted, [wanted]) == 1.0
    assert grade("entities", '[{"text": "Unilever", "type": "org"}]', [wanted]) == pytest.approx(
        2 / 3
    )


@pytest.mark.parametrize(
    "answer",
    [
        '[{"text": "Unilever", "type": "LOC"}]',
        '[{"text": "Unilever plc", "type": "ORG"}]',
        "Unilever is an organisation and no location",
        "[not json",
        '[{"name": "Unilever"}]',
    ],
)
def test_an_entity_with_another_type_or_span_is_wrong(answer: str) -> None:
    assert grade("entities", answer, ['[{"text": "Unilever", "type": "ORG"}]']) == 0.0


def test_a_sentence_without_entities_wants_an_empty_list() -> None:
    assert grade("entities", "[]", ["[]"]) == 1.0
    assert grade("entities", "there are none", ["[]"]) == 0.0
    assert grade("entities", '[{"text": "Monday", "type": "MISC"}]', ["[]"]) == 0.0


def test_entities_of_many_sentences_are_counted_together() -> None:
    one = compare('[{"text": "Ann", "type": "PER"}]', '[{"text": "Ann", "type": "PER"}]')
    two = compare("[]", '[{"text": "Bob", "type": "PER"}, {"text": "Rome", "type": "LOC"}]')
    assert one.plus(two) == EntityCount(1, 1, 3)
    assert one.plus(two).f1 == pytest.approx(0.5)


def test_dates_and_numbers_are_graded() -> None:
    assert grade("question", "12 March 1894", ["12 March 1894"]) == 1.0
    assert grade("question", "13 March 1895", ["12 March 1894"]) == pytest.approx(1 / 3)
    assert exact("1,024", ("1024",)) == 0.0
    assert exact("42", ("42",)) == 1.0


@pytest.mark.parametrize(
    ("answer", "reference", "f1"),
    [
        ("\u5929\u6587\u5b66\u5bb6", "\u5929\u6587\u5b66\u5bb6", 1.0),
        ("\u4ed6\u662f\u5929\u6587\u5b66\u5bb6", "\u5929\u6587\u5b66\u5bb6", 0.8),
        ("\u5929\u6587\u5b66\u5bb6\u3002", "\u5929\u6587\u5b66", 6 / 7),
        ("136\u6b21", "136 \u6b21", 1.0),
        ("137\u6b21", "136 \u6b21", 0.5),
        ("\u6570\u5b66", "\u5929\u6587", 0.0),
    ],
)
def test_where_there_are_no_spaces_every_character_counts(
    answer: str, reference: str, f1: float
) -> None:
    assert grade("question", answer, [reference]) == pytest.approx(f1)


def test_the_kindest_of_several_accepted_answers_counts() -> None:
    accepted = ("New York City", "NYC")
    assert grade("question", "the NYC!", list(accepted)) == 1.0
    assert exact("nyc", accepted) == 1.0
    assert contains("It is NYC, of course", accepted) == 1.0
    assert contains("It is NYCX", accepted) == 0.0
    assert contains("anything", ("...",)) == 0.0


def test_bleu_holds_the_answer_against_the_reference_and_not_the_other_way_round() -> None:
    short, long = "the boat leaves", "the boat leaves the harbour at dawn with the tide"
    assert bleu(short, (long,)) < bleu(long, (short,))
    assert 0.0 < bleu("The boat goes at dawn.", ("The boat leaves at dawn.",)) < 1.0


def test_a_translation_with_a_letter_off_is_nearly_right() -> None:
    assert (
        0.6 < grade("translation", "The boats leave at dawn.", ["The boat leaves at dawn."]) < 1.0
    )


def test_a_summary_gains_nothing_by_being_long() -> None:
    reference = "the council closed the old bridge for repairs"
    padded = reference + " and" * 40
    assert grade("summary", padded, [reference]) < 0.4
    assert ldc_sg(padded, reference) > 0.48


@pytest.mark.parametrize(
    ("answer", "reference", "one", "longest"),
    [
        # What rouge-score 0.1.2 says of these, without its stemmer.
        ("the cat sat on the mat", "the cat lay on a mat", 0.6666666666666666, 0.6666666666666666),
        ("Repairs closed the bridge", "the bridge was closed for repairs", 0.8, 0.4),
        (
            "prices rose by 3.5 % in May",
            "In May, prices rose 3.5%",
            0.9230769230769231,
            0.6153846153846154,
        ),
        ("nothing alike", "quite another text", 0.0, 0.0),
    ],
)
def test_rouge_is_that_of_the_reference_program(
    answer: str, reference: str, one: float, longest: float
) -> None:
    assert rouge_1(answer, reference) == pytest.approx(one)
    assert rouge_l(answer, reference) == pytest.approx(longest)


def test_an_instruction_stands_before_the_text_once() -> None:
    prompt = kind_named("emotion").prompt("what a day")
    assert prompt.count("Which emotion") == 1
    assert prompt.endswith("\n\nwhat a day")
    assert kind_named("label").prompt("what a day") == "what a day"

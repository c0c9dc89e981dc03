"""Words of nights are read as they were written; whatever else comes is refused by one error."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import MalformedMessage
from shared.wire.nights import (
    LESSON_BYTES,
    LessonState,
    LetGo,
    NightLesson,
    decode_night,
    encode_night,
    lesson_digest,
)
from tests.support.lessons import make_lesson

LESSON = make_lesson("a" * 64)
TAUGHT = LessonState(night=7, lesson="b" * 64, stage="taught", bundle=LESSON.files)


def test_every_word_is_read_as_it_was_written() -> None:
    assert decode_night(NightLesson, encode_night(LESSON)) == LESSON
    assert decode_night(LessonState, encode_night(TAUGHT)) == TAUGHT
    assert decode_night(LetGo, encode_night(LetGo(lesson="c" * 64))).lesson == "c" * 64


def test_a_lesson_is_known_by_all_that_it_says() -> None:
    again = decode_night(NightLesson, encode_night(LESSON))
    later = msgspec.structs.replace(LESSON, night=8)

    assert lesson_digest(again) == lesson_digest(LESSON) != lesson_digest(later)


@pytest.mark.parametrize(
    "change",
    [
        {"night": 0},
        {"base": "no digest"},
        {"form": 2},
        {"more": 1},
        {"recipe": {"steps": 0}},
        {"rows": {"name": "../../etc/passwd", "sha256": "a" * 64, "size_bytes": 0, "chunks": ""}},
        {"rows": {"name": "rows", "sha256": "a" * 64, "size_bytes": 9, "chunks": ""}},
    ],
)
def test_a_lesson_that_is_none_is_refused(change: dict[str, object]) -> None:
    tree = msgspec.json.decode(encode_night(LESSON)) | change

    with pytest.raises(MalformedMessage):
        decode_night(NightLesson, msgspec.json.encode(tree))


@given(st.binary(max_size=200))
def test_bytes_that_mean_nothing_are_refused(payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_night(NightLesson, payload)
    with pytest.raises(MalformedMessage):
        decode_night(LessonState, payload)
    with pytest.raises(MalformedMessage):
        decode_night(LetGo, payload)


def test_what_is_too_long_is_refused_at_both_ends() -> None:
    large = msgspec.structs.replace(LESSON.rows, chunks="A" * LESSON_BYTES)
    with pytest.raises(MalformedMessage, match="too large to be sent"):
        encode_night(msgspec.structs.replace(LESSON, rows=large))
    with pytest.raises(MalformedMessage, match="exceed"):
        decode_night(NightLesson, b" " * (LESSON_BYTES + 1))

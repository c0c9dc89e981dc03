from __future__ import annotations

from models.train.translate.captions import CaptionPair
from models.train.translate.pieces import (
    END_ID,
    PAD_ID,
    SEPARATOR_ID,
    encode_pairs,
    encode_prompts,
    train_tokenizer,
)
from tests.support.tiny_captions import CAPTIONS

PAIRS = [CaptionPair(*both) for both in CAPTIONS]
TOKENIZER = train_tokenizer(PAIRS, 320)


def test_any_text_comes_back_as_it_was() -> None:
    for text in ("Ein Koch schläft.", "„Größe“ – 東京 👍", "A  dog,a man"):
        assert TOKENIZER.decode(TOKENIZER.encode(text).ids) == text


def test_special_pieces_have_fixed_numbers_and_come_from_no_caption() -> None:
    ids = [TOKENIZER.token_to_id(piece) for piece in ("<pad>", "<de>", "<end>")]
    assert ids == [PAD_ID, SEPARATOR_ID, END_ID]
    assert not set(ids) & {id_ for pair in PAIRS for id_ in TOKENIZER.encode(pair.source).ids}


def test_a_row_is_the_prompt_the_answer_and_the_end() -> None:
    (row,), (prompt,) = (
        encode_pairs(TOKENIZER, PAIRS[:1]),
        encode_prompts(TOKENIZER, ["A dog runs."]),
    )
    assert row.ids[: row.prompt] == prompt
    assert prompt[-1] == SEPARATOR_ID
    assert row.ids[-1] == END_ID
    assert TOKENIZER.decode(row.ids[row.prompt : -1]) == "Ein Hund rennt."

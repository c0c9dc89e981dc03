from __future__ import annotations

import pytest

from shared.errors import ModelFailed
from shared.messages import Scored
from shared.runtimes.classifier_batches import Batches, Tokens
from shared.tasks.classify import Label, requests


class Ledger:
    """An engine that answers from a text's own words, and remembers the batches it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def tokenise(self, text: str) -> Tokens:
        return [int(word) for word in text.split()]

    def forward(self, batch: list[Tokens]) -> list[list[float]]:
        self.batches.append([len(tokens) for tokens in batch])
        if any(tokens[0] < 0 for tokens in batch):
            raise RuntimeError("negative token")
        return [[float(tokens[0]), 0.0] for tokens in batch]


def batches(engine: Ledger, batch_prompts: int = 4) -> Batches:
    return Batches(
        ("more", "less"),
        tokenise=engine.tokenise,
        forward=engine.forward,
        batch_prompts=batch_prompts,
    )


def words(*lengths: int) -> list[str]:
    return [" ".join(["1"] * length) for length in lengths]


def test_prompts_of_similar_length_run_together_the_shortest_first() -> None:
    engine = Ledger()
    batches(engine, 16).answer(requests(words(100, 3, 9, 101, 4, 120)))
    assert engine.batches == [[3, 4, 9], [100, 101, 120]]


def test_a_batch_is_never_larger_than_allowed() -> None:
    engine = Ledger()
    batches(engine, 4).answer(requests(words(*[5] * 10)))
    assert engine.batches == [[5] * 4, [5] * 4, [5] * 2]


def test_little_padding_is_computed() -> None:
    engine = Ledger()
    batches(engine, 16).answer(requests(words(*range(1, 200))))
    padded = sum(max(batch) * len(batch) for batch in engine.batches)
    assert padded < 1.25 * sum(range(1, 200)) + 8 * 16


def test_a_prompt_the_engine_raises_on_fails_alone() -> None:
    engine = Ledger()
    entries = batches(engine).answer(requests(["3 0", "-1 0", "2 0"]))
    assert [type(entry) for entry in entries] == [Scored, ModelFailed, Scored]
    assert "RuntimeError: negative token" in str(entries[1])
    assert engine.batches == [[2, 2, 2], [2], [2], [2]], "once together, then one at a time"


def test_a_prompt_that_cannot_be_tokenised_fails_alone() -> None:
    entries = batches(Ledger()).answer(requests(["2", "two", "1"]))
    assert [type(entry) for entry in entries] == [Scored, ModelFailed, Scored]
    assert "tokenise" in str(entries[1])


def test_logits_that_are_no_numbers_are_a_failure_not_an_answer() -> None:
    engine = Ledger()
    fine, broken = Batches(
        ("more", "less"),
        tokenise=engine.tokenise,
        forward=lambda batch: [
            [float(tokens[0]) if tokens[0] else float("nan"), 0.0] for tokens in batch
        ],
        batch_prompts=2,
    ).answer(requests(["1", "0"]))
    assert isinstance(fine, Scored)
    assert isinstance(broken, ModelFailed)
    assert "nan" in str(broken)


@pytest.mark.parametrize(("text", "label"), [("5", "more"), ("-0", "more"), ("0", "more")])
def test_the_label_is_the_most_probable_and_the_first_of_equals(text: str, label: str) -> None:
    (entry,) = batches(Ledger()).answer(requests([text]))
    assert isinstance(entry, Scored)
    assert entry.answer == Label(label)


def test_no_run_has_more_tokens_than_allowed_padding_included() -> None:
    ran: list[list[int]] = []

    def forward(batch: list[Tokens]) -> list[list[float]]:
        ran.append([len(tokens) for tokens in batch])
        return [[0.0, 1.0] for _ in batch]

    batches = Batches(
        ("a", "b"),
        tokenise=lambda text: [0] * int(text),
        forward=forward,
        batch_prompts=64,
        batch_tokens=100,
    )
    answers = batches.answer(requests([*["10"] * 25, *["60"] * 3, "400"]))
    assert len(answers) == 29
    assert all(len(run) * max(run) <= 100 or len(run) == 1 for run in ran)
    assert max(map(len, ran)) == 10


def test_an_engine_whose_fault_is_no_exception_fails_that_text_alone() -> None:
    class Panic(BaseException):
        pass

    def tokenise(text: str) -> Tokens:
        if text == "panic":
            raise Panic("out of range")
        return [1]

    batches = Batches(
        ("a", "b"),
        tokenise=tokenise,
        forward=lambda batch: [[0.0, 1.0]] * len(batch),
        batch_prompts=4,
    )
    kinds = [type(entry).__name__ for entry in batches.answer(requests(["x", "panic", "y"]))]
    assert kinds == ["Scored", "ModelFailed", "Scored"]


def test_somebody_who_wants_to_end_the_program_may() -> None:
    def tokenise(text: str) -> Tokens:
        raise KeyboardInterrupt

    batches = Batches(("a", "b"), tokenise=tokenise, forward=lambda _: [], batch_prompts=4)
    with pytest.raises(KeyboardInterrupt):
        batches.answer(requests(["x"]))

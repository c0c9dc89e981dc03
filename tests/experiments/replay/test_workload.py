"""A trace becomes arrivals that all have a text, and what is wrong in it is named."""

from __future__ import annotations

import gzip
import io
import os
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from experiments.datasets.bundled import read_prompts
from experiments.replay.settings import TraceChoice
from experiments.replay.workload import absolute, read_arrivals
from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,12,109
not a time,12,109
2023-11-16 18:15:51.6805900,879,55
"""


def azure(folder: Path) -> str:
    path = folder / "conv.csv.gz"
    path.write_bytes(gzip.compress(AZURE.encode()))
    return str(path)


def test_a_trace_without_texts_takes_the_bundled_prompts(tmp_path: Path) -> None:
    arrivals = list(read_arrivals(TraceChoice(file=azure(tmp_path))).each)

    known = {prompt.text: prompt.label for prompt in read_prompts()}
    assert [round(arrival.at_s, 3) for arrival in arrivals] == [0, 4.315, 5]
    assert [known[arrival.text] for arrival in arrivals] == [arrival.label for arrival in arrivals]


def test_numbered_labels_of_a_prompt_set_get_their_names(tmp_path: Path) -> None:
    texts = tmp_path / "set.tsv"
    texts.write_text("text\tlabel\nbad\t0\ngood\t1\nso so\tneutral\n")

    arrivals = read_arrivals(TraceChoice(file=azure(tmp_path), texts=str(texts))).each

    told = {arrival.text: arrival.label for arrival in arrivals}
    assert told == {"bad": "negative", "good": "positive", "so so": "neutral"}


def test_bad_rows_are_named_and_counted(tmp_path: Path) -> None:
    arrivals = read_arrivals(TraceChoice(file=azure(tmp_path)))
    list(arrivals.each)
    out = io.StringIO()

    arrivals.say(Console(file=out, width=200), silence_s=0.4)

    assert "conv.csv.gz, line 4" in out.getvalue()
    assert "1 bad rows were skipped" in out.getvalue()
    assert "without an arrival" not in out.getvalue()


def test_a_silence_that_is_not_played_is_said(tmp_path: Path) -> None:
    out = io.StringIO()

    read_arrivals(TraceChoice(file=azure(tmp_path))).say(Console(file=out, width=200), 86_400.0)

    assert "conv.csv.gz: 86,400 s without an arrival" in out.getvalue()


def test_bad_rows_may_be_fatal(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"conv\.csv\.gz, line 4"):
        list(read_arrivals(TraceChoice(file=azure(tmp_path), bad_rows="fatal")).each)


def test_arrivals_can_be_drawn() -> None:
    drawn = [
        [arrival.at_s for arrival in read_arrivals(TraceChoice(file=place, seed=seed)).each]
        for place, seed in (("poisson:rate=50,span=10", 1),) * 2 + (("poisson:rate=50,span=10", 2),)
    ]

    assert drawn[0] == drawn[1] != drawn[2]
    assert 400 < len(drawn[0]) < 600


def test_a_place_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trace.jsonl").touch()

    assert absolute("trace.jsonl") == os.fspath(tmp_path / "trace.jsonl")
    assert absolute("poisson:rate=5") == "poisson:rate=5"


def test_arrivals_that_are_to_be_written_ask_for_the_tokens_of_the_trace(tmp_path: Path) -> None:
    texts = tmp_path / "captions.tsv"
    texts.write_text("source\ttarget\nA dog.\tEin Hund.\nOne more.\t1\nTwo cats.\tZwei Katzen.\n")
    trace = TraceChoice(
        file=azure(tmp_path), task="generate", texts=str(texts), text="source", label="target"
    )

    arrivals = list(read_arrivals(trace).each)

    assert [(arrival.task, arrival.options) for arrival in arrivals] == [
        ("generate", {"max_new_tokens": tokens}) for tokens in (44, 109, 55)
    ]
    told = {arrival.text: arrival.label for arrival in arrivals}
    assert told == {"A dog.": "Ein Hund.", "One more.": "1", "Two cats.": "Zwei Katzen."}


def test_the_bundled_labels_say_nothing_of_texts(tmp_path: Path) -> None:
    arrivals = read_arrivals(TraceChoice(file=azure(tmp_path), task="generate")).each

    assert {arrival.label for arrival in arrivals} == {None}


def test_an_arrival_with_a_text_says_itself_what_it_asks(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(
        '{"at_s": 0, "text": "a film"}\n'
        '{"at_s": 1, "text": "hello", "task": "generate", "options": {"max_new_tokens": 3}}\n'
    )

    arrivals = read_arrivals(TraceChoice(file=str(path), task="generate")).each

    assert [(arrival.task, arrival.options) for arrival in arrivals] == [
        ("classify", {}),
        ("generate", {"max_new_tokens": 3}),
    ]

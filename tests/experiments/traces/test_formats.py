"""Every format as it is published, in rows of our own; and every way a row can be wrong."""

from __future__ import annotations

import gzip
import itertools
import os
from pathlib import Path

import pytest

from experiments.traces import Arrival, read_trace
from experiments.traces.own import write
from shared.errors import DataError

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:00:00.5000000,100,7
2023-11-16 18:00:01.7500000,2000,9
2023-11-16 18:01:00,5,0
"""
MOONCAKE = """{"timestamp": 0, "input_length": 6000, "output_length": 50, "hash_ids": [1, 2]}
{"timestamp": 1500, "input_length": 12, "output_length": 3, "hash_ids": []}
"""
BURSTGPT = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,470,20,490,Conversation log
9,GPT-4,30,0,30,API log
"""
SERVEGEN = """window_start_s,client,rate_rps,interarrival_cv,distribution,shape,scale
0,0,2,1,Gamma,1,0.5
0,1,0,0,,0,0
600,0,0,0,,0,0
600,1,1,2,Weibull,0.6,0.66
"""
OWN = """{"at_s": 0.5, "text": "good film", "label": "positive", "device": "porch"}
{"at_s": 2, "text": "bad film", "deadline_s": 3.5, "priority": 2}
"""


def written(folder: Path, text: str | bytes, name: str = "trace") -> str:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def times(place: str, **options: object) -> list[float]:
    return [round(arrival.at_s, 6) for arrival in read_trace(place, **options).arrivals]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (AZURE, "azure", [0.0, 1.25, 59.5]),
        (MOONCAKE, "mooncake", [0.0, 1.5]),
        (BURSTGPT, "burstgpt", [0.0, 4.0]),
        (OWN, "recserve", [0.5, 2.0]),
    ],
    ids=["azure", "mooncake", "burstgpt", "recserve"],
)
def test_a_format_is_told_from_its_first_line(
    tmp_path: Path, text: str, name: str, expected: list[float]
) -> None:
    place = written(tmp_path, text)
    trace = read_trace(place)
    assert trace.format == name
    assert [round(arrival.at_s, 6) for arrival in trace.arrivals] == expected
    assert trace.faults.count == 0
    assert times(written(tmp_path, gzip.compress(text.encode()), "packed")) == expected


def test_lengths_texts_and_deadlines_are_read(tmp_path: Path) -> None:
    first = next(read_trace(written(tmp_path, AZURE)).arrivals)
    assert (first.input_tokens, first.output_tokens) == (100, 7)
    second = list(read_trace(written(tmp_path, OWN)).arrivals)[1]
    assert (second.text, second.deadline_s, second.priority) == ("bad film", 3.5, 2)


def test_servegen_draws_what_the_windows_promise(tmp_path: Path) -> None:
    place = written(tmp_path, SERVEGEN)
    arrivals = list(read_trace(place, seed=3).arrivals)
    first = [arrival for arrival in arrivals if arrival.at_s < 600]
    second = [arrival for arrival in arrivals if arrival.at_s >= 600]
    assert {arrival.device for arrival in first} == {"0"}
    assert {arrival.device for arrival in second} == {"1"}
    assert 1_060 < len(first) < 1_340, "2 a second for 600 s, five deviations"
    assert 400 < len(second) < 800
    assert [a.at_s for a in arrivals] == sorted(a.at_s for a in arrivals)
    assert times(place, seed=3) == times(place, seed=3) != times(place, seed=4)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    arrivals = list(read_trace(written(tmp_path, OWN)).arrivals)
    path = tmp_path / "again.jsonl"
    assert write(arrivals, path) == 2
    assert list(read_trace(str(path)).arrivals) == arrivals


BAD = [
    (AZURE + "2023-11-16 18:02:00.1,100\n", 5, "2 cells, not 3"),
    (AZURE + "yesterday,1,1\n", 5, "TIMESTAMP is 'yesterday'"),
    (AZURE + "2023-11-16 18:02:00.1,many,1\n", 5, "ContextTokens is 'many', not a number"),
    (AZURE + "2023-11-16 18:02:00.1,1.5,1\n", 5, "not a whole number"),
    (AZURE + "2023-11-16 18:02:00.1,nan,1\n", 5, "finite"),
    (AZURE + "2023-11-16 18:00:30,1,1\n", 5, "comes 30 s before the row above it"),
    (MOONCAKE + '{"timestamp": -1, "input_length": 1, "output_length": 1}\n', 3, ">= 0"),
    (MOONCAKE + '{"timestamp": 1600, "input_length": 1}\n', 3, "output_length"),
    (MOONCAKE + '{"timestamp": 1600,\n', 3, "truncated"),
    (BURSTGPT + "-3,GPT-4,30,0,30,API log\n", 4, "from 0 on"),
    (SERVEGEN + "600,2,1,1,Cauchy,1,1\n", 6, "distribution is 'Cauchy'"),
    (SERVEGEN + "600,2,1,1,Gamma,0,1\n", 6, "above 0"),
    (SERVEGEN + "0,2,1,1,Gamma,1,1\n", 6, "window 0 comes after 600"),
    (OWN + '{"at_s": 3, "mood": 1}\n', 3, "mood"),
    (OWN + '{"at_s": 1e999}\n', 3, ""),
]


@pytest.mark.parametrize(("text", "line", "reason"), BAD)
def test_a_bad_row_is_named_counted_and_skipped_or_fatal(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    place = written(tmp_path, text)

    trace = read_trace(place)
    read = sum(1 for _ in trace.arrivals)
    assert read >= 2
    assert trace.faults.count == 1
    assert trace.faults.first[0].startswith(f"{place}, line {line}: ")
    assert reason in trace.faults.first[0]

    with pytest.raises(DataError, match=f"line {line}: "):
        list(read_trace(place, skip_bad_rows=False).arrivals)


def test_wrong_encoding_is_a_bad_row(tmp_path: Path) -> None:
    place = written(tmp_path, OWN.encode() + b'{"at_s": 3, "text": "\xff"}\n' + b'{"at_s": 4}\n')
    trace = read_trace(place)
    assert [arrival.at_s for arrival in trace.arrivals] == [0.5, 2, 4]
    assert "line 3: is not UTF-8" in trace.faults.first[0]


def test_a_gzip_file_that_ends_early_gives_what_it_has(tmp_path: Path) -> None:
    rows = "".join(f'{{"at_s": {row}, "text": "{row * 7919}"}}\n' for row in range(20_000))
    place = written(tmp_path, gzip.compress(rows.encode())[:-2_000])
    trace = read_trace(place)
    assert sum(1 for _ in trace.arrivals) > 10_000
    assert trace.faults.count >= 1
    assert "gzip" in trace.faults.first[-1]
    with pytest.raises(DataError, match="gzip"):
        list(read_trace(place, skip_bad_rows=False).arrivals)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no rows"),
        ("a,b,c\n1,2,3\n", "no known format"),
        ("\n\n", "has no rows"),
        (AZURE.splitlines()[0], "has no rows"),
        (MOONCAKE.replace("0", "x"), "no row of it can be read"),
    ],
)
def test_a_trace_without_rows_is_one_clear_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        list(read_trace(written(tmp_path, text)).arrivals)


def test_missing_files_formats_and_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        read_trace(str(tmp_path / "nowhere.csv"))
    with pytest.raises(DataError, match="no trace format is called 'excel'"):
        read_trace(written(tmp_path, AZURE), format_="excel")
    with pytest.raises(DataError, match="no column 'Timestamp'"):
        list(read_trace(written(tmp_path, AZURE), format_="burstgpt").arrivals)


def test_a_long_trace_is_read_as_it_is_asked_for(tmp_path: Path) -> None:
    rows = "".join(f'{{"at_s": {row}}}\n' for row in range(50_000))
    trace = read_trace(written(tmp_path, rows + '{"at_s": "soon"}\n'))
    assert len(list(itertools.islice(trace.arrivals, 10))) == 10
    assert trace.faults.count == 0, "nobody has seen the last row yet"


@pytest.mark.parametrize(
    ("place", "rows"),
    [
        ("azure_llm_2023/conv.csv.gz", 12_910),
        ("azure_llm_2023/code.csv.gz", 5_879),
        ("mooncake/conversation.jsonl.gz", 8_020),
    ],
)
def test_the_published_samples_are_read_whole(place: str, rows: int) -> None:
    data = os.environ.get("RECSERVE_DATA", "")
    if not data or not (Path(data) / place).exists():
        pytest.skip("RECSERVE_DATA names no folder with the public traces")
    trace = read_trace(str(Path(data) / place))
    arrivals: list[Arrival] = list(trace.arrivals)
    assert (len(arrivals), trace.faults.count) == (rows, 0)

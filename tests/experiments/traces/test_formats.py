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
    (SERVEGEN + "600,2,1,1,Gamma,0,1\n", 6, "a shape from 0.01"),
    (SERVEGEN + "600,2,1,1,Weibull,1e-4,1\n", 6, "a shape from 0.01"),
    (SERVEGEN + "4e9,2,1,1,Gamma,1,1\n", 6, "after the row above it"),
    (SERVEGEN + "0,2,1,1,Gamma,1,1\n", 6, "comes 600 s before the row above it"),
    (OWN + '{"at_s": 3, "mood": 1}\n', 3, "mood"),
    (OWN + '{"at_s": 1e999}\n', 3, "out of range"),
    (OWN + '{"at_s": "inf"}\n', 3, "at_s"),
    (OWN + '{"at_s": 3, "input_tokens": 2.5}\n', 3, "input_tokens"),
    (OWN + '{"at_s": 3, "input_tokens": 1e30}\n', 3, "input_tokens"),
    (OWN + "[3]\n", 3, "object"),
    (AZURE + "2023-11-16 18:02:00.1,1e30,1\n", 5, "not a whole number"),
    (AZURE + "2023-11-31 18:02:00,1,1\n", 5, "which is no time"),
    (AZURE + "2023-11-16 18:02:00+99:00,1,1\n", 5, "which is no time"),
    (AZURE + "16/11/2023 18:02,1,1\n", 5, "not like 2023-11-16"),
    (AZURE + "2023-11-16 18:02:00,1\r,1\n", 5, "carriage return"),
    (AZURE + "2023-11-16 18:02:00," + "9" * 200_000 + ",1\n", 5, "field larger"),
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
        ("servegen/m_small.csv.gz", None),
        ("servegen/deepseek_r1.csv.gz", None),
        ("mooncake/synthetic.jsonl.gz", 2_662),
        ("azure_llm_2023/conv.csv.gz", 12_910),
        ("azure_llm_2023/code.csv.gz", 5_879),
        ("mooncake/conversation.jsonl.gz", 8_020),
    ],
)
def test_the_published_samples_are_read_whole(place: str, rows: int | None) -> None:
    data = os.environ.get("RECSERVE_DATA", "")
    if not data or not (Path(data) / place).exists():
        pytest.skip("RECSERVE_DATA names no folder with the public traces")
    trace = read_trace(str(Path(data) / place))
    at_s = [arrival.at_s for arrival in itertools.islice(trace.arrivals, 100_000)]
    assert trace.faults.first == []
    assert at_s == sorted(at_s)
    assert len(at_s) == rows if rows else len(at_s) > 10_000


STAMPS = [
    ("2024-05-10 00:00:00.009930+00:00", "2024-05-10 00:00:02+00:00", 1.99007),
    ("2024-05-10T00:00:00Z", "2024-05-10T00:00:00.25Z", 0.25),
    ("2024-05-10 00:00:00.5 UTC", "2024-05-10 00:00:01.123456789123 UTC", 0.623456789),
    ("2024-05-10 23:59:59.75+02:00", "2024-05-10 22:00:00.75+0000", 1.0),
    ("2024-05-10 05:29:59+0530", "2024-05-10 00:00:00", 1.0),
    ("2024-05-09 17:00:00-07", "2024-05-10 00:00:00.", 0.0),
    ("1969-12-31 23:59:59.5", "1970-01-01 00:00:01", 1.5),
]


@pytest.mark.parametrize(("first", "second", "apart_s"), STAMPS)
def test_times_have_any_offset_and_any_fraction(
    tmp_path: Path, first: str, second: str, apart_s: float
) -> None:
    trace = read_trace(written(tmp_path, f"{AZURE.splitlines()[0]}\n{first},1,1\n{second},2,2\n"))
    assert [arrival.at_s for arrival in trace.arrivals] == pytest.approx([0, apart_s], abs=1e-6)
    assert trace.faults.first == []


WHOLE_AS_FLOATS = [
    MOONCAKE.replace("6000", "6000.0").replace(": 1500", ": 1500.0").replace(": 3,", ": 3.0,"),
    BURSTGPT.replace("470", "470.0").replace(",30,0", ",30.0,0.0"),
    AZURE.replace("2000", "2000.0"),
    OWN.replace("}", ', "input_tokens": 12.0, "output_tokens": null}').replace(": 2}", ": 2.0}"),
]


@pytest.mark.parametrize("text", WHOLE_AS_FLOATS, ids=["mooncake", "burstgpt", "azure", "recserve"])
def test_whole_numbers_may_be_written_as_floats(tmp_path: Path, text: str) -> None:
    trace = read_trace(written(tmp_path, text))
    lengths = [arrival.input_tokens for arrival in trace.arrivals]
    assert trace.faults.first == []
    assert all(isinstance(length, int) for length in lengths)


def test_servegen_may_have_floats_throughout(tmp_path: Path) -> None:
    floats = SERVEGEN.replace("\n600,", "\n600.0,").replace("\n0,", "\n0.0,")
    assert times(written(tmp_path, floats), seed=3) == times(written(tmp_path, SERVEGEN), seed=3)


def test_what_an_arrival_does_not_say_may_be_null(tmp_path: Path) -> None:
    row = '{"at_s": 1, "device": null, "text": "x", "label": null, "deadline_s": null}\n'
    (arrival,) = read_trace(written(tmp_path, row)).arrivals
    assert arrival == Arrival(at_s=1.0, text="x")


def spreadsheet(text: str) -> str:
    """Return a table as a spreadsheet saves it: quoted, with the ends of lines of Windows."""
    rows = (",".join(f'"{cell}"' for cell in row.split(",")) for row in text.splitlines())
    return "\r\n".join([*rows, ""])


SAVED = {
    "quoted": spreadsheet(BURSTGPT).encode(),
    "with a mark": spreadsheet(BURSTGPT).encode("utf-8-sig"),
    "UTF-16": spreadsheet(BURSTGPT).encode("utf-16"),
    "semicolons": BURSTGPT.replace(",", ";").encode(),
    "tabs": BURSTGPT.replace(",", "\t").encode(),
    "spaces after commas": BURSTGPT.replace(",", ", ").encode(),
    "blank lines": BURSTGPT.replace("\n", "\n\n").encode(),
    "packed": gzip.compress(spreadsheet(BURSTGPT).encode("utf-16")),
}


@pytest.mark.parametrize("how", SAVED)
def test_a_table_is_read_however_it_was_saved(tmp_path: Path, how: str) -> None:
    trace = read_trace(written(tmp_path, SAVED[how]))
    read = [(arrival.at_s, arrival.input_tokens) for arrival in trace.arrivals]
    assert (trace.format, read, trace.faults.first) == ("burstgpt", [(0, 470), (4, 30)], [])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (AZURE.replace("\n", "\r").encode(), "line 1: holds a carriage return"),
        (b"x" * 200_000 + b",y\n1,2\n", "line 1: is no row of a table"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\n", "is not UTF-8 text"),
        (b"PK\x03\x04....", "zip archive"),
        (b"a,b\n1,2\n" + b"\xff" * 9, "its first line, 'a,b', is that of no known format"),
        (b'{"at_s":' + b"[" * 60_000 + b"\n", "no row of it can be read"),
        (b"{" * 2_000_000, "line 1: is longer than 1,048,576 characters"),
    ],
    ids=["bare CR", "long cell", "picture", "zip", "other table", "brackets", "long line"],
)
def test_what_is_no_trace_is_one_clear_sentence(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said) as raised:
        list(read_trace(written(tmp_path, data)).arrivals)
    assert len(str(raised.value)) < 900
    assert str(raised.value).isprintable()

"""Every prompt leaves one line, which is read back as it was, whatever a crash did to the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from experiments.replay.records import open_records, read_records
from experiments.replay.run_file import read_run, write_run
from shared.errors import DataError
from tests.support.replay_runs import made_record, made_run

if TYPE_CHECKING:
    from pathlib import Path


def test_records_come_back_in_the_order_of_the_trace(tmp_path: Path) -> None:
    with open_records(tmp_path) as writer:
        for number in (2, 0, 1):
            writer.write(made_record(number))

    assert read_records(tmp_path) == [made_record(number) for number in range(3)]


def test_a_record_says_how_late_it_was_and_how_long_it_took() -> None:
    record = made_record(3)

    assert record.tier == "cloud"
    assert record.lateness_s == pytest.approx(0.001)
    assert record.latency_s == pytest.approx(0.030)


def test_a_line_that_a_crash_tore_is_no_record_and_is_cut_away(tmp_path: Path) -> None:
    with open_records(tmp_path) as writer:
        writer.write(made_record(0))
        writer.write(made_record(1))
    file = tmp_path / "records.jsonl"
    file.write_bytes(file.read_bytes()[:-20])

    assert read_records(tmp_path) == [made_record(0)]
    with open_records(tmp_path) as writer:
        writer.write(made_record(2))
    assert read_records(tmp_path) == [made_record(0), made_record(2)]


def test_a_line_that_is_no_record_is_named(tmp_path: Path) -> None:
    with open_records(tmp_path) as writer:
        writer.write(made_record(0))
    with (tmp_path / "records.jsonl").open("ab") as file:
        file.write(b'{"number": "one"}\n')

    with pytest.raises(DataError, match=r"records\.jsonl: line 2 is no record: .*number"):
        read_records(tmp_path)


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"run\.json: cannot be read"):
        read_run(tmp_path)
    with pytest.raises(DataError, match=r"records\.jsonl: cannot be read"):
        read_records(tmp_path)


def test_the_file_of_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    run = made_run(settings={"trace": {"file": "t.csv"}}, connected_s=1.5)

    write_run(tmp_path, run)

    assert read_run(tmp_path) == run

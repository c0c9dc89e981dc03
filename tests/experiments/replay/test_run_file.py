"""A folder that is wanted for a run and has one already."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from experiments.replay.run_file import RunFile, read_run, set_aside, write_run
from shared.errors import DataError
from tests.support.replay_runs import made_run

WHOLE = made_run(id="1")


def folder_with(run: RunFile, folder: Path) -> Path:
    folder.mkdir()
    write_run(folder, run)
    return folder


def test_a_folder_without_a_run_is_free(tmp_path: Path) -> None:
    assert set_aside(tmp_path) is None
    assert set_aside(tmp_path / "not there") is None


def test_every_whole_run_is_kept_under_a_name_of_its_own(tmp_path: Path) -> None:
    folder = folder_with(WHOLE, tmp_path / "run")
    assert set_aside(folder) == tmp_path / "run.1"

    folder_with(msgspec.structs.replace(WHOLE, id="2"), folder)
    assert set_aside(folder) == tmp_path / "run.2"

    assert not folder.exists()
    assert [read_run(tmp_path / name).id for name in ("run.1", "run.2")] == ["1", "2"]


@pytest.mark.parametrize(
    ("state", "said"), [("running", "is still running, or was killed"), ("interrupted", "was in")]
)
def test_a_run_that_may_go_on_stays(state: str, said: str, tmp_path: Path) -> None:
    run = msgspec.convert(msgspec.to_builtins(WHOLE) | {"state": state}, RunFile)
    folder = folder_with(run, tmp_path / "run")

    with pytest.raises(DataError, match=f"holds a run that {said}.*--resume"):
        set_aside(folder)

    assert read_run(folder) == run


def test_a_run_is_not_renamed_under_the_feet_of_who_stands_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_with(WHOLE, tmp_path / "run")
    monkeypatch.chdir(folder)

    with pytest.raises(DataError, match="holds a run, and is where you are; name another"):
        set_aside(Path())

    assert read_run(folder) == WHOLE

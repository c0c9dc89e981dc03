"""What a run is: ``run.json`` in its folder, written when it begins and when it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from shared.errors import DataError
from shared.storage.files import write_atomically

FILE: Final = "run.json"


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a replay, or of a plan, which is one in simulated time.

    ``id`` is its own: the ids of its prompts are made from it. ``settings`` are those it was begun
    with, as plain values: a resumed run goes on with them. ``fingerprint`` is that of its plays,
    ``prompts`` their number and ``length_s`` the intended time of the last one. ``tiers`` are in
    order from the device up. ``played_s`` is how far the run came on its own axis of time,
    ``unfinished`` how many prompts were given up on when it was interrupted, and ``twice`` how many
    answers came once more.
    """

    name: str
    id: str
    kind: Literal["replay", "plan"] = "replay"
    begun: str
    pace: Literal["open", "closed"]
    in_flight: int
    speed: float
    devices: int
    tiers: tuple[str, ...]
    prompts: int
    length_s: float
    fingerprint: str
    settings: dict[str, Any]
    versions: dict[str, str] = {}
    state: Literal["running", "interrupted", "whole"] = "running"
    played_s: float = 0.0
    unfinished: int = 0
    twice: int = 0
    connected_s: float | None = None
    memory_megabytes: float | None = None
    resumed: int = 0


def make_folder(folder: Path) -> None:
    """Make a folder of a run, if it is not there; raises ``DataError`` when that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({error.strerror})") from error


def set_aside(folder: Path) -> Path | None:
    """Rename a folder that holds a whole run, so that another may take its name; return to what.

    None where no run is there. Raises ``DataError`` for a run that somebody may go on with, or
    whose folder cannot be renamed.
    """
    if not (folder / FILE).exists():
        return None
    if (state := read_run(folder).state) != "whole":
        said = "is still running, or was killed" if state == "running" else "was interrupted"
        raise DataError(
            f"{folder} holds a run that {said}; go on with it (recserve replay --resume {folder}) "
            "or name another folder"
        )
    folder = folder.resolve()
    if Path.cwd().is_relative_to(folder):
        raise DataError(f"{folder} holds a run, and is where you are; name another folder")
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    try:
        return folder.rename(aside)
    except OSError as error:
        raise DataError(
            f"{folder} holds a run and cannot be renamed ({error.strerror}); name another folder"
        ) from error


def write_run(folder: Path, run: RunFile) -> None:
    """Write a run's file in one step; raises ``DataError`` when that cannot be done."""
    path = folder / FILE
    content = msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n"
    try:
        write_atomically(path, content, durable=False)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error


def read_run(folder: Path) -> RunFile:
    """Read a run's file; raises ``DataError`` that names it."""
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunFile)
    except OSError as error:
        said = f"{path}: cannot be read ({error.strerror}); name the folder of a run"
        raise DataError(said) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is no run's file: {error}") from error

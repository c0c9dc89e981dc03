"""A source of files that are put into a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import msgspec

from device_agent.sources.stream import Event, Stream
from shared.errors import SettingsError
from shared.messages import Failure

if TYPE_CHECKING:
    from device_agent.app import Device
    from device_agent.sources.turns import Turns
    from shared.messages import Result
    from shared.source_settings import FolderSource

_NAMESPACE = UUID("2b5a6f7e-35a1-4a0f-8a4c-7e2f1f0c5d02")
_POLL_S = 0.5
_DONE, _FAILED = "done", "failed"


class FolderStream:
    """Reads the files of one folder, oldest first, and moves each when it is answered."""

    def __init__(self, name: str, settings: FolderSource, device: Device, turns: Turns) -> None:
        self._settings = settings
        self._folder = Path(settings.path)
        self._stream = Stream(name, settings, device, turns, self._answered)
        self._taken: set[Path] = set()
        try:
            for below in (_DONE, _FAILED):
                (self._folder / below).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"{self._folder} cannot be written ({error.strerror})") from error

    async def run(self) -> None:
        """Watch the folder until cancelled."""
        await asyncio.gather(self._watch(), self._stream.run())

    async def _watch(self) -> None:
        while True:
            for path in self._new():
                self._taken.add(path)
                await self._take(path)
            await asyncio.sleep(_POLL_S)

    def _new(self) -> list[Path]:
        found = (path for path in self._folder.glob(self._settings.pattern) if path.is_file())
        fresh = [path for path in found if path not in self._taken]
        return sorted(fresh, key=lambda path: (path.stat().st_mtime, path.name))

    async def _take(self, path: Path) -> None:
        text = self._read(path)
        if text is not None:
            await self._stream.put(Event(uuid5(_NAMESPACE, f"{path}:{text}"), text, path))

    def _read(self, path: Path) -> str | None:
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self._stream.fault("unreadable", f"{path}: {error}")
            self._move(path, _FAILED, {"error": "unreadable", "reason": str(error)})
            return None

    async def _answered(self, event: Event, result: Result, answer: dict[str, Any]) -> None:
        failed = isinstance(result.outcome, Failure)
        self._move(event.place, _FAILED if failed else _DONE, answer)

    def _move(self, path: Path, below: str, answer: dict[str, Any]) -> None:
        target = self._folder / below / path.name
        target.with_name(f"{path.name}.json").write_bytes(msgspec.json.encode(answer) + b"\n")
        path.replace(target)
        self._taken.discard(path)

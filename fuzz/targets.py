"""One function for each decoder: any bytes in, a value or the one named error out.

Whatever else is raised is a finding: on the wire it would reach code that is not prepared for it.
What was accepted must also survive being written and read again. The functions need no fuzzer, so
``tests/fuzz`` runs them, too.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from device_agent.questions import read_ask
from shared.errors import InvalidPrompt, MalformedMessage, SettingsError
from shared.messages import Result
from shared.settings import DeviceSettings
from shared.settings_file import load
from shared.status import decode_status
from shared.topics import PromptAddress, Topics
from shared.wire import decode_prompt, decode_result, encode_notice, encode_prompt, encode_result

if TYPE_CHECKING:
    from collections.abc import Callable

_TOPICS: Final = Topics("recserve")
_ADDRESS: Final = PromptAddress("cloud-1", "classify", "device-1", "edge-1")
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the file is made by mkstemp


def prompt(data: bytes) -> None:
    """Read a prompt from the tier below."""
    with contextlib.suppress(MalformedMessage):
        read = decode_prompt(data, _ADDRESS, now_s=0.0)
        reread = decode_prompt(encode_prompt(read, now_s=0.0), _ADDRESS, now_s=0.0)
        assert (reread.id, reread.text, reread.hops) == (read.id, read.text, read.hops)


def result(data: bytes) -> None:
    """Read a result, or a refusal, from above."""
    with contextlib.suppress(MalformedMessage):
        read = decode_result(data)
        if isinstance(read, Result):
            assert decode_result(encode_result(read, known_hops=0)) == read
        else:
            assert decode_result(encode_notice(read[0], read[1].code, read[1].agent)) == read


def status(data: bytes) -> None:
    """Read what an agent says of itself."""
    with contextlib.suppress(MalformedMessage):
        decode_status(data)


def topic(data: bytes) -> None:
    """Read the topic of a prompt and of a status."""
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(MalformedMessage):
        address = _TOPICS.read_prompt(text)
        assert _TOPICS.prompt(*address) == text
    with contextlib.suppress(MalformedMessage):
        assert _TOPICS.status(*_TOPICS.read_status(text)) == text


def ask(data: bytes) -> None:
    """Read a question as people and other programs put it."""
    with contextlib.suppress(InvalidPrompt):
        read_ask(data).prompt_id("device-1")


def settings(data: bytes) -> None:
    """Read a settings file."""
    file = _scratch_file()
    file.write_bytes(data)
    with contextlib.suppress(SettingsError):
        load(DeviceSettings, file)


def flag(data: bytes) -> None:
    """Read a setting from a flag; one from the environment takes the same way."""
    file = _scratch_file()
    file.write_bytes(b"{}")
    with contextlib.suppress(SettingsError):
        load(DeviceSettings, file, flags=[data.decode("utf-8", "surrogateescape")])


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "prompt": prompt,
    "result": result,
    "status": status,
    "topic": topic,
    "ask": ask,
    "settings": settings,
    "flag": flag,
}

_scratch: list[Path] = []


def _scratch_file() -> Path:
    """Return this process's one file, in memory where there is such a folder."""
    if not _scratch:
        folder = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
        descriptor, name = tempfile.mkstemp(suffix=".yaml", dir=folder)
        os.close(descriptor)
        _scratch.append(Path(name))
        atexit.register(_scratch[0].unlink, missing_ok=True)
    return _scratch[0]

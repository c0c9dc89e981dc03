"""Settings files for tests, and the sentence with which one is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from device_agent.settings import DeviceSettings
from shared.errors import SettingsError
from shared.settings.file import load

if TYPE_CHECKING:
    from pathlib import Path


LEAST = "agent: device-1\ntier: {name: device, upstream: edge}\nmodel: {source: ./bundle}\n"


def fault(file: Path, text: str | None = None, **sources: Any) -> str:
    """The sentence with which these settings are refused."""
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load(DeviceSettings, file, **sources)
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence

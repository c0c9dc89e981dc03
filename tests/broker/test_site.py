"""The file of a site: of before, altered, and bent in every way."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from broker.secured import listening_port
from broker.site import read
from shared.errors import SettingsError
from tests.support.provisioned import make

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_site_that_was_altered_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    make(folder)
    (folder / "site.json").write_text('{"version": 2}')
    with pytest.raises(SettingsError, match=r"site.json: is not the file of a site"):
        make(folder)


def test_a_site_of_before_listens_on_the_usual_port(a_site: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(a_site / "broker", tmp_path / "broker"))
    (folder / "listener.yaml").unlink()
    assert listening_port(folder) == 8883


BENT = {
    "not UTF-8": lambda text: text.replace("device-1", "device\udcff1"),
    "a list": lambda _: "[1, 2]",
    "deep": lambda _: "[" * 100_000,
    "a number for a name": lambda text: text.replace('"device-1"', "17"),
    "a way out of its folder": lambda text: text.replace('"device-1"', '"../../home"'),
    "a line in a filter": lambda text: text.replace('"reads": []', '"reads": ["a\\nb/c"]'),
    "a serial that is none": lambda text: re.sub(r'"serial": "\w+"', '"serial": "xyz"', text),
    "a root with a wildcard": lambda text: text.replace('"recserve"', '"recserve/+"'),
    "a port beyond all": lambda text: text.replace("8883", "88830"),
    "empty": lambda _: "",
}


@pytest.mark.parametrize("bend", BENT.values(), ids=BENT.keys())
def test_a_site_file_of_any_other_form_is_refused_by_name(
    a_site: Path, tmp_path: Path, bend: Callable[[str], str]
) -> None:
    text = (a_site / "site.json").read_text(encoding="utf-8")
    bent = bend(text)
    assert bent != text
    (tmp_path / "site.json").write_text(bent, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(SettingsError, match=r"site\.json: is not the file of a site: ") as refused:
        read(tmp_path)
    assert "\n" not in str(refused.value)

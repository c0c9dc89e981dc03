"""The page stands alone: sound HTML, nothing fetched, and every picture with words beside it."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from experiments.grid import Grid
from experiments.replay.saturation import Tick
from experiments.report.page import KeyFigure, write_page
from experiments.report.write import write_report
from tests.support.replay_runs import made_record, made_samples, write_made_run

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("matplotlib")
_VOID = {"meta", "br", "hr", "img", "link", "input"}


class Checker(HTMLParser):
    """Follows the tags of a page: which are open, which ids there are, what could be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in _VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"src", "href", "xlink:href", "data"} and not (value or "").startswith("#"):
                self.fetched.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("run")
    records = [made_record(number) for number in range(100)]
    records[5] = made_record(5, answer=None, error="busy", reason="<full>")
    records[7] = made_record(7, degraded="no edge agent & no cloud")
    ticks = [Tick(float(s), 50 * s, 50 * s, 50 * s, 0.2) for s in range(1, 31)]
    write_made_run(folder, records, samples=made_samples(100), ticks=ticks, name="<Friday>")
    write_report(folder)
    assert json.loads((folder / "report.json").read_text())["prompts"]["answered"] == 99
    return (folder / "report.html").read_text(encoding="utf-8")


def test_every_tag_is_closed_and_every_id_is_its_own(page: str) -> None:
    checker = Checker()
    checker.feed(page)

    assert checker.open == []
    assert len(checker.ids) == len(set(checker.ids))


def test_nothing_is_fetched_and_nothing_runs(page: str) -> None:
    checker = Checker()
    checker.feed(page)

    assert checker.fetched == []
    assert not {"script", "iframe", "link", "img", "object"} & set(checker.tags)
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []


def test_every_reference_inside_leads_somewhere(page: str) -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    wanted = set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page))

    assert wanted
    assert wanted <= ids


def test_all_pictures_are_there_sound_and_described(page: str) -> None:
    svgs = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    names = re.findall(r'<figure id="([^"]+)">', page)

    assert names == [
        "arrivals", "shares", "thresholds", "latency", "latency-over-time", "lateness", "burden",
        "queues", "batches", "errors", "accuracy",
    ]  # fmt: skip
    assert len(svgs) == len(names)
    for svg in svgs:
        root = ET.fromstring(svg)  # noqa: S314 - our own
        assert root.get("role") == "img"
        assert root.get("aria-label")


def test_what_must_not_be_missed_is_said(page: str) -> None:
    assert "Saturated from second" in page
    assert "half of the prompts go out 200 ms late" in page


def test_words_from_outside_are_escaped(page: str) -> None:
    assert "&lt;Friday&gt;: replay, 2026" in page
    assert "<Friday>" not in page
    assert "no edge agent &amp; no cloud" in page


def test_a_small_page_holds_what_it_is_given() -> None:
    page = write_page(
        "A & B",
        "both",
        cards=[KeyFigure("5", "lost", bad=True)],
        grids=[Grid("Numbers", ("what", "how many"), [("<x>", "1"), ("y", "2")], frozenset({1}))],
    )
    checker = Checker()
    checker.feed(page)

    assert checker.open == []
    assert "<td>&lt;x&gt;</td>" in page
    assert page.count('<tr class="noticed">') == 1
    assert '<div class="card bad">' in page


def test_equal_runs_make_equal_pages(tmp_path: Path) -> None:
    records = [made_record(number) for number in range(20)]
    pages = []
    for name in ("a", "b"):
        write_report(write_made_run(tmp_path / name, records))
        pages.append((tmp_path / name / "report.html").read_bytes())

    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "made-up: replay, 2026-01-01 00:00 UTC"),
        ({"name": "replay"}, "Replay, 2026-01-01 00:00 UTC"),
        (
            {"name": "replay", "settings": {"trace": {"file": "/data/week/conv.csv.gz"}}},
            "Replay of conv.csv.gz, 2026-01-01 00:00 UTC",
        ),
        (
            {"name": "plan", "kind": "plan", "settings": {"trace": {"file": "poisson:rate=5"}}},
            "Plan of poisson:rate=5, 2026-01-01 00:00 UTC",
        ),
    ],
)
def test_the_title_names_trace_and_time(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    write_made_run(tmp_path, [made_record(number) for number in range(9)], **changes)
    write_report(tmp_path)

    assert f"<title>{said}</title>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_table_that_is_wider_than_the_screen_can_be_scrolled(page: str) -> None:
    assert page.count('<div class="scrolls">\n<table>') == page.count("<table>") > 0
    assert re.search(r"\.scrolls \{ overflow-x: auto; \}", page)


def test_without_matplotlib_the_page_says_how_pictures_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write_made_run(tmp_path, [made_record(number) for number in range(9)])

    write_report(tmp_path)

    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No pictures: they need matplotlib, which is not installed here; pip install -e" in page
    assert "[report]" in page

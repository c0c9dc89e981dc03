"""The page as programs see it: it renders, follows, and nobody writes without the token."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.support.shown_pages import ShownPage, showing

STATIC = Path(__file__).parents[4] / "cloud_agent/center/web/static"


@pytest.mark.parametrize(
    "path", ["/", "/cascade", "/models", "/placement", "/prompts", "/nodes/pi-1", "/login"]
)
async def test_every_page_renders_with_an_empty_fleet_and_a_full_one(
    shown: ShownPage, path: str
) -> None:
    if "pi-1" not in path:
        assert (await shown.ask("GET", path))[0] == 200
    await shown.announce("pi-1", kept=3, thresholds={"classify": 0.5}, link_bytes={"a-b up": 9})
    await asyncio.sleep(0.3)
    status, text, headers = await shown.ask("GET", path)

    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]
    assert not re.search(r"<[^>]*\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=", text), "CSP holds"


async def test_events_go_on_after_the_last_one_that_was_heard(shown: ShownPage) -> None:
    await shown.announce("pi-1", kept=1)
    await shown.announce("pi-2", kept=2)
    after = shown.center.events.after(0)[2].number
    reader, writer = await asyncio.open_connection(*shown.netloc.split(":"))
    writer.write(
        f"GET /events HTTP/1.1\r\nHost: {shown.netloc}\r\nLast-Event-ID: {after}\r\n\r\n".encode()
    )
    text = ""
    while text.count("id: ") < 3:
        text += (await asyncio.wait_for(reader.read(65_536), 5)).decode()
    writer.close()

    sent = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert [event["number"] for event in sent][:3] == [after + 1, after + 2, after + 3]
    assert {event["agent"] for event in sent} == {"pi-2"}


WRITES = ["/api/assign", "/api/manifests", "/api/rollback", "/api/collect", "/api/rollout",
          "/api/rollout/abort"]  # fmt: skip


@pytest.mark.parametrize("path", WRITES)
async def test_nobody_writes_without_the_token_or_from_another_page(
    shown: ShownPage, path: str
) -> None:
    token = f"Bearer {shown.token}"
    refused: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Cookie": f"recserve_center={shown.token}"},
        {"Authorization": token, "Origin": "http://evil.example"},
        {"Authorization": token, "Origin": "null"},
    ]
    for headers in refused:
        status, _, _ = await shown.ask("POST", path, b"{}", **headers)
        assert status == 403, headers
    status, _, _ = await shown.ask("POST", path, b"{}", Authorization=token,
                                   Origin=shown.url)  # fmt: skip
    assert status in (200, 400, 409)


async def test_a_blob_is_taken_with_the_token_alone_and_only_under_its_own_hash(
    shown: ShownPage,
) -> None:
    data = b"weights" * 1000
    sha256 = hashlib.sha256(data).hexdigest()
    token = f"Bearer {shown.token}"

    assert (await shown.ask("PUT", f"/blobs/{sha256}", data))[0] == 403
    wrong = "0" * 64
    assert (await shown.ask("PUT", f"/blobs/{wrong}", data, Authorization=token))[0] == 400
    assert (await shown.ask("PUT", "/blobs/..%2F..%2Fx", data, Authorization=token))[0] in (
        400,
        404,
    )
    assert (await shown.ask("PUT", f"/blobs/{sha256}", data, Authorization=token))[0] == 200
    status, text, headers = await shown.ask("GET", f"/blobs/{sha256}", Range="bytes=7-13")
    assert (status, text) == (206, "weights")
    assert headers["content-range"] == f"bytes 7-13/{len(data)}"
    assert (await shown.ask("GET", f"/blobs/{wrong}", Range="bytes=0-1"))[0] == 404
    assert (await shown.ask("GET", f"/blobs/{sha256}"))[0] == 416


async def test_another_name_for_loopback_does_not_open_the_page(shown: ShownPage) -> None:
    status, _, headers = await shown.ask("GET", "/", Host="rebound.example")

    assert (status, headers["location"]) == (303, "/login")
    assert (await shown.ask("GET", "/api/fleet", Host="rebound.example"))[0] == 401
    assert (await shown.ask("GET", "/events", Host="rebound.example"))[0] == 401


async def test_elsewhere_the_token_is_asked_for_and_its_cookie_only_reads(tmp_path: Path) -> None:
    async with showing(tmp_path, "0.0.0.0") as shown:
        shown.netloc = shown.netloc.replace("0.0.0.0", "127.0.0.1")
        assert (await shown.ask("GET", "/"))[0] == 303
        assert (await shown.ask("POST", "/login", b"token=wrong"))[0] == 403
        body = f"token={shown.token}".encode()
        evil = {"Origin": "http://evil.example"}
        assert (await shown.ask("POST", "/login", body, **evil))[0] == 403
        status, _, headers = await shown.ask("POST", "/login", body)
        cookie = headers["set-cookie"].split(";")[0]
        assert status == 303
        assert shown.token not in cookie
        assert (await shown.ask("GET", "/", Cookie=cookie))[0] == 200
        assert (await shown.ask("POST", "/api/collect", b"{}", Cookie=cookie))[0] == 403


async def test_names_on_the_page_are_text_and_never_markup(shown: ShownPage) -> None:
    await shown.announce("<img_src=x>", kept=1)

    for path in ("/", "/nodes/%3Cimg_src=x%3E"):
        _, text, _ = await shown.ask("GET", path)
        assert "<img_src" not in text
        assert "&lt;img_src" in text


def test_vendored_files_are_those_that_their_page_says() -> None:
    listed = re.findall(r"`([\w.]+)` \| uPlot.*`([0-9a-f]{64})`",
                        (STATIC / "VENDORED.md").read_text(encoding="utf-8"))  # fmt: skip

    assert len(listed) == 2
    for name, sha256 in listed:
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == sha256

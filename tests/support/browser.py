"""A headless Chromium, spoken to over a pipe in its own protocol: no library, no port."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
_PATIENCE_S = 30.0
_BECOME = """
import os, sys
ends = [os.dup(os.dup(int(end))) for end in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""A browser reads from 3 and writes to 4."""


def find_browser() -> str:
    """Return the program, or skip the test where there is none."""
    for name in _PROGRAMS:
        if (found := shutil.which(name)) is not None:
            return found
    pytest.skip("no Chromium here (Debian: apt install chromium)")


class Browser:
    """One page of a browser."""

    def __init__(self, reader: asyncio.StreamReader, to_browser: int) -> None:
        self._reader = reader
        self._to_browser = to_browser
        self._numbers = itertools.count(1)
        self._session = ""

    async def open(self, url: str, *, width: int = 1280, height: int = 860) -> None:
        """Open a page of a size."""
        if not self._session:
            target = await self.call("Target.createTarget", url="about:blank")
            attached = await self.call(
                "Target.attachToTarget", targetId=target["targetId"], flatten=True
            )
            self._session = attached["sessionId"]
        await self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                        deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        await self.call("Page.navigate", url=url)

    async def evaluate(self, script: str) -> Any:
        """Return what a script gives on the page."""
        told = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return told["result"].get("value")

    async def says(self, script: str) -> Any:
        """Return what a script gives on the page, lists and mappings too."""
        return json.loads(await self.evaluate(f"JSON.stringify({script})"))

    async def shows(self, script: str, wanted: Any) -> None:
        """Return once a script gives what is wanted."""
        give_up_s = asyncio.get_running_loop().time() + _PATIENCE_S
        while (found := await self.evaluate(script)) != wanted:
            assert asyncio.get_running_loop().time() < give_up_s, f"{script} gives {found!r}"
            await asyncio.sleep(0.05)

    async def prefer(self, scheme: str) -> None:
        """Prefer colours that are ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def picture(self, place: Path) -> None:
        """Write what is seen as PNG."""
        told = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(place.write_bytes, base64.b64decode(told["data"]))

    async def call(self, method: str, **params: Any) -> Any:
        """Call one method of the protocol."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        while True:
            raw = await asyncio.wait_for(self._reader.readuntil(b"\0"), _PATIENCE_S)
            answer = json.loads(raw[:-1])
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]


@contextlib.asynccontextmanager
async def browsing(folder: Path) -> AsyncIterator[Browser]:
    """Run a browser with nothing remembered."""
    program = find_browser()
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _BECOME, str(their_in), str(their_out),
        program, *_FLAGS, "--remote-debugging-pipe",
        f"--user-data-dir={folder}",
        pass_fds=(their_in, their_out), stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    os.close(their_in)
    os.close(their_out)
    reader = asyncio.StreamReader(limit=64 << 20)
    with os.fdopen(our_in, "rb") as pipe:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            yield Browser(reader, our_out)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            transport.close()
            os.close(our_out)

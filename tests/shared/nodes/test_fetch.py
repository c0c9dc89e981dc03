"""Files that are fetched are whole and right, whatever sources, networks and kills do."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest

from shared.errors import BundleError
from shared.nodes.blob_server import BlobServer
from shared.nodes.fetch import BundleFetcher, Progress
from shared.nodes.sources import BROKER, CENTER, HttpSource
from shared.wire.manifest import CHUNK_BYTES
from tests.support.processes import ROOT
from tests.support.shipped import CountedOrigin, TestSource, content, shipped, store_of
from tests.support.wires import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from shared.nodes.store import BundleStore

WEIGHTS = content(1, 5 * CHUNK_BYTES + 12_345)
TOKENIZER = content(2, 4_321)
BUNDLE = shipped({"model.onnx": WEIGHTS, "tokenizer.json": TOKENIZER, "empty": b""})


def whole(store: BundleStore) -> bool:
    read = [store.blob(file.sha256).read_bytes() for file in BUNDLE.files]
    return read == [WEIGHTS, TOKENIZER, b""]


async def test_a_bundle_comes_whole_and_leaves_nothing_half_done_behind(tmp_path: Path) -> None:
    store, source, progress = store_of(tmp_path), TestSource(WEIGHTS, TOKENIZER), Progress()

    await BundleFetcher(store).fetch(BUNDLE, [source], progress)

    assert whole(store)
    assert list((tmp_path / "parts").iterdir()) == []
    assert progress.bytes_done == progress.bytes_total == BUNDLE.size_bytes
    assert progress.fetched == BUNDLE.size_bytes


async def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    store = store_of(tmp_path, WEIGHTS, b"")
    source = TestSource(WEIGHTS, TOKENIZER)

    await BundleFetcher(store).fetch(BUNDLE, [source], Progress())
    await BundleFetcher(store).fetch(BUNDLE, [], Progress())

    assert len(source.asked) == 1
    assert whole(store)


async def test_a_flipped_bit_is_found_and_repaired(tmp_path: Path) -> None:
    store, source, progress = store_of(tmp_path), TestSource(WEIGHTS, TOKENIZER), Progress()
    source.flips = {2}

    await BundleFetcher(store).fetch(BUNDLE, [source], progress)

    assert whole(store)
    assert progress.repaired == 1
    assert len(source.asked) == 8, "six chunks, one again, and the tokenizer"


async def test_a_source_that_is_wrong_three_times_is_not_asked_again(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    liar, honest = TestSource(WEIGHTS, TOKENIZER, name="liar"), TestSource(WEIGHTS, TOKENIZER)
    liar.flips = set(range(1_000))

    await BundleFetcher(store).fetch(BUNDLE, [liar, honest], Progress())

    assert whole(store)
    assert len(liar.asked) <= 6, "three times for each of two files"


async def test_a_bundle_that_nobody_has_right_is_refused_and_nothing_is_kept(
    tmp_path: Path,
) -> None:
    store, liar = store_of(tmp_path), TestSource(WEIGHTS, TOKENIZER)
    liar.flips = set(range(1_000))

    with pytest.raises(BundleError, match=r"model\.onnx: memory has it wrong"):
        await BundleFetcher(store).fetch(BUNDLE, [liar], Progress())

    assert not any(store.has(file) for file in BUNDLE.files if file.size_bytes)


async def test_two_sources_at_once_never_leave_a_short_file(tmp_path: Path) -> None:
    for seed in range(12):
        draw = random.Random(seed)
        store = store_of(tmp_path / str(seed))
        sources = [TestSource(WEIGHTS, TOKENIZER, name=f"s{n}") for n in range(2)]
        for source in sources:
            source.short = set(draw.sample(range(6), 2))
            source.fails = set(draw.sample(range(6), 1))

        await BundleFetcher(store).fetch(BUNDLE, sources, Progress())

        assert whole(store)


async def test_two_healthy_sources_bring_no_chunk_twice(tmp_path: Path) -> None:
    sources = [TestSource(WEIGHTS, TOKENIZER, name=f"s{n}") for n in range(2)]

    await BundleFetcher(store_of(tmp_path)).fetch(BUNDLE, sources, Progress())

    assert len(sources[0].asked) + len(sources[1].asked) == 7


async def test_after_a_cut_of_the_network_only_what_is_missing_is_fetched(tmp_path: Path) -> None:
    store, source = store_of(tmp_path), TestSource(WEIGHTS, TOKENIZER)
    source.fails = set(range(3, 1_000))
    with pytest.raises(BundleError, match="not now"):
        await BundleFetcher(store, patience_s=0.1).fetch(BUNDLE, [source], Progress())
    assert not any(store.has(file) for file in BUNDLE.files if file.size_bytes)

    again, progress = TestSource(WEIGHTS, TOKENIZER), Progress()
    await BundleFetcher(store).fetch(BUNDLE, [again], progress)

    assert whole(store)
    assert len(again.asked) == 7 - 3
    assert progress.fetched == BUNDLE.size_bytes - 3 * CHUNK_BYTES


async def test_while_prompts_wait_bytes_come_no_faster_than_they_may(tmp_path: Path) -> None:
    store, source = store_of(tmp_path), TestSource(WEIGHTS, TOKENIZER)
    busy = True
    fetcher = BundleFetcher(store, busy=lambda: busy, busy_bytes_s=4 * CHUNK_BYTES)
    began_s = time.monotonic()

    await fetcher.fetch(BUNDLE, [source], Progress())

    assert time.monotonic() - began_s >= 5 / 4, "five chunks at four a second"
    assert whole(store)


async def test_a_last_resort_is_not_asked_while_others_bring_something(tmp_path: Path) -> None:
    first = TestSource(WEIGHTS, TOKENIZER)
    last = TestSource(WEIGHTS, TOKENIZER, name="last", rank=BROKER)

    await BundleFetcher(store_of(tmp_path)).fetch(BUNDLE, [first, last], Progress())

    assert last.asked == []


async def test_who_has_it_near_is_asked_first_and_the_centre_when_they_fail(
    tmp_path: Path,
) -> None:
    near, centre = TestSource(WEIGHTS, TOKENIZER), TestSource(WEIGHTS, TOKENIZER, rank=CENTER)

    await BundleFetcher(store_of(tmp_path / "one")).fetch(BUNDLE, [centre, near], Progress())
    assert (len(near.asked), centre.asked) == (7, [])

    near.fails = set(range(9, 1_000))
    store = store_of(tmp_path / "two")
    await BundleFetcher(store).fetch(BUNDLE, [centre, near], Progress())
    assert whole(store)
    assert len(centre.asked) == 7 - 2


async def test_a_last_resort_is_asked_when_it_is_all_there_is(tmp_path: Path) -> None:
    store, last = store_of(tmp_path), TestSource(WEIGHTS, TOKENIZER, rank=BROKER)

    await BundleFetcher(store).fetch(BUNDLE, [last], Progress())

    assert whole(store)


async def test_a_download_killed_again_and_again_is_whole_in_the_end_and_pays_once(
    tmp_path: Path,
) -> None:
    size = 24 * CHUNK_BYTES + 77
    data = content(3, size)
    bundle = shipped({"model.onnx": data})
    origin = CountedOrigin(store_of(tmp_path / "origin", data))
    description = tmp_path / "bundle.json"
    description.write_bytes(msgspec.json.encode(bundle))
    draw, kills = random.Random(5), 0
    try:
        while True:
            before = origin.sent
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.support.fetch_child",
                str(tmp_path / "store"), origin.url, str(description),
                cwd=ROOT, stdout=subprocess.PIPE,
            )  # fmt: skip
            assert child.stdout is not None
            await child.stdout.readline()
            if kills < 5:
                until = before + draw.randrange(1, 5 * CHUNK_BYTES)
                await eventually(partial(origin.has_sent, until), "some more bytes")
                child.kill()
                kills += 1
                await child.wait()
                continue
            assert await child.stdout.read() == b"done\n"
            assert await child.wait() == 0
            break
    finally:
        origin.close()

    store = store_of(tmp_path / "store")
    assert store.blob(bundle.digest).read_bytes() == data
    assert kills == 5
    assert (tmp_path / "store/store.lock").exists(), "left behind each time, in nobody's way"
    # One chunk is on its way at each kill, and one in the hands of the kernel.
    assert origin.sent <= size + 2 * kills * CHUNK_BYTES


async def test_any_url_that_answers_ranges_is_a_source_and_one_that_does_not_is_told(
    tmp_path: Path,
) -> None:
    origin = store_of(tmp_path / "origin", WEIGHTS, TOKENIZER)
    server = BlobServer(origin, "127.0.0.1", 0)
    folder = tmp_path / "plain"
    folder.mkdir()
    plain = subprocess.Popen(  # noqa: ASYNC220 - a moment
        [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"],
        cwd=origin.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert plain.stdout is not None
        port = plain.stdout.readline().split("port ")[1].split()[0]
        store = store_of(tmp_path / "store")
        whole_files = HttpSource(f"http://127.0.0.1:{port}/")
        with pytest.raises(BundleError, match="answers 200 and not a range"):
            await BundleFetcher(store, patience_s=0.1).fetch(BUNDLE, [whole_files], Progress())
        below = HttpSource(f"{server.url}/some/where/")
        await BundleFetcher(store).fetch(BUNDLE, [whole_files, below], Progress())
        assert whole(store)
        below.close()
    finally:
        plain.kill()
        plain.communicate()
        server.close()

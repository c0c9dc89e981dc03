"""What is left of a file after a kill at any byte is what was checked, and no more."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.nodes.part_file import PartFile
from shared.wire.manifest import CHUNK_BYTES
from tests.support.shipped import content, shipped

DATA = content(4, 3 * CHUNK_BYTES + 500)
FILE = shipped({"model.onnx": DATA}).files[0]


def chunk(index: int) -> bytes:
    return DATA[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]


@settings(max_examples=40, deadline=None)
@given(
    order=st.permutations(range(4)),
    written=st.integers(0, 4),
    journal_bytes=st.integers(0, 16),
    torn=st.integers(0, len(DATA) - 1),
)
def test_a_journal_cut_at_any_byte_and_a_chunk_torn_anywhere_cost_what_they_held(
    order: list[int], written: int, journal_bytes: int, torn: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        part = PartFile(Path(folder), FILE)
        for index in order[:written]:
            assert part.put(index, chunk(index))
        part.close()
        journal = Path(folder) / f"{FILE.sha256}.journal"
        journal.write_bytes(journal.read_bytes()[:journal_bytes])
        with part.path.open("r+b") as file:
            file.seek(torn)
            file.write(bytes([DATA[torn] ^ 1]))

        again = PartFile(Path(folder), FILE)
        noted = set(order[: min(written, journal_bytes // 4)])
        assert again.done == noted - {torn // CHUNK_BYTES}
        for index in again.missing:
            assert again.put(index, chunk(index))
        place = Path(folder) / "whole"
        again.finish(place)
        assert place.read_bytes() == DATA
        assert [path.name for path in Path(folder).iterdir()] == ["whole"]

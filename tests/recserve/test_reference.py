"""The generated pages say what the code says."""

import pytest

from recserve.reference import DOCS, pages


@pytest.mark.parametrize("name", sorted(pages()))
def test_a_generated_page_is_up_to_date(name: str) -> None:
    written = (DOCS / name).read_text(encoding="utf-8")

    assert written == pages()[name], f"docs/{name} is stale; run `make docs`"


def test_every_setting_has_a_sentence() -> None:
    rows = [line for line in pages()["settings.md"].splitlines() if line.startswith("| `")]

    assert rows
    assert [row for row in rows if row.endswith("|  |")] == []

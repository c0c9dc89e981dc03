"""YAML of strangers is read whole, or refused in one sentence and little time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from shared.settings.yaml_file import NotYaml, parse_yaml, read_yaml

if TYPE_CHECKING:
    from pathlib import Path


def doubling(depth: int, form: str) -> str:
    """Aliases of aliases: each name stands for the one before it, nine times."""
    lines = [form.format(name="x0", body="1")]
    for level in range(1, depth):
        body = ", ".join([f"*x{level - 1}"] * 9)
        lines.append(form.format(name=f"x{level}", body=body))
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (doubling(40, "{name}: &{name} [{body}]"), "stands for more than 100,000 values"),
        (doubling(30, "{name}: &{name} {{k: [{body}]}}"), "stands for more than"),
        (
            "x0: &x0 {a: 1}\n" + "\n".join(
                f"x{n}: &x{n}\n  <<: [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 20)
            ),
            "stands for more than",
        ),
        ("a: &a [1, *a]", "'a' stands for itself"),
        ("a: " + "{b: " * 3000, "nested more than 100 deep"),
        ("- " * 200 + "x", "nested more than 100 deep"),
        ("when: 2031-02-30", "day is out of range"),
        ("a: 1\nb: 2\na: 3", "at line 3: the key 'a' is there twice"),
        ("a: *nobody", "undefined alias"),
        ("a: \x00", "special characters are not allowed"),
        ("? [a, b]\n: c", "unhashable key"),
        ("a: !!python/name:os.system", "could not determine a constructor"),
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_what_is_no_honest_yaml_is_refused_in_a_sentence(text: str, says: str) -> None:
    started_s = time.process_time()
    with pytest.raises(NotYaml) as refused:
        parse_yaml(text)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert time.process_time() - started_s < 10


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x {b: 1}\nc:\n  <<: *x\n  d: 2", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("[" * 60 + "]" * 60, None),
        ("", None),
    ],
)
def test_what_people_write_is_read(text: str, value: Any) -> None:
    read = parse_yaml(text)
    assert read == value or value is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_mark_in_front_says_which_unicode_it_is(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "file.yaml"
    file.write_text("name: Gerät\r\nmore: [1, 2]\r\n", encoding=encoding)
    assert read_yaml(file) == {"name": "Gerät", "more": [1, 2]}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"name: Ger\xe4t", "is not UTF-8 (invalid continuation byte)"),
        (b"\xff\xfea\x00:\x00 ", "is not UTF-16 (truncated data)"),
        (b"#" * (1 << 20), "is larger than 256 KiB"),
    ],
)
def test_a_file_that_is_no_such_text_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    file = tmp_path / "file.yaml"
    file.write_bytes(data)
    with pytest.raises(NotYaml) as refused:
        read_yaml(file)
    assert str(refused.value) == says

"""A head's teacher behind a URL: a real server process, and every way it may fail."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from rich.console import Console

from models.pack.adding import HeadRequest, refit_head
from models.pack.teacher import TeacherServer, ask_teacher
from recserve.commands.pack import command
from shared.errors import BundleError, DataError
from shared.runtimes.bundle_files import MANIFEST
from tests.models.pack.test_adding import LARGER, texts_of
from tests.support.chat_server import KEY, ChatServer, serving
from tests.support.tiny_models import LABELS, write_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.runtimes.bundle import Bundle

pytest.importorskip("onnx")
pytest.importorskip("httpx2")

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatServer]:
    teacher = write_bundle(tmp_path_factory.mktemp("larger") / "teacher", words=LARGER)
    with serving(teacher.folder) as running:
        yield running


@pytest.fixture
def student(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "student", name="student")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.tsv"
    path.write_text("text\n" + "\n".join(texts_of(700)) + "\n")
    return path


def flags(student: Bundle, texts: Path, url: str, model: str, *more: str) -> list[str]:
    place = str(student.folder)
    kept = str(texts.parent / "kept")
    return [
        *(place, "--refit-head", "--texts", str(texts), "--teacher", url),
        *("--teacher-model", model, "--teacher-answers", kept, *more),
    ]


def said(words: list[str], env: dict[str, str] | None = None) -> tuple[int, str]:
    ran = CliRunner().invoke(command, words, env={"NO_PROXY": "*"} | (env or {}))
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran.exit_code, ran.output


def asked(server: ChatServer, model: str, kept: Path) -> TeacherServer:
    return TeacherServer(server.url, model, kept=kept, in_flight=4)


def test_a_bundle_gets_a_head_from_a_server_that_only_names_labels(
    server: ChatServer, student: Bundle, texts: Path
) -> None:
    teacher = asked(server, "honest", texts.parent / "kept")

    headed = refit_head(student.folder, HeadRequest(teacher, (texts,), slots=1 << 9), QUIET)

    head = headed.manifest.head
    assert head is not None
    assert (head.teacher, head.texts) == (f"honest at {server.url}", 700)
    assert head.held_out is not None
    assert head.held_out.auroc[1] > head.held_out.auroc_max_probability[0]


def test_a_server_and_the_bundle_behind_it_teach_the_same_labels(
    server: ChatServer, tmp_path: Path
) -> None:
    local = write_bundle(tmp_path / "teacher", words=LARGER)
    words = texts_of(60)

    near = ask_teacher(str(local.folder), words, LABELS, QUIET)
    far = ask_teacher(asked(server, "honest", tmp_path / "kept"), words, LABELS, QUIET)

    assert far.texts == near.texts == tuple(words)
    assert far.probabilities.argmax(axis=1).tolist() == near.probabilities.argmax(axis=1).tolist()
    assert set(far.probabilities.ravel()) == {0.0, 1.0}


def test_answers_that_are_no_label_are_left_out_with_their_texts_and_counted(
    server: ChatServer, tmp_path: Path
) -> None:
    console = Console(width=200)
    with console.capture() as captured:
        taught = ask_teacher(
            asked(server, "sometimes chatty", tmp_path), texts_of(200), LABELS, console
        )

    assert len(taught.texts) == len(taught.probabilities) == 196
    assert "4 of its answers are no label, such as 'hard to tell'" in captured.get()


def test_a_server_that_is_busy_for_a_moment_is_asked_again_when_it_says(
    server: ChatServer, tmp_path: Path
) -> None:
    for model in ("busy", "away"):
        taught = ask_teacher(asked(server, model, tmp_path / model), texts_of(120), LABELS, QUIET)
        assert len(taught.texts) == 120


def test_a_run_that_broke_off_goes_on_where_it_stopped(
    server: ChatServer, student: Bundle, texts: Path, tmp_path: Path
) -> None:
    teacher = asked(server, "breaks later", tmp_path / "kept")
    request = HeadRequest(teacher, (texts,), slots=1 << 9)
    before = (student.folder / MANIFEST).read_bytes()
    with pytest.raises(BundleError, match="HTTP 500, out of memory; what was said is kept"):
        refit_head(student.folder, request, QUIET)
    assert (student.folder / MANIFEST).read_bytes() == before
    (kept,) = (tmp_path / "kept").iterdir()
    lines = kept.read_bytes().splitlines(keepends=True)
    assert len(lines) == 200

    kept.write_bytes(b"".join(lines) + b'{"text_hash":"torn')
    sure = texts_of(200)  # not asked again: a request would fail
    with_those = ask_teacher(teacher, _known(sure, lines), LABELS, QUIET)
    assert len(with_those.texts) == len(_known(sure, lines)) > 0


def _known(words: list[str], lines: list[bytes]) -> list[str]:
    from models.pack.teacher_file import _hash  # noqa: PLC0415 - to know what was asked

    return [text for text in words if any(_hash(text).encode() in line for line in lines)]


def test_a_file_of_kept_answers_that_is_damaged_is_named_with_its_line(
    server: ChatServer, tmp_path: Path
) -> None:
    teacher = asked(server, "honest", tmp_path)
    ask_teacher(teacher, texts_of(20), LABELS, QUIET)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(b'{"text_hash": 5}\n' + kept.read_bytes())

    with pytest.raises(DataError, match=rf"{kept.name}: line 1 is no utterance"):
        ask_teacher(teacher, texts_of(20), LABELS, QUIET)


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("locked", "HTTP 401, wrong API key; name the variable that holds the key with"),
        ("broken", "HTTP 500, out of memory; what was said is kept"),
        ("page", "answers with text/html, which is no chat completion"),
        ("empty", "answers with application/json, which is no chat completion"),
        ("moved", "HTTP 301, https://elsewhere.example/v1; redirects are not followed"),
        ("chatty", "21 of 21 answers are none of negative, positive, such as 'I would call this"),
        ("spent", "HTTP 429, the month's budget is spent"),
        ("gone for a day", "asks to come back in 86,400 s"),
        ("unknown", "HTTP 404, no model 'unknown'; is this the URL of the API"),
    ],
)
def test_what_a_server_may_do_wrong_is_one_clear_line(
    model: str, line: str, server: ChatServer, student: Bundle, texts: Path
) -> None:
    before = (student.folder / MANIFEST).read_bytes()

    code, output = said(flags(student, texts, server.url, model))

    assert code != 0
    (error,) = [each for each in output.splitlines() if each.startswith("error: ")]
    assert line in error
    assert server.url in error
    assert "Traceback" not in output
    assert (student.folder / MANIFEST).read_bytes() == before


def test_a_server_that_is_slow_is_not_waited_for(
    server: ChatServer, student: Bundle, texts: Path
) -> None:
    words = flags(student, texts, server.url, "slow", "--teacher-timeout-s", "0.3")

    code, output = said(words)

    assert code != 0
    assert "gave no answer within 0.3 s; give it more with --teacher-timeout-s" in output


def test_the_key_goes_with_every_request_and_into_no_output(
    server: ChatServer, student: Bundle, texts: Path
) -> None:
    teacher = replace(asked(server, "locked", texts.parent / "kept"), key=KEY)
    assert len(ask_teacher(teacher, texts_of(20), LABELS, QUIET).texts) == 20
    assert KEY not in repr(teacher)

    words = flags(student, texts, server.url, "locked", "--teacher-key-env", "A_KEY")
    for value, line in (
        (f"{KEY} of another", "HTTP 401, wrong API key"),
        ("", "--teacher-key-env: the environment has no A_KEY, or an empty one"),
        ("with a\nline", "--teacher-key-env: A_KEY holds what cannot be a key"),
    ):
        code, output = said(words, {"A_KEY": value})
        assert code != 0
        assert line in output
        assert not value or value not in output


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("http://127.0.0.1:1/v1", "cannot be reached"),
        ("http://no-such-host.invalid/v1", "cannot be reached"),
        ("http://", "is not the URL of an API, as http://HOST:PORT/v1"),
        ("http://127.0.0.1:99999/v1", "is no URL"),
        ("http://me:secret@127.0.0.1/v1", "a key has no place in a URL"),
        ("http://127.0.0.1/v1?key=secret", "is not the URL of an API"),
    ],
)
def test_a_url_that_leads_nowhere_is_one_clear_line(
    url: str, line: str, student: Bundle, texts: Path
) -> None:
    code, output = said(flags(student, texts, url, "honest"))

    assert code != 0
    (error,) = [each for each in output.splitlines() if each.startswith("error: ")]
    assert line in error


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--teacher", "http://h/v1"], "is a server: name its model as --teacher-model"),
        (["--teacher", "folder", "--teacher-model", "m"], "are for a server: give its URL"),
        (["--teacher-timeout-s", "3"], "are for a server: give its URL"),
    ],
)
def test_flags_of_a_server_and_of_a_bundle_do_not_mix(words: list[str], line: str) -> None:
    code, output = said(["bundle", "--refit-head", "--texts", "t.tsv", *words])

    assert code != 0
    assert line in " ".join(output.split())

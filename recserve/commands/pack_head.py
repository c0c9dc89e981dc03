"""The flags of ``recserve pack`` that ask for an agreement head."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from models.pack.adding import HeadRequest
from models.pack.teacher import TeacherServer
from shared.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from shared.runtimes.model_settings import Answers


@dataclass(frozen=True, kw_only=True)
class HeadFlags:
    """Who the teacher is, and what the head learns from, flag by flag."""

    teacher: str | None
    teacher_model: str | None
    teacher_key_env: str | None
    teacher_answers: Path | None
    teacher_in_flight: int | None
    teacher_timeout_s: float | None
    texts: tuple[Path, ...]
    labelled: tuple[Path, ...]
    answer: Answers | None

    def request(self) -> HeadRequest | None:
        """Return the head that is asked for, if any; raise ``SettingsError`` for half of one."""
        teacher = self._teacher()
        if bool(teacher) != bool(self.texts) or ((self.labelled or self.answer) and not self.texts):
            raise SettingsError(
                "--teacher and --texts go together, and --labels and --answer with them"
            )
        return HeadRequest(teacher, self.texts, self.labelled, self.answer) if teacher else None

    def _teacher(self) -> str | TeacherServer | None:
        """Return the bundle, folder or hub id as it was given, or the server."""
        fields = {
            "model": self.teacher_model,
            "kept": self.teacher_answers,
            "in_flight": self.teacher_in_flight,
            "timeout_s": self.teacher_timeout_s,
        }
        given: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
        if not self.teacher or not self.teacher.startswith(("http://", "https://")):
            if given or self.teacher_key_env:
                raise SettingsError(
                    "--teacher-model, --teacher-key-env, --teacher-answers, --teacher-in-flight "
                    "and --teacher-timeout-s are for a server: give its URL as --teacher"
                )
            return self.teacher
        if not given.get("model"):
            raise SettingsError(
                f"--teacher {self.teacher} is a server: name its model as --teacher-model"
            )
        return TeacherServer(_url(self.teacher), key=_key(self.teacher_key_env), **given)


def _url(url: str) -> str:
    """Return the URL of an API, or raise ``SettingsError``."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise SettingsError(f"--teacher {url}: is no URL ({error})") from error
    if "@" in parts.netloc:
        raise SettingsError("--teacher: a key has no place in a URL; see --teacher-key-env")
    if not named or parts.query or parts.fragment:
        raise SettingsError(f"--teacher {url}: is not the URL of an API, as http://HOST:PORT/v1")
    return url.rstrip("/")


def _key(variable: str | None) -> str:
    """Return the key in an environment variable, or raise ``SettingsError`` without showing it."""
    key = os.environ.get(variable, "").strip() if variable else ""
    if variable and not key:
        raise SettingsError(
            f"--teacher-key-env: the environment has no {variable}, or an empty one"
        )
    if not (key.isascii() and (not key or key.isprintable())):
        raise SettingsError(f"--teacher-key-env: {variable} holds what cannot be a key")
    return key

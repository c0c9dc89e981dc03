"""A site to copy, and a secured one for each way to log in, for all who leave them be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.provisioned import make
from tests.support.sites import SecuredSite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from broker.site import Auth


@pytest.fixture(scope="module")
def a_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site to copy."""
    folder = tmp_path_factory.mktemp("provisioned") / "site"
    make(folder)
    return folder


@pytest.fixture(scope="session")
def certificate_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredSite]:
    """A site whose members show certificates, with its broker running."""
    yield from _run(tmp_path_factory.mktemp("certificates"), "certificate")


@pytest.fixture(scope="session")
def password_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredSite]:
    """A site whose members show passwords, with its broker running."""
    yield from _run(tmp_path_factory.mktemp("passwords"), "password")


@pytest.fixture(params=["certificate_site", "password_site"])
def site(request: pytest.FixtureRequest) -> SecuredSite:
    """Each of the two in turn; nobody's credential may be changed."""
    chosen: SecuredSite = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture(params=["certificate", "password"])
def own_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SecuredSite]:
    """A site that this test alone uses, and may change."""
    made = SecuredSite(tmp_path, request.param)
    yield made.start()
    made.stop()


def _run(folder: Path, auth: Auth) -> Iterator[SecuredSite]:
    made = SecuredSite(folder, auth)
    made.let_in_the_seer()
    yield made.start()
    made.stop()

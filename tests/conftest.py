"""Fixtures that several test files share: brokers and wires, and what holds for all of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import settings

from tests.support import leftovers
from tests.support.processes import BrokerProcess, Kind
from tests.support.wires import MemoryWire, MqttWire, Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path


# A busy machine is no failure; CI tries the same examples each time.
settings.register_profile("tests", deadline=None, derandomize=True)
settings.load_profile("tests")


@pytest.fixture(scope="session", autouse=True)
def nothing_outlives_the_suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fails the suite, at its end, for every process that a test left running."""
    folder = tmp_path_factory.getbasetemp()
    os.environ[leftovers.VARIABLE] = f"{folder}/"
    yield
    left = leftovers.left_over(folder, os.getpid())
    for pid in left:
        leftovers.end(pid)
    assert not left, f"left running: {left}"


@pytest.fixture(scope="session", autouse=True)
def logging_uncached() -> Iterator[None]:
    """Keeps loggers from remembering how they were configured, also by what modules share."""
    whole = structlog.configure

    def uncached(**settings: Any) -> None:
        whole(**settings | {"cache_logger_on_first_use": False})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", uncached)
        yield


@pytest.fixture(autouse=True)
def logging_of_its_own() -> Iterator[None]:
    """Lets a test configure logging without a trace in the tests after it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a tiny language model, packed as any other."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime_genai")
    from tests.support.tiny_generators import write_generator  # noqa: PLC0415 - optional

    return write_generator(tmp_path_factory.mktemp("generator")).folder


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a bundle that embeds, of random weights: the same words are near each other."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from models.pack.embedding import pack_embedder  # noqa: PLC0415 - optional
    from tests.support.embedders import write_encoder  # noqa: PLC0415 - optional

    place = tmp_path_factory.mktemp("embedder")
    source = write_encoder(place / "source")
    return str(pack_embedder(str(source), place / "out", name="tiny", quantise=False).folder)


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Kind], Any]]:
    """Starts a broker of each kind when it is first asked for; tests keep to their own topics."""
    running: dict[Kind, BrokerProcess] = {}

    def get(kind: Kind) -> BrokerProcess:
        if kind not in running:
            running[kind] = BrokerProcess(kind, tmp_path_factory.mktemp(kind)).start()
        return running[kind]

    yield get
    for broker in running.values():
        broker.stop()


@pytest.fixture(params=["memory", "embedded", "mosquitto"])
async def wire(
    request: pytest.FixtureRequest, shared_broker: Callable[[Kind], BrokerProcess]
) -> AsyncIterator[Wire]:
    """Each of the three ways to carry messages, in turn."""
    kind = request.param
    made: Wire = MemoryWire() if kind == "memory" else MqttWire(shared_broker(kind))
    yield made
    await made.close()


@pytest.fixture
async def mosquitto(shared_broker: Callable[[Kind], BrokerProcess]) -> AsyncIterator[MqttWire]:
    """Mosquitto with this project's configuration."""
    made = MqttWire(shared_broker("mosquitto"))
    yield made
    await made.close()


@pytest.fixture
async def embedded(shared_broker: Callable[[Kind], BrokerProcess]) -> AsyncIterator[MqttWire]:
    """The embedded broker."""
    made = MqttWire(shared_broker("embedded"))
    yield made
    await made.close()


@pytest.fixture(params=["embedded", "mosquitto"])
def own_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerProcess]:
    """A broker that this test alone uses, and may kill."""
    broker = BrokerProcess(request.param, tmp_path / "broker").start()
    yield broker
    broker.thaw()
    broker.kill()

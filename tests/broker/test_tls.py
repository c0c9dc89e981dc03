"""Who gets a connection to a secured broker at all, and whom members take for the broker."""

from __future__ import annotations

import asyncio
import gc
import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest

from broker.access import Member
from broker.authority import Authority, Credential
from broker.private_files import write_folder
from broker.provision import SiteChange, provision
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.connection import WrongProtocol
from shared.bus.mqtt.settings import MqttSettings, TlsSettings
from shared.errors import BusError, NotConnected, Refused, SettingsError
from tests.support.sites import SecuredSite, connect, say
from tests.support.wires import Inbox, eventually, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <ssl:ResourceWarning",  # left by paho when a handshake fails
    "ignore:unclosed <socket:ResourceWarning",
)
ANSWERS = "recserve/v1/answers/device-1"


@pytest.fixture(autouse=True)
async def _tidy() -> AsyncIterator[None]:
    """Let paho's abandoned sockets go while their warnings are still ignored."""
    yield
    await asyncio.get_running_loop().shutdown_default_executor()
    gc.collect()


async def refusal(settings: MqttSettings) -> BusError:
    """Return how a connection fails; fail if it does not."""
    with pytest.raises(BusError) as raised:
        await connect(settings)
    return raised.value


def signed_by(site: SecuredSite) -> Authority:
    home = site.folder / "authority"
    files = (home / "ca.crt").read_bytes(), (home / "ca.key").read_bytes()
    return Authority.read(Credential(*files))


def showing(settings: MqttSettings, credential: Credential, folder: Path) -> MqttSettings:
    """The same settings with another client certificate."""
    write_folder(folder, {"x.crt": credential.certificate, "x.key": credential.key})
    assert settings.tls is not None
    tls = TlsSettings(
        ca_file=settings.tls.ca_file,
        cert_file=str(folder / "x.crt"),
        key_file=str(folder / "x.key"),
    )
    return msgspec.structs.replace(settings, tls=tls)


# -- whom a member takes for the broker ---------------------------------------------------------


async def test_a_member_does_not_talk_to_a_broker_of_another_authority(
    site: SecuredSite, tmp_path: Path
) -> None:
    provision(tmp_path / "other", SiteChange(hosts=("127.0.0.1",)))
    settings = site.settings("device-1")
    assert settings.tls is not None
    tls = msgspec.structs.replace(settings.tls, ca_file=str(tmp_path / "other/broker/ca.crt"))

    error = await refusal(msgspec.structs.replace(settings, tls=tls))

    assert isinstance(error, NotConnected)
    assert "certificate verify failed" in str(error)


@pytest.mark.parametrize("own_site", ["certificate"], indirect=True)
@pytest.mark.parametrize(
    ("flaw", "says"),
    [
        ("expired", "certificate has expired"),
        ("wrong host", "IP address mismatch"),
        ("a member's own", "unsuitable certificate purpose"),
    ],
)
async def test_a_member_does_not_talk_to_a_broker_with_a_certificate_that_is(
    own_site: SecuredSite, flaw: str, says: str
) -> None:
    # given
    authority = signed_by(own_site)
    bad = {
        "expired": lambda: authority.for_broker(["127.0.0.1"], days=0),
        "wrong host": lambda: authority.for_broker(["elsewhere.lan", "10.0.0.9"]),
        "a member's own": lambda: authority.for_agent("127.0.0.1"),
    }[flaw]()
    write_folder(own_site.folder / "broker", {"broker.crt": bad.certificate, "broker.key": bad.key})
    own_site.start()
    # when
    error = await refusal(own_site.settings("device-1"))
    # then
    assert isinstance(error, NotConnected)
    assert says in str(error)


# -- whom the broker lets in --------------------------------------------------------------------


async def test_nobody_gets_in_without_a_credential(site: SecuredSite) -> None:
    settings = site.settings("device-1")
    assert settings.tls is not None
    bare = MqttSettings(port=site.port, tls=TlsSettings(ca_file=settings.tls.ca_file))
    for username in ("", "device-1"):
        error = await refusal(msgspec.structs.replace(bare, username=username))
        assert isinstance(error, (Refused, WrongProtocol))
        if site.auth == "certificate":
            assert "want one (mqtt.tls.cert_file)" in str(error)


async def test_the_listener_does_not_speak_without_tls(site: SecuredSite) -> None:
    settings = site.settings("device-1")
    await refusal(msgspec.structs.replace(settings, tls=None, connect_timeout_s=1.0))


async def test_a_password_opens_no_other_name(password_site: SecuredSite) -> None:
    settings = msgspec.structs.replace(password_site.settings("device-2"), username="device-1")
    assert isinstance(await refusal(settings), Refused)


async def test_a_certificate_is_its_holders_name_whatever_name_is_given(
    certificate_site: SecuredSite,
) -> None:
    settings = msgspec.structs.replace(certificate_site.settings("device-2"), username="device-1")
    connection = await connect(settings, client_id="device-1")
    with pytest.raises(Refused):
        await say(connection, ANSWERS)
    await say(connection, "recserve/v1/answers/device-2")
    await connection.close()


@pytest.mark.parametrize("flaw", ["expired", "of another authority", "the broker's", "unknown"])
async def test_a_certificate_is_of_no_use_that_is(
    certificate_site: SecuredSite, tmp_path: Path, flaw: str
) -> None:
    # given
    authority = signed_by(certificate_site)
    bad = {
        "expired": lambda: authority.for_agent("device-1", days=0),
        "of another authority": lambda: Authority.create("forger").for_agent("device-1"),
        "the broker's": lambda: authority.for_broker(["device-1"]),
        "unknown": lambda: authority.for_agent("stranger"),
    }[flaw]()
    settings = showing(certificate_site.settings("device-1"), bad, tmp_path / "bad")
    # when, then
    if flaw != "unknown":
        assert isinstance(await refusal(settings), WrongProtocol)
        return
    connection = await connect(settings)  # whom the authority signed for, but no member
    for topic in (ANSWERS, "recserve/v1/answers/stranger"):
        with pytest.raises(Refused):
            await connection.subscribe(topic)
        with pytest.raises(Refused):
            await say(connection, topic)
    await connection.close()


# -- who is put out, and how the others fare ----------------------------------------------------


async def test_a_removed_member_is_out_after_the_restart_and_the_others_come_back(
    own_site: SecuredSite, tmp_path: Path
) -> None:
    # given
    kept = shutil.copytree(own_site.folder / "agents/device-1", tmp_path / "kept")
    stays = await settled(MqttBus(own_site.settings("edge-1"), "edge-1"))
    inbox, heard = Inbox(stays), list[bool]()
    await stays.subscribe("recserve/v1/answers/edge-1", inbox.take)
    stays.watch(heard.append)
    # when
    own_site.provision(remove=("device-1",))
    shutil.copytree(kept, own_site.folder / "agents/device-1")
    own_site.start()
    # then
    assert isinstance(await refusal(own_site.settings("device-1")), (Refused, WrongProtocol))
    await eventually(lambda: heard[-2:] == [False, True], "the other's return")
    await stays.publish("recserve/v1/answers/edge-1", b"still here")
    assert (await inbox.next()).payload == b"still here"
    await stays.close()


async def test_a_renewed_credential_works_and_the_former_does_not(
    own_site: SecuredSite, tmp_path: Path
) -> None:
    home = own_site.folder / "agents/device-1"
    former = shutil.copytree(home, tmp_path / "former")
    own_site.provision(renew=("device-1",))
    own_site.start()

    async with own_site.connected("device-1") as connection:
        await say(connection, ANSWERS)
    shutil.copytree(former, home, dirs_exist_ok=True)
    assert isinstance(await refusal(own_site.settings("device-1")), (Refused, WrongProtocol))


async def test_a_running_member_takes_up_its_renewed_credential_by_itself(
    own_site: SecuredSite,
) -> None:
    """Credentials are read anew for each connection."""
    bus = await settled(MqttBus(own_site.settings("device-1"), "device-1"))
    heard: list[bool] = []
    bus.watch(heard.append)

    own_site.provision(renew=("device-1",))
    own_site.start()

    await eventually(lambda: heard[-2:] == [False, True], "the reconnect")
    await bus.publish(ANSWERS, b"")
    await bus.close()


async def test_a_new_member_gets_in_after_the_restart(own_site: SecuredSite) -> None:
    own_site.provision(members=(Member(name="cloud-9", role="cloud"),))
    own_site.start()
    prompt = "recserve/v1/prompts/cloud-9/classify/device-1/edge-1"
    heard: list[str] = []
    async with (
        own_site.connected("cloud-9", lambda message: heard.append(message.topic)) as cloud,
        own_site.connected("edge-1") as edge,
    ):
        await cloud.subscribe("recserve/v1/prompts/cloud-9/#")
        await say(edge, prompt, b"hard")
        await eventually(lambda: heard == [prompt], "the prompt")


# -- what leaves a machine in the clear ---------------------------------------------------------


def test_a_password_is_not_sent_in_the_clear_to_another_machine(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret")
    settings = MqttSettings(host="broker.lan", username="device-1", password_file=str(file))

    with pytest.raises(SettingsError, match=r"in the clear; set mqtt\.tls") as raised:
        MqttBus(settings, "device-1")

    assert "secret" not in str(raised.value)


def test_prompts_in_the_clear_are_warned_of_once(capsys: pytest.CaptureFixture[str]) -> None:
    MqttBus(MqttSettings(host="192.168.1.5"), "device-1")
    assert capsys.readouterr().out.count("prompts leave this machine in the clear") == 1


@pytest.mark.parametrize(
    "settings",
    [
        MqttSettings(host="127.0.0.1", username="device-1"),
        MqttSettings(host="localhost", username="device-1"),
        MqttSettings(host="broker.lan", username="device-1", plain_on_network=True),
        MqttSettings(host="broker.lan", username="device-1", tls=TlsSettings()),
    ],
    ids=["loopback", "localhost", "with leave", "over TLS"],
)
def test_nothing_is_said_where_nothing_leaks_or_leave_was_given(
    settings: MqttSettings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSERVE_MQTT_PASSWORD", "secret")
    MqttBus(settings, "device-1")
    assert capsys.readouterr().out == ""

"""Bundles that an agent refuses, with a reason, while its old model goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from shared.errors import BundleError
from shared.nodes.publish import describe, sign
from shared.nodes.signing import ManifestSigner, new_key
from shared.wire.manifest import encode_manifest
from tests.support.shipped import SIGNER, SITE
from tests.support.tiny_models import write_bundle
from tests.support.wires import settled

if TYPE_CHECKING:
    from tests.support.shipping_sites import ShippingSite

OTHER = ManifestSigner(new_key())


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("unsigned", "is not signed"),
        ("of another", "signed by"),
        ("altered", "signature of the manifest is not valid"),
        ("other site", "is for the site 'elsewhere'"),
        ("other bundle", "the manifest is of"),
    ],
)
async def test_a_manifest_that_is_not_the_authoritys_is_refused_and_the_old_model_goes_on(
    site: ShippingSite, fault: str, says: str
) -> None:
    folder = site.bundle("better")
    bundle = describe(folder, site="elsewhere" if fault == "other site" else SITE)
    digest = bundle.digest
    if fault == "other bundle":
        bundle = msgspec.structs.replace(bundle, digest="f" * 64)
    manifest = sign(bundle, OTHER if fault == "of another" else SIGNER)
    if fault == "unsigned":
        manifest = msgspec.structs.replace(manifest, signature="")
    if fault == "altered":
        manifest = msgspec.structs.replace(manifest, body=manifest.body.replace("better", "beter"))
    forger = await settled(site.wire.bus("forger"))
    async with site.agent() as parts:
        topics = site.center.topics
        await forger.publish(topics.manifest(digest), encode_manifest(manifest), retain=True)
        wish = msgspec.json.encode({"generation": 1 << 50, "active": digest})
        await forger.publish(topics.control("cloud-1", "desired"), wish, retain=True)
        await site.reaches("refused", digest=digest)

        assert says in site.state().detail
        assert parts.slot.model.name == "own"
        with pytest.raises(BundleError):  # or its files are missing
            await site.center.shipping.take(manifest)


async def test_a_manifest_that_is_rolled_back_is_refused_but_for_the_base_that_was_signed(
    site: ShippingSite,
) -> None:
    shipping = site.center.shipping
    old = await site.catalogue(write_bundle(site.folder / "a", name="bag", bias=0.1).folder,
                                serial=10)  # fmt: skip
    new = await site.catalogue(write_bundle(site.folder / "b", name="bag", bias=0.2).folder,
                                serial=20)  # fmt: skip
    newest = await site.catalogue(write_bundle(site.folder / "c", name="bag", bias=0.3).folder,
                                   serial=30, base=new.digest)  # fmt: skip
    async with site.agent() as parts:
        await shipping.assign(["cloud-1"], newest.digest, "")
        await site.reaches("active", digest=newest.digest)
        await shipping.assign(["cloud-1"], old.digest, "")
        await site.reaches("refused", digest=old.digest)
        assert "is rolled back: its serial is 10, and 30 was here" in site.state().detail
        assert parts.slot.model.digest == newest.digest

        await shipping.assign(["cloud-1"], new.digest, "")
        await site.reaches("active", digest=new.digest)
        assert parts.slot.model.digest == new.digest


async def test_a_model_that_fails_its_probe_is_rolled_back_and_no_prompt_notices(
    site: ShippingSite,
) -> None:
    bad = await site.catalogue(site.bundle("bad", labels=("cold", "warm")))
    async with site.agent() as parts:
        await site.center.shipping.assign(["cloud-1"], bad.digest, "")
        await site.reaches("rolled back", digest=bad.digest)

        assert "other labels" in site.state().detail
        assert parts.slot.model.name == "own"


async def test_names_never_become_paths(site: ShippingSite) -> None:
    for reference in ("../../etc/passwd", "/etc/passwd", ".."):
        store = site.center.shipping.store
        with pytest.raises(Exception, match="is no SHA-256"):
            store.blob(reference)
    forger = await settled(site.wire.bus("forger"))
    async with site.agent() as parts:
        topic = site.center.topics.control("cloud-1", "desired")
        wish = {"generation": 1 << 50, "active": "../../own", "evict": []}
        await forger.publish(topic, msgspec.json.encode(wish))
        await site.reaches("refused", digest="../../own")
        assert "is no SHA-256" in site.state().detail
        assert parts.slot.model.name == "own"

"""The certificate that a code names: nothing is told to another, and it is good from then on."""

import asyncio
import json
from pathlib import Path

import pytest

from console.client import Client, Unreachable, certificate_of
from console.trust import fingerprint_of
from gateway.session import digest_of, new_token, now_ms
from renderers import enrolment
from tests.console.secure import make_certificate, over_https
from tests.console.server import House
from tests.console.test_killed import Program, port, running
from tests.console.test_scan import scan, tickets

__all__ = ["port", "tickets"]


async def code(house: House) -> str:
    """A code that enrols a device, once."""
    made = new_token("e")
    await house.fake.access.create_device(
        1, name="Door 9", token_hash=digest_of(new_token("d")), gate="main", performances=(1,),
        now_ms=now_ms(), enrolment_hash=digest_of(made), enrolment_expires_ms=now_ms() + 60_000,
    )  # fmt: skip
    return made


async def test_a_venues_own_certificate_is_good_by_its_fingerprint_and_no_other_is(
    house: House, tickets: list[str], tmp_path: Path
) -> None:
    ours, other = make_certificate(tmp_path, "venue"), make_certificate(tmp_path, "impostor")
    state = {"XDG_STATE_HOME": str(tmp_path)}
    made = await code(house)

    async def enrolling(fingerprint: str) -> tuple[int, list[str], str]:
        link = enrolment.link_of(
            enrolment.Offer(secure.url, made, performances=(1,), fingerprint=fingerprint)
        )
        return await scan("--enrol", link, "--json", given=tickets[0], environ=state)

    async with over_https(house.url, ours) as secure:
        right = fingerprint_of(await asyncio.to_thread(certificate_of, secure.url))
        # Without the fingerprint no authority vouches for it; with another's, it is another.
        for wrong, words in (("", "certificate"), ("0" * 64, "another certificate")):
            exit_code, lines, err = await enrolling(wrong)
            assert (exit_code, lines) == (2, []) and words in err
        await secure.show(other)
        exit_code, lines, err = await enrolling(right)
        assert (exit_code, lines) == (2, []) and "another certificate" in err
        # The code was shown to nobody of these: it is still good.
        assert secure.heard == b""
        await secure.show(ours)
        exit_code, [line], _ = await enrolling(right)
        assert exit_code == 0 and json.loads(line)["result"] == "ADMITTED"
        assert made.encode() in secure.heard
        # Known from then on; who takes its address afterwards hears no token.
        _, [line], _ = await scan("--json", given=tickets[0], environ=state)
        assert json.loads(line)["result"] == "ALREADY_USED"
        await secure.show(other)
        secure.heard = b""
        _, [line], err = await scan("--json", given=tickets[1], environ=state)
        assert json.loads(line)["alone"] and "lost" in err
        assert secure.heard == b""
    with pytest.raises(Unreachable):
        await asyncio.to_thread(certificate_of, secure.url)


async def test_a_certificate_is_good_for_its_own_address_only(house: House, tmp_path: Path) -> None:
    async with over_https(house.url, make_certificate(tmp_path, "venue")) as secure:
        shown = await asyncio.to_thread(certificate_of, secure.url)
        assert await Client(secure.url, certificate=shown, retry_waits_s=()).ready()
        elsewhere = secure.url.replace("127.0.0.1", "localhost")
        with pytest.raises(Unreachable):
            await Client(elsewhere, certificate=shown, retry_waits_s=()).house()


async def test_a_relay_shows_a_certificate_of_its_venue(
    house: House, tickets: list[str], port: int, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path, "venue")
    token = await house.fake.device_token("relay")
    arguments = (
        "relay", "--server", house.url, "--token", token, "--performances", "1",
        "--port", str(port), "--memory", str(tmp_path / "relay.db"), "--certificate",
    )  # fmt: skip
    url = f"https://127.0.0.1:{port}"
    async with running(Program("console", *arguments, str(certificate), "--key", str(key))) as one:
        while url not in await one.line():
            pass
        fingerprint = fingerprint_of(await asyncio.to_thread(certificate_of, url))
        link = enrolment.link_of(
            enrolment.Offer(url, await code(house), "", "back", (1,), fingerprint)
        )
        state = {"XDG_STATE_HOME": str(tmp_path)}
        _, [line], _ = await scan("--enrol", link, "--json", given=tickets[0], environ=state)
        assert json.loads(line)["result"] == "ADMITTED" and "alone" not in json.loads(line)
    # A file that is no certificate is named before anything is served.
    async with running(Program("console", *arguments, str(tmp_path / "none.pem"))) as one:
        assert one.process is not None and await one.process.wait() == 2

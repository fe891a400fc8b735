"""`strapontin device`: enrol a machine for the doors by a QR code, list them all, revoke one.

Owns arguments, what is printed and exit codes: 0 done, 1 refused, 2 could not begin. The code's
link and its looks are `renderers.enrolment`'s.
"""

import json as json_format
import sys
import time
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from cyclopts import App, Parameter

from console.cli import t
from console.client import (
    Client,
    Device,
    fingerprint_shown_by,
    performance_numbers,
    server_address,
)
from console.operating import (
    ASKER,
    Asker,
    Failure,
    house_zone,
    moment,
    operator,
    print_json,
    run,
)
from renderers import enrolment

app = App(name="device", help=t("cli.device.help"), help_format="plaintext")

Number = Annotated[int, Parameter(help=t("device.cli.number"))]
Name = Annotated[str, Parameter(help=t("device.cli.name"))]
Gate = Annotated[str, Parameter(help=t("device.cli.gate"))]
Performances = Annotated[str, Parameter(help=t("device.cli.performances"))]
Camera = Annotated[Literal["back", "front"], Parameter(help=t("device.cli.camera"))]
Spoken = Annotated[Literal["fr", "en"] | None, Parameter(help=t("device.cli.language"))]
Address = Annotated[str, Parameter(help=t("device.cli.address"))]
Picture = Annotated[Path | None, Parameter(help=t("device.cli.picture"))]


@app.command(help=t("device.cli.add"))
def add(
    name: Name,
    /,
    *,
    gate: Gate = "",
    performances: Performances = "",
    camera: Camera = "back",
    language: Spoken = None,
    address: Address = "",
    picture: Picture = None,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        served = _numbers(performances)
        _check_picture(picture)
        client = await operator(who)
        made = await client.add_device(name, gate, served)
        return _show_code(client, made, camera, language, address, picture, who.json)

    return run(work)


@app.command(help=t("device.cli.code"))
def code(
    device: Number,
    /,
    *,
    camera: Camera = "back",
    language: Spoken = None,
    address: Address = "",
    picture: Picture = None,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        _check_picture(picture)
        client = await operator(who)
        made = await client.offer_enrolment(device)
        return _show_code(client, made, camera, language, address, picture, who.json)

    return run(work)


@app.command(name="list", help=t("device.cli.list"))
def list_(*, who: Asker = ASKER) -> int:
    async def work() -> int:
        client = await operator(who)
        devices = await client.devices()
        if who.json:
            print_json(devices)
            return 0
        zone = await house_zone(client)
        for device in devices:
            print(_line(device, zone))
        return 0

    return run(work)


@app.command(help=t("device.cli.revoke"))
def revoke(
    device: Number,
    /,
    *,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        await client.revoke_device(device)
        if who.json:
            print(json_format.dumps({"id": device, "revoked": True}))
        else:
            print(t("device.cli.revoked", device=device))
        return 0

    return run(work)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return performance_numbers(text)
    except ValueError:
        raise Failure(t("device.cli.bad_performances", text=text)) from None


def _check_picture(picture: Path | None) -> None:
    if picture is not None and picture.suffix not in (".png", ".svg"):
        raise Failure(t("device.cli.bad_picture", path=str(picture)))


def _show_code(
    client: Client,
    made: Device,
    camera: str,
    language: str | None,
    address: str,
    picture: Path | None,
    json: bool,
) -> int:
    server = server_address(address) if address else client.server
    fingerprint = fingerprint_shown_by(server)
    link = enrolment.link_of(
        enrolment.Offer(
            server, made.enrolment, language or "", camera, made.performances, fingerprint
        )
    )
    if picture is not None:
        draw = enrolment.png if picture.suffix == ".png" else enrolment.svg
        try:
            picture.write_bytes(draw(link))
        except OSError as error:
            raise Failure(f"{picture}: {error.strerror}") from None
    if json:
        told = {"id": made.id, "name": made.name, "gate": made.gate, "link": link}
        told |= {"performances": made.performances, "expires_ms": made.enrolment_expires_ms}
        print(json_format.dumps(told))
        return 0
    if picture is None:
        print(_drawn(link))
    minutes = max(1, round((made.enrolment_expires_ms / 1000 - time.time()) / 60))
    print(t("device.cli.made", name=made.name, device=made.id))
    print(link)
    print(t.plural("device.cli.once", minutes))
    return 0


def _drawn(link: str) -> str:
    """Black on white on a terminal, whatever its colours; else as suits a dark one."""
    if not sys.stdout.isatty():
        return "\n".join(enrolment.half_blocks(link, inverted=True))
    return "\n".join(f"\x1b[30;107m{line}\x1b[0m" for line in enrolment.half_blocks(link))


def _line(device: Device, zone: ZoneInfo) -> str:
    seen = t("device.cli.never")
    if device.seen_ms is not None:
        seen = moment(device.seen_ms, zone)
    parts = [f"{device.id:>4}", device.name, device.gate or t("device.cli.any_gate"), seen]
    if device.kept_scans:
        parts.append(t.plural("device.cli.kept", device.kept_scans))
    if device.revoked_ms is not None:
        parts.append(t("device.cli.is_revoked"))
    return "  ".join(parts)

"""The reference scanner as a program: lines and pictures in, outcomes and exit codes out."""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

import pytest
from PIL import Image

from console.client import Client
from console.scan import Seriousness, seriousness
from engine.commands import ScanOutcome
from renderers import secret
from renderers.codes import qr_matrix
from tests.console.server import House, Tangle
from tests.console.test_till import at_till

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def tickets(house: House, tmp_path: Path) -> list[str]:
    """The secrets of three tickets sold at a till."""
    from engine.payments import PaymentMethod

    token = await house.operator("paul", "cashier")
    async with at_till(house.url, token, tmp_path / "till") as till:
        await till.open(1)
        await till.best(3, (), (), 0)
        order = await till.place("en")
        order = await till.pay(PaymentMethod.CASH, order.total, "")
    key = house.fake.ticket_key
    return [secret.sign(key, 1, line.ticket, line.version) for line in order.lines]


@pytest.fixture
async def device(house: House) -> str:
    return await house.fake.device_token("door-1", "main")


async def scan(
    *arguments: str, given: str = "", url: str = "", environ: dict[str, str] | None = None
) -> tuple[int, list[str], str]:
    """Run `strapontin scan` with a memory of its own; exit code, lines, errors."""
    with tempfile.TemporaryDirectory() as state:
        return await _scan(
            *arguments, given=given, url=url, environ={"XDG_STATE_HOME": state} | (environ or {})
        )


async def _scan(
    *arguments: str, given: str, url: str, environ: dict[str, str]
) -> tuple[int, list[str], str]:
    where = ("--server", url) if url else ()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console", "scan", *where, *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, cwd=ROOT,
        env=os.environ | {"LC_ALL": "en_GB.UTF-8"} | environ,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(given.encode()), 60)
    assert process.returncode is not None
    return process.returncode, out.decode().splitlines(), err.decode()


def picture(text: str, path: Path) -> str:
    """A QR code as a camera would see it: large enough, with its quiet zone."""
    matrix = qr_matrix(text)
    image = Image.new("L", (len(matrix) + 8, len(matrix) + 8), 255)
    for y, row in enumerate(matrix):
        for x, dark in enumerate(row):
            if dark:
                image.putpixel((x + 4, y + 4), 0)
    image.resize((image.width * 6, image.height * 6)).save(path)
    return str(path)


def test_every_outcome_is_taken_seriously_as_it_should() -> None:
    green = {outcome for outcome in ScanOutcome if seriousness(outcome) is Seriousness.GOOD}
    assert green == {ScanOutcome.ADMITTED, ScanOutcome.EXITED}
    red = {outcome for outcome in ScanOutcome if seriousness(outcome) is Seriousness.BAD}
    assert {ScanOutcome.UNKNOWN, ScanOutcome.REFUNDED, ScanOutcome.REVOKED} <= red


async def test_lines_of_a_keyboard_wedge_are_scanned_one_by_one(
    house: House, tickets: list[str], device: str
) -> None:
    lines = f"{tickets[0]}\n\n  {tickets[1]}  \n{tickets[0]}\nnot a ticket\n"
    code, out, err = await scan("--token", device, "--performance", "1", url=house.url, given=lines)
    assert (code, err) == (0, "")
    assert [line.split()[1] for line in out] == ["ADMITTED", "ADMITTED", "ALREADY", "UNKNOWN"]
    assert "Stalls, row A" in out[0] and "Full" in out[0]
    assert "at main" in out[2]


async def test_json_lines_tell_everything(house: House, tickets: list[str], device: str) -> None:
    _, out, _ = await scan(
        "--token", device, "--performance", "1", "--json",
        url=house.url, given=f"{tickets[0]}\n{tickets[0]}\n",
    )  # fmt: skip
    first, second = map(json.loads, out)
    assert first["result"] == "ADMITTED" and first["secret"] == tickets[0]
    assert first["place"].startswith("Stalls") and first["mode"] == "admit"
    assert "used_at_ms" not in first
    assert second["result"] == "ALREADY_USED" and second["used_gate"] == "main"
    assert second["used_at_ms"] > 1_700_000_000_000


async def test_looking_up_burns_nothing(house: House, tickets: list[str], device: str) -> None:
    common = ("--token", device, "--performance", "1", "--json")
    _, out, _ = await scan(*common, "--look-up", url=house.url, given=f"{tickets[0]}\n" * 2)
    assert [json.loads(line)["result"] for line in out] == ["ADMITTED", "ADMITTED"]
    assert {json.loads(line)["mode"] for line in out} == {"look_up"}
    _, out, _ = await scan(*common, url=house.url, given=tickets[0])
    assert json.loads(out[0])["result"] == "ADMITTED"


async def test_pictures_are_read_and_a_refused_one_sets_the_exit_code(
    house: House, tickets: list[str], device: str, tmp_path: Path
) -> None:
    good = [picture(text, tmp_path / f"{n}.png") for n, text in enumerate(tickets[:2])]
    common = ("--token", device, "--performance", "1", "--json")
    code, out, _ = await scan(*common, *good, url=house.url)
    assert code == 0
    assert [json.loads(line)["result"] for line in out] == ["ADMITTED", "ADMITTED"]
    code, out, _ = await scan(*common, *good[:1], url=house.url)
    assert code == 1 and json.loads(out[0])["result"] == "ALREADY_USED"


async def test_a_picture_without_a_code_is_named_and_the_rest_is_scanned(
    house: House, tickets: list[str], device: str, tmp_path: Path
) -> None:
    blank = tmp_path / "blank.png"
    Image.new("L", (80, 80), 255).save(blank)
    text = tmp_path / "text.png"
    text.write_text("no picture")
    good = picture(tickets[2], tmp_path / "good.png")
    code, out, err = await scan(
        "--token", device, "--performance", "1", str(blank), str(text), str(tmp_path / "none.png"),
        good, url=house.url,
    )  # fmt: skip
    assert code == 1
    assert len(out) == 1 and "ADMITTED" in out[0]
    assert all(name in err for name in ("blank.png", "text.png", "none.png"))


async def test_a_printed_tickets_two_codes_are_one_ticket(
    house: House, tickets: list[str], device: str, tmp_path: Path
) -> None:
    from renderers.codes import code128_bars

    qr = Image.open(picture(tickets[0], tmp_path / "qr.png"))
    ticket = secret.verify(secret.public_key(house.fake.ticket_key), tickets[0])
    short = secret.short_code(house.fake.ticket_key, *ticket)  # type: ignore[misc]
    width, bars = code128_bars(short)
    page = Image.new("L", (max(qr.width, 3 * width) + 200, qr.height + 300), 255)
    page.paste(qr, (50, 50))
    for offset, wide in bars:
        left = 100 + 3 * offset
        page.paste(0, (left, qr.height + 100, left + 3 * wide, qr.height + 200))
    page.save(tmp_path / "page.png")
    code, out, _ = await scan(
        "--token", device, "--performance", "1", "--json", str(tmp_path / "page.png"), url=house.url
    )
    assert code == 0
    assert [json.loads(line)["result"] for line in out] == ["ADMITTED"]


async def test_a_scan_whose_answer_was_lost_is_asked_again_and_still_admits(
    house: House, tangle: Tangle, tickets: list[str], device: str
) -> None:
    # The server admits, the answer is lost with the connection, the same id asks again.
    tangle.drop_answer_to_scan = True
    _, out, _ = await scan(
        "--token", device, "--performance", "1", "--json", url=tangle.url, given=tickets[0]
    )
    assert [json.loads(line)["result"] for line in out] == ["ADMITTED"]
    assert tangle.websockets == 2


async def test_an_operator_may_scan_with_name_and_password(
    house: House, tickets: list[str]
) -> None:
    await house.operator("dora", "door")
    code, out, _ = await scan(
        "--login", "dora", "--performance", "1", "--gate", "main", url=house.url,
        given=tickets[0], environ={"STRAPONTIN_PASSWORD": house.password},
    )  # fmt: skip
    assert code == 0 and "ADMITTED" in out[0]


async def test_it_says_in_one_line_why_it_cannot_begin(
    house: House, device: str, unused_port
) -> None:  # type: ignore[no-untyped-def]
    nobody = f"http://127.0.0.1:{unused_port()}"
    cashier = await house.operator("lea", "cashier")
    cases = [
        (("--token", device, "--performance", "1"), nobody, nobody),
        (("--performance", "1"), house.url, "--token"),
        (("--token", device, "--performance", "99"), house.url, "no such performance"),
        (("--token", "o.wrong", "--performance", "1"), house.url, "log in"),
        (("--token", cashier, "--performance", "1"), house.url, "may not scan"),
        (("--token", device), house.url, "--performance"),
    ]
    runs = await asyncio.gather(
        *(scan(*arguments, url=url, given="x\n") for arguments, url, _ in cases)
    )
    for (code, out, err), (arguments, _, part) in zip(runs, cases, strict=True):
        assert code == 2 and not out, (arguments, out, err)
        assert part in err and len(err.strip().splitlines()) == 1, err


async def test_without_a_device_of_its_own_nobody_is_admitted(
    house: House, tickets: list[str]
) -> None:
    token = await house.fake.device_token("elsewhere", "", 7)
    code, out, err = await scan(
        "--token", token, "--performance", "1", url=house.url, given=tickets[0]
    )
    assert code == 2 and not out and "may not scan" in err
    assert (await Client(house.url, token).house()).name

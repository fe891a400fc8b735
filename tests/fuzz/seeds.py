"""The seeds: right inputs of every decoder, and those that once broke one.

A file a target in tests/fuzz/corpus, a line an input, in base64; lines that begin with "#" say
why the next one is there. `python -m tests.fuzz.seeds` makes the right ones anew and keeps the
others. Owns the files and what a right input looks like.
"""

import base64
import io
from pathlib import Path
from typing import Any, Final

import msgspec
from PIL import Image

from engine.commands import (
    Allocate,
    Block,
    Channel,
    Checkout,
    Configure,
    CountInside,
    CountQuotas,
    Event,
    Hold,
    HoldBest,
    KeptScan,
    Line,
    ListAllocations,
    ListConflicts,
    Refund,
    Release,
    Scan,
    ScanMode,
    ScanOutcome,
    Sell,
    UndoScan,
)
from engine.feed import Feed
from engine.house import lay_out
from engine.journal import Page, Recorded
from engine.layout_packed import PACKED_HEAD, pack_layout
from engine.performance import Performance
from engine.plan_io import dump_plan, dump_pretix
from engine.waiting import News, Opened, Phase, Report, RoomNews, RoomReport
from gateway.admissions import AdmissionTokens
from gateway.session import SESSION_LIFE_S, BuyerTokens
from renderers import secret
from tests.fuzz.targets import AT_MS, KEY, PLAN, SETTINGS, TARGETS
from tests.security.endpoints import ENDPOINTS, FRAMES

FOLDER: Final = Path(__file__).parent / "corpus"
_RIGHT: Final = "# right ones, made by tests.fuzz.seeds"
_BROKE: Final = "# once broke it"

_pack = msgspec.msgpack.encode


def seeds(target: str) -> list[bytes]:
    """The inputs kept for a target."""
    lines = (FOLDER / f"{target}.txt").read_text(encoding="ascii").splitlines()
    return [base64.b64decode(line) for line in lines if not line.startswith("#")]


def keep(target: str, data: bytes) -> None:
    """Keep an input that broke its target."""
    with (FOLDER / f"{target}.txt").open("a", encoding="ascii") as file:
        file.write(f"{_BROKE}\n{base64.b64encode(data).decode()}\n")


def _id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _commands() -> list[Any]:
    """A little evening: held, sold, scanned, refunded, blocked."""
    token, order = _id(100), "0" * 32
    lines = (Line(0, -1, "adult", 1), Line(1, -1, "child", 1))
    return [
        Hold(_id(1), token, "session", Channel.WEB, (0, 1), ()),
        HoldBest(_id(2), _id(101), "session", Channel.WEB, 3),
        Release(_id(3), _id(101), (), ()),
        Checkout(_id(4), token, order, "ada@example.org", lines),
        Sell(_id(5), token, order),
        Scan(_id(6), "main", "door", 1, 1, 0, ScanMode.ADMIT),
        Scan(_id(10), "side", "ada", 1, 1, 0, ScanMode.ADMIT, "lost"),
        KeptScan(_id(11), "main", "lane", 1, 2, 0, ScanMode.ADMIT, 1, AT_MS, ScanOutcome.ADMITTED),
        UndoScan(_id(12), 1, "side", "ada"),
        CountInside(_id(13)),
        ListConflicts(_id(14)),
        Allocate(_id(15), "press", (Channel.PHONE,), (10, 11), AT_MS + 1),
        ListAllocations(_id(16), "press"),
        CountQuotas(_id(17)),
        Block(_id(7), (20,), (), "why"),
        Refund(_id(8), order, (2,)),
        Configure(_id(9), SETTINGS),
    ]


def _websocket(payload: bytes, head: int = 0x82) -> bytes:
    length = len(payload)
    size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
    return bytes([head]) + size + bytes(4) + payload


def _png() -> bytes:
    from renderers.codes import qr_matrix

    rows = qr_matrix(secret.sign(KEY, 1, 1, 0))
    image = Image.new("L", (len(rows) + 8, len(rows) + 8), 255)
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            image.putpixel((x + 4, y + 4), 0 if dark else 255)
    out = io.BytesIO()
    image.resize((4 * image.width, 4 * image.height)).save(out, "PNG")
    return out.getvalue()


def right() -> dict[str, list[bytes]]:
    """Inputs that every decoder takes."""
    frames = [_pack(row.example) for row in FRAMES]
    live = Performance(1, PLAN, SETTINGS)
    facts = []
    for at, command in enumerate(_commands()):
        facts.append(Event(AT_MS + 1_000 * at, command, live.apply(command, AT_MS + 1_000 * at)))
    feed = Feed(1, 2, bytes(len(PLAN.seats)), [5])
    whole = feed.snapshot_frame()
    feed.publish([0 << 2 | 1, 6 << 2 | 2], [(0, 4)])
    delta = feed.since(2, 0)
    assert delta is not None
    # The sessions of the seeds are the only ones that this key has given out.
    buyers = BuyerTokens(KEY)
    ends_ms = AT_MS - 1_000 + SESSION_LIFE_S * 1000
    tokens = [buyers._token(one, ends_ms - SESSION_LIFE_S * 1000)[0] for one in SESSIONS]
    admission = AdmissionTokens(KEY).token(1, KEY, "session", AT_MS + 1_000)
    page = Page(9, AT_MS, AT_MS, (Recorded(9, 0, 1, AT_MS, _pack(facts)),))
    opened = Opened(1, AT_MS, AT_MS + 1_000, KEY)
    report = Report(bytes(16), (RoomReport(1, 1, 1, (_id(1),)),))
    news = News((RoomNews(1, 1, 0, 1, (opened,), Phase.SCHEDULED, b"life"),))
    return {
        "client_frame": frames,
        "hello": [_pack(("hello", tokens[0], "en"))],
        "websocket_bytes": [
            _websocket(frames[3]),
            _websocket(b"ab", 0x02) + _websocket(b"", 0x89) + _websocket(b"cd", 0x80),
            _websocket(bytes(300)) + _websocket(b"\x03\xe8", 0x88),
        ],
        "session_token": [token.encode() for token in (*tokens, admission)],
        "ticket_secret": [
            text.encode()
            for ticket in (1, 2, 3)
            for version in (0, 1)
            for text in (
                secret.sign(KEY, 1, ticket, version),
                secret.short_code(KEY, 1, ticket, version),
            )
        ],
        "json_body": [
            msgspec.json.encode(row.body) for row in ENDPOINTS if row.body not in (None, {})
        ],
        "engine_commands": [_pack(_commands()), *(_pack([one]) for one in _commands())],
        "feed_frame": [whole, delta, feed.snapshot_frame()],
        "packed_layout": [pack_layout(lay_out(PLAN)).removeprefix(PACKED_HEAD)],
        "plan_file": [dump_plan(PLAN), dump_pretix(PLAN)[0], _CSV],
        "snapshot": [Performance(1, PLAN, SETTINGS).snapshot(), live.snapshot()],
        "journal_page": [_pack(page)],
        "room_news": [_pack([opened]), _pack(report), _pack(news)],
        "performance_settings": [msgspec.json.encode(SETTINGS)],
        "picture": [_png()],
        "lane_bytes": [
            key + len(body).to_bytes(4, "big") + bytes(5) + body
            for key in (KEY, KEY[::-1])
            for body in (b"", b"batch")
        ],
    }


SESSIONS: Final = (bytes(16), b"\xab" * 16)
_CSV: Final = b"section,row,seat,x,y,category\nStalls,A,1,10,10,Full\nStalls,A,2,20,10,Full\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    made = right()
    assert made.keys() == TARGETS.keys()
    for target, inputs in made.items():
        path = FOLDER / f"{target}.txt"
        broke = ""
        if path.exists():
            broke = path.read_text(encoding="ascii").partition(_BROKE)[2]
        lines = [_RIGHT, *(base64.b64encode(data).decode() for data in inputs)]
        path.write_text("\n".join(lines) + "\n" + (_BROKE + broke if broke else ""), "ascii")


if __name__ == "__main__":
    main()

"""The code that makes a machine a device: a link to the scanner page, and its looks as a QR code.

Owns the link's parts and the three ways to show it: half blocks on a terminal, SVG, PNG. The
one-time token stands after the "#", so that no server on the way and no log sees it: a phone's
camera opens the page, which reads the rest there.

    https://box.example/scan#e=e.TOKEN&l=fr&c=back&p=1,2&f=SHA256

e the one-time token, l the language, c the camera (back or front), p the performances that the
device serves (none: any), f the SHA-256 of the server's certificate (none: not checked).
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Final, NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

from renderers.codes import QR_QUIET_MODULES, qr_matrix

PAGE: Final = "/scan"
CAMERAS: Final = ("back", "front")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
_PIXELS_PER_MODULE: Final = 8
_BLOCKS: Final = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
"""By whether the upper and the lower half are drawn."""


class BadLink(ValueError):
    """Not a link that enrols a device."""


class Offer(NamedTuple):
    """What a link says. `server` has no trailing slash; empty `performances`: any."""

    server: str
    token: str
    language: str = ""
    camera: str = "back"
    performances: tuple[int, ...] = ()
    fingerprint: str = ""


def link_of(offer: Offer) -> str:
    """The link that the QR code carries."""
    parts = [f"e={quote(offer.token, safe='.')}"]
    if offer.language:
        parts.append(f"l={offer.language}")
    parts.append(f"c={offer.camera}")
    if offer.performances:
        parts.append(f"p={','.join(map(str, offer.performances))}")
    if offer.fingerprint:
        parts.append(f"f={offer.fingerprint}")
    return f"{offer.server}{PAGE}#{'&'.join(parts)}"


def read_link(text: str) -> Offer:
    """The parts of a link.

    Raises:
        BadLink: Another address, or one without its token.
    """
    try:
        address = urlsplit(text.strip())
        told = {name: values[0] for name, values in parse_qs(address.fragment).items()}
        performances = tuple(int(one) for one in told.get("p", "").split(",") if one)
    except ValueError as error:
        raise BadLink(str(error)) from None
    is_page = address.scheme in ("http", "https") and address.path.endswith(PAGE)
    fingerprint = told.get("f", "")
    is_known = not fingerprint or _FINGERPRINT.fullmatch(fingerprint)
    if not is_page or not told.get("e") or not is_known:
        raise BadLink("not a link that enrols a device")
    server = f"{address.scheme}://{address.netloc}{address.path.removesuffix(PAGE)}"
    camera = told.get("c", CAMERAS[0])
    return Offer(
        server,
        told["e"],
        told.get("l", ""),
        camera if camera in CAMERAS else CAMERAS[0],
        performances,
        fingerprint,
    )


def half_blocks(text: str, inverted: bool = False) -> list[str]:
    """The QR code of a text, two rows of modules a line, its margin included.

    To be shown dark on light; inverted, light modules are drawn, which suits a dark terminal.
    """
    rows = _with_margin(text)
    if len(rows) % 2:
        rows.append([False] * len(rows))
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return [
        "".join(
            _BLOCKS[upper != inverted, lower != inverted]
            for upper, lower in zip(above, below, strict=True)
        )
        for above, below in pairs
    ]


def svg(text: str) -> bytes:
    """The QR code of a text as a picture that prints at any size."""
    rows = _with_margin(text)
    size = len(rows)
    path = "".join(
        f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}"'
        f' shape-rendering="crispEdges"><rect width="{size}" height="{size}" fill="#fff"/>'
        f'<path d="{path}" fill="#000"/></svg>\n'
    ).encode()


def png(text: str) -> bytes:
    """The QR code of a text as pixels."""
    from PIL import Image

    rows = _with_margin(text)
    image = Image.new("1", (len(rows), len(rows)), 1)
    image.putdata([0 if dark else 1 for row in rows for dark in row])
    side = len(rows) * _PIXELS_PER_MODULE
    out = BytesIO()
    image.resize((side, side)).save(out, "PNG")
    return out.getvalue()


def _with_margin(text: str) -> list[list[bool]]:
    matrix = qr_matrix(text)
    side = [False] * QR_QUIET_MODULES
    blank = [False] * (len(matrix) + 2 * QR_QUIET_MODULES)
    around = [list(blank) for _ in range(QR_QUIET_MODULES)]
    return [*around, *([*side, *row, *side] for row in matrix), *map(list, around)]

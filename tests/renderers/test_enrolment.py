"""The link that enrols a device survives its journey, and its three looks are one code."""

from io import BytesIO

import pytest
from PIL import Image, ImageDraw

from renderers import enrolment
from renderers.codes import decode
from renderers.enrolment import BadLink, Offer

FULL = Offer("https://box.example:8443/house", "e.Az_-09", "fr", "front", (12, 3_000), "0f" * 32)


@pytest.mark.parametrize("offer", [FULL, Offer("http://127.0.0.1:8000", "e.x")])
def test_a_link_says_what_was_put_in(offer: Offer) -> None:
    link = enrolment.link_of(offer)
    assert enrolment.read_link(f" {link}\n") == offer
    # What stands after the "#" is sent to no server.
    assert offer.token not in link.partition("#")[0]


@pytest.mark.parametrize(
    "text",
    ["", "ST1ABC", "https://box.example/scan", "https://box.example/scan#l=fr",
     "https://box.example/p/1#e=x", "ftp://box.example/scan#e=x", "https://[/scan#e=x",
     "https://box.example/scan#e=x&p=one", "https://box.example/scan#e=x&f=12"],
)  # fmt: skip
def test_another_text_is_no_link(text: str) -> None:
    with pytest.raises(BadLink):
        enrolment.read_link(text)


def drawn(lines: list[str]) -> bytes:
    """Half blocks as a terminal shows them, dark on light."""
    image = Image.new("L", (4 * len(lines[0]), 8 * len(lines)), 255)
    pen = ImageDraw.Draw(image)
    for y, line in enumerate(lines):
        for x, block in enumerate(line):
            for half, marks in enumerate(("█▀", "█▄")):
                if block in marks:
                    top = 8 * y + 4 * half
                    pen.rectangle((4 * x, top, 4 * x + 3, top + 3), fill=0)
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_all_looks_read_back_as_the_link() -> None:
    link = enrolment.link_of(FULL)
    assert decode(enrolment.png(link)) == [link]
    plain = enrolment.half_blocks(link)
    assert decode(drawn(plain)) == [link]
    swap = str.maketrans("█▀▄ ", " ▄▀█")
    assert enrolment.half_blocks(link, inverted=True) == [line.translate(swap) for line in plain]
    picture = enrolment.svg(link).decode()
    size = int(picture.split('viewBox="0 0 ')[1].split()[0])
    assert size == len(plain[0])
    assert picture.count("h1v1h-1z") == sum(
        2 if block == "█" else block in "▀▄" for line in plain for block in line
    )

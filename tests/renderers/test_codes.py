"""What is encoded is read back, by both readers; what is no picture is refused."""

from __future__ import annotations

import builtins
import io
import sys
from collections.abc import Callable, Iterator

import pytest
from PIL import Image, ImageDraw

from renderers import codes, secret

SECRET = secret.sign(bytes(32), 12, 345, 1)
SHORT = secret.short_code(bytes(32), 12, 345, 1)


@pytest.fixture(autouse=True)
def fresh_reader() -> Iterator[None]:
    codes._reader.cache_clear()
    yield
    codes._reader.cache_clear()


def qr_picture(text: str, module_px: int = 4) -> Image.Image:
    matrix = codes.qr_matrix(text)
    side = (len(matrix) + 2 * codes.QR_QUIET_MODULES) * module_px
    image = Image.new("L", (side, side), "white")
    for y, row in enumerate(matrix):
        for x, dark in enumerate(row):
            if dark:
                left, top = (x + 4) * module_px, (y + 4) * module_px
                image.paste(0, (left, top, left + module_px, top + module_px))
    return image


def code128_picture(text: str, module_px: int = 2) -> Image.Image:
    modules, bars = codes.code128_bars(text)
    width = (modules + 2 * codes.CODE128_QUIET_MODULES) * module_px
    image = Image.new("L", (width, 60), "white")
    for offset, bar in bars:
        left = (offset + codes.CODE128_QUIET_MODULES) * module_px
        image.paste(0, (left, 5, left + bar * module_px, 55))
    return image


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_a_secret_makes_a_small_code() -> None:
    assert len(codes.qr_matrix(SECRET)) == 37, "version 5: 17 + 4 * 5 modules a side"


@pytest.fixture(params=["zbar", "zxing"])
def read(request: pytest.FixtureRequest) -> Callable[[Image.Image], list[str]]:
    if request.param == "zxing":
        return codes._read_with_zxing
    try:
        import pyzbar.pyzbar  # noqa: F401
    except (ImportError, OSError):
        pytest.skip("libzbar is not installed (Debian: apt-get install libzbar0)")
    return codes._read_with_zbar


@pytest.mark.parametrize("text", [SECRET, "x", "É ☃ 桜", "HTTPS://EXAMPLE.ORG/?A=1"])
def test_qr_codes_are_read_back(read: Callable[[Image.Image], list[str]], text: str) -> None:
    assert read(qr_picture(text)) == [text]


@pytest.mark.parametrize("text", [SHORT, "0-000000-0123456789AB", "4294967295-4294967295-ZZZZ"])
def test_code_128s_are_read_back(read: Callable[[Image.Image], list[str]], text: str) -> None:
    assert read(code128_picture(text)) == [text]


def test_a_picture_with_both_gives_the_qr_code_first_and_each_text_once(
    read: Callable[[Image.Image], list[str]],
) -> None:
    qr, bars = qr_picture(SECRET), code128_picture(SHORT)
    sheet = Image.new("L", (700, 700), "white")
    sheet.paste(bars, (20, 10))
    sheet.paste(qr, (20, 120))
    sheet.paste(qr, (20, 400))
    assert read(sheet) == [SECRET, SHORT]


def test_a_picture_file_is_read_through_the_one_function() -> None:
    upright = qr_picture(SECRET)
    assert codes.decode(png(upright)) == [SECRET]
    assert codes.decode(png(upright.rotate(90))) == [SECRET]
    jpeg = io.BytesIO()
    upright.convert("RGB").save(jpeg, "JPEG", quality=60)
    assert codes.decode(jpeg.getvalue()) == [SECRET]
    assert codes.decode(png(Image.new("L", (50, 50), "white"))) == []


def test_a_code_on_a_transparent_ground_is_read() -> None:
    ink = qr_picture(SECRET)
    clear = Image.new("RGBA", ink.size, (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), mask=ink.point(lambda light: 255 - light))
    assert codes.decode(png(clear)) == [SECRET]


def test_without_libzbar_zxing_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def no_zbar(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("pyzbar"):
            raise ImportError("Unable to find zbar shared library")
        return real_import(name, *args, **kwargs)  # type: ignore[arg-type]

    for module in [name for name in sys.modules if name.startswith("pyzbar")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", no_zbar)
    assert codes._reader() is codes._read_with_zxing
    assert codes.decode(png(qr_picture(SECRET))) == [SECRET]


@pytest.mark.parametrize(
    "picture",
    [b"", b"hello", b"%PDF-1.4", png(Image.new("L", (9, 9)))[:40]],
    ids=["empty", "text", "pdf", "cut off"],
)
def test_what_is_no_picture_is_refused(picture: bytes) -> None:
    with pytest.raises(codes.UnreadablePictureError, match="not a picture"):
        codes.decode(picture)


def test_an_enormous_picture_is_refused_before_it_is_unpacked() -> None:
    bomb = png(Image.new("1", (9_000, 8_000)))
    assert len(bomb) < 20_000
    with pytest.raises(codes.UnreadablePictureError, match="9000 x 8000"):
        codes.decode(bomb)
    with pytest.raises(codes.UnreadablePictureError, match="too large"):
        codes.decode(png(Image.new("1", (20_000, 20_000))))


def test_texts_that_no_code_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a text"):
        codes.qr_matrix("")
    with pytest.raises(ValueError, match="9000 characters"):
        codes.qr_matrix("x" * 9000)
    for text in ("", "é"):
        with pytest.raises(ValueError, match="ASCII"):
            codes.code128_bars(text)


def test_a_damaged_code_is_still_read() -> None:
    image = qr_picture(SECRET)
    ImageDraw.Draw(image).ellipse((90, 90, 110, 110), fill="white")
    assert codes.decode(png(image)) == [SECRET]

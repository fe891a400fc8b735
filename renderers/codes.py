"""Barcodes, both ways: QR and Code 128 as plain geometry or drawn on a PDF page, and read back.

Owns the two symbologies and nothing of what they carry: a text in, modules or drawing out; a
picture in, texts out. Sizes on a page are in points. The libraries behind each way are heavy
and are imported where they are used, because a scanner at a door starts with this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image
    from reportlab.pdfgen.canvas import Canvas

# White margins that the standards ask for, in modules (ISO/IEC 18004 and 15417).
QR_QUIET_MODULES = 4
CODE128_QUIET_MODULES = 10

# Four times a phone's photo; above it a picture is refused before it is unpacked.
MAX_PICTURE_PIXELS = 64_000_000

Matrix = Sequence[Sequence[bool]]


DRAWN = ("PNG", "JPEG")
PHOTOGRAPHS = (*DRAWN, "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""Kinds of pictures that are opened: of some others a reader is a program of its own."""


class UnreadablePictureError(ValueError):
    """Bytes that are no picture, or one too large to look at."""


def qr_matrix(text: str) -> Matrix:
    """The modules of the smallest QR code of ``text`` at level M, True for dark, no margin.

    Raises:
        ValueError: ``text`` is empty or longer than any QR code holds.
    """
    from qrcode import QRCode
    from qrcode.constants import ERROR_CORRECT_M
    from qrcode.exceptions import DataOverflowError

    if not text:
        raise ValueError("a QR code needs a text")
    code = QRCode(error_correction=ERROR_CORRECT_M, border=0)
    code.add_data(text, optimize=0)
    try:
        return [[bool(module) for module in row] for row in code.get_matrix()]
    except (DataOverflowError, ValueError) as error:
        raise ValueError(f"a text of {len(text)} characters does not fit in a QR code") from error


def code128_bars(text: str) -> tuple[int, list[tuple[int, int]]]:
    """The width of a Code 128 in modules without margins, and its bars as (offset, width).

    Raises:
        ValueError: ``text`` is empty or holds a character outside ASCII.
    """
    from reportlab.graphics.barcode.code128 import Code128

    if not text or not text.isascii():
        raise ValueError(f"{text!r} does not fit in a Code 128: ASCII only, not empty")
    code = Code128(text)
    code.validate()
    code.encode()
    code.decompose()
    bars: list[tuple[int, int]] = []
    offset = 0
    # Capitals are bars and small letters are gaps, "A" one module wide.
    for letter in code.decomposed:
        width = ord(letter.upper()) - ord("A") + 1
        if letter.isupper():
            bars.append((offset, width))
        offset += width
    return offset, bars


def draw_qr(canvas: Canvas, text: str, x: float, y: float, size: float) -> None:
    """Fills the square of ``size`` points at ``x``, ``y`` (lower left), its margin included."""
    matrix = qr_matrix(text)
    modules = len(matrix)
    path = canvas.beginPath()
    for row, first, length in _runs(matrix):
        # A hair of overlap: without it some viewers let the ground shine through between rows.
        path.rect(first, modules - 1 - row, length, 1.02)
    _draw_in_modules(canvas, path, x, y, size / (modules + 2 * QR_QUIET_MODULES), QR_QUIET_MODULES)


def draw_code128(
    canvas: Canvas, text: str, x: float, y: float, width: float, height: float
) -> None:
    """Fills the box of ``width`` by ``height`` points at ``x``, ``y``, its margins included."""
    modules, bars = code128_bars(text)
    module = width / (modules + 2 * CODE128_QUIET_MODULES)
    path = canvas.beginPath()
    for offset, bar in bars:
        path.rect(offset, 0, bar, height / module)
    _draw_in_modules(canvas, path, x + CODE128_QUIET_MODULES * module, y, module)


def decode(picture: bytes) -> list[str]:
    """The texts of the QR codes and Code 128s in a PNG, JPEG or other picture, each once.

    QR codes come first. Reads with libzbar where it is installed, with zxing-cpp otherwise.

    Raises:
        UnreadablePictureError: not a picture, or one of more than ``MAX_PICTURE_PIXELS``.
    """
    return _reader()(_opened(picture))


def is_picture(data: bytes) -> bool:
    """Can this be drawn: a PNG or JPEG, and not too many pixels?"""
    try:
        _opened(data, DRAWN)
    except UnreadablePictureError:
        return False
    return True


def _draw_in_modules(
    canvas: Canvas, path: object, x: float, y: float, module: float, margin: int = 0
) -> None:
    """Fills a path drawn in whole modules: short numbers make a small page, and a fast one."""
    from reportlab.pdfgen.canvas import FILL_NON_ZERO

    canvas.saveState()
    canvas.translate(x + margin * module, y + margin * module)
    canvas.scale(module, module)
    canvas.drawPath(path, stroke=0, fill=1, fillMode=FILL_NON_ZERO)
    canvas.restoreState()


def _runs(matrix: Matrix) -> Iterator[tuple[int, int, int]]:
    """(row, first column, length) of each unbroken line of dark modules."""
    for row, modules in enumerate(matrix):
        first = None
        for column, dark in enumerate((*modules, False)):
            if dark and first is None:
                first = column
            elif not dark and first is not None:
                yield row, first, column - first
                first = None


def _opened(picture: bytes, formats: tuple[str, ...] = PHOTOGRAPHS) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(picture), formats=formats) as opened:
            width, height = opened.size
            if width * height > MAX_PICTURE_PIXELS:
                raise UnreadablePictureError(
                    f"the picture is {width} x {height}: more than {MAX_PICTURE_PIXELS:,} pixels"
                )
            if "A" not in opened.getbands() and "transparency" not in opened.info:
                return opened.convert("L")
            # A transparent ground would turn black, and hide a black code.
            ground = Image.new("RGBA", opened.size, "white")
            ground.alpha_composite(opened.convert("RGBA"))
            return ground.convert("L")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadablePictureError(f"the picture is too large: {error}") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, UnreadablePictureError):
            raise
        raise UnreadablePictureError(f"not a picture that can be read: {error}") from error


@cache
def _reader() -> Callable[[Image.Image], list[str]]:
    try:
        # Loading libzbar is what importing this does, and what fails where it is missing.
        import pyzbar.pyzbar  # noqa: F401
    except (ImportError, OSError):
        return _read_with_zxing
    return _read_with_zbar


def _read_with_zbar(image: Image.Image) -> list[str]:
    from pyzbar.pyzbar import ZBarSymbol
    from pyzbar.pyzbar import decode as zbar_decode

    found = [
        (symbol.type != "QRCODE", symbol.data.decode("utf-8", "replace"))
        for symbol in zbar_decode(image, symbols=[ZBarSymbol.QRCODE, ZBarSymbol.CODE128])
    ]
    return _qr_first(found)


def _read_with_zxing(image: Image.Image) -> list[str]:
    import zxingcpp

    formats = zxingcpp.BarcodeFormats(
        [zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.Code128]
    )
    found = [
        (code.format != zxingcpp.BarcodeFormat.QRCode, code.text)
        for code in zxingcpp.read_barcodes(
            image, formats=formats, text_mode=zxingcpp.TextMode.Plain
        )
    ]
    return _qr_first(found)


def _qr_first(found: list[tuple[bool, str]]) -> list[str]:
    return list(dict.fromkeys(text for _, text in sorted(found, key=lambda code: code[0])))

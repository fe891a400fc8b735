"""The guest list: complete in every format, harmless in a spreadsheet, ticked on paper."""

import csv
import io
import xml.etree.ElementTree as ElementTree
import zipfile
from typing import Any

import pypdfium2
import pytest

from renderers.guest_list import (
    COLUMNS,
    LINES_PER_PAGE,
    GuestList,
    GuestRow,
    guests_csv,
    guests_pdf,
    guests_xlsx,
)
from renderers.house_style import HouseStyle

STARTS_MS = 1_790_000_000_000
HOUSE = HouseStyle(name="Théâtre du Strapontin")
ARMED = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x","y")']


def row(ticket: int, name: str = "Ada", **more: Any) -> GuestRow:
    place = f"Circle, B, {ticket}"
    return GuestRow(name=name, place=place, ticket=ticket, price_type="Full", order=1001, **more)


def listed(*rows: GuestRow) -> GuestList:
    return GuestList(
        production="The Test", starts_at_ms=STARTS_MS, timezone="Europe/Paris", rows=rows
    )


def csv_rows(guests: GuestList, lang: str = "en") -> list[list[str]]:
    data = guests_csv(guests, lang)
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def xlsx_cells(data: bytes) -> list[list[tuple[str, str]]]:
    """(type, text) of each cell, by the standard library alone."""
    sheet = ElementTree.fromstring(
        zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml")
    )
    rows = []
    for line in sheet.iter(f"{_MAIN}row"):
        assert not list(line.iter(f"{_MAIN}f")), "a formula"
        rows.append(
            [(cell.get("t", "n"), "".join(cell.itertext())) for cell in line.iter(f"{_MAIN}c")]
        )
    return rows


@pytest.mark.parametrize("name", ARMED)
def test_no_name_is_calculated_by_a_spreadsheet(name: str) -> None:
    guests = listed(row(1, name, state="unpaid"), row(2))
    _, one, other = csv_rows(guests)
    assert one[0] == f"'{name}" and other[0] == "Ada"
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in one)
    cells = xlsx_cells(guests_xlsx(guests, "en"))
    assert cells[1][0][0] == "inlineStr"
    assert cells[1][0][1].strip().removeprefix("_x000D_") == name.strip()


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_the_spreadsheets_say_the_same(lang: str) -> None:
    guests = listed(
        row(12, "Zoë, née O'Neill", state="blocked"), row(13, 'a "quoted"\nname'),
        row(14, "", arrived_ms=STARTS_MS),
    )  # fmt: skip
    comma, sheet = csv_rows(guests, lang), xlsx_cells(guests_xlsx(guests, lang))
    assert [[text for _, text in line] for line in sheet] == comma
    assert len(comma) == 4 and all(len(line) == len(COLUMNS) for line in comma)
    assert comma[1][0] == "Zoë, née O'Neill" and comma[1][2] == "12"
    assert comma[3][6] and not comma[1][6]
    assert sheet[1][2][0] == "n"  # a number sorts as one


def pages(data: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(data)
    return [page.get_textpage().get_text_range() for page in document]


def test_paper_has_every_guest_in_order_with_the_house_at_its_head() -> None:
    assert LINES_PER_PAGE >= 18
    rows = [row(number, f"Guest{number:03}") for number in range(2 * LINES_PER_PAGE + 1)]
    told = pages(guests_pdf(listed(*rows), HOUSE, "en"))
    assert len(told) == 3
    for number, page in enumerate(told, start=1):
        assert HOUSE.name in page and "The Test" in page and f"{number} of 3" in page
    names = [word for page in told for word in page.split() if word.startswith("Guest0")]
    assert names == [one.name for one in rows]


def dark(data: bytes) -> int:
    """Dark dots in the box of the first line."""
    picture = pypdfium2.PdfDocument(data)[0].render(scale=4).to_pil().convert("L")
    left, top = 14 * 72 / 25.4 * 4, (14 + 30) * 72 / 25.4 * 4
    box = picture.crop((int(left), int(top), int(left + 48), int(top + 92)))
    return sum(box.histogram()[:100])


def test_who_has_come_is_ticked() -> None:
    empty = guests_pdf(listed(row(1)), HOUSE, "fr")
    ticked = guests_pdf(listed(row(1, arrived_ms=STARTS_MS)), HOUSE, "fr")
    assert dark(ticked) > dark(empty) + 100 > 200


def test_an_empty_list_and_endless_names_are_printed_too() -> None:
    [page] = pages(guests_pdf(listed(), HOUSE, "fr"))
    assert "0 billet" in page
    [page] = pages(guests_pdf(listed(row(1, "Very " * 100, state="unpaid")), HOUSE, "en"))
    assert "…" in page and "unpaid" in page

"""The list of places as a table for spreadsheets, row by row: CSV and XLSX.

Owns both formats and their columns. Rows come in parts and leave in parts: a million of them need
no more memory than a thousand. Texts that strangers typed are disarmed (see `renderers.cells`),
times are the house's, amounts are numbers.

The CSV is what a double click opens rightly: UTF-8 with a byte order mark, without which Excel
guesses another encoding, and in French semicolons between cells and a comma in amounts.
"""

import csv
from collections.abc import Iterable
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import xlsxwriter
from msgspec import Struct

from engine.currency import minor_digits
from engine.listing import Listed
from engine.plan import Plan
from engine.plan_io import load_plan
from renderers.cells import plain_cell
from renderers.i18n import Translator, translator

COLUMNS: Final = (
    *("order", "ordered", "status", "ticket", "production", "begins", "section", "row", "seat"),
    *("category", "price_type", "price", "currency", "buyer", "email", "channel", "operator"),
    "scanned",
)
"""The keys of the headings, under `list.column.`."""
MAX_XLSX_ROWS: Final = 2**20 - 1
"""What a sheet of this format has beside its headings."""
LINE_END: Final = "\r\n"
"""Of a CSV's rows, and in no cell: whoever counts them counts rows."""
_WIDTHS: Final = (10, 17, 11, 11, 30, 17, 18, 8, 8, 16, 16, 10, 9, 26, 30, 13, 14, 17)
_EXCEL_EPOCH_DAY: Final = 25_569
"""1 January 1970, in days as spreadsheets count them."""
_DAY_S: Final = 86_400


class Showing(Struct, frozen=True):
    """What rows say of a performance. `plan` is a hash; `price_types` are names by id."""

    title: str
    starts_ms: int
    plan: str
    price_types: dict[str, str] = {}


class Place(NamedTuple):
    section: str
    row: str
    seat: str
    category: str


NOWHERE: Final = Place("", "", "", "")


class Cells:
    """What the columns of a row say, in one language and one time zone."""

    def __init__(self, language: str, time_zone: str) -> None:
        self.t: Translator = translator(language)
        self._zone = ZoneInfo(time_zone)
        self._plans: dict[str, tuple[list[Place], list[Place]]] = {}
        self._showings: dict[int, Showing] = {}
        self._unknown = Showing("", 0, "")

    @property
    def headings(self) -> list[str]:
        return [self.t(f"list.column.{column}") for column in COLUMNS]

    def learn(self, plans: dict[str, bytes], showings: dict[int, Showing]) -> None:
        """Plans by hash, in our own format, and performances by number, before rows of theirs."""
        for plan_hash, body in plans.items():
            self._plans[plan_hash] = places_of(load_plan(body))
        self._showings.update(showings)

    def showing(self, row: Listed) -> Showing:
        return self._showings.get(row.performance, self._unknown)

    def place(self, row: Listed) -> Place:
        seats, areas = self._plans.get(self.showing(row).plan, ((), ()))
        known, index = (seats, row.seat) if row.seat >= 0 else (areas, row.area)
        return known[index] if 0 <= index < len(known) else NOWHERE

    def local(self, at_ms: int) -> datetime:
        """In the house, to the second."""
        return datetime.fromtimestamp(at_ms // 1_000, self._zone).replace(tzinfo=None)

    def words(self, row: Listed) -> tuple[str, str]:
        """Status and channel."""
        return self.t(f"list.status.{row.status}"), self.t(f"list.channel.{row.channel}")


def places_of(plan: Plan) -> tuple[list[Place], list[Place]]:
    """The words for the seats and the areas of a plan, by index."""
    names = [category.name for category in plan.categories]
    seats = [
        Place(*_label(plan, index), names[seat.category]) for index, seat in enumerate(plan.seats)
    ]
    return seats, [Place(area.name, "", "", names[area.category]) for area in plan.areas]


def _label(plan: Plan, seat: int) -> tuple[str, str, str]:
    label = plan.seat_label(seat)
    return label.section, label.row, label.seat


class CsvSheet:
    """Rows as they come, as bytes to be sent on. English: commas and points; French: as above."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        french = cells.t.language == "fr"
        self._decimal = "," if french else "."
        self._file = StringIO()
        self._lines = csv.writer(
            self._file, delimiter=";" if french else ",", lineterminator=LINE_END
        )

    def begin(self) -> bytes:
        self._lines.writerow(self._cells.headings)
        return b"\xef\xbb\xbf" + self._taken()

    def add(self, rows: Iterable[Listed]) -> bytes:
        self._lines.writerows(map(self._row, rows))
        return self._taken()

    def end(self) -> bytes:
        return b""

    def _taken(self) -> bytes:
        text = self._file.getvalue()
        self._file.seek(0)
        self._file.truncate()
        return text.encode()

    def _row(self, row: Listed) -> tuple[str | int, ...]:
        cells = self._cells
        showing, place = cells.showing(row), cells.place(row)
        status, channel = cells.words(row)
        return (
            row.order_number,
            str(cells.local(row.ordered_ms)),
            status,
            _ticket(row),
            _text(showing.title),
            str(cells.local(showing.starts_ms)) if showing.starts_ms else "",
            *map(_text, place),
            _text(showing.price_types.get(row.price_type, row.price_type)),
            self._amount(row),
            row.currency,
            _text(row.buyer_name),
            _text(row.buyer_email),
            channel,
            _text(row.operator),
            str(cells.local(row.scanned_ms)) if row.scanned_ms else "",
        )

    def _amount(self, row: Listed) -> str:
        digits = minor_digits(row.currency)
        if not digits:
            return str(row.amount)
        whole, rest = divmod(row.amount, 10**digits)
        return f"{whole}{self._decimal}{rest:0{digits}}"


def _text(text: str) -> str:
    return plain_cell(in_one_line(text)) if text else ""


def in_one_line(text: str) -> str:
    """Without breaks: a row of the list is a line of its file."""
    return text if text.isprintable() else " ".join(text.splitlines())


def _ticket(row: Listed) -> str:
    """As people read it to each other."""
    return f"{row.performance}-{row.ticket}" if row.ticket > 0 else ""


class XlsxSheet:
    """A workbook in a file: it is there at the end. `folder` takes what is not finished."""

    def __init__(self, cells: Cells, folder: Path, file: str) -> None:
        self._cells = cells
        # Row by row to a temporary file. The large format is for what is beyond 4 GB.
        options = {"constant_memory": True, "tmpdir": str(folder), "use_zip64": True}
        self._book = xlsxwriter.Workbook(str(folder / file), options)
        self._sheet = self._book.add_worksheet(cells.t("list.sheet"))
        self._time = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._money: dict[int, xlsxwriter.format.Format] = {}
        self._next = 1

    def begin(self) -> bytes:
        bold = self._book.add_format({"bold": True, "bottom": 1})
        self._sheet.freeze_panes(1, 0)
        for column, width in enumerate(_WIDTHS):
            self._sheet.set_column(column, column, width)
        for column, heading in enumerate(self._cells.headings):
            self._sheet.write_string(0, column, heading, bold)
        return b""

    def add(self, rows: Iterable[Listed]) -> bytes:
        for row in rows:
            self._write(row)
        return b""

    def end(self) -> bytes:
        self._sheet.autofilter(0, 0, self._next - 1, len(COLUMNS) - 1)
        self._book.close()
        return b""

    def _write(self, row: Listed) -> None:
        cells, at = self._cells, self._next
        self._next += 1
        showing, place = cells.showing(row), cells.place(row)
        status, channel = cells.words(row)
        digits = minor_digits(row.currency)
        text, number = self._sheet.write_string, self._sheet.write_number
        number(at, 0, row.order_number)
        number(at, 1, self._days(row.ordered_ms), self._time)
        if showing.starts_ms:
            number(at, 5, self._days(showing.starts_ms), self._time)
        number(at, 11, row.amount / 10**digits, self._format(digits))
        if row.scanned_ms:
            number(at, 17, self._days(row.scanned_ms), self._time)
        for column, word in (
            (2, status),
            (3, _ticket(row)),
            (4, showing.title),
            (6, place.section),
            (7, place.row),
            (8, place.seat),
            (9, place.category),
            (10, showing.price_types.get(row.price_type, row.price_type)),
            (12, row.currency),
            (13, row.buyer_name),
            (14, row.buyer_email),
            (15, channel),
            (16, row.operator),
        ):
            if word:
                text(at, column, in_one_line(word))

    def _days(self, at_ms: int) -> float:
        local = self._cells.local(at_ms)
        seconds = local.hour * 3_600 + local.minute * 60 + local.second
        return local.toordinal() - _UNIX_EPOCH_DAY + _EXCEL_EPOCH_DAY + seconds / _DAY_S

    def _format(self, digits: int) -> "xlsxwriter.format.Format":
        if digits not in self._money:
            shape = "#,##0" + ("." + "0" * digits if digits else "")
            self._money[digits] = self._book.add_format({"num_format": shape})
        return self._money[digits]


_UNIX_EPOCH_DAY: Final = datetime(1970, 1, 1).toordinal()

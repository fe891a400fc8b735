"""The printed ticket: its codes are read from the picture, nothing collides, nothing is lost."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from PIL import Image

from renderers import codes, secret, ticket
from renderers.house_style import HouseStyle
from renderers.i18n import translator
from renderers.ticket import TicketView, ticket_pdf
from tests.renderers import paper

KEY = bytes(range(32))
MM = 72 / 25.4
# Friday 11 December 2026, 20:00 in Paris.
EVENING_MS = 1_797_015_600_000


def logo(width: int = 400, height: int = 200) -> bytes:
    file = io.BytesIO()
    Image.new("RGBA", (width, height), (20, 60, 160, 255)).save(file, "PNG")
    return file.getvalue()


HOUSE = HouseStyle(
    name="Théâtre des Tuileries",
    address=("14 quai des Comédiens", "69002 Lyon"),
    contact=("04 72 00 00 00",),
    licences=("L-R-21-004512", "L-D-21-004513"),
    business_id="812 345 678 00019",
    vat_number="FR 32 812345678",
    practical=("Les retardataires sont placés à l’entracte.",),
)
SWISS = HouseStyle(
    name="Théâtre du Léman",
    address=("Quai du Mont-Blanc 19", "1201 Genève"),
    country="CH",
    business_id="CHE-123.456.789 TVA",
    legal=("Association des Amis du Théâtre du Léman",),
    policy="Ni repris ni échangé ; remboursé 30 jours en cas d’annulation.",
    logo=logo(),
    accent="#ffd447",
    trim="#1d4e89",
)


def view(performance: int = 12, number: int = 345, version: int = 1) -> TicketView:
    return TicketView(
        secret=secret.sign(KEY, performance, number, version),
        short_code=secret.short_code(KEY, performance, number, version),
        order="10482",
        production="Le Songe d’une nuit d’été",
        subtitle="William Shakespeare · mise en scène Ariane Vidal",
        starts_at_ms=EVENING_MS,
        doors_at_ms=EVENING_MS - 30 * 60_000,
        timezone="Europe/Paris",
        venue="Grande salle",
        venue_address="14 quai des Comédiens, 69002 Lyon",
        section="Orchestre",
        row="F",
        seat="12",
        category="Catégorie 1",
        price_type="Plein tarif",
        price_minor=3850,
        currency="EUR",
        entrance="Porte B",
        holder="Héloïse Lambert-Dufresne",
        vat_bp=210,
    )


# As long as anything is likely to be, everywhere at once.
LONG = replace(
    view(secret.MAX_ID, secret.MAX_ID, secret.MAX_VERSION),
    order="104821234567",
    production="Les Aventures extraordinaires et véridiques du chevalier Don Quichotte de la "
    "Manche et de son fidèle écuyer Sancho Pança, comédie-ballet en cinq actes, un prologue et "
    "de nombreux intermèdes musicaux",
    subtitle="d’après Miguel de Cervantès, avec l’Orchestre symphonique de la Radio, le Chœur "
    "d’enfants de la Maîtrise et la troupe permanente ; mise en scène Jean-Christophe Dupont",
    section="Deuxième balcon de face, côté jardin, loges d’avant-scène",
    row="AA bis",
    seat="1024 bis",
    holder="Maximiliana-Alexandrina von und zu Hohenlohe-Waldenburg-Schillingsfürst",
    category="Catégorie Carré Or avec visibilité partielle",
    price_type="Tarif réduit demandeurs d’emploi, étudiants et moins de 26 ans",
    price_minor=123_456_789,
    currency="CHF",
    entrance="Entrée principale, escalier B, deuxième étage",
    marks=("Visibilité réduite", "Place pour fauteuil roulant", "Place d’accompagnant"),
    venue="Palais des Congrès et de la Culture Jean-Jacques-Rousseau",
    venue_address="123 bis, boulevard du Maréchal-de-Lattre-de-Tassigny, bâtiment C, 1201 Genève",
)
STANDING = replace(view(), section="Parterre debout", row="", seat="", price_minor=0, vat_bp=None)
BARE = TicketView(
    secret=secret.sign(KEY, 1, 1, 1),
    short_code=secret.short_code(KEY, 1, 1, 1),
    order="1",
    production="Ubu",
    starts_at_ms=EVENING_MS,
    timezone="Europe/Paris",
    venue="Salle",
    section="Table 12",
    seat="A",
    price_type="Plein",
    price_minor=100,
    currency="EUR",
)
CASES = {
    "usual": (view(), HOUSE),
    "long": (LONG, SWISS),
    "standing": (STANDING, SWISS),
    "bare": (BARE, HouseStyle(name="Le Bocal")),
    "one long word": (replace(view(), production="X" * 180, section="Y" * 60), HOUSE),
    "other alphabets": (
        replace(view(), production="Вишнёвый сад", subtitle="Ο Βυσσινόκηπος", holder="Łukasz Đặng"),
        HOUSE,
    ),
}


@pytest.fixture(params=["zbar", "zxing"])
def read(request: pytest.FixtureRequest) -> Callable[[Image.Image], list[str]]:
    if request.param == "zxing":
        return codes._read_with_zxing
    try:
        import pyzbar.pyzbar  # noqa: F401
    except (ImportError, OSError):
        pytest.skip("libzbar is not installed (Debian: apt-get install libzbar0)")
    return codes._read_with_zbar


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("case", CASES)
def test_both_codes_are_read_from_a_picture_of_150_dpi(
    read: Callable[[Image.Image], list[str]], case: str, lang: str
) -> None:
    shown, house = CASES[case]
    image = paper.picture(ticket_pdf([shown], house, lang))
    assert read(image) == [shown.secret, shown.short_code]


@pytest.mark.parametrize("dpi", [100, 203, 300, 600])
def test_the_dark_of_the_qr_code_has_no_gaps_at_any_printers_resolution(dpi: int) -> None:
    """A corner mark's core is three modules of unbroken black, across its rows too."""
    image = paper.picture(ticket_pdf([view()], HOUSE, "fr"), dpi=dpi)
    module_mm = 54 / (37 + 8)
    left, top = (mm + (4 + 2) * module_mm for mm in (141.5, 31.0))
    inset = 0.3 * module_mm
    box = (left + inset, top + inset, left + 3 * module_mm - inset, top + 3 * module_mm - inset)
    core = image.crop(tuple(int(side * dpi / 25.4) for side in box))
    assert core.getextrema()[1] < 60


def test_the_claims_are_read_back_from_the_paper() -> None:
    image = paper.picture(ticket_pdf([view(7, 1234, 2)], HOUSE, "fr"))
    full, short = codes._read_with_zxing(image)
    assert secret.verify(secret.public_key(KEY), full) == (7, 1234, 2)
    assert secret.verify_short(KEY, short) == (7, 1234, 2)


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("case", CASES)
def test_nothing_collides_and_everything_stays_on_the_page(case: str, lang: str) -> None:
    shown, house = CASES[case]
    assert_clean_page(ticket_pdf([shown], house, lang))


def assert_clean_page(pdf: bytes) -> None:
    found = paper.glyphs(pdf)
    assert paper.collisions(found) == []
    width, height = paper.size(pdf)
    # The codes' boxes, from the page's upper left corner in mm: no letter may stand there.
    qr = (141.5, 31.0, 195.5, 85.0)
    bars = (16.0, 121.0, 135.0, 129.5)
    for glyph in found:
        assert 12 * MM < glyph.left and glyph.right < width - 12 * MM, glyph
        assert 12 * MM < glyph.bottom and glyph.top < height - 12 * MM, glyph
        for left, top, right, bottom in (qr, bars):
            beside = glyph.right < left * MM or glyph.left > right * MM
            above = glyph.bottom > height - top * MM or glyph.top < height - bottom * MM
            assert beside or above, f"{glyph} stands on a code"


@pytest.mark.parametrize("case", CASES)
def test_no_letter_of_a_field_is_lost(case: str) -> None:
    shown, house = CASES[case]
    text = paper.letters(ticket_pdf([shown], house, "fr"))
    fields = ("order", "production", "subtitle", "section", "row", "seat", "holder", "category",
              "price_type", "entrance", "venue", "venue_address", "short_code")  # fmt: skip
    for name in fields:
        assert paper.squeezed(getattr(shown, name)) in text, name
    for mark in (*shown.marks, *house.address, *house.practical, *house.legal, house.policy):
        assert paper.squeezed(mark) in text


# Without shrinking: a page is slow to look at, and the words that collide are in the report.
@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.data())
def test_any_words_fit_without_colliding(data: st.DataObject) -> None:
    word = st.text("abcdeéèœÀÇÑWMil.'ЖщΩβ0189-", min_size=1, max_size=40)
    words = st.lists(word, min_size=1, max_size=12).map(" ".join)
    shown = replace(
        view(),
        production=data.draw(words),
        section=data.draw(words),
        holder=data.draw(words),
        price_type=data.draw(words),
        entrance=data.draw(words),
        seat=data.draw(word),
        row=data.draw(word),
    )
    pdf = ticket_pdf([shown], HOUSE, "fr")
    assert_clean_page(pdf)
    text = paper.letters(pdf)
    for value in (shown.production, shown.section, shown.holder, shown.seat, shown.row):
        assert paper.squeezed(value) in text


def test_the_page_says_when_where_and_how_much_in_its_language() -> None:
    french = paper.letters(ticket_pdf([view()], HOUSE, "fr"))
    english = paper.letters(ticket_pdf([view()], HOUSE, "en"))
    for text, words in (
        (french, ("Vendredi11décembre2026", "20:00", "19:30", "38,50€", "RANG", "TVA2,1%")),
        (english, ("Friday,11December2026", "20:00", "19:30", "€38.50", "ROW", "VATat2.1%")),
    ):
        for word in words:
            assert word in text
        assert "12-000345" in text


def test_the_legal_mentions_of_france_and_of_switzerland() -> None:
    french = paper.letters(ticket_pdf([view()], HOUSE, "fr"))
    for words in (
        "Licences d’entrepreneur de spectacles : L-R-21-004512, L-D-21-004513",
        "SIRET 812 345 678 00019",
        "N° de TVA FR 32 812345678",
        translator("fr")("ticket.legal.policy"),
    ):
        assert paper.squeezed(words) in french
    swiss = paper.letters(ticket_pdf([view()], SWISS, "fr"))
    assert paper.squeezed("IDE CHE-123.456.789 TVA") in swiss
    assert paper.squeezed(SWISS.policy) in swiss
    assert "SIRET" not in swiss
    assert paper.squeezed(translator("fr")("ticket.legal.policy")) not in swiss


def test_a_free_place_and_one_without_a_number_say_so() -> None:
    text = paper.letters(ticket_pdf([STANDING], HOUSE, "fr"))
    assert "Gratuit" in text and "Placementlibre" in text
    assert "RANG" not in text and "TVA2,1" not in text


def test_an_order_makes_one_document_a_page_a_ticket() -> None:
    tickets = [view(12, number) for number in (1, 2, 3)]
    pdf = ticket_pdf(tickets, HOUSE, "fr")
    assert paper.pages(pdf) == 3
    for page, shown in enumerate(tickets):
        assert shown.short_code in paper.letters(pdf, page)
        assert codes._read_with_zxing(paper.picture(pdf, page))[0] == shown.secret


def test_the_seat_is_the_largest_thing_on_the_page() -> None:
    found = paper.glyphs(ticket_pdf([view()], HOUSE, "fr"))
    tallest = sorted(found, key=lambda glyph: glyph.top - glyph.bottom)[-3:]
    assert {glyph.letter for glyph in tallest} == {"F", "1", "2"}


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2000, 10), (10, 2000)])
def test_a_logo_of_any_shape_stays_in_the_band(width: int, height: int) -> None:
    pdf = ticket_pdf([view()], replace(HOUSE, logo=logo(width, height)), "fr")
    assert_clean_page(pdf)
    below = paper.picture(pdf, dpi=72).crop((30, int(30 * MM), 595, 842))
    assert below.getpixel((25, 10)) == 255


@pytest.mark.parametrize("accent", ["#ffffff", "#000000", "#ffff00", "#7a1f2b"])
def test_any_colour_of_the_organiser_can_be_read(accent: str) -> None:
    pdf = ticket_pdf([view()], replace(HOUSE, accent=accent), "fr")
    image = paper.picture(pdf, dpi=150)
    for box in ((19, 64, 80, 69), (19, 15, 90, 26)):  # the date, the house's name
        scale = 150 / 25.4
        region = image.crop(tuple(int(side * scale) for side in box))
        dark, light = region.getextrema()
        assert light - dark > 110, f"{accent} leaves {box} unreadable"


def test_what_cannot_be_printed_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="0 tickets"):
        ticket_pdf([], HOUSE, "fr")
    with pytest.raises(ValueError, match="2001 tickets"):
        ticket_pdf([view()] * (ticket.MAX_TICKETS_PER_DOCUMENT + 1), HOUSE, "fr")
    with pytest.raises(ValueError, match="at most 2000 characters"):
        ticket_pdf([replace(view(), production="x" * 2001)], HOUSE, "fr")
    with pytest.raises(ValueError, match="not a #rrggbb colour: 'red'"):
        ticket_pdf([view()], replace(HOUSE, accent="red"), "fr")
    with pytest.raises(ValueError, match="not a PNG or JPEG"):
        ticket_pdf([view()], replace(HOUSE, logo=b"<svg/>"), "fr")
    with pytest.raises(ValueError, match="the logo has"):
        ticket_pdf([view()], replace(HOUSE, logo=bytes(ticket.MAX_LOGO_BYTES + 1)), "fr")

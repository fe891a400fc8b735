"""The basket at the till: what the server's outcomes make of it, and what it costs."""

import pytest

from console.programme import Performance, PriceChoice, text_in
from console.sale import Sale, places_by_area
from console.seating import Seating
from engine.commands import BasketIs, Held, Line, Released
from tests.console.houses import theatre
from tests.console.test_seating import seating_of

TOKEN = b"t" * 16
NOW = 1_000_000


@pytest.fixture(scope="module")
def house() -> Seating:
    return seating_of(theatre())


def on_sale() -> Performance:
    return Performance(
        id=1,
        title={"en": "Play", "fr": "Pièce"},
        starts_ms=NOW,
        plan="p",
        currency="CHF",
        price_types=(
            PriceChoice("early", {"en": "Early"}, changes_ms=NOW - 1, then="ended"),
            PriceChoice("full", {"en": "Full", "fr": "Plein"}),
            PriceChoice("child", {"en": "Child"}),
        ),
        prices=((0, "early", 1), (0, "full", 4800), (0, "child", 2400), (1, "full", 3200),
                (2, "full", 2000), (2, "child", 1000)),
    )  # fmt: skip


@pytest.fixture
def sale(house: Seating) -> Sale:
    return Sale(on_sale(), house, TOKEN)


def held(*seats: int, areas: tuple[tuple[int, int], ...] = ()) -> Held:
    return Held(TOKEN, seats, areas, NOW + 900_000)


def test_seats_come_at_the_usual_price_of_their_category(sale: Sale, house: Seating) -> None:
    stalls, circle = house.find_seats("stalls c 5"), house.find_seats("circle a 3")
    sale.held(held(*stalls, *circle, areas=((0, 3),)), NOW)
    assert [(line.price_type, line.quantity, line.amount) for line in sale.lines()] == [
        ("full", 1, 4800),
        ("full", 1, 3200),
        ("full", 3, 2000),
    ]
    assert sale.total == 4800 + 3200 + 3 * 2000
    assert sale.size == 5
    assert sale.expires_ms == NOW + 900_000
    assert places_by_area(sale) == {0: 3}


def test_an_ended_price_is_not_offered(sale: Sale) -> None:
    assert [choice.id for choice, _ in sale.performance.choices(0, NOW)] == ["full", "child"]
    assert sale.performance.choices(0, NOW - 2)[0][0].id == "early"
    assert sale.performance.choices(7, NOW) == []


def test_prices_go_round_for_one_line_and_for_all(sale: Sale, house: Seating) -> None:
    sale.held(held(*house.find_seats("stalls c 5-7")), NOW)
    sale.next_price(sale.lines()[1], NOW)
    assert list(sale.seats.values()) == ["full", "child", "full"]
    sale.next_price(sale.lines()[1], NOW)
    assert list(sale.seats.values()) == ["full", "full", "full"]
    sale.next_price_for_all(NOW)
    assert set(sale.seats.values()) == {"child"}
    assert sale.total == 3 * 2400


def test_a_price_that_a_seat_does_not_have_is_not_forced_on_it(sale: Sale, house: Seating) -> None:
    sale.held(held(*house.find_seats("stalls c 5"), *house.find_seats("circle a 3")), NOW)
    sale.next_price_for_all(NOW)
    assert list(sale.seats.values()) == ["child", "full"]


def test_places_of_an_area_change_their_price_one_by_one(sale: Sale) -> None:
    sale.held(held(areas=((0, 4),)), NOW)
    sale.next_price(sale.lines()[0], NOW)
    line = next(line for line in sale.lines() if line.price_type == "full")
    sale.next_price(line, NOW)
    assert sale.places == {(0, "full"): 2, (0, "child"): 2}
    sale.held(held(areas=((0, 1),)), NOW)
    assert sale.places == {(0, "full"): 3, (0, "child"): 2}
    sale.released(Released(TOKEN, (), ((0, 4),)))
    assert sale.quantity(0) == 1


def test_what_is_given_back_leaves_the_basket(sale: Sale, house: Seating) -> None:
    seats = house.find_seats("stalls c 5-7")
    sale.held(held(*seats), NOW)
    sale.released(Released(TOKEN, (seats[1],), ()))
    assert list(sale.seats) == [seats[0], seats[2]]


def test_the_servers_basket_wins_and_keeps_chosen_prices(sale: Sale, house: Seating) -> None:
    seats = house.find_seats("stalls c 5-8")
    sale.held(held(*seats[:3], areas=((0, 2),)), NOW)
    sale.next_price(sale.lines()[0], NOW)
    sale.is_now(BasketIs(TOKEN, (seats[0], seats[2], seats[3]), ((0, 5),), NOW + 5), NOW)
    assert sale.seats == {seats[0]: "child", seats[2]: "full", seats[3]: "full"}
    assert sale.quantity(0) == 5
    assert sale.expires_ms == NOW + 5
    sale.is_now(BasketIs(TOKEN, (), ((0, 1),), NOW + 5), NOW)
    assert not sale.seats and sale.quantity(0) == 1


def test_saved_lines_bring_their_prices_back(sale: Sale, house: Seating) -> None:
    seats = house.find_seats("stalls c 5-6")
    sale.held(held(*seats, areas=((0, 4),)), NOW)
    lost = house.find_seats("stalls c 9")[0]
    sale.price(
        [
            Line(seats[1], -1, "child"),
            Line(lost, -1, "child"),
            Line(-1, 0, "child", 3),
            Line(-1, 0, "full", 1),
        ]
    )
    assert sale.seats == {seats[0]: "full", seats[1]: "child"}
    assert sale.places == {(0, "child"): 3, (0, "full"): 1}


def test_an_order_asks_for_every_place_once(sale: Sale, house: Seating) -> None:
    seats = house.find_seats("stalls c 5-6")
    sale.held(held(*seats, areas=((0, 2),)), NOW)
    sale.next_price(sale.lines()[2], NOW)
    sale.buyer = "Ragueneau"
    order = sale.order("0" * 32, "en")
    (hold,) = order.baskets
    assert (hold.performance, hold.token) == (1, TOKEN.hex())
    assert set(hold.lines) == {
        Line(seats[0], -1, "full"),
        Line(seats[1], -1, "full"),
        Line(-1, 0, "full"),
        Line(-1, 0, "child"),
    }
    assert (order.buyer.name, order.buyer.language) == ("Ragueneau", "en")


def test_a_category_without_price_costs_nothing_that_is_known(house: Seating) -> None:
    bare = Sale(Performance(1, {}, 0, "p", "EUR"), house, TOKEN)
    bare.held(held(3), NOW)
    assert bare.lines()[0].amount is None
    assert bare.total == 0 and not bare.is_free, "not known is not free"
    bare.next_price(bare.lines()[0], NOW)
    bare.next_price_for_all(NOW)


def test_a_title_in_one_language_only_is_shown_in_all() -> None:
    assert text_in({"fr": "Pièce"}, "en") == "Pièce"
    assert text_in({"fr": "Pièce", "en": "Play"}, "en") == "Play"
    assert text_in({}, "en") == ""

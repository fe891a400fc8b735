"""The palette keeps its promises: contrast, shapes, Okabe-Ito, CSS names."""

from itertools import combinations

import pytest

from engine.commands import SeatStatus
from renderers import palette
from renderers.palette import DARK, LIGHT, SEATS, TEXT_PAIRS, THEMES, SeatState, contrast

both = pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#ffffff", "#777777") == contrast("#777777", "#ffffff")


@both
@pytest.mark.parametrize(("ink", "ground"), TEXT_PAIRS)
def test_text_reaches_aa(theme, ink, ground):
    assert contrast(getattr(theme, ink), getattr(theme, ground)) >= palette.AA_TEXT


@both
@pytest.mark.parametrize("state", SeatState)
def test_a_seat_stands_out_from_what_it_is_drawn_on_and_its_number_from_it(theme, state):
    look = SEATS[state]
    for ground in (theme.floor, theme.surface, theme.paper):
        seen = max(contrast(look.fill, ground), contrast(look.edge, ground))
        assert seen >= palette.AA_GRAPHICS
    assert contrast(look.on, look.fill) >= palette.AA_TEXT


def test_seat_colours_are_okabe_itos_and_shapes_tell_all_states_apart():
    colors = {state: SEATS[state].fill for state in SeatState}
    assert colors == {
        SeatState.AVAILABLE: "#009e73",
        SeatState.MINE: "#f0e442",
        SeatState.HELD: "#d55e00",
        SeatState.SOLD: "#d55e00",
        SeatState.BLOCKED: "#999999",
    }
    for one, other in combinations(SEATS.values(), 2):
        assert one.shape != other.shape
        assert one.glyph != other.glyph
        assert one.ascii != other.ascii
    assert all(len(look.glyph) == len(look.ascii) == 1 for look in SEATS.values())
    assert all(look.ascii.isascii() for look in SEATS.values())


def test_states_are_numbered_as_the_feed_numbers_statuses():
    for status in SeatStatus:
        assert SeatState[status.name] == status
    assert set(SeatState) - {int(status) for status in SeatStatus} == {SeatState.MINE}


@both
def test_every_role_of_a_shape_has_a_look_in_the_theme(theme):
    from engine.plan_shapes import ROLES

    assert set(palette.ROLE_LOOKS) == {*ROLES, ""}
    for names in palette.ROLE_LOOKS.values():
        assert all(not name or getattr(theme, name).startswith("#") for name in names)


def test_custom_properties_name_every_colour_of_the_theme_and_the_seats():
    found = palette.custom_properties(DARK)
    assert found["--paper"] == DARK.paper
    assert found["--velvet-text"] == DARK.velvet_text
    assert found["--seat-sold-fill"] == "#d55e00"
    assert "--name" not in found
    assert len(found) == 17 + 3 * len(SeatState)


def test_the_stylesheet_has_both_themes():
    css = palette.stylesheet()
    assert css.count("{") == css.count("}")
    assert css.index(LIGHT.paper) < css.index("prefers-color-scheme: dark") < css.index(DARK.paper)
    assert '[data-theme="dark"]' in css


def test_mixing_and_reading():
    assert palette.mix("#000000", "#ffffff", 0.5) == "#808080"
    assert palette.mix("#123456", "#ffffff", 0) == "#123456"
    assert contrast(palette.readable("#8c1c2f", DARK.paper), DARK.paper) >= 4.5
    assert palette.readable(DARK.ink, DARK.paper) == DARK.ink
    with pytest.raises(ValueError, match="not a #rrggbb"):
        palette.rgb("red")

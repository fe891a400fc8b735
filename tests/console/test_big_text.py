"""What a door sees must be drawable, fit, and be as large as it can."""

import pytest

from console.screens.door import SIGNS as DOOR_SIGNS
from console.widgets.big_text import _ACCENTS, _LETTERS, SIGNS, compose, word_picture
from engine.commands import ScanOutcome
from renderers.i18n import translator

EVERYWHERE = [(80, 17), (140, 38)]


def words() -> list[str]:
    said = []
    for language in ("en", "fr"):
        t = translator(language)
        said += [t(f"outcome.scan.{outcome.value}") for outcome in ScanOutcome]
        said += [t("console.door.valid"), t("console.door.ready_big"), t("console.sold.sold")]
        said.append(t("console.door.undone"))
    return sorted(set(said))


@pytest.mark.parametrize("text", words())
def test_every_word_of_the_door_has_its_letters(text: str) -> None:
    assert set(text.upper()) <= set(_LETTERS) | set(_ACCENTS)


@pytest.mark.parametrize("size", EVERYWHERE)
@pytest.mark.parametrize("text", words())
def test_every_word_fits_the_screen_with_its_sign(text: str, size: tuple[int, int]) -> None:
    for sign in DOOR_SIGNS.values():
        picture, scale = compose(text, sign, *size)
        assert max(map(len, picture)) * 2 * scale <= size[0], text
        assert len(picture) * scale <= size[1], text


def test_a_larger_screen_has_larger_letters() -> None:
    _, small = compose("OK", "good", 80, 17)
    _, large = compose("OK", "good", 160, 50)
    assert large > small >= 1


def test_words_stand_on_one_line_where_that_is_larger() -> None:
    one, _ = compose("AB CD", "", 40, 5)
    two, _ = compose("AB CD", "", 16, 11)
    assert len(one) == 5 and len(two) == 11


def test_accents_stand_above_their_letter() -> None:
    picture = word_picture("É")
    plain = word_picture("E")
    assert picture[-5:] == plain
    assert any(picture[0]) and len(picture) == 7


def test_every_letter_is_a_full_rectangle() -> None:
    for drawing in _LETTERS.values():
        rows = drawing.split("/")
        assert len(rows) == 5 and len({len(row) for row in rows}) == 1, drawing
    for base, accent in _ACCENTS.values():
        rows = accent.split("/")
        assert {len(row) for row in rows} == {len(_LETTERS[base].split("/")[0])}, accent
    for drawing in SIGNS.values():
        assert len({len(row) for row in drawing.split("/")}) == 1, drawing


def test_signs_differ_in_shape() -> None:
    assert len(set(SIGNS.values())) == len(SIGNS)

"""Texts in boxes: as large as they can be, whole words while that can be read, nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderers import typeset
from renderers.typeset import SANS, SERIF, balanced, clean, fit, text_width, wrap

LETTERS = st.text("abcdeéWMil.-Жβ ", min_size=1, max_size=300)


@settings(max_examples=100, deadline=None)
@given(LETTERS, st.floats(20, 400), st.floats(8, 100), st.floats(6, 40))
def test_a_fitted_text_is_inside_its_box_and_complete(
    text: str, width: float, height: float, largest: float
) -> None:
    try:
        setting = fit(text, SANS, width, height, largest)
    except ValueError as error:
        assert "no room" in str(error)
        assert width * height < 40 * len(text), "there was room"
        return
    assert setting.size <= largest
    assert len(setting.lines) * setting.leading <= height + 0.01
    assert all(text_width(line, SANS, setting.size) <= width + 0.01 for line in setting.lines)
    assert "".join(setting.lines).replace(" ", "") == text.replace(" ", "")


def test_the_size_is_the_largest_that_fits() -> None:
    setting = fit("Le Songe d’une nuit d’été", SERIF, 200, 60, 34)
    assert setting.size < 34
    larger = setting.size + typeset.SIZE_STEP_PT
    lines = wrap("Le Songe d’une nuit d’été", SERIF, larger, 200, whole_words=True)
    assert lines is None or len(lines) * larger * 1.15 > 60


def test_words_are_broken_only_where_they_would_be_unreadable() -> None:
    whole = fit("Donaudampfschifffahrt", SANS, 80, 100, 30)
    assert whole.lines == ("Donaudampfschifffahrt",)
    broken = fit("X" * 100, SANS, 80, 100, 30)
    assert len(broken.lines) > 1 and "".join(broken.lines) == "X" * 100


def test_a_balanced_title_leaves_no_lone_word() -> None:
    words = "Le Songe d’une nuit d’été aux flambeaux"
    setting = fit(words, SERIF, 250, 60, 24)
    assert len(setting.lines) == 2
    even = balanced(setting, words, SERIF, 250)
    widths = [text_width(line, SERIF, even.size) for line in even.lines]
    assert len(even.lines) == 2 and min(widths) > 0.7 * max(widths)
    assert " ".join(even.lines) == words


def test_no_break_spaces_hold_and_other_white_space_is_one_space() -> None:
    assert clean(" a\n\tb\u2028c  d\u00a0e ") == "a b c d\u00a0e"
    assert clean("e\u0301") == "é"
    assert clean("porte\u2011clé") == "porte-clé"
    lines = wrap("12,50\u00a0€ 12,50\u00a0€", SANS, 10, 40)
    assert lines == ("12,50\u00a0€", "12,50\u00a0€")


def test_a_text_beyond_the_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 2000 characters: 'xxx"):
        clean("x" * 2001)


def test_a_box_with_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        fit("some words", SANS, 1, 0.1, 10)

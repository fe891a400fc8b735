"""Places in words: many of one row are told together."""

from collections.abc import Iterable

from renderers.i18n import Translator


def rows_words(places: Iterable[tuple[str, str, str]], t: Translator) -> list[str]:
    """Of section, row and seat each: "Circle, row B, seats 12, 13", one text a row."""
    rows: dict[tuple[str, str], list[str]] = {}
    for section, row, seat in places:
        rows.setdefault((section, row), []).append(seat)
    texts = []
    for (section, row), seats in rows.items():
        named = [seat for seat in seats if seat]
        if not named:
            texts.append(section)
        else:
            key = "paper.row" if row else "paper.no_row"
            words = {"section": section, "row": row, "seats": ", ".join(named)}
            texts.append(t.plural(key, len(named), **words))
    return texts

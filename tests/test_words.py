"""Everything that can be refused or answered has words in both languages."""

from enum import StrEnum

import pytest

from engine.commands import Refusal, Rung, ScanOutcome
from engine.orders import DeskRefusal
from engine.payments import PaymentRefusal
from engine.sale import Standing
from engine.tills import TillRefusal
from renderers.i18n import languages, translator


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("codes", [Refusal, DeskRefusal, PaymentRefusal, TillRefusal])
def test_every_refusal_has_words(language: str, codes: type[StrEnum]) -> None:
    t = translator(language)
    assert [code for code in codes if f"refusal.{code}" not in t] == []


@pytest.mark.parametrize("language", languages())
def test_every_scan_outcome_has_words_at_the_door(language: str) -> None:
    t = translator(language)
    assert [code for code in ScanOutcome if f"outcome.scan.{code}" not in t] == []


@pytest.mark.parametrize("language", languages())
def test_how_a_sale_stands_has_words_on_pages_and_at_tills(language: str) -> None:
    t = translator(language)
    for prefix in ("web.status", "console.sale_status"):
        assert [one for one in Standing if f"{prefix}.{one}" not in t] == []


@pytest.mark.parametrize("language", languages())
def test_buyers_are_told_which_rung_found_their_places(language: str) -> None:
    t = translator(language)
    assert [rung for rung in Rung if f"web.rung.{rung}" not in t] == []

"""How an organiser's paper looks and what the law makes it say: values only.

Shared by tickets and receipts. Owns the fields, their defaults and the order of the legal
mentions; draws nothing. Texts given here are the organiser's own, in the language of the page.
"""

from __future__ import annotations

from msgspec import Struct

from renderers.i18n import Translator
from renderers.palette import BRASS, VELVET


class HouseStyle(Struct, frozen=True, kw_only=True):
    """The organiser on paper. Only ``name`` is needed; what is empty is not printed.

    ``country`` ("FR", "CH" or another ISO code) chooses the names of the legal numbers:
    ``licences`` are the French performing-arts receipts, ``business_id`` is a SIRET or a Swiss
    UID, ``vat_number`` the VAT registration. ``accent`` and ``trim`` are "#rrggbb".
    ``logo`` is a PNG or JPEG. ``policy`` replaces the catalogue's sentence on exchange and
    refund; ``practical`` are paragraphs on getting there, latecomers, cloakroom...
    """

    name: str
    address: tuple[str, ...] = ()
    contact: tuple[str, ...] = ()
    country: str = "FR"
    licences: tuple[str, ...] = ()
    business_id: str = ""
    vat_number: str = ""
    legal: tuple[str, ...] = ()
    policy: str = ""
    practical: tuple[str, ...] = ()
    logo: bytes = b""
    accent: str = VELVET
    trim: str = BRASS


def legal_mentions(house: HouseStyle, t: Translator) -> tuple[str, ...]:
    """What identifies the organiser before the law, one mention an item, then its own lines."""
    mentions = [", ".join((house.name, *house.address))]
    if house.licences:
        mentions.append(t("ticket.legal.licences", numbers=", ".join(house.licences)))
    if house.business_id:
        kind = {"FR": "siret", "CH": "uid"}.get(house.country, "registration")
        mentions.append(t(f"ticket.legal.{kind}", number=house.business_id))
    if house.vat_number:
        mentions.append(t("ticket.legal.vat_number", number=house.vat_number))
    return (*mentions, *house.legal)

"""A ticket has one secret and one short number; nobody without the key makes another."""

from __future__ import annotations

import hmac
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from engine.commands import ScanOutcome
from renderers import secret
from tests.renderers import forge

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
PUBLIC = secret.public_key(KEY)
CLAIMS = [(0, 0, 0), (12, 345, 1), (secret.MAX_ID, secret.MAX_ID, secret.MAX_VERSION)]
QR_ALPHANUMERIC = r"[0-9A-Z $%*+\-./:]+"


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_secret_proves_its_claim_and_is_the_same_at_every_call(
    claim: tuple[int, int, int],
) -> None:
    text = secret.sign(KEY, *claim)
    assert secret.verify(PUBLIC, text) == secret.Claim(*claim) == secret.read_claim(text)
    assert secret.sign(KEY, *claim) == text
    assert len(text) == secret.SECRET_CHARS
    assert re.fullmatch(QR_ALPHANUMERIC, text), "a QR code of it would be larger"


def test_the_layout_of_a_secret_is_the_documented_one() -> None:
    """Read by hand: another implementation only has the description to go by."""
    text = secret.sign(KEY, 12, 345, 7)
    bits = "".join(f"{forge.ALPHABET.index(letter):05b}" for letter in text[3:])
    assert text[:3] == "ST1" and bits[-1] == "0"
    raw = bytes(int(bits[at : at + 8], 2) for at in range(0, 584, 8))
    assert raw[:9] == (12).to_bytes(4, "big") + (345).to_bytes(4, "big") + bytes([7])
    Ed25519PublicKey.from_public_bytes(PUBLIC).verify(raw[9:], b"strapontin ticket 1\0" + raw[:9])


def test_every_part_of_the_identity_changes_the_secret_and_the_short_number() -> None:
    claims = [(1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4)]
    assert len({secret.sign(KEY, *claim)[20:] for claim in claims}) == 4
    codes = {secret.short_code(KEY, *claim).rsplit("-")[-1][:10] for claim in claims}
    assert len(codes) == 4


@pytest.mark.parametrize("claim", [(-1, 0, 0), (2**32, 0, 0), (0, 2**32, 0), (0, -1, 0),
                                   (0, 0, 256), (0, 0, -1)])  # fmt: skip
def test_a_number_out_of_range_is_named(claim: tuple[int, int, int]) -> None:
    for make in (secret.sign, secret.short_code):
        with pytest.raises(ValueError, match=r"(performance|ticket|version) -?\d+ is not between"):
            make(KEY, *claim)


def test_a_key_of_the_wrong_length_is_refused_everywhere() -> None:
    assert len(secret.generate_key()) == secret.KEY_BYTES
    assert secret.generate_key() != secret.generate_key()
    for call in (
        lambda: secret.public_key(b"x"),
        lambda: secret.sign(b"x", 1, 1, 1),
        lambda: secret.verify(b"x", secret.sign(KEY, 1, 1, 1)),
        lambda: secret.short_code(KEY + b"x", 1, 1, 1),
        lambda: secret.verify_short(b"", secret.short_code(KEY, 1, 1, 1)),
    ):
        with pytest.raises(ValueError, match="key has 32 bytes"):
            call()


@pytest.mark.parametrize(
    "text",
    ["", "ST1", "ST1" + "0" * 116, "ST1" + "0" * 118, "ST2" + "0" * 117, "ST1" + "U" * 117,
     "ST1" + "0" * 116 + "1", "ST1" + "é" * 117, "ST1" + "٠" * 117, "ST1" + "0" * 117 + "\n"],
)  # fmt: skip
def test_what_is_not_spelled_as_a_secret_is_forged(text: str) -> None:
    for read in (secret.read_claim, lambda text: secret.verify(PUBLIC, text)):
        with pytest.raises(secret.ForgedSecret):
            read(text)


def test_lower_case_white_space_and_the_spare_bit_make_another_text_and_are_refused() -> None:
    text = secret.sign(KEY, 12, 345, 1)
    spare = text[:-1] + forge.ALPHABET[forge.ALPHABET.index(text[-1]) + 1]
    for other in (text.lower(), f" {text}", f"{text} ", text.replace("0", "O"), spare):
        with pytest.raises(secret.ForgedSecret, match="one spelling"):
            secret.verify(PUBLIC, other)


def test_another_organisers_secret_is_forged_here() -> None:
    with pytest.raises(secret.ForgedSecret, match="organiser"):
        secret.verify(PUBLIC, secret.sign(OTHER_KEY, 12, 345, 1))
    with pytest.raises(secret.ForgedSecret, match="organiser"):
        secret.verify_short(KEY, secret.short_code(OTHER_KEY, 12, 345, 1))


@pytest.mark.timeout(300)
def test_no_forgery_of_fifty_thousand_is_accepted() -> None:
    tried, accepted = forge.run(50_000, seed=2)
    assert not accepted
    assert tried.total() == 50_000
    replayed = {way: count for way, count in tried.items() if way.startswith("replayed")}
    altered = {way: count for way, count in tried.items() if way not in replayed}
    assert len(altered) == 14 and min(altered.values()) > 2_500, tried
    assert len(replayed) == 5 and min(replayed.values()) > 300, tried


def test_a_door_that_forgets_who_was_let_in_is_caught_by_the_replays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control: letting in burns nothing, so that used tickets are as good as new."""
    door = forge.Door(KEY, OTHER_KEY)
    assert all(door.judged(text) is result for text, result in door.replays)
    judged = forge.Door.judged
    monkeypatch.setattr(forge.Door, "judged", lambda self, text, mode=None: judged(self, text))
    door = forge.Door(KEY, OTHER_KEY)
    results = {result for text, result in door.replays if door.judged(text) is not result}
    assert results == {ScanOutcome.ALREADY_USED}


def test_the_forger_is_caught_because_of_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with the signature unchecked, the same forger gets in."""
    monkeypatch.setattr(secret, "_public", lambda public: _Credulous())
    _, accepted = forge.run(1_000, seed=2)
    assert len(accepted) > 500


class _Credulous:
    def verify(self, signature: bytes, message: bytes) -> None:
        pass


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_short_number_proves_its_claim(claim: tuple[int, int, int]) -> None:
    text = secret.short_code(KEY, *claim)
    assert secret.verify_short(KEY, text) == secret.Claim(*claim)
    assert re.fullmatch(r"\d+-\d{6,}-[0-9A-HJKMNP-TV-Z]{12}", text)
    assert text.startswith(f"{claim[0]}-{claim[1]:06}-")


def test_the_layout_of_a_short_number_is_the_documented_one() -> None:
    mac = hmac.digest(
        KEY, b"strapontin short number 1\0" + bytes([0, 0, 0, 12, 0, 0, 1, 89, 7]), "sha256"
    )
    bits = f"{int.from_bytes(mac, 'big'):0256b}"[:52] + f"{7:08b}"
    letters = "".join(forge.ALPHABET[int(bits[at : at + 5], 2)] for at in range(0, 60, 5))
    assert secret.short_code(KEY, 12, 345, 7) == f"12-000345-{letters}"


def test_a_short_number_is_read_as_people_type_it() -> None:
    text = secret.short_code(KEY, 10, 100345, 1)
    performance, ticket, code = text.split("-")
    for typed in (
        text.lower(),
        f"  {performance} {ticket} {code}\n",
        f"{performance} - {ticket} \u2013 {code}",
        f"{performance}-{ticket}-{code[:4]}-{code[4:8]} {code[8:]}",
        text.replace("0", "o").replace("1", "l"),
        text.replace("0", "O").replace("1", "I"),
        f"000{text}",
    ):
        assert secret.verify_short(KEY, typed) == secret.Claim(10, 100345, 1), typed


@pytest.mark.parametrize(
    "text",
    ["", "-", "--", "12", "12-345", "12-345-", "12-345-ABC", "12-345-" + "0" * 13,
     "12345-" + "0" * 12, "4294967296-1-" + "0" * 12, "1-4294967296-" + "0" * 12,
     "12-345-" + "U" * 12, "A-345-" + "0" * 12, "12-" + "9" * 5000 + "-0", "x" * 100_000],
)  # fmt: skip
def test_what_is_not_a_short_number_is_refused(text: str) -> None:
    with pytest.raises(secret.ForgedSecret, match="not a ticket number"):
        secret.verify_short(KEY, text)


def test_no_altered_short_number_of_150_000_is_accepted() -> None:
    forger = forge.Forger(3)
    for claim, text in zip(forger.claims, forger.shorts, strict=True):
        assert secret.verify_short(forger.key, text) == claim
    read = 0
    for _ in range(150_000):
        text = forger.forged_short()
        try:
            secret.parse_short(text)
            read += 1
            secret.verify_short(forger.key, text)
        except secret.ForgedSecret:
            continue
        pytest.fail(f"{text} was accepted")
    assert read > 50_000, "most of them must get as far as the proof"

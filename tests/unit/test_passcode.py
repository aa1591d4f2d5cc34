"""The travelling form has one accepted spelling."""

import secrets
import string
from base64 import urlsafe_b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.model.limits import LIFETIME_S_MAX
from counterfoil.model.passcode import PASSCODE_CHARS, Header, MalformedPasscode, Passcode, parsed_passcode

HEADER = Header.of(b"\x00\xfb\xff\x01", 1_795_410_340_123_456, 60, bytes(range(16)))
PASSCODE = Passcode(HEADER, bytes(range(200, 232)))
TEXT = PASSCODE.reveal()


def test_it_fits_one_header_or_one_private_use_field() -> None:
    assert len(TEXT) == PASSCODE_CHARS == 87 <= 96
    assert set(TEXT) <= set(string.ascii_letters + string.digits + "-_")


@given(
    st.binary(min_size=4, max_size=4),
    st.integers(0, 2**62),
    st.integers(1, LIFETIME_S_MAX),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=32, max_size=32),
)
def test_what_is_written_is_read(key_id: bytes, timestamp_us: int, lifetime_s: int, salt: bytes, sealed: bytes) -> None:
    passcode = Passcode(Header.of(key_id, timestamp_us, lifetime_s, salt), sealed)
    assert parsed_passcode(passcode.reveal()) == passcode


def test_expiry_is_the_first_bad_microsecond() -> None:
    assert HEADER.expires_at_us == 1_795_410_340_123_456 + 60_000_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cf1_",
        TEXT[:-1],
        TEXT + "A",
        TEXT + "=",
        TEXT + " ",
        " " + TEXT,
        TEXT + "\n",
        TEXT + "\0",
        "\t" + TEXT,
        TEXT.upper(),
        TEXT.lower(),
        TEXT.swapcase(),
        TEXT.replace("cf1_", "cf2_"),
        TEXT.replace("cf1_", "CF1_"),
        TEXT.replace("-", "+").replace("_", "/"),
        "cf1_" + TEXT[4:].replace("_", "/", 1),
        "cf1_" + TEXT[4:].replace("-", "+", 1),
        TEXT[:20] + "\u00a0" + TEXT[21:],
        TEXT[:20] + "\u0410" + TEXT[21:],
        TEXT[:20] + "\ud800" + TEXT[21:],
        TEXT[:20] + "=" + TEXT[21:],
        TEXT[:20] + " " + TEXT[21:],
        TEXT[:40] + "\r\n" + TEXT[42:],
    ],
)
def test_any_other_spelling_is_malformed(text: str) -> None:
    with pytest.raises(MalformedPasscode):
        parsed_passcode(text)


def test_the_spare_bits_of_the_last_digit_must_be_zero() -> None:
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    last = alphabet.index(TEXT[-1])
    for spare in range(1, 4):
        with pytest.raises(MalformedPasscode):
            parsed_passcode(TEXT[:-1] + alphabet[last + spare])


def test_padding_in_place_of_digits_is_malformed() -> None:
    """With the padding that decoding adds, one byte less would be well-formed base64 of the right length."""
    digits = urlsafe_b64encode(PASSCODE.encoded()[:-1]).rstrip(b"=").decode()
    for text in (f"cf1_{digits}=", f"cf1_{digits}", f"cf1_{digits}=="):
        with pytest.raises(MalformedPasscode):
            parsed_passcode(text)


def test_every_changed_character_is_malformed_or_another_passcode() -> None:
    for at in range(len(TEXT)):
        for other in "Aa0-_Zz9":
            changed = TEXT[:at] + other + TEXT[at + 1 :]
            if changed == TEXT:
                continue
            with suppress(MalformedPasscode):
                assert parsed_passcode(changed) != PASSCODE


@pytest.mark.parametrize(
    ("timestamp_us", "lifetime_s", "is_well_formed"),
    [
        (0, 1, True),
        (0, 0, False),
        (0, LIFETIME_S_MAX, True),
        (0, LIFETIME_S_MAX + 1, False),
        (2**63 - 1 - 600_000_000, 600, True),
        (2**63 - 600_000_000, 600, False),
        (2**64 - 1, 1, False),
    ],
)
def test_times_that_no_store_holds_are_malformed(timestamp_us: int, lifetime_s: int, is_well_formed: bool) -> None:
    text = Passcode(Header.of(b"abcd", timestamp_us, lifetime_s, bytes(16)), bytes(32)).reveal()
    if is_well_formed:
        parsed_passcode(text)
    else:
        with pytest.raises(MalformedPasscode):
            parsed_passcode(text)


def test_no_repr_shows_salt_or_sealed_bytes() -> None:
    salt, sealed = secrets.token_bytes(16), secrets.token_bytes(32)
    shown = repr(Passcode(Header.of(b"abcd", 1, 1, salt), sealed))
    assert repr(salt)[2:-1] not in shown
    assert repr(sealed)[2:-1] not in shown

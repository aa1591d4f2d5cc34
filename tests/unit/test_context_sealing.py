"""Context from three sources: none passes for another, and a sealed one is for its client and its time."""

from pathlib import Path
from typing import Any

import pytest

from counterfoil.core.context_sealing import PREFIX
from counterfoil.model.invalid import SealedContextRefused
from counterfoil.model.limits import SEALED_CONTEXT_CHARS_MAX
from tests.support.parts import Parts, decoded, made_parts, reason

PAIRS = {"limit": "500", "branch": "é"}


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return made_parts(tmp_path, service_context='{"stage": "prod"}')


async def _sealed(parts: Parts, client_id: str = "1234", **body: Any) -> str:
    asked = {"client_id": client_id, "sealed_pairs": PAIRS, **body}
    answer = await parts.ask("POST", "/v1/contexts/seal", asked, role="operator")
    assert answer.status == 200, answer.body
    text: str = decoded(answer)["sealed_context"]
    return text


async def _refused(parts: Parts, sealed_context: str) -> bool:
    asked = {"client_id": "1234", "sealed_context": sealed_context}
    answer = await parts.ask("POST", "/v1/passcodes", asked, role="issuer")
    return (answer.status, decoded(answer).get("code")) == (400, "sealed_context_refused")


async def test_the_backend_gives_the_pairs_that_the_client_could_not_read(parts: Parts) -> None:
    issued = await parts.issue(sealed_context=await _sealed(parts))
    assert (await parts.validate(issued["passcode"], sealed_pairs=PAIRS)).status == 200


@pytest.mark.parametrize(
    "presented",
    [
        {},
        {"sealed_pairs": {}},
        {"sealed_pairs": {**PAIRS, "limit": "501"}},
        {"context": PAIRS},
        {"context": PAIRS, "sealed_pairs": PAIRS},
    ],
)
async def test_a_plain_pair_never_passes_for_a_sealed_one(parts: Parts, presented: dict[str, Any]) -> None:
    issued = await parts.issue(sealed_context=await _sealed(parts))
    assert reason(await parts.validate(issued["passcode"], **presented)) == "context_mismatch"


async def test_a_sealed_pair_never_passes_for_a_plain_one(parts: Parts) -> None:
    issued = await parts.issue(context=PAIRS)
    assert reason(await parts.validate(issued["passcode"], sealed_pairs=PAIRS)) == "context_mismatch"


async def test_no_context_at_all_differs_from_sealed_pairs_that_are_empty(parts: Parts) -> None:
    issued = await parts.issue(sealed_context=await _sealed(parts, sealed_pairs={}))
    assert reason(await parts.validate(issued["passcode"])) == "context_mismatch"
    assert (await parts.validate(issued["passcode"], sealed_pairs={})).status == 200


@pytest.mark.parametrize("other_stage", ["", '{"stage": "test"}', '{"stage": "prod", "region": "eu"}', "{}"])
async def test_the_service_context_is_bound_although_nobody_sends_it(parts: Parts, tmp_path: Path, other_stage: str) -> None:
    issued = await parts.issue()
    (tmp_path / "other").mkdir()
    other = made_parts(tmp_path / "other", store=parts.store, clock=parts.clock, service_context=other_stage)
    (tmp_path / "other" / "keyset.json").write_bytes((tmp_path / "keyset.json").read_bytes())
    (tmp_path / "other" / "credentials.json").write_bytes((tmp_path / "credentials.json").read_bytes())
    other.secrets.update(parts.secrets)
    assert reason(await other.validate(issued["passcode"])) == "context_mismatch"
    assert (await parts.validate(issued["passcode"])).status == 200


@pytest.mark.parametrize("source", ["context", "sealed_pairs"])
async def test_a_sent_pair_never_passes_for_a_service_pair(parts: Parts, tmp_path: Path, source: str) -> None:
    (tmp_path / "bare").mkdir()
    bare = made_parts(tmp_path / "bare", store=parts.store, clock=parts.clock)
    for name in ("keyset.json", "credentials.json"):
        (tmp_path / "bare" / name).write_bytes((tmp_path / name).read_bytes())
    bare.secrets.update(parts.secrets)
    issued = await parts.issue()
    sent: dict[str, Any] = {source: {"stage": "prod"}}
    assert reason(await bare.validate(issued["passcode"], **sent)) == "context_mismatch"
    plain = await bare.issue(context={"stage": "prod"})
    assert reason(await parts.validate(plain["passcode"])) == "context_mismatch"


async def test_another_clients_sealed_context_is_refused_at_issue(parts: Parts) -> None:
    assert await _refused(parts, await _sealed(parts, "another"))


async def test_whatever_is_wrong_with_a_sealed_context_the_same_is_said(parts: Parts) -> None:
    whole, anothers, late = await _sealed(parts), await _sealed(parts, "another"), await _sealed(parts, lifetime_s=1)
    parts.clock.advance_s(1)
    for text in (whole + "=", whole[:-4] + "AAAA", anothers, late):
        with pytest.raises(SealedContextRefused) as caught:
            await parts.service.handlers.issuance.context_sealing.opened(text, "1234")
        assert caught.value.field == "sealed_context"
        assert caught.value.rule == ("is not a sealed context that this service made for this client and that is still in time")


async def test_a_sealed_context_lives_a_day_unless_told_otherwise(parts: Parts) -> None:
    day, minute = await _sealed(parts), await _sealed(parts, lifetime_s=60)
    parts.clock.advance_s(59.999999)
    assert not await _refused(parts, minute)
    parts.clock.advance_s(0.000001)
    assert await _refused(parts, minute)
    parts.clock.advance_s(24 * 3600 - 60.000001)
    assert not await _refused(parts, day)
    parts.clock.advance_s(0.000001)
    assert await _refused(parts, day)


async def test_every_altered_character_is_refused(parts: Parts) -> None:
    text = await _sealed(parts)
    for at in range(len(text)):
        assert await _refused(parts, text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])


async def test_every_other_spelling_is_refused(parts: Parts) -> None:
    text = await _sealed(parts)
    for other in ("", PREFIX, text + "=", text + " ", " " + text, text[:-1], text.upper(), text + "é", "cf1_" + text[5:]):
        assert await _refused(parts, other)
    assert await _refused(parts, PREFIX + "A" * SEALED_CONTEXT_CHARS_MAX)
    assert await _refused(parts, PREFIX + "A")


async def test_a_retired_keys_sealed_context_is_refused(parts: Parts) -> None:
    text = await _sealed(parts)
    before = parts.keyset.read().primary_id
    parts.keyset.rotate()
    assert not await _refused(parts, text)
    parts.keyset.retire(before)
    assert await _refused(parts, text)


@pytest.mark.parametrize(
    ("lifetime_s", "is_taken"), [(-1, False), (0, False), (1, True), (30 * 24 * 3600, True), (30 * 24 * 3600 + 1, False)]
)
async def test_a_sealed_contexts_lifetime_has_bounds(parts: Parts, lifetime_s: int, is_taken: bool) -> None:
    asked = {"client_id": "1234", "sealed_pairs": PAIRS, "lifetime_s": lifetime_s}
    answer = await parts.ask("POST", "/v1/contexts/seal", asked, role="validator")
    assert (answer.status == 200) is is_taken
    assert is_taken or decoded(answer)["detail"] == "lifetime_s: must be 1 to 2592000"


async def test_pairs_that_do_not_fit_into_a_kibibyte_are_refused_when_sealed(parts: Parts) -> None:
    # Key id, salt, expiry, client id, counts and lengths, and the seal's tag take 74 bytes of 764.
    fit, beyond = {"a": "x" * 512, "b": "x" * 178}, {"a": "x" * 512, "b": "x" * 179}
    asked = {"client_id": "1234", "sealed_pairs": beyond}
    answer = await parts.ask("POST", "/v1/contexts/seal", asked, role="operator")
    assert answer.status == 400
    assert decoded(answer)["detail"] == "sealed_pairs: do not fit into a sealed context of 1024 characters"
    text = await _sealed(parts, sealed_pairs=fit)
    assert len(text) == SEALED_CONTEXT_CHARS_MAX
    assert not await _refused(parts, text)


async def test_a_sealed_context_opens_whatever_digits_it_ends_with(parts: Parts) -> None:
    # 63 bytes are 84 digits, of which every one may be the last.
    texts = [await _sealed(parts, "x" * 11, sealed_pairs={}) for _ in range(1000)]
    assert len({text[-1] for text in texts}) > 60
    sealing = parts.service.handlers.issuance.context_sealing
    assert [await sealing.opened(text, "x" * 11) for text in texts] == [{}] * 1000

"""Digests of transactions: two different JSON values never share one, and a value has one, however it is spelled."""

import json
import unicodedata
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from random import Random
from typing import Any

from counterfoil.wire.strict_json import parsed_json
from counterfoil.wire.transaction_digest import digest_of_json
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.near_values import any_value, meaning, near, spelled
from tests.adversity.pairs import MEMBERS, Family, judged

_CONTROL_PAIRS = 12_000
Digest = Callable[[bytes], bytes]


def digested(text: bytes) -> bytes:
    """The product's digest of a JSON text."""
    return digest_of_json(parsed_json(text))


def _run(digest: Digest, first: int, last: int) -> Figures:
    return judged(partial(_family, digest), first, last)


def _family(digest: Digest, number: int) -> Family:
    """A value and near-misses of it, and of those; some are spelled twice."""
    random = Random(number)
    members = [any_value(random)]
    meanings = {meaning(members[0])}
    while len(members) < MEMBERS:
        altered = near(random.choice(members), random)
        if meaning(altered) not in meanings:
            meanings.add(meaning(altered))
            members.append(altered)
    return Family(
        [digest(spelled(member, random)) for member in members],
        lambda member: json.dumps(members[member]),
        [(member, digest(spelled(members[member], random))) for member in range(0, MEMBERS, 4)],
    )


def _by_words(change: Callable[[Any], Any]) -> Digest:
    """Broken digests: the value is changed first, as a careless reader would."""
    return lambda text: sha256(json.dumps(change(json.loads(text)), sort_keys=True).encode()).digest()


def _numbers_as_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _numbers_as_texts(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_numbers_as_texts(each) for each in value]
    return repr(value) if isinstance(value, int | float) else value


def _unsorted(text: bytes) -> bytes:
    return sha256(json.dumps(json.loads(text)).encode()).digest()


def _normalised(text: bytes) -> bytes:
    return digested(unicodedata.normalize("NFC", json.dumps(json.loads(text), ensure_ascii=False)).encode())


def _caught(digest: Digest) -> int:
    return _run(digest, 0, _CONTROL_PAIRS).counts["failures"]


TRANSACTION_DIGESTS = Campaign(
    name="transaction-digests",
    claim="No two different transactions share a digest, and one transaction has one digest however its JSON is spelled.",
    unit="pairs",
    sizes=Sizes(full=10_000_000, ci=1_000_000, laptop=300_000),
    run=partial(_run, digested),
    controls={
        "numbers are digested as they are written": partial(_caught, _by_words(lambda value: value)),
        "numbers are digested as texts": partial(_caught, _by_words(_numbers_as_texts)),
        "members are not sorted": partial(_caught, _unsorted),
        "texts are normalised": partial(_caught, _normalised),
    },
    per_chunk=300_000,
)

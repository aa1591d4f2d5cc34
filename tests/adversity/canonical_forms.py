"""Canonical forms: no two different bindings have the same bytes, however near they come to each other."""

import unicodedata
from collections.abc import Callable
from functools import partial
from random import Random

from counterfoil.model.canonical import Binding, encoded_service_context
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.near_bindings import Bound, any_bound, near, reordered
from tests.adversity.pairs import MEMBERS, Family, judged

_CONTROL_PAIRS = 12_000


Encode = Callable[[Bound], bytes]


def encoded(bound: Bound) -> bytes:
    """The product's canonical form."""
    context, service_context, sealed_pairs = (None if pairs is None else dict(pairs) for pairs in bound.contexts)
    of_all = encoded_service_context(service_context)
    return Binding.of(bound.client_id, context, of_all, sealed_pairs, bound.digest).encoded(bound.header)


def _run(encode: Encode, first: int, last: int) -> Figures:
    return judged(partial(_family, encode), first, last)


def _family(encode: Encode, number: int) -> Family:
    """A binding and near-misses of it, and of those."""
    random = Random(number)
    members = [any_bound(random)]
    meanings = {members[0].meaning()}
    while len(members) < MEMBERS:
        altered = near(random.choice(members), random)
        if altered.meaning() not in meanings:
            meanings.add(altered.meaning())
            members.append(altered)
    return Family(
        [encode(member) for member in members],
        lambda member: repr(members[member]),
        [(member, encode(reordered(members[member]))) for member in range(2)],
    )


def _without_lengths(bound: Bound) -> bytes:
    """Broken: the texts one after another, each context under its tag, and no lengths."""
    parts = [bound.header, bound.client_id.encode()]
    for tag, pairs in enumerate(bound.contexts):
        parts += [bytes([tag, pairs is not None]), *(text.encode() for pair in sorted(pairs or ()) for text in pair)]
    return b"".join([*parts, bound.digest or b""])


def _under_one_tag(bound: Bound) -> bytes:
    """Broken: what the backend sealed counts as what the client application said."""
    context, service_context, sealed_pairs = bound.contexts
    together = None if context is None and sealed_pairs is None else (*(context or ()), *(sealed_pairs or ()))
    return encoded(bound._replace(contexts=(together, service_context, None)))


def _with_empty_as_absent(bound: Bound) -> bytes:
    """Broken: an empty context is none."""
    return encoded(bound._replace(contexts=tuple(pairs or None for pairs in bound.contexts)))


def _normalised(bound: Bound) -> bytes:
    """Broken: texts are brought into a normal form first."""
    return encoded(bound._replace(client_id=unicodedata.normalize("NFC", bound.client_id)))


def _as_it_came(bound: Bound) -> bytes:
    """Broken: pairs are not sorted."""
    return repr(bound).encode()


def _caught(encode: Encode) -> int:
    return _run(encode, 0, _CONTROL_PAIRS).counts["failures"]


CANONICAL_FORMS = Campaign(
    name="canonical-forms",
    claim="No two different bindings of a passcode have the same canonical form, and the order of pairs makes no difference.",
    unit="pairs",
    sizes=Sizes(full=10_000_000, ci=2_000_000, laptop=600_000),
    run=partial(_run, encoded),
    controls={
        "texts have no lengths": partial(_caught, _without_lengths),
        "contexts share a tag": partial(_caught, _under_one_tag),
        "empty is absent": partial(_caught, _with_empty_as_absent),
        "texts are normalised": partial(_caught, _normalised),
        "pairs are not sorted": partial(_caught, _as_it_came),
    },
    per_chunk=600_000,
)

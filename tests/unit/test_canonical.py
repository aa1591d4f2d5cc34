"""Two different bindings never have the same bytes."""

from itertools import pairwise, permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from counterfoil.model.canonical import Binding, decoded_pairs, encoded_pairs, encoded_service_context
from counterfoil.model.context import Context

PAIRS = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3)
BOUND = st.tuples(
    st.text(max_size=4),
    st.none() | PAIRS,
    st.none() | PAIRS,
    st.none() | PAIRS,
    st.none() | st.binary(min_size=32, max_size=32),
)


def _encoded(bound: tuple[str, Context | None, Context | None, Context | None, bytes | None], header: bytes = b"") -> bytes:
    client_id, context, service_context, sealed_pairs, digest = bound
    return Binding.of(client_id, context, encoded_service_context(service_context), sealed_pairs, digest).encoded(header)


@given(BOUND, BOUND, st.binary(max_size=3), st.binary(max_size=3))
def test_different_bindings_have_different_bytes(one: Any, other: Any, header: bytes, another: bytes) -> None:
    assert (_encoded(one, header) == _encoded(other, another)) is ((one, header) == (other, another))


@given(PAIRS)
def test_pairs_are_read_as_they_were_written(pairs: dict[str, str]) -> None:
    assert decoded_pairs(encoded_pairs(pairs)) == pairs


@given(st.dictionaries(st.text(), st.text(), min_size=2, max_size=3))
def test_the_order_of_pairs_does_not_matter(pairs: dict[str, str]) -> None:
    assert len({encoded_pairs(dict(order)) for order in permutations(pairs.items())}) == 1


@given(st.dictionaries(st.text(), st.just(""), min_size=2, max_size=9))
def test_names_are_ordered_by_their_utf8_bytes(pairs: dict[str, str]) -> None:
    names = [name.encode() for name in decoded_pairs(encoded_pairs(pairs))]
    assert all(one < other for one, other in pairwise(names))


def test_absent_empty_and_each_of_the_three_contexts_are_different() -> None:
    pair = {"stage": "prod"}
    contexts: list[tuple[Context | None, Context | None, Context | None]]
    contexts = [(None, None, None), ({}, None, None), (None, {}, None), (None, None, {})]
    contexts += [(pair, None, None), (None, pair, None), (None, None, pair)]
    encoded = {_encoded(("c", *each, None)) for each in contexts}
    assert len(encoded) == len(contexts)


def test_characters_do_not_move_between_name_and_value() -> None:
    assert encoded_pairs({"ab": "c"}) != encoded_pairs({"a": "bc"})
    assert encoded_pairs({"a": "b", "c": "d"}) != encoded_pairs({"a": "bcd"})


def test_unicode_is_not_normalised() -> None:
    assert encoded_pairs({"a": "é"}) != encoded_pairs({"a": "e\u0301"})

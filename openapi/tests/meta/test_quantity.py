"""Quantities: what texts mean, and the texts they become."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.meta.quantity import BINARY, Quantity, QuantityError, canonical_quantity


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("0Mi", "0"),
        ("100m", "100m"),
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1.5", "1500m"),
        ("1000", "1k"),
        ("1024Mi", "1Gi"),
        ("1500Mi", "1500Mi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Mi", "512Ki"),
        ("1e3", "1e3"),
        ("1000e3", "1e6"),
        ("1E", "1E"),
        ("0.1n", "1n"),
        ("-1.5", "-1500m"),
        ("12.345", "12.345"),
        ("100Ei", "9223372036854775807"),
    ],
)
def test_a_text_has_a_canonical_form(text: str, canonical: str) -> None:
    assert canonical_quantity(text) == canonical
    assert canonical_quantity(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "quantities must match the regular expression"),
        ("lots", "quantities must match the regular expression"),
        ("1 Gi", "quantities must match the regular expression"),
        ("1ee", "unable to parse quantity's suffix"),
        ("1mi", "unable to parse quantity's suffix"),
        ("-", "unable to parse numeric part of quantity"),
    ],
)
def test_other_texts_are_refused_in_the_servers_words(text: str, problem: str) -> None:
    with pytest.raises(QuantityError, match=problem):
        Quantity.parse(text)


def test_values_round_away_from_zero() -> None:
    assert Quantity.parse("1001m").value == 2
    assert Quantity.parse("-1001m").value == -2
    assert Quantity.parse("1u").milli == 1


def test_a_sum_takes_the_form_of_what_is_not_zero() -> None:
    total = Quantity.of(0) + Quantity.parse("512Mi") + Quantity.parse("512Mi")
    assert str(total) == "1Gi" and total.format == BINARY
    assert str(Quantity.parse("1") - Quantity.parse("250m")) == "750m"


def test_numbers_are_quantities_too() -> None:
    assert str(Quantity.parse(2)) == "2" and str(Quantity.parse(0.25)) == "250m"


def test_quantities_compare_by_amount() -> None:
    assert Quantity.parse("1024Ki") == Quantity.parse("1Mi") > Quantity.parse("1M")


@given(st.integers(min_value=-(10**15), max_value=10**15), st.sampled_from(["", "m", "k", "Mi", "u", "e3", "Gi"]))
def test_the_canonical_form_means_the_same(number: int, suffix: str) -> None:
    quantity = Quantity.parse(f"{number}{suffix}")
    assert Quantity.parse(str(quantity)) == quantity

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokmap.spec import expand_axis


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.3", [0.3]),
        ("0.1,0.2", [0.1, 0.2]),
        ("0:0.5:11", [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]),
        ("log:1e-4:1:5", [1e-4, 1e-3, 1e-2, 1e-1, 1]),
        ("logint:32:1024:6", [32, 64, 128, 256, 512, 1024]),
        ("range:11:60:6", [11, 17, 23, 29, 35, 41, 47, 53, 59]),
        ("range:0:8:2", [0, 2, 4, 6]),
        ("range:0:0.3:0.1", [0, 0.1, 0.2]),
    ],
)
def test_grammar(text: str, values: list[float]) -> None:
    # Exactly equal: values are rounded to 12 digits before ids are hashed.
    assert expand_axis(text) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty axis"),
        ("0.5:0:11", "from 0.5 down to 0"),
        ("0.5:0.5:3", "starts where it ends"),
        ("0:1:2.5", "count of points"),
        ("0:0.5:0.1", "did you mean range:0:0.5:0.1"),
        ("0:1:0", "count of points"),
        ("0:1:-3", "count of points"),
        ("log:0:1:3", "starts above 0"),
        ("log:1:10", "three fields"),
        ("0:1", "not an axis"),
        ("a", "no number"),
        ("1,,2", "no number"),
        ("nan", "not finite"),
        ("0:inf:3", "not finite"),
        ("range:0:1:0", "above 0"),
        ("0:1:1000000000", "at most 1000000"),
        ("range:0:1e9:1", "at most 1000000"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expand_axis(text)


@given(
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e6),
    st.integers(2, 200),
)
def test_linear_has_both_ends_and_its_count(
    low: float, width: float, count: int
) -> None:
    values = expand_axis(f"{low!r}:{low + width!r}:{count}")
    assert len(values) == count
    assert values[0] == pytest.approx(low, rel=1e-11, abs=1e-11)
    assert values[-1] == pytest.approx(low + width, rel=1e-11, abs=1e-11)
    assert all(a <= b for a, b in zip(values, values[1:], strict=False))


@given(st.text(max_size=30))
def test_any_text_is_an_axis_or_a_clear_error(text: str) -> None:
    try:
        assert len(expand_axis(text)) >= 1
    except ValueError as error:
        assert str(error)

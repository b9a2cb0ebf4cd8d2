import math

import pytest

from resnext.contracts import formatting as words


@pytest.mark.parametrize("missing", [None, math.nan])
def test_what_is_undefined_reads_na_and_never_zero(missing: float | None) -> None:
    assert words.percent(missing) == words.decimal(missing) == words.count(missing) == "n/a"


def test_numbers_are_written_for_a_reader() -> None:
    assert words.percent(0.12345, " ") == "12.3 %"
    assert words.decimal(0.0) == "0.000"
    assert words.count(2142) == "2,142"


def test_a_noun_stands_in_the_plural_unless_there_is_one() -> None:
    assert [words.plural(n, "pair") for n in (0, 1, 2)] == ["0 pairs", "1 pair", "2 pairs"]
    assert words.plural(2, "class", "classes") == "2 classes"


def test_width_counts_wide_characters_twice_and_combining_ones_not() -> None:
    assert [words.display_width(text) for text in ("ab", "猴痘", "e\u0301")] == [2, 4, 1]


def test_a_share_stands_with_its_interval_in_whole_percent_where_there_is_one() -> None:
    assert words.percent_interval(0.71, (0.5849, 0.8349)) == "71.0 % (58-83)"
    assert words.percent_interval(0.71, None) == "71.0 %"
    assert words.percent_interval(0.71, (math.nan, math.nan)) == "71.0 %"
    assert words.percent_interval(None, None) == "n/a"


def test_text_that_is_made_plain_for_markdown_keeps_its_letters() -> None:
    assert words.plain("猴痘 <b>\n*x*") == r"猴痘 \<b\> \*x\*"

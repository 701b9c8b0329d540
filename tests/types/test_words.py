"""Words that are said in two languages, and the numbers in them."""

import pytest

from tomos.types import Words
from tomos.types.words import counted, joined, plain, times

pytestmark = pytest.mark.fast


def test_words_go_on_in_both_languages():
    assert Words("a tile", "一块") + Words(" of it", "") == Words("a tile of it", "一块 of it")
    assert Words("unet") + "-2" == Words("unet-2", "unet-2")
    assert joined([Words("one", "一"), Words("two")], "; ", "；") == Words("one; two", "一；two")
    assert Words("a") and not Words("")
    assert times((40, 56)) == Words("40 x 56", "40 × 56")


@pytest.mark.parametrize(
    ("value", "said"), [(273.4, "270"), (1.62, "1.6"), (2, "2"), (0.05, "0.05"), (12345, "12000")]
)
def test_numbers_have_no_exponent(value, said):
    assert plain(value) == said


def test_one_of_a_thing_is_no_plural():
    said = [counted(1, "network"), counted(3, "network"), counted(1200, "class", "classes")]
    assert said == ["1 network", "3 networks", "1,200 classes"]

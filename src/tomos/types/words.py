"""Words in English and Chinese, and the numbers in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Words:
    """The same in English and in Chinese; what has no Chinese form is shown as it is in both.

    No words are false, as no text is. `+` goes on in both languages; a text is the same in both.
    """

    en: str
    zh: str = ""

    def __bool__(self) -> bool:
        return bool(self.en)

    def __add__(self, other: Words | str) -> Words:
        more = words(other)
        return Words(self.en + more.en, (self.zh or self.en) + (more.zh or more.en))


Text = Words | str


def words(text: Text) -> Words:
    """A plain text becomes words that are the same in both languages."""
    return text if isinstance(text, Words) else Words(text)


def joined(texts: Sequence[Words], en: str = " ", zh: str = "") -> Words:
    """Several sentences as one, `en` or `zh` between them."""
    return Words(en.join(t.en for t in texts), zh.join(t.zh or t.en for t in texts))


def times(sides: Iterable[object]) -> Words:
    """40 x 56 x 40"""
    each = [str(side) for side in sides]
    return Words(" x ".join(each), " × ".join(each))


def counted(n: int, one: str, several: str = "") -> str:
    """1 network, 3 networks; `several` where the plural is no "s"."""
    return f"{n:,} {one if n == 1 else several or one + 's'}"


def plain(value: float, digits: int = 2) -> str:
    """A number to so many figures, without an exponent: 270, where `.2g` says 2.7e+02."""
    return f"{Decimal(f'{value:.{digits}g}'):f}"

"""Words in English and Chinese. A page holds both, and shows the one that the reader chose."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Words:
    """The same in English and in Chinese; what has no Chinese form is shown as it is in both."""

    en: str
    zh: str = ""

    def __add__(self, other: Words | str) -> Words:
        more = words(other)
        return Words(self.en + more.en, (self.zh or self.en) + (more.zh or more.en))


Text = Words | str


def words(text: Text) -> Words:
    """A plain text becomes words that are the same in both languages."""
    return text if isinstance(text, Words) else Words(text)


def both(text: Text) -> str:
    """HTML with both languages, escaped; the page's style shows one."""
    said = words(text)
    if not said.zh or said.zh == said.en:
        return _escaped(said.en)
    return (
        f'<span class="en" lang="en">{_escaped(said.en)}</span>'
        f'<span class="zh" lang="zh-Hans">{_escaped(said.zh)}</span>'
    )


def _escaped(text: str) -> str:
    """Escaped, a number and its percent sign kept on one line."""
    return escape(text).replace(" %", "\u00a0%")


def attribute(text: Text) -> str:
    """Both languages in one attribute (alt, aria-label), escaped: style cannot reach in there."""
    said = words(text)
    joined = said.en if not said.zh or said.zh == said.en else f"{said.en} / {said.zh}"
    return escape(joined, quote=True)


def spaced(zh: str) -> str:
    """Chinese with a space behind it where it ends in a Latin letter, to go on in Chinese."""
    return f"{zh} " if zh[-1:].isascii() else zh


def joined(texts: list[Words], en: str = " ", zh: str = "") -> Words:
    """Several sentences as one."""
    return Words(en.join(t.en for t in texts), zh.join(t.zh or t.en for t in texts))

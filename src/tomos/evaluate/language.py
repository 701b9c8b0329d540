"""Words on a page: it holds both languages, and shows the one that the reader chose."""

from __future__ import annotations

from html import escape

from tomos.types.words import Text, words


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

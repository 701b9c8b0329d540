"""A whole page: one file, opened from disk, from which no request can leave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any

from tomos.evaluate.language import attribute, both
from tomos.types.words import Text, Words, words

# Nothing is fetched from anywhere; styles and the script are those inside the file.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


def page(
    title: Text,
    body: str,
    foot: Text,
    contents: Mapping[str, Words],
    data: Mapping[str, Any],
    refresh: int = 0,
) -> str:
    """HTML of a page with the language switch, its table of contents and its figures as JSON.

    contents  section id -> name; only those in `body` are listed
    refresh   seconds after which the page loads itself again; 0 = never
    """
    said = words(title)
    again = f'\n<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    links = "".join(
        f'<a href="#{key}">{both(name)}</a>'
        for key, name in contents.items()
        if f'<section id="{key}"' in body
    )
    save = both(Words("Save the figures (JSON)", "保存数值（JSON）"))
    where = attribute(Words("Contents", "目录"))
    body = body.replace("<!--contents-->", f'<nav aria-label="{where}">{links}</nav>')
    # Only "<" could end the element early; JSON may write it as an escape.
    figures = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">{again}
<title>{escape(said.en)}</title>
<link rel="icon" href="data:,">
<style>{_part("page.css")}</style>
</head>
<body>
<header class="top"><div><span class="mark-name">Tomos</span>
<fieldset class="languages" aria-label="Language / 语言">
<input type="radio" name="language" id="language-en" checked>
<label for="language-en">English</label>
<input type="radio" name="language" id="language-zh">
<label for="language-zh" lang="zh-Hans">中文</label>
</fieldset></div></header>
<main>
{body}
</main>
<footer><p>{both(foot)}</p>
<button id="save" type="button" hidden>{save}</button>
</footer>
<script type="application/json" id="metrics">{figures}</script>
<script>{_part("page.js")}</script>
</body>
</html>
"""


def _part(name: str) -> str:
    return files("tomos.evaluate").joinpath(name).read_text(encoding="utf-8")

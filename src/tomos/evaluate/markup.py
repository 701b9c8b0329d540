"""The few shapes of HTML that the sections of a page share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tomos.evaluate.language import attribute, both
from tomos.evaluate.numbers import figure, interval
from tomos.types.words import Text, Words

_UNDEFINED = Words("not defined", "无法定义")


def section(key: str, title: Text, body: str, lead: Text = "") -> str:
    """A part of the page with its heading; empty when there is nothing to show."""
    if not body:
        return ""
    opening = f'<p class="lead">{both(lead)}</p>' if lead else ""
    return f'<section id="{key}"><h2>{both(title)}</h2>{opening}{body}</section>'


def figure_box(
    title: Text, picture: str, caption: Text, legend: Sequence[tuple[str, Text]] = ()
) -> str:
    """A chart with its title above, its legend (tone, name) and one sentence below."""
    entries = "".join(f'<li><i class="key {tone}"></i>{both(name)}</li>' for tone, name in legend)
    listed = f'<ul class="legend">{entries}</ul>' if entries else ""
    return (
        f"<figure><h3>{both(title)}</h3>{picture}{listed}"
        f"<figcaption>{both(caption)}</figcaption></figure>"
    )


def table(
    head: Sequence[Text], rows: Iterable[Sequence[str]], numeric: int = 10**6, name: str = ""
) -> str:
    """A table of cells that are HTML already; columns from `numeric` on hold numbers."""
    top = "".join(
        f'<th scope="col"{_number(i, numeric)}>{both(text)}</th>' for i, text in enumerate(head)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row">{cell}</th>' if i == 0 else f"<td{_number(i, numeric)}>{cell}</td>"
            for i, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    kind = f' class="{name}"' if name else ""
    return (
        f'<div class="scroll" tabindex="0"><table{kind}><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def with_interval(entry: Mapping[str, Any], digits: int = 3) -> str:
    """0.962 (0.948 to 0.975), as HTML."""
    if entry.get("value") is None:
        return f"{figure(None)} {both(_UNDEFINED)}"
    value, span = figure(entry["value"], digits), both(interval(entry, digits))
    return f'<b>{value}</b> <span class="ci">{span}</span>'


def forest(
    rows: Sequence[tuple[str, Mapping[str, Any], str]],
    low: float = 0.0,
    high: float = 1.0,
    mark: float | None = None,
    digits: int = 3,
) -> str:
    """Figures under one another with their intervals on one scale.

    rows  (name as HTML, {"value", "low", "high"}, note as HTML); `mark` draws a line, such as that
          of the whole beside its subgroups; `digits` are the decimals written
    """

    def place(value: float) -> float:
        return 100 * min(1.0, max(0.0, (value - low) / (high - low)))

    line = "" if mark is None else f'<i class="mark" style="left:{place(mark):.2f}%"></i>'
    out = []
    for name, entry, note in rows:
        value, start, end = entry.get("value"), entry.get("low"), entry.get("high")
        bar = ""
        if value is not None and start is not None and end is not None:
            a, b = place(start), place(end)
            bar = f'<i class="bar" style="left:{a:.2f}%;width:{max(b - a, 0.4):.2f}%"></i>'
        if value is not None:
            bar += f'<i class="pin" style="left:{place(value):.2f}%"></i>'
        out.append(
            f'<li><div class="name">{name}</div><div class="track" aria-hidden="true">'
            f'{line}{bar}</div><div class="value">{with_interval(entry, digits)}</div>'
            f'<div class="note">{note}</div></li>'
        )
    ends = (
        '<li class="scale" aria-hidden="true"><div></div><div class="ends">'
        f"<span>{low:g}</span><span>{(low + high) / 2:g}</span><span>{high:g}</span></div></li>"
    )
    return f'<ul class="forest">{"".join(out)}{ends}</ul>'


def definitions(rows: Sequence[tuple[Text, Text]]) -> str:
    """Names and what is said of them."""
    body = "".join(f"<dt>{both(name)}</dt><dd>{both(said)}</dd>" for name, said in rows)
    return f"<dl>{body}</dl>" if rows else ""


def image(source: str, alt: Text, name: str = "") -> str:
    """A picture from a data address."""
    return f'<img src="{source}" alt="{attribute(alt)}" class="{name}">'


def _number(column: int, numeric: int) -> str:
    return ' class="num"' if column >= numeric else ""

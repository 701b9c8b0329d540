"""The worst cases as pictures, with the heat map beside."""

from __future__ import annotations

import base64
from html import escape

import numpy as np

from tomos.evaluate.language import both
from tomos.evaluate.markup import image, section
from tomos.evaluate.report_data import Picture
from tomos.evaluate.view import View
from tomos.types import Words

MOST_BYTES = 3_500_000  # of pictures, encoded: the whole page stays under 5 MB
LONGEST = 160  # a heat map holds no finer detail than this many pixels a side
# Dark red over orange to pale yellow: its order is seen in grey too.
HEAT = np.array([[120, 10, 40], [200, 40, 30], [240, 130, 30], [255, 225, 120]], float)


def pictures(view: View) -> str:
    """Cards of one case each; what would make the page too large is left out and counted."""
    cards, used = [], 0
    for picture in view.report.pictures:
        plain, heat = data_address(picture.image), _heat_address(picture.heat)
        used += len(plain) * (2 if heat else 1) + len(heat)
        if used > MOST_BYTES:
            break
        cards.append(_card(picture, plain, heat))
    if not cards:
        return ""
    lead = Words(
        "The model was most sure of these and wrong, worst first; then those that came nearest. "
        "Left the picture, right where the model looked (brighter counts more).",
        "模型最有把握却判错的病例，最差者在前，其后为险些判错者。左为原图，右为模型关注处（越亮越重要）。",
    )
    missing = len(view.report.pictures) - len(cards)
    rest = ""
    if missing:
        text = Words(
            f"{missing} more were left out to keep this file small.",
            f"为控制文件大小，另有 {missing} 例未显示。",
        )
        rest = f'<p class="small">{both(text)}</p>'
    body = f'<div class="cases">{"".join(cards)}</div>{rest}'
    return section("cases", Words("Worst cases", "最差病例"), body, lead)


def _card(picture: Picture, plain: str, heat: str) -> str:
    right = picture.truth == picture.said
    alt = Words(f"Picture of case {picture.case}", f"病例 {picture.case} 的图像")
    looked = Words(
        f"Heat map of case {picture.case}: where the model looked",
        f"病例 {picture.case} 的热图：模型关注处",
    )
    size = "tiny" if _is_tiny(picture.image) else ""
    shown = image(plain, alt, size)
    if heat:
        over = image(heat, looked, "heat")
        shown += f'<span class="over">{image(plain, "", size)}{over}</span>'
    verdict = Words(
        f"true: {picture.truth}. Said: {picture.said}, {picture.probability:.3f}",
        f"真值：{picture.truth}。判断：{picture.said}，{picture.probability:.3f}",
    )
    note = f"<p>{both(picture.note)}</p>" if picture.note else ""
    mark = both(Words("right, narrowly", "勉强正确") if right else Words("wrong", "错误"))
    tag = f'<span class="tag {"good" if right else "bad"}">{mark}</span>'
    return (
        f'<figure class="case"><div class="pair">{shown}</div><figcaption>'
        f"<b>{escape(picture.case)}</b> {tag}<br>{both(verdict)}{note}</figcaption></figure>"
    )


def heat_png(heat: np.ndarray) -> bytes:
    """(Y, X) 0..1 -> a PNG in colour, clear where the map is low."""
    from tomos.formats import png_bytes

    step = max(1, -(-max(heat.shape) // LONGEST))
    values = np.clip(np.nan_to_num(np.asarray(heat, float)[::step, ::step]), 0, 1)
    place = values * (len(HEAT) - 1)
    low = np.minimum(place.astype(int), len(HEAT) - 2)
    share = (place - low)[..., None]
    colour = HEAT[low] * (1 - share) + HEAT[low + 1] * share
    rgba = np.dstack([colour, 200 * np.sqrt(values)])
    return png_bytes(np.moveaxis(rgba.round().astype(np.uint8), -1, 0))


def _is_tiny(png: bytes) -> bool:
    """Whether single pixels should be seen; the width stands in the first chunk of a PNG."""
    return png[:4] == b"\x89PNG" and int.from_bytes(png[16:20], "big") < 100


def _heat_address(heat: np.ndarray | bytes | None) -> str:
    if heat is None:
        return ""
    return data_address(heat if isinstance(heat, bytes) else heat_png(heat))


def data_address(png: bytes) -> str:
    """The bytes of a PNG or JPEG as an address that loads nothing."""
    kind = "jpeg" if png[:2] == b"\xff\xd8" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(png).decode('ascii')}"

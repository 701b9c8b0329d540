"""The colours of labels, the same in every file that is written."""

from __future__ import annotations

# Okabe and Ito, 2008: eight colours that people with any colour vision tell apart, without black
# and with the pale yellow last.
PALETTE = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (213, 94, 0), (204, 121, 167),
           (0, 114, 178), (240, 228, 66))  # fmt: skip


def colour_of(label: int) -> tuple[int, int, int]:
    """(red, green, blue) from 0 to 255 of label 1, 2, ...; from the eighth on, darker again."""
    turn, place = divmod(label - 1, len(PALETTE))
    dim = 0.75 ** (turn % 4)
    red, green, blue = (round(part * dim) for part in PALETTE[place])
    return red, green, blue

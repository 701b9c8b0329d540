"""`report.html` of a model that draws masks: one file for a clinician and an engineer."""

from __future__ import annotations

from pathlib import Path

from tomos.config import atomic_write
from tomos.evaluate.checklist import checklist
from tomos.evaluate.mask_checklist import MASK_ITEMS
from tomos.evaluate.mask_report_data import MaskReport
from tomos.evaluate.mask_view import mask_view
from tomos.evaluate.page import page
from tomos.evaluate.report import CONTENTS, foot, head, title
from tomos.evaluate.sections.data import data
from tomos.evaluate.sections.groups import subgroups
from tomos.evaluate.sections.mask_cases import mask_each, mask_pictures
from tomos.evaluate.sections.mask_spread import mask_extents, mask_lesions, mask_spread
from tomos.evaluate.sections.mask_summary import mask_classes, mask_headline, mask_verdict
from tomos.evaluate.sections.mask_warnings import mask_notices
from tomos.evaluate.sections.model import card, plan, training
from tomos.evaluate.sections.warnings import box
from tomos.types import Words

OWN = {
    "spread": Words("Spread", "分布"),
    "lesions": Words("Lesions", "病灶"),
    "each": Words("Case by case", "逐例"),
}
ORDER = (
    *("figures", "classes", "spread", "extents", "lesions", "subgroups", "cases", "each"),
    *("data", "plan", "training", "card", "checklist"),
)


def write_mask_report(path: Path, report: MaskReport) -> None:
    """Write the page, atomically. Raises StorageError when it cannot be written."""
    atomic_write(Path(path), render(report).encode("utf-8"))


def render(report: MaskReport) -> str:
    """The page as text."""
    seen = mask_view(report)
    found = mask_notices(seen)
    body = "\n".join(
        [
            head(seen),
            box(found),
            mask_verdict(seen, found),
            "<!--contents-->",
            mask_headline(seen),
            mask_classes(seen),
            mask_spread(seen),
            mask_extents(seen),
            mask_lesions(seen),
            subgroups(seen, "dice"),
            mask_pictures(seen),
            mask_each(seen),
            data(seen),
            plan(seen),
            training(seen),
            card(seen),
            checklist(seen, MASK_ITEMS),
        ]
    )
    extents = Words(f"{seen.extent.en.capitalize()}s", seen.extent.zh)
    names = {**CONTENTS, **OWN, "extents": extents}
    contents = {key: names[key] for key in ORDER}
    return page(title(report), body, foot(seen), contents, report.metrics)

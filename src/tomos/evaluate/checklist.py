"""Reporting guidelines, answered as far as the data of a report go.

Item numbers are those of CLAIM (Mongan et al. 2020); topics that TRIPOD+AI (Collins et al. 2024)
asks for and CLAIM does not are marked "T". The names are ours. Facts only: what is not known here
is shown as open, for the authors to answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tomos.evaluate.language import both
from tomos.evaluate.markup import section, table
from tomos.evaluate.mask_report_data import MaskReport
from tomos.evaluate.mask_view import MaskView
from tomos.evaluate.names import COLUMNS, RULES, intervals, split
from tomos.evaluate.numbers import count
from tomos.evaluate.report_data import Report
from tomos.evaluate.view import View
from tomos.types.words import Text, Words, joined, words


@dataclass(frozen=True, slots=True)
class Item:
    """One item: its key, its number in CLAIM ("T" = TRIPOD+AI only), its name, and its answer."""

    key: str
    number: str
    name: Words
    answer: Callable[[Any], Text] = lambda view: ""  # of a View or MaskView


def _splits(view: View | MaskView) -> Text:
    parts = view.report.data.splits
    each = [split(p.name) + f" {count(p.n_cases)} / {count(p.n_patients)}" for p in parts]
    return joined(each, "; ", "；")


def _choice(*sought: str) -> Callable[[Any], Text]:
    """The lines of the plan whose name holds one of the words sought."""

    def answer(view: View | MaskView) -> Text:
        lines = ((words(choice.name), choice.value) for choice in view.report.plan)
        found = [
            name + Words(": ", "：") + value
            for name, value in lines
            if any(word in name.en.lower() for word in sought)
        ]
        return joined(found, "; ", "；")

    return answer


def _dropped(view: View | MaskView) -> Text:
    lines = [words(why) + Words(f": {n}", f"：{n}") for why, n in view.report.data.dropped]
    return joined(lines, "; ", "；")


def _performance(view: View) -> Text:
    auroc = view.metrics["overall"]["auroc"]
    if auroc["value"] is None or auroc["low"] is None:
        return ""
    return f"AUROC {auroc['value']:.3f} ({auroc['low']:.3f}, {auroc['high']:.3f})"


def _threshold(view: View) -> Text:
    point = view.report.operating
    if point is None:
        return ""
    rule = RULES.get(point.rule, Words(point.rule))
    return Words(
        f"{point.threshold:.3f} by {rule.en}, on {count(point.n)} validation cases",
        f"{point.threshold:.3f}，{rule.zh}，验证集 {count(point.n)} 例",
    )


def _limits(view: View | MaskView) -> Text:
    n = len(view.report.card.limits)
    return Words(f"{n} listed in the model card", f"模型卡中列出 {n} 条") if n else ""


def _level(view: View | MaskView) -> Text:
    if view.metrics.get("patients_known", True):
        return Words("by patient", "按患者")
    return Words("by image; the patients are unknown", "按图像；患者未知")


def _missing(view: View) -> Text:
    n = count(view.metrics.get("n_not_assessed", 0))
    return Words(f"{n} cases without a label were left out", f"{n} 例无标签，未计入")


def _subgroups(view: View | MaskView) -> Text:
    columns = view.metrics.get("subgroups", {})
    return joined([COLUMNS.get(column, Words(column)) for column in columns], ", ", "、")


def _failures(view: View | MaskView) -> Text:
    n = len(view.report.pictures)
    return Words(f"{n} worst cases are shown", f"展示最差病例 {n} 例") if n else ""


def _use(view: View | MaskView) -> Text:
    return view.report.card.intended_use


def _users(view: View | MaskView) -> Text:
    return view.report.card.users


def _shortcuts(view: View | MaskView) -> Text:
    n = len(view.report.data.shortcuts)
    return Words(f"{n} shortcut tests, see Data", f"{n} 项捷径检验，见数据部分") if n else ""


ITEMS = (
    Item("aim", "6", Words("Aim of the study", "研究目的"), lambda v: v.report.card.purpose),
    Item("prospective", "5", Words("Prospective or retrospective", "前瞻或回顾")),
    Item("source", "7", Words("Source of the data", "数据来源"), lambda v: v.report.data.source),
    Item("eligibility", "8", Words("Who was included and why", "纳入与排除标准")),
    Item(
        "preparation",
        "9",
        Words("Preparation of the images", "图像预处理"),
        _choice("prepare", "preparation", "size", "input"),
    ),
    Item("selection", "10", Words("Cases left out", "剔除的病例"), _dropped),
    Item("deidentification", "12", Words("De-identification", "去标识化")),
    Item("missing", "13", Words("Missing data", "缺失数据"), _missing),
    Item("reference", "14", Words("Reference standard", "参考标准")),
    Item("annotators", "16", Words("Who labelled, how qualified", "标注者及资质")),
    Item("agreement", "18", Words("Agreement between annotators", "标注者间一致性")),
    Item("sample", "19", Words("Why this many cases", "样本量依据")),
    Item("partition", "20", Words("Parts, cases / patients", "划分，例数 / 患者数"), _splits),
    Item("level", "21", Words("Parts are disjoint by", "划分的层级"), _level),
    Item("model", "22", Words("The model", "模型"), _choice("model", "network")),
    Item(
        "software",
        "23",
        Words("Software", "软件"),
        lambda v: ", ".join(f"{k} {n}" for k, n in v.report.card.versions.items()),
    ),
    Item("initial", "24", Words("Initial weights", "初始权重"), _choice("weights", "initial")),
    Item(
        "training",
        "25",
        Words("Training", "训练"),
        _choice("train", "loss", "optimiser", "epochs", "augment", "rate", "batch"),
    ),
    Item("final", "26", Words("Choice of the threshold", "阈值的选择"), _threshold),
    Item("ensemble", "27", Words("Ensembles", "集成"), _choice("members", "ensemble")),
    Item(
        "statistics",
        "29",
        Words("Uncertainty", "不确定性"),
        lambda v: intervals(v.metrics),
    ),
    Item("robustness", "30", Words("Robustness", "稳健性"), _shortcuts),
    Item("explanation", "31", Words("Explanation", "可解释性"), lambda v: v.report.card.heat_maps),
    Item("external", "32", Words("External data", "外部数据")),
    Item("demographics", "34", Words("Who the patients are", "患者特征"), _subgroups),
    Item("performance", "35", Words("Performance", "性能"), _performance),
    Item("failures", "37", Words("Failures", "失败分析"), _failures),
    Item("limits", "38", Words("Limits", "局限"), _limits),
    Item("use", "39", Words("Meaning for practice", "临床意义"), _use),
    Item("registration", "40", Words("Registration", "注册")),
    Item("access", "41", Words("Where plan and code are", "方案与代码的获取")),
    Item("funding", "42", Words("Funding", "资助")),
    Item("fairness", "T", Words("Fairness across groups", "群体公平性"), _subgroups),
    Item("involvement", "T", Words("Patients and public involved", "患者与公众参与")),
    Item(
        "users",
        "T",
        Words("Who uses it, with what skill", "使用者及所需技能"),
        _users,
    ),
)


def answers(view: View | MaskView, items: Sequence[Item] = ITEMS) -> dict[str, Text]:
    """Key -> what is known; the report's own answers win."""
    return {item.key: view.report.checklist.get(item.key) or item.answer(view) for item in items}


def checklist(view: View | MaskView, items: Sequence[Item] = ITEMS) -> str:
    """The list, open items marked."""
    known = answers(view, items)
    _refuse_strangers(view.report)
    rows = []
    for item in items:
        said = known[item.key]
        open_ = f'<span class="open">{both(Words("open", "待作者填写"))}</span>'
        rows.append([item.number, both(item.name), both(said) if said else open_])
    done = sum(bool(said) for said in known.values())
    lead = Words(
        f"CLAIM item numbers; T: asked by TRIPOD+AI only. {done} of {len(ITEMS)} are filled in "
        "from the run, the rest are for the authors.",
        f"编号取自 CLAIM；T 为仅 TRIPOD+AI 要求。{len(ITEMS)} 项中 {done} 项已由运行记录填写，"
        "其余由作者补充。",
    )
    head = [Words("No.", "编号"), Words("Item", "条目"), Words("Answer", "内容")]
    title = Words("Reporting checklist", "报告清单")
    return section(
        "checklist", title, f'<div class="listed">{table(head, rows, name="wide")}</div>', lead
    )


def _refuse_strangers(report: Report | MaskReport) -> None:
    from tomos.config.plugins import did_you_mean
    from tomos.types import SettingsError

    keys = [item.key for item in ITEMS]
    for key in report.checklist:
        if key not in keys:
            raise SettingsError(f"no checklist item {key!r}{did_you_mean(key, keys)}")

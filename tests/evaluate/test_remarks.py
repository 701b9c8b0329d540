"""What training says is said in Chinese on its page: no sentence is forgotten there."""

import ast
from pathlib import Path

import pytest
from chinese_reading import RUN, english

import tomos
from tomos.evaluate.live_page import Live, render
from tomos.evaluate.remarks import BY_HAND, remark

pytestmark = pytest.mark.fast
TRAIN = Path(tomos.__file__).parent / "train"
SAYS = ("say", "note", "append")


def said(node):
    """The sentence of a text in the source, 7 in the place of each value; "" for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return ""
    return "".join(str(v.value) if isinstance(v, ast.Constant) else "7" for v in node.values)


def sentences():
    """Of every file of training: what it says, or gives back in a list to be said."""
    for path in sorted(TRAIN.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            given = []
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                given = node.args[:1] if name in SAYS else []
            if isinstance(node, ast.Return) and isinstance(node.value, ast.List):
                given = node.value.elts
            found = [text for text in map(said, given) if RUN.search(text)]
            yield from (pytest.param(text, id=f"{path.stem}: {text[:40]}") for text in found)


ALL = list(sentences())


def test_the_source_was_read():
    assert len(ALL) >= 10


@pytest.mark.parametrize("text", ALL)
def test_every_sentence_of_training_has_chinese(text):
    found = remark(text)
    assert found.zh != text and english(found.zh) == [], found.zh
    assert found.en == text


def test_a_divergence_as_it_is_told():
    from tomos.train.guards import _told
    from tomos.train.loop import Step

    step = Step(epoch=2, step=40, rate=3e-3, **left_out(Step))
    for what, zh in [
        ("the loss is nan", "损失为 nan"),
        ("the loss rose from 0.5 to 31", "损失从 0.5 升至 31"),
    ]:
        once = remark(f"{_told(step, what)} Trying once more at 0.3 times the rate.").zh
        assert once.startswith(f"训练在第 3 轮第 40 步发散（学习率 0.003）：{zh}。")
        assert once.endswith("以 0.3 倍学习率重试一次")


def left_out(step):
    """What a step has besides its place, and no sentence needs."""
    return dict.fromkeys(set(step.__dataclass_fields__) - {"epoch", "step", "rate"})


def test_a_weight_file_as_it_is_told():
    pytest.importorskip("torch")
    from tomos.models import Fit

    lacking = {
        "head.weight": "not in the file",
        "head.bias": "expected shape (3,), the file has (9,)",
    }
    adapted = {"stem.weight": "averaged over its 3 input channels for 1, times 3/1"}
    fit = Fit(
        "w.safetensors", ("a", "b"), adapted, lacking, {"x": "the net has nothing of this name"}
    )
    assert remark(str(fit)).zh.splitlines() == [
        "w.safetensors：2 个张量可用（共 5 个）",
        "经调整：stem.weight：由 3 个输入通道平均为 1 个，乘以 3/1",
        "保持初始值：head.weight：文件中没有",
        "保持初始值：head.bias：应为 (3,)，文件中为 (9,)",
        "未使用：x：网络中没有此名称",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "/runs/a/log.jsonl: cannot be written (No space); make room and go on with --resume",
        "/runs/a/shared: cannot be written (No space); make room and train again",
        "network 2 of 3 was ended by signal 9; it may have been the system, short of memory. "
        "Go on with --resume, or train one after another with --set train.together=1. Killed",
        BY_HAND,
    ],
)
def test_why_a_run_ended(text):
    assert english(remark(text).zh) == []


def test_the_page_says_it_in_both_languages_and_the_unknown_as_it_came():
    notes = [
        remark("out of time: 1 of 3 networks were trained"),
        remark("a <new> sentence of ours"),
    ]
    page = render(Live("films", "running", notes=notes))
    assert "out of time: 1 of 3 networks" in page and "训练了 1 个网络（计划 3 个）" in page
    assert page.count("a &lt;new&gt; sentence of ours") == 1

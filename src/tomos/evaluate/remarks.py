"""What training says on its way, in Chinese: sentences of `tomos.train`, known by their pattern.

They pass through a terminal, a log and other processes as plain English; only a page has two
languages.
"""

from __future__ import annotations

import re

from tomos.types import Words

PARTS = {"train": "训练集", "val": "验证集"}
SENTENCES = (
    (
        r"no validation part: the last epoch is kept, and nothing stops early",
        "没有验证集：保留最后一轮，不会提前停止",
    ),
    (
        r"(\S+): no case (?:of|has) (.+); it cannot be learned or judged",
        "{}中没有含 {} 的病例，无法学习或评价",
    ),
    (
        r"(\S+): (\S+) of (\S+) cases are not assessed and stay out",
        "{}：{} 例未经评定，未使用（共 {} 例）",
    ),
    (
        r"out of time: (\S+) of (\S+) networks were trained",
        "时间已用完：训练了 {} 个网络（计划 {} 个）",
    ),
    (
        r"stopped at step (\S+) of (\S+): (\S+) times the planned (\S+) minutes are over",
        "在第 {} 步停止（共 {} 步）：已超过计划时间的 {} 倍（{} 分钟）",
    ),
    (
        r"resumed on (.+), begun on (.+): the weights will not be equal to the last bit",
        "在 {} 上继续，此前在 {} 上训练：权重不会逐位相同",
    ),
    (
        r"learning at (\S+) times the plan's rate since a divergence",
        "因曾发散，学习率为计划值的 {} 倍",
    ),
    (r"Going on from epoch (\S+), step (\S+)", "从第 {} 轮、第 {} 步继续"),
    (
        r"training diverged in epoch (\S+), step (\S+), at a learning rate of (\S+): (.+?)\. "
        r"Lower train\.learning_rate .+ or set train\.clip=1",
        "训练在第 {} 轮第 {} 步发散（学习率 {}）：{}。"
        "请降低 train.learning_rate（可先降到三分之一）、延长 train.warmup 或设置 train.clip=1",
    ),
    (r"the loss is (\S+)", "损失为 {}"),
    (r"the loss rose from (\S+) to (\S+)", "损失从 {} 升至 {}"),
    (r"(.+) Trying once more at (\S+) times the rate\.", "{}。以 {} 倍学习率重试一次"),
    (
        r"No TensorBoard events: pip install 'tomos\[train\]' brings tensorboard",
        "没有 TensorBoard 记录：可用 pip install 'tomos[train]' 安装 tensorboard",
    ),
    (r"(.+): (\S+) of (\S+) tensors fit", "{}：{} 个张量可用（共 {} 个）"),
    (r"adapted: (.+)", "经调整：{}"),
    (r"left fresh: (.+)", "保持初始值：{}"),
    (r"not used: (.+)", "未使用：{}"),
    (r"(.+): not in the file", "{}：文件中没有"),
    (r"(.+): the net has nothing of this name", "{}：网络中没有此名称"),
    (
        r"(.+): expected shape (.+), the file has (.+)",
        "{}：应为 {}，文件中为 {}",
    ),
    (
        r"(.+): averaged over its (\S+) input channels for (\S+), times (\S+)",
        "{}：由 {} 个输入通道平均为 {} 个，乘以 {}",
    ),
    (
        r"(.+): cannot be written \((.+)\); make room and (?:go on with --resume|train again)",
        "{}：无法写入（{}）；请腾出空间后加 --resume 继续",
    ),
    (
        r"network (\S+) of (\S+) (?:was ended by signal|ended with code) (\S+?)(?:;[^.]+)?\. "
        r"Go on with --resume,.*",
        "第 {} 个网络（共 {} 个）的进程意外结束（{}）；请加 --resume 继续，"
        "或设置 train.together=1 逐个训练",
    ),
    (r"stopped by hand", "已手动停止"),
)
PATTERNS = [(re.compile(pattern, re.DOTALL), form) for pattern, form in SENTENCES]
BY_HAND = "stopped by hand"


def remark(said: str) -> Words:
    """A sentence of training, or several lines of them; what is not known is shown as it came."""
    return Words(said, "\n".join(_chinese(line) or line for line in said.splitlines()))


def _chinese(sentence: str) -> str:
    for pattern, form in PATTERNS:
        if found := pattern.fullmatch(sentence):
            return form.format(*(_part(text) for text in found.groups()))
    return ""


def _part(text: str) -> str:
    """A sentence within a sentence, or a word of ours; a name or a number stays as it is."""
    return PARTS.get(text) or _chinese(text) or text

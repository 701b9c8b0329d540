"""The model card: what a model is for, what it is not for, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterator

from tomos.package import InputPart, Manifest
from tomos.plan import Plan
from tomos.plan.sentences import UNITS
from tomos.types.words import Words, counted, joined, times


def card(manifest: Manifest, plan: Plan) -> Words:
    """The card as text, in English and Chinese."""
    data = manifest.dataset
    classes = ", ".join(manifest.class_names)
    people = "patients" if data.get("patients_known") else "cases (patients not named)"
    en = (
        f"# {manifest.name}\n\n"
        f"Tells {classes} apart in single pictures. {counted(len(manifest.graphs), 'network')}, "
        f"{plan.model.name} at {' x '.join(map(str, plan.size))} pixels, trained from "
        f"{'a weight file' if plan.model.weights else 'scratch'} on {data['n_train']} pictures, "
        f"with {data['n_val']} to choose threshold and confidence, of {data['n_patients']} "
        f"{people} in {data['name']}.\n\n"
        "Intended use: research, and as a second look beside a reader. Not a medical device; not "
        "for a diagnosis by itself, nor for pictures of another kind, which are referred.\n"
    )
    zh = (
        f"# {manifest.name}\n\n"
        f"在单幅图像中区分：{'、'.join(manifest.class_names)}。"
        f"由 {len(manifest.graphs)} 个 {plan.model.name} 网络组成，输入 "
        f"{' × '.join(map(str, plan.size))} 像素，用 {data['n_train']} 幅图像训练，"
        f"{data['n_val']} 幅用于选择阈值和校准（数据集：{data['name']}）。\n\n"
        "预期用途：科研，以及作为阅片者的辅助参考。不是医疗器械；不能单独用于诊断，"
        "也不适用于其他类型的图像（此类图像会转交阅片者）。\n"
    )
    return Words(en, zh)


def mask_card(manifest: Manifest, plan: Plan) -> Words:
    """The card of a model for masks, in English and Chinese."""
    data, names = manifest.dataset, manifest.class_names
    people = "patients" if data.get("patients_known") else "cases (patients not named)"
    kind, kind_zh = ("volumes", "三维影像") if plan.axes == 3 else ("pictures", "图像")
    networks = _networks(manifest) + grid_said(manifest)
    en = (
        f"# {manifest.name}\n\n"
        f"Outlines {', '.join(names)} in {kind}. {counted(len(manifest.graphs), 'network')}: "
        f"{networks.en}. Trained {_start(manifest, plan)} on {data['n_train']} cases, "
        f"with {data['n_val']} to decide what is kept and when to refer, of "
        f"{data['n_patients']} {people} in {data['name']}.\n\n"
        "Intended use: research, and outlines that a reader checks. Not a medical device; not for "
        "a diagnosis or a treatment plan by itself.\n"
    )
    zh = (
        f"# {manifest.name}\n\n"
        f"在{kind_zh}中分割：{'、'.join(names)}。共 {len(manifest.graphs)} 个网络：{networks.zh}。"
        f"用 {data['n_train']} 个病例训练，{data['n_val']} 个用于确定后处理和转交阅片者的条件"
        f"（数据集：{data['name']}）。\n\n"
        "预期用途：科研，以及供阅片者核对的轮廓。不是医疗器械；不能单独用于诊断或制定治疗计划。\n"
    )
    return Words(en, zh)


def images_said(manifest: Manifest) -> Words:
    """What is read of a case."""
    channels, roles = manifest.input.channels, manifest.input.roles
    said = Words(f"{counted(channels, 'channel')}, ", f"{channels} 通道，")
    if not roles:
        return said
    en, zh = ", ".join(roles), "、".join(roles)
    return (
        Words(f"{len(roles)} images a case ({en}), ", f"每个病例 {len(roles)} 幅图像（{zh}），")
        + said
    )


def tiles_said(manifest: Manifest) -> Words:
    """In which tiles a model for masks reads; of several kinds of network, which reads in which."""
    kinds = list(_kinds(manifest))
    if len(kinds) == 1:
        return Words("read in ", "分块读取，") + _tile(manifest, kinds[0][2])
    each = [
        Words(f"by {count} x {name} in ", f"{count} 个 {name} 为") + _tile(manifest, part)
        for count, name, part in kinds
    ]
    return Words("read ", "分块读取：") + joined(each, "; ", "；")


def grid_said(manifest: Manifest) -> Words:
    """The grid onto which images are resampled, all kinds of network alike; no words where each
    keeps its own."""
    grids = [step["spacing"] for step in manifest.prepare if step["step"] == "resample"]
    if not grids:
        return Words("")
    grid = times(f"{mm:g}" for mm in grids[-1])
    return Words(f", at {grid.en} mm", f"，网格 {grid.zh} mm")


def _networks(manifest: Manifest) -> Words:
    """2 x unet in tiles of 40 x 56 x 40 voxels; 1 x unet in tiles of 256 x 256 pixels, ..."""
    each = [
        Words(f"{count} x {name} in ", f"{count} 个 {name}，") + _tile(manifest, part)
        for count, name, part in _kinds(manifest)
    ]
    averaged = Words("; their probabilities are averaged", "；对各种网络的概率取平均")
    return joined(each, "; ", "；") + (averaged if len(each) > 1 else "")


def _kinds(manifest: Manifest) -> Iterator[tuple[int, str, InputPart]]:
    """Of each kind of graph how many there are, the network's name, and what it takes."""
    own = [(manifest.network_of(part), manifest.input_of(part)) for part in manifest.graphs]
    for network, part in [kind for n, kind in enumerate(own) if kind not in own[:n]]:
        yield own.count((network, part)), network.name, part


def _tile(manifest: Manifest, part: InputPart) -> Words:
    sides, units = times(manifest.mask.tile or part.size), UNITS[len(part.size)]
    said = Words(f"tiles of {sides.en} {units.en}", f"每块 {sides.zh} {units.zh}")
    if part.context:
        slices = 2 * part.context + 1
        return said + Words(f", {slices} slices at once", f"，一次看 {slices} 层")
    return said + (Words(", slice by slice", "，逐层") if part.volumes else "")


def _start(manifest: Manifest, plan: Plan) -> str:
    """From what the networks began that are there: there may have been no time for the others."""
    begun = {bool(each.model.weights) for each in plan.networks[: len(manifest.graphs)]}
    if len(begun) > 1:
        return "partly from a weight file, partly from scratch,"
    return "from a weight file" if begun == {True} else "from scratch"


def limits(manifest: Manifest) -> list[Words]:
    """What every report says of where a model's figures end."""
    found = []
    if not manifest.dataset.get("patients_known", True):
        found.append(
            Words(
                "Patients are not named in the data: intervals count every case as a patient.",
                "数据未标明患者：置信区间把每个病例当作一名患者。",
            )
        )
    found.append(
        Words(
            "Made and tested on one data set; on another hospital's images figures can be lower.",
            "仅在一个数据集上训练和测试；在其他医院的图像上指标可能下降。",
        )
    )
    return found


PURPOSE = Words(
    "Research, and a second look beside a reader.", "科研用途，以及作为阅片者的辅助参考。"
)
NOT_FOR = Words(
    "Diagnosis by itself; pictures of another kind, body part or modality than those below.",
    "单独用于诊断；与下述不同的图像类型、部位或成像方式。",
)
MASK_PURPOSE = Words(
    "Research, and outlines that a reader checks.", "科研用途，以及供阅片者核对的轮廓。"
)
MASK_NOT_FOR = Words(
    "Diagnosis or treatment planning by itself; images of another kind, body part or modality than "
    "those below.",
    "单独用于诊断或制定治疗计划；与下述不同的图像类型、部位或成像方式。",
)
USERS = Words(
    "Readers of medical images and engineers who know this report.",
    "了解本报告的阅片医师和工程师。",
)

"""From a folder of drawn films to a model, its report and an answer, by the workflows."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs tomos[train]")

from tomos import datasets, formats, package  # noqa: E402
from tomos.datasets import phantom  # noqa: E402
from tomos.inference import Predictor  # noqa: E402
from tomos.types import DatasetError, LeakError, PlanError, SettingsError  # noqa: E402
from tomos.workflows.evaluate import compare, evaluate  # noqa: E402
from tomos.workflows.run import run  # noqa: E402
from tomos.workflows.train import train  # noqa: E402

SMALL = ["budget.minutes=10", "train.epochs=2", "train.members=2", "model.options.width=8"]


def films(folder: Path, patients: int = 36, side: int = 64) -> Path:
    """A CSV and PNG films of patients with and without big nodules, two films each."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    rows = [("image", "label", "patient", "sex")]
    for number in range(patients):
        body = phantom.person(rng)
        for index in range(2):
            pixels, _ = phantom.film(body, rng, 3 * (number % 2), side)
            name = f"p{number:02d}_{index}.png"
            (folder / name).write_bytes(formats.png_bytes(pixels))
            rows.append((name, ("normal", "nodule")[number % 2], f"p{number:02d}", body.sex))
    with (folder / "films.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "films.csv"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    source = films(folder / "films")
    return run(source, folder / "out", minutes=0.05, overrides=SMALL, device="cpu")


def test_a_run_leaves_what_the_design_says(whole):
    here = whole.done.folder
    for name in ("plan.toml", "log.jsonl", "model.tomos", "metrics.json", "report.html"):
        assert (here / name).is_file(), name
    assert list(here.glob("checkpoints/*best*.safetensors"))
    assert list((here / "events").iterdir())
    assert (whole.folder / "check.html").is_file()
    watched = (here / "live.html").read_text()
    assert "训练已完成" in watched and 'http-equiv="refresh"' not in watched


def test_metrics_have_the_names_and_intervals_of_the_design(whole):
    figures = json.loads((whole.done.folder / "metrics.json").read_text())
    assert figures["schema"] == 1
    assert figures["split"] == "test"
    assert figures["n_patients"] < figures["n_cases"]
    for name in ("auroc", "accuracy", "sensitivity", "specificity", "brier", "ece"):
        entry = figures["overall"][name]
        assert entry["low"] <= entry["value"] <= entry["high"], name


def test_no_patient_stands_on_two_sides(whole):
    cases = datasets.open(whole.folder / "dataset").cases
    sides = {}
    for case in cases:
        sides.setdefault(case.patient, set()).add(case.split)
    assert all(len(found) == 1 for found in sides.values())


def test_the_model_file_carries_decision_proof_and_figures(whole):
    manifest = package.read(whole.model).manifest
    assert len(manifest.graphs) == 2
    assert manifest.map_method == "cam"
    assert manifest.operating_point.split == "val"
    assert set(manifest.operating_point.thresholds) == {"nodule"}
    assert manifest.example is not None
    assert manifest.metrics["overall"]["auroc"]["value"] is not None
    assert {"blur", "noise", "lowest", "highest", "contrast"} == set(manifest.envelope["quality"])
    assert "研究" in manifest.card_zh or "科研" in manifest.card_zh
    assert "p00" not in manifest.model_dump_json()


def test_the_file_answers_as_the_trained_networks_do(whole):
    """Probabilities of the file against torch's own, over graphs, views and temperature."""
    from tomos.config import load
    from tomos.models import build
    from tomos.plan import Plan
    from tomos.transforms.prepare import Chain
    from tomos.transforms.views import view

    predictor = Predictor(whole.model)
    plan = load(Plan, whole.done.folder / "plan.toml")
    case = datasets.open(whole.folder / "dataset").split("test").cases[0]
    x = Chain(plan.prepare)(formats.read(case.image)).pixels[None]
    logits = []
    for path in sorted(whole.done.folder.glob("checkpoints/**/*best*.safetensors")):
        from safetensors.torch import load_file

        net = build(plan.model.name, plan.channels, len(plan.classes), **plan.model.options).eval()
        weights = {k.split("/")[-1]: v for k, v in load_file(path).items()}
        known = {k: v for k, v in weights.items() if k in net.state_dict()}
        if len(known) != len(net.state_dict()):
            pytest.fail(f"{path} does not hold the network's parameters by name")
        net.load_state_dict(known)
        with torch.no_grad():
            logits += [net(torch.from_numpy(view(x, v).copy())).numpy() for v in plan.predict.views]
    expected = np.mean(logits, axis=0)
    assert np.abs(predictor.logits(x) - expected).max() < 1e-4


def test_evaluating_again_gives_the_same_figures(whole, tmp_path):
    again = evaluate(whole.model, whole.folder / "dataset", out=tmp_path)
    first = json.loads((whole.done.folder / "metrics.json").read_text())
    assert again.metrics["overall"] == first["overall"]
    assert again.looks == 1, "the same model is not counted twice"


def test_a_model_compared_with_itself_differs_by_nothing(whole, tmp_path):
    done = compare(whole.model, whole.model, whole.folder / "dataset", out=tmp_path)
    gap = done.result["metrics"]["auroc"]["difference"]
    assert gap["value"] == 0
    assert done.page.is_file()


def test_a_finished_run_is_not_trained_again(whole):
    before = (whole.done.folder / "log.jsonl").read_text()
    again = run(whole.folder / "dataset", whole.folder, device="cpu")
    assert (again.done.folder / "log.jsonl").read_text() == before
    assert again.done.judged.metrics["overall"] == whole.done.judged.metrics["overall"]


def test_a_leaking_split_is_refused_and_nothing_trained(whole, tmp_path):
    source = whole.folder / "dataset"
    leaking = tmp_path / "leaking"
    leaking.mkdir()
    (leaking / "dataset.toml").write_text((source / "dataset.toml").read_text())
    rows = list(csv.DictReader((source / "cases.csv").open()))
    moved = next(row for row in rows if row["split"] == "test")
    moved["split"] = "train"
    for row in rows:
        row["image"] = str((source / row["image"]).resolve())
    with (leaking / "cases.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(LeakError, match=moved["patient"]):
        train(leaking, tmp_path / "run", minutes=0.05)
    assert not (tmp_path / "run").exists()


def test_a_plan_for_other_cases_is_refused(whole, tmp_path):
    text = (whole.done.folder / "plan.toml").read_text()
    checksum = whole.done.plan.dataset.checksum
    other = tmp_path / "plan.toml"
    other.write_text(text.replace(checksum, "0" * 64))
    with pytest.raises(PlanError, match="make a new plan"):
        train(whole.folder / "dataset", tmp_path / "run", plan_file=other)


def test_a_model_is_not_judged_on_classes_it_does_not_know(whole, tmp_path):
    strange = tmp_path / "strange"
    strange.mkdir()
    source = whole.folder / "dataset"
    for name in ("dataset.toml", "cases.csv"):
        text = (source / name).read_text().replace("nodule", "fracture")
        (strange / name).write_text(text)
    with pytest.raises(DatasetError, match=r"fracture.*nodule"):
        evaluate(whole.model, strange)


def test_the_data_set_says_which_class_is_the_finding_and_its_code(whole, tmp_path):
    there = tmp_path / "named"
    there.mkdir()
    source = whole.folder / "dataset"
    rows = list(csv.DictReader((source / "cases.csv").open()))
    for row in rows:
        row["image"] = str((source / row["image"]).resolve())
    with (there / "cases.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (there / "dataset.toml").write_text(
        'schema = 1\nname = "named"\n[targets.label]\nkind = "class"\n'
        'classes = ["nodule", "normal"]\npositive = "normal"\n'
        'codes.nodule = ["SNOMED-CT:233604007 Pneumonia"]\n'
    )
    done = train(
        there,
        tmp_path / "run",
        minutes=0.05,
        overrides=["train.epochs=1", *SMALL[2:]],
        device="cpu",
    )
    manifest = package.read(done.model).manifest
    assert list(manifest.operating_point.thresholds) == ["normal"]
    assert [each.finding for each in manifest.classes] == [False, True]
    assert manifest.classes[0].codes[0].code == "233604007"
    assert done.judged.metrics["operating_point"]["positive"] == "normal"


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"prevalence": 5.0}, "--prevalence 5: expected a share"),
        ({"by": ["sxe"]}, "did you mean 'sex'"),
        ({"by": ["site"]}, "the same value"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused_first(whole, tmp_path, wish, said):
    with pytest.raises(SettingsError, match=said):
        evaluate(whole.model, whole.folder / "dataset", out=tmp_path / "o", **wish)
    assert not (tmp_path / "o").exists()


def test_a_run_that_goes_on_says_which_flags_do_not_count(whole):
    class Heard:
        said = ""

        def say(self, text):
            self.said += text + "\n"

        def step(self, done, total, note=""):
            pass

    heard = Heard()
    run(whole.folder / "dataset", whole.folder, minutes=3, device="cpu", progress=heard)
    assert "by its own plan (--minutes would need a new one" in heard.said


def relabelled(source: Path, there: Path, kind: str, labels: dict, classes: list) -> list[dict]:
    """The films of `source` under other labels: old -> the new ones in turn. Their rows."""
    there.mkdir()
    rows = list(csv.DictReader((source / "cases.csv").open()))
    for number, row in enumerate(rows):
        row["image"] = str((source / row["image"]).resolve())
        chosen = labels[row["label"]]
        row["label"] = chosen[number % len(chosen)]
    with (there / "cases.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (there / "dataset.toml").write_text(
        f'schema = 1\nname = "grades"\n[targets.label]\nkind = "{kind}"\n'
        f"classes = {json.dumps(classes)}\n"
    )
    return rows


def test_a_recipe_learns_several_findings(whole, tmp_path):
    """`--recipe small_cnn` planned cross-entropy for them, which training refuses."""
    labels = {"normal": ["-"], "nodule": ["mass", "mass|scar", "scar"]}
    rows = relabelled(
        whole.folder / "dataset", tmp_path / "d", "multilabel", labels, ["mass", "scar"]
    )
    done = train(
        tmp_path / "d",
        tmp_path / "run",
        minutes=0.05,
        recipe="small_cnn",
        overrides=["train.epochs=1"],
        device="cpu",
    )
    assert done.plan.train.loss == "bce"
    answer = next(iter(Predictor(done.model).predict([rows[0]["image"]])))
    assert set(answer.targets["label"].scores) == {"mass", "scar"}


@pytest.mark.parametrize(("kind", "loss"), [("ordinal", "ordinal"), ("class", "focal")])
def test_the_plan_of_every_kind_can_be_carried_out(whole, tmp_path, kind, loss):
    """Grades had a plan whose targets are softened and a loss that could not soften them."""
    there = tmp_path / kind
    labels = {"normal": ["normal"], "nodule": ["mild", "severe"]}
    rows = relabelled(whole.folder / "dataset", there, kind, labels, ["normal", "mild", "severe"])
    wishes = ["train.epochs=1", "train.members=1", "model.options.width=8", f"train.loss={loss}"]
    done = train(there, tmp_path / "run", minutes=0.05, overrides=wishes, device="cpu")
    assert done.plan.train.label_smoothing > 0
    assert ("quadratic_kappa" in done.judged.metrics["overall"]) == (kind == "ordinal")
    with pytest.raises(SettingsError, match="one of 3 classes"):
        evaluate(done.model, there, prevalence=0.1)
    answer = next(iter(Predictor(done.model).predict([rows[0]["image"]])))
    assert answer.targets["label"].label in ("normal", "mild", "severe")


def test_a_training_that_fails_says_so_on_its_page(whole, tmp_path):
    from tomos.workflows.live import Watched

    heard = []

    class Heard:
        def say(self, text):
            heard.append(text)

        def step(self, done, total, note=""):
            heard.append((done, total))

    (tmp_path / "log.jsonl").write_text(
        (whole.done.folder / "log.jsonl").read_text() + '{"member": 0, "epo'
    )
    with (
        pytest.raises(ValueError, match="no more"),
        Watched(Heard(), tmp_path, whole.done.plan, "films") as watched,
    ):
        assert 'http-equiv="refresh"' in (tmp_path / "live.html").read_text()
        watched.say("a note")
        watched.step(3, 9, "epoch 1/3")
        raise ValueError("no more")
    text = (tmp_path / "live.html").read_text()
    assert "no more" in text and "--resume" in text and "a note" in text
    assert heard == ["a note", (3, 9)]


def test_a_fold_is_judged_on_its_own_cases_and_leaves_the_test_locked(whole, tmp_path):
    source = whole.folder / "dataset"
    before = (source / "looks.jsonl").read_text()
    wishes = ["train.epochs=1", "train.members=1", "model.options.width=8"]
    done = train(source, tmp_path / "run", minutes=0.05, overrides=wishes, device="cpu", fold="1/4")
    data = datasets.open(source)
    learned = [case for case in data.cases if case.split != "test"]
    assert done.judged.table.split == "fold"
    assert "held-out fold" in (tmp_path / "run" / "report.html").read_text()
    assert len(done.judged.table.cases) == pytest.approx(len(learned) / 4, abs=4)
    assert not {c.name for c in data.split("test").cases} & set(done.judged.table.cases)
    looks = (source / "looks.jsonl").read_text()
    assert looks.count('"split": "test"') == before.count('"split": "test"')
    with pytest.raises(SettingsError, match="--fold 5/4"):
        train(source, tmp_path / "other", fold="5/4")


def test_there_must_be_a_run_to_resume(whole, tmp_path):
    with pytest.raises(PlanError, match=r"no run to go on with.*leave out --resume"):
        train(whole.folder / "dataset", tmp_path / "nothing", resume=True)
    assert not (tmp_path / "nothing").exists()


def test_the_time_foreseen_follows_the_epochs_asked_for(whole):
    from tomos.workflows.plan import overridden

    made = whole.done.plan
    twice = overridden(made, [f"train.epochs={2 * made.train.epochs}"])
    assert twice.budget.predicted_seconds == pytest.approx(
        2 * made.budget.predicted_seconds, abs=0.1
    )
    assert overridden(made, ["train.clip=1"]).budget == made.budget

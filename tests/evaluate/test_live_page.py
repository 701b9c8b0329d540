"""The page of a training that goes on: whole, in two languages, asking nobody for anything."""

import re

import pytest

from tomos.evaluate import Words
from tomos.evaluate.live_page import REFRESH, Live, render

pytestmark = pytest.mark.fast


def epoch(number: int, member: int = 0, **changes):
    values = {"log_loss": 0.5 / number, "auroc": 0.9} if number != 2 else None
    line = {"member": member, "epoch": number, "loss": 1 / number, "rate": 1e-3}
    line |= {"step": 9 * number, "seconds": 2.0 * number, "validation": values, "kept": number < 3}
    return {**line, **changes}


def live(**changes) -> Live:
    epochs = [epoch(n) for n in (1, 2, 3)] + [epoch(n, 1) for n in (1, 2)]
    given = {"title": "films <1>", "state": "running", "done": 30, "total": 90, "left": 75.0,
             "epochs": epochs, "facts": [(Words("Model", "模型"), "2 x small_cnn")],
             "notes": ["no validation <part>"], "written": "2026-01-02 03:04:05"}  # fmt: skip
    return Live(**{**given, **changes})


def test_it_shows_where_training_stands():
    text = render(live())
    assert "33%" in text or "33\u00a0%" in text
    assert "1:15 left" in text and "剩余 1:15" in text
    assert text.count("<svg") >= 4, "loss and score of two networks"
    assert "films &lt;1&gt;" in text and "no validation &lt;part&gt;" in text
    assert "2 x small_cnn" in text and "2026-01-02" in text


def test_of_masks_it_shows_the_dice_of_the_validation_part():
    lines = [epoch(n, validation={"loss": 0.4 / n, "dice": 0.81}) for n in (1, 2, 3)]
    text = render(live(epochs=lines))
    assert "Dice on patches of validation" in text and "验证集图块的 Dice" in text
    assert "0.8100" in text and "0.1333" in text
    assert text.count("<svg") == 2, "loss and Dice"
    assert "AUROC" not in text


def test_it_loads_itself_again_only_while_training_runs():
    again = f'http-equiv="refresh" content="{REFRESH}"'
    assert again in render(live())
    for state, words in (("done", "训练已完成"), ("stopped", "--resume")):
        text = render(live(state=state))
        assert again not in text and words in text


def test_nothing_is_fetched_and_the_beginning_is_no_error():
    for text in (render(live()), render(live(epochs=[], left=None, done=0, total=0))):
        assert not re.search(r"""(src|href)=["'](?!data:|#)""", text)
        assert "Content-Security-Policy" in text

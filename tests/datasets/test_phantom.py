"""Drawn films: brightness says nothing of disease, and lesions lie where they are said to."""

import numpy as np

from tomos.datasets import phantom


def films(n: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 128, 128) films, every second with one to three nodules, and which."""
    rng = np.random.default_rng(0)
    ill = np.arange(n) % 2
    drawn = [
        phantom.film(phantom.person(rng), rng, int(k * rng.integers(1, 4)), 128)[0] for k in ill
    ]
    return np.stack(drawn), ill


def test_mean_spread_and_histogram_do_not_tell_who_is_ill():
    """The bound of the demo: logistic regression on them stays under AUROC 0.75."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pixels, ill = films(300)
    bins = [np.histogram(x, 16, (0, 4096))[0] / x.size for x in pixels]
    facts = np.column_stack([pixels.mean((1, 2)), pixels.std((1, 2)), bins])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    chance = cross_val_predict(model, facts, ill, cv=5, method="predict_proba")[:, 1]
    assert roc_auc_score(ill, chance) < 0.75


def test_a_nodule_brightens_its_place():
    """Denser than the ring of lung around it, in most films: ribs and vessels lie there, too."""
    brighter = []
    for seed in range(12):
        body = phantom.person(np.random.default_rng(seed))
        pixels, (lesion,) = phantom.film(body, np.random.default_rng(seed), 1, 128)
        y, x = np.indices(pixels.shape)
        distance = np.hypot(y - lesion.y, x - lesion.x)
        inside = pixels[distance < 0.6 * lesion.radius].mean()
        around = pixels[(distance > 1.3 * lesion.radius) & (distance < 2 * lesion.radius)].mean()
        brighter.append(inside > around)
    assert np.mean(brighter) > 0.8


def test_the_same_seed_draws_the_same_film():
    first, second = (
        phantom.film(phantom.person(np.random.default_rng(3)), np.random.default_rng(4), 2, 64)[0]
        for _ in range(2)
    )
    assert np.array_equal(first, second)
    assert first.dtype == np.uint16
    assert first.max() <= 4095

"""Chest-film-like pictures drawn from numbers, with lesions whose place is known.

For demonstrations and tests where no patient's image may stand. A film is drawn as X-rays make
one: thicknesses of soft tissue, bone and air add up along the ray (Beer and Lambert), the detector
sees the exponential with scatter and quantum noise, and the reader sees its logarithm. Exposure,
habitus and processing vary from film to film, so that brightness says nothing of disease.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIDE = 256


@dataclass(frozen=True, slots=True)
class Person:
    """What stays the same from film to film of one patient; lengths in units of the film's side."""

    width: float
    height: float
    heart: float
    tilt: float
    ribs: float
    rib_phase: float
    rib_slope: float
    discs: float
    disc_phase: float
    density: float
    age: int
    sex: str


@dataclass(frozen=True, slots=True)
class Lesion:
    """A nodule: centre (y, x) and radius in pixels, peak extra thickness (arbitrary units)."""

    y: float
    x: float
    radius: float
    strength: float


def person(rng: np.random.Generator) -> Person:
    """Draw a body."""
    return Person(
        width=rng.uniform(0.34, 0.46),
        height=rng.uniform(0.33, 0.43),
        heart=rng.uniform(0.12, 0.17),
        tilt=rng.normal(0, 0.025),
        ribs=rng.uniform(7, 12),
        rib_phase=rng.uniform(0, 1),
        rib_slope=rng.uniform(0.2, 0.5),
        discs=rng.uniform(10, 18),
        disc_phase=rng.uniform(0, 6.28),
        density=rng.uniform(0.85, 1.15),
        age=int(np.clip(rng.normal(57, 16), 19, 93)),
        sex="F" if rng.random() < 0.5 else "M",
    )


def film(
    body: Person, rng: np.random.Generator, lesions: int, side: int = SIDE
) -> tuple[np.ndarray, list[Lesion]]:
    """Draw one film of `body` with that many lesions.

    Returns pixels (side, side) uint16 in 0..4095, larger = brighter = denser, and the lesions.
    """
    y, x = _grid(side, body.tilt + rng.normal(0, 0.015), rng.normal(0, 0.03, 2), rng)
    lungs, depth = _lungs(body, y, x)
    path = body.density * (1.25 * _body(body, y, x) - 0.95 * depth)
    path += 0.55 * _heart(body, y, x) + 0.5 * _spine(body, y, x) + _ribs(body, y, x, lungs)
    path += _vessels(body, rng, y, x, lungs)
    path += (
        0.06 * _cloud(rng, side, 6) + 0.04 * _cloud(rng, side, 24) + 0.07 * _cloud(rng, side, 48)
    )
    found = [_place(rng, lungs) for _ in range(lesions)]
    for lesion in found:
        path += _nodule(lesion, rng, side)
    return _expose(path, rng), found


def _grid(side, tilt, shift, rng):
    """Coordinates in -0.5..0.5, turned and moved as a patient stands, slightly stretched."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
    y, x = np.meshgrid(axis, axis, indexing="ij")
    scale = 1 + rng.normal(0, 0.06)
    cos, sin = np.cos(tilt) * scale, np.sin(tilt) * scale
    return (cos * y + sin * x + shift[0]).astype(np.float32), (cos * x - sin * y + shift[1]).astype(
        np.float32
    )


def _soft(distance, width):
    """1 inside (negative distance), 0 outside, a smooth step of `width` between."""
    return (1 / (1 + np.exp(np.clip(distance / width, -30, 30)))).astype(np.float32)


def _body(body, y, x):
    trunk = ((x / (body.width + 0.06)) ** 2) ** 2 + (((y - 0.12) / 0.72) ** 2) ** 2
    neck = _soft(np.abs(x) - 0.09, 0.012) * _soft(y + 0.36, 0.02)
    return np.maximum(_soft(trunk - 1, 0.06), 0.8 * neck)


def _lungs(body, y, x):
    """(mask 0..1 of lung, thickness of air 0..1): two lobes cut by the diaphragm's domes."""
    mask = np.zeros_like(x)
    depth = np.zeros_like(x)
    for sign, floor in ((-1, 0.25 + body.tilt), (1, 0.29 - body.tilt)):
        centre = sign * body.width * 0.5
        u = (x - centre) / (body.width * 0.42)
        v = (y + 0.03) / body.height
        radius = np.abs(u) ** 2.4 + np.abs(v) ** 2.6
        dome = floor + 0.9 * (x - centre * 0.95) ** 2
        lobe = _soft(radius - 1, 0.07) * _soft(y - dome, 0.012)
        mask = np.maximum(mask, lobe)
        depth = np.maximum(depth, lobe * np.sqrt(np.clip(1 - 0.6 * radius, 0.2, 1)))
    return mask, depth


def _heart(body, y, x):
    u = (x - 0.06) / body.heart
    v = (y - 0.14) / (body.heart * 1.05)
    hilum = 0.35 * np.exp(-(((np.abs(x) - 0.08) / 0.045) ** 2) - ((y + 0.02) / 0.08) ** 2)
    return _soft(u**2 + v**2 + 0.5 * u * v - 1, 0.12) + hilum


def _spine(body, y, x):
    discs = 0.85 + 0.15 * np.cos(2 * np.pi * y * body.discs + body.disc_phase)
    return np.exp(-(((x / 0.035) ** 2) ** 2)) * discs


def _ribs(body, y, x, lungs):
    """Curved bands, thicker at their edges as hollow bone is, and the two collar bones."""
    reach = np.abs(x) / body.width
    path = np.zeros_like(x)
    for slope, weight in ((body.rib_slope, 0.16), (-0.8 * body.rib_slope, 0.08)):
        phase = (y - slope * reach**1.6 * 0.5) * body.ribs * 1.25 + body.rib_phase
        band = np.abs((phase % 1) - 0.5)
        path += weight * (_soft(band - 0.17, 0.02) + 0.5 * np.exp(-(((band - 0.17) / 0.03) ** 2)))
    path *= 0.25 + 0.75 * lungs
    collar = np.abs(y + 0.29 - 0.12 * np.abs(x) - 0.6 * (np.abs(x) - 0.2) ** 2)
    return path + 0.22 * _soft(collar - 0.016, 0.004) * _soft(np.abs(x) - 0.34, 0.02)


def _vessels(body, rng, y, x, lungs):
    """Branches that leave each hilum, thinner and fainter outwards; some are seen end on."""
    path = np.zeros_like(x)
    half = x.shape[1] // 2
    for sign, side in ((-1, np.s_[:, :half]), (1, np.s_[:, half:])):
        dx, dy = x[side] * sign - 0.07, y[side] + 0.01
        for _ in range(9):
            path[side] += _branch(rng, dy, dx)
    for _ in range(int(rng.integers(2, 6))):
        _end_on(rng, path, y, x)
    return path * lungs


def _branch(rng, dy, dx):
    angle, bend = rng.uniform(-1.35, 1.35), rng.normal(0, 1.2)
    along = dx * np.cos(angle).item() + dy * np.sin(angle).item()
    across = dy * np.cos(angle).item() - dx * np.sin(angle).item() - bend * along * along
    width = np.maximum(0.011 - 0.03 * along, 0.0025)
    fading = np.clip(1 - along / 0.36, 0, 1) * np.clip(along / 0.02, 0, 1)
    return rng.uniform(0.08, 0.2) * np.exp(-np.minimum((across / width) ** 2, 30)) * fading


def _end_on(rng, path, y, x):
    """A vessel that runs along the ray: a dot like a tiny nodule, which normal films have too."""
    cy, cx = rng.uniform(-0.2, 0.22), (1 if rng.random() < 0.5 else -1) * rng.uniform(0.07, 0.17)
    width, weight = rng.uniform(0.005, 0.009), rng.uniform(0.1, 0.22)
    side = len(x)
    row, column = int((cy + 0.5) * side), int((cx + 0.5) * side)
    reach = max(2, int(0.06 * side))
    near = np.s_[max(row - reach, 0) : row + reach, max(column - reach, 0) : column + reach]
    path[near] += weight * np.exp(-((y[near] - cy) ** 2 + (x[near] - cx) ** 2) / (2 * width**2))


def _cloud(rng, side, cells):
    """Smooth noise of about unit spread: random numbers on a coarse net, interpolated."""
    net = rng.normal(0, 1, (cells + 3, cells + 3)).astype(np.float32)
    place = np.linspace(0, cells, side, dtype=np.float32)
    low = place.astype(int)
    t = place - low
    weights = np.zeros((side, cells + 3), np.float32)
    rows = np.arange(side)
    for offset, w in enumerate(
        ((1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6)
    ):
        weights[rows, low + offset] += w
    weights[rows, np.minimum(low + 3, cells + 2)] += t**3 / 6
    return 2 * weights @ net @ weights.T


def _place(rng, lungs):
    """A spot well inside the lung."""
    side = lungs.shape[0]
    ys, xs = np.nonzero(lungs > 0.9)
    pick = rng.integers(len(ys))
    radius = side * rng.uniform(0.034, 0.065)
    return Lesion(
        y=float(ys[pick]),
        x=float(xs[pick]),
        radius=float(radius),
        strength=float(rng.uniform(0.45, 0.7)),
    )


def _nodule(lesion, rng, side):
    """A ball's thickness with an uneven, soft rim."""
    axis = np.arange(side, dtype=np.float32)
    dy, dx = axis[:, None] - lesion.y, axis[None, :] - lesion.x
    angle = np.arctan2(dy, dx)
    rim = 1 + sum(
        rng.normal(0, 0.09) * np.cos(k * angle + rng.uniform(0, 6.28)) for k in range(2, 6)
    )
    r = np.hypot(dy, dx) / (lesion.radius * rim)
    return lesion.strength * (np.sqrt(np.clip(1 - r**2, 0, 1)) * 0.7 + 0.3 * np.exp(-(r**2)))


def _expose(path, rng):
    """Thickness -> what the detector's processing shows, 12 bits: scatter, noise, window, gamma."""
    dose = np.exp(rng.uniform(np.log(1500), np.log(9000)))
    signal = np.exp(-1.9 * np.clip(path, 0, None))
    signal += rng.uniform(0.01, 0.05) * signal.mean()
    counts = signal * dose
    counts = np.clip(counts + rng.normal(0, 1, path.shape) * np.sqrt(counts), 1, None)
    shown = -np.log(counts / dose)
    low, high = np.percentile(shown, [rng.uniform(0.2, 3), rng.uniform(97, 99.8)])
    shown = np.clip((shown - low) / (high - low), 0, 1) ** np.exp(rng.normal(0, 0.25))
    black, white = rng.uniform(0, 300), rng.uniform(3300, 4095)
    return np.round(black + shown * (white - black)).astype(np.uint16)

"""From a source, whatever its layout, to a data set's folder: found out, split, written at once."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tomos.config.plugins import did_you_mean
from tomos.datasets import duplicates
from tomos.datasets import masks as mask_values
from tomos.datasets.cases import SPLITS, relative, roles_of
from tomos.datasets.copies import copied, moved
from tomos.datasets.dataset import (
    MASKED,
    TOML,
    DatasetInfo,
    Provenance,
    TargetInfo,
    checksum,
    create,
    normal,
)
from tomos.datasets.layouts import Draft, Request, find
from tomos.datasets.split import RATIOS, split
from tomos.types import Case, DatasetError, Progress, SettingsError, Silent, StorageError

FEW_MASKS = 8  # are looked at in a dry run


@dataclass(frozen=True)
class Imported:
    """What was, or in a dry run would be, written. `counts` split -> label -> cases."""

    folder: Path
    info: DatasetInfo
    cases: tuple[Case, ...]
    written: bool

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        target = self.info.target
        found = {part: Counter[str]() for part in (*SPLITS, "")}
        kind = self.info.targets[target].kind
        for case in self.cases:
            cell = case.targets.get(target, "")
            found[case.split][MASKED if cell and kind == "mask" else cell] += 1
        return {part: dict(counts) for part, counts in found.items() if counts}

    def summary(self) -> str:
        """What a person reads before (dry run) or after: layout, classes by split, first cases."""
        source, splits = self.info.provenance, self.counts
        lines = [
            f"{self.info.name}: layout {source.layout!r}, {len(self.cases)} cases",
            f"patients: {source.patient or 'not known'}",
            f"split: {source.split}",
            *(
                f"column {ours!r} is {theirs!r} of the source"
                for ours, theirs in source.columns.items()
            ),
            *self._images(),
            *self._labels(),
            *(f"note: {note}" for note in source.notes),
        ]
        for part, counts in splits.items():
            found = ", ".join(f"{label or 'no label'} {n}" for label, n in sorted(counts.items()))
            lines.append(f"  {part or 'no split':<8} {sum(counts.values()):>6}  {found}")
        for case in self.cases[:3]:
            lines.append(
                f"  as {case.name!r}: {', '.join(case.images.values())} -> "
                f"{case.targets.get(self.info.target)!r}"
            )
        if self.written:
            lines.append(f"written: {self.folder}; next: tomos check {self.folder}")
        else:
            lines.append(
                "dry run: nothing was written; equal pictures are looked for in the import"
            )
        return "\n".join(lines)

    def _images(self) -> list[str]:
        """Of cases with several images: which, and whose grid counts."""
        roles = self.info.roles
        return [f"images: {', '.join(roles)}; reference {self.info.reference}"] if roles else []

    def _labels(self) -> list[str]:
        target = self.info.targets[self.info.target]
        if target.kind != "mask":
            return []
        named = target.values or {name: i for i, name in enumerate(target.classes, 1)}
        return [f"labels: {', '.join(f'{name} = {value}' for name, value in named.items())}"]

    def to_json(self) -> dict:
        """The object of `tomos import --json`."""
        return {
            "schema": 1,
            "dataset": str(self.folder),
            "written": self.written,
            "cases": len(self.cases),
            "patients": len({case.patient for case in self.cases if case.patient}),
            "splits": self.counts,
            **self.info.model_dump(mode="json", include={"name", "classes", "provenance"}),
        }


def import_folder(
    source: str | Path,
    dataset: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    images: str = "",
    labels: str | Path | None = None,
    patient: str = "",
    layout: str = "",
    ratios: Mapping[str, float] = RATIOS,
    by: str = "patient",
    seed: int = 0,
    positive: str = "",
    masks: str = "",
    roi: str = "",
    classes: Sequence[str] = (),
    target: str = "",
    reference: str = "",
    copy: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Make a data set of `source` in the folder `dataset`; see `layouts.Request` for the mapping.

    A split that the source has is kept (a missing val is made out of train); else it is made by
    `by` ("patient" or "site"), stratified by label, equal pictures together. In a dry run nothing
    is written and no pixel read, so equal pictures are not yet known. `positive` names the finding
    of two classes where their names do not tell it.
    Raises DatasetError, SettingsError, StorageError; then nothing is left behind.
    """
    progress = progress or Silent()
    folder = normal(dataset)
    if (folder / TOML).exists() and not dry_run:
        raise DatasetError(f"{folder} is a data set already; choose another folder, or remove it")
    request = Request(
        source=normal(source),
        exclude=folder,
        columns=dict(columns or {}),
        images=images,
        labels=normal(labels) if labels else None,
        patient=patient,
        masks=masks,
        roi=roi,
        classes=tuple(classes),
        target=target,
        reference=reference,
    )
    draft = _with_roles(_aimed(find(request, layout, progress), request), request)
    _check(draft, request, positive)
    draft = _with_values(draft, request, dry_run, progress)
    progress.say(f"{request.source}: layout {draft.layout!r}, {len(draft.cases)} cases")
    with _draft_folder(folder, dry_run) as place:
        every = [list(case.images.values()) for case in draft.cases]
        together = [] if dry_run else duplicates.of_cases(every, place, progress)[1]
        cases, how = _split(draft, ratios, seed, by, together)
        info = _info(draft, request, cases, how, seed, folder, positive)
        if dry_run:
            return Imported(folder, info, cases, False)
        if copy:
            cases = copied(cases, place, progress)
        _write(place, folder, info, cases)
    return Imported(folder, info, moved(cases, place, folder), True)


def _aimed(draft: Draft, request: Request) -> Draft:
    """The target that is learned comes first: the one that was asked for."""
    wish = request.target or ("mask" if request.masks or request.classes else "")
    if not wish:
        return draft
    if wish not in draft.kinds:
        raise SettingsError(
            f"--target {wish}: the source has no such target{did_you_mean(wish, list(draft.kinds))}"
        )
    return replace(draft, kinds={wish: draft.kinds[wish], **draft.kinds})


def _with_roles(draft: Draft, request: Request) -> Draft:
    """With the roles of cases that have several images, their reference, and what is made of them:
    all together where masks are learned, of classes the reference."""
    roles = draft.roles or roles_of(draft.cases)
    if len(roles) < 2:
        if request.reference:
            raise SettingsError(
                f"--reference {request.reference}: expected cases with several images "
                "(image:ROLE in a table, x_0000 and x_0001 as files), got one a case"
            )
        return replace(draft, roles=())
    reference = request.reference or draft.reference or roles[0]
    if reference not in roles:
        raise SettingsError(
            f"--reference {reference}: no image is called so{did_you_mean(reference, list(roles))}"
        )
    notes = draft.notes
    if next(iter(draft.kinds.values())) != "mask":
        rest = ", ".join(role for role in roles if role != reference)
        notes = (
            *notes,
            f"classes are learned from the image {reference} alone, not from {rest}; choose "
            "another with --reference",
        )
    lacking = [case for case in draft.cases if not set(roles) <= set(case.images)]
    if lacking:
        has = ", ".join(lacking[0].images)
        notes = (
            *notes,
            f"{len(lacking)} of {len(draft.cases)} cases have not all of {', '.join(roles)}: "
            f"{lacking[0].name} has {has} alone; masks are not learned from them",
        )
    return replace(draft, roles=roles, reference=reference, notes=notes)


def _with_values(draft: Draft, request: Request, dry_run: bool, progress: Progress) -> Draft:
    """With the classes of the masks: what their values are called. A dry run looks at a few."""
    if "mask" not in draft.kinds or "mask" in draft.targets:
        return draft
    given = [case.targets["mask"] for case in draft.cases if case.targets.get("mask")]
    if not given:
        raise DatasetError(f"{request.source}: no case has a mask")
    step = -(-len(given) // FEW_MASKS) if dry_run else 1
    found = mask_values.values_in(given[::step], progress)
    try:
        known = mask_values.named(found, request.classes, draft.values)
    except DatasetError as error:
        raise DatasetError(f"{request.source}: {error}") from None
    plain = list(known.values()) == list(range(1, len(known) + 1))
    info = TargetInfo(kind="mask", classes=tuple(known), values={} if plain else known)
    return replace(
        draft,
        classes={**draft.classes, "mask": info.classes},
        targets={**draft.targets, "mask": info},
    )


def _check(draft: Draft, request: Request, positive: str) -> None:
    if not draft.cases:
        raise DatasetError(f"{request.source}: there is no case in it")
    twice = [name for name, n in Counter(case.name for case in draft.cases).items() if n > 1]
    if twice:
        raise DatasetError(f"{request.source}: two cases are called {twice[0]!r}")
    classes = list(draft.classes.get(next(iter(draft.kinds)), ()))
    if positive and positive not in classes:
        raise SettingsError(
            f"--positive {positive}: no such class{did_you_mean(positive, classes)}"
        )
    if positive and len(classes) != 2:
        raise SettingsError(
            f"--positive {positive}: expected two classes, got {len(classes)}; of more than two "
            "every one is judged against the rest"
        )


def _split(
    draft: Draft, ratios: Mapping[str, float], seed: int, by: str, together: list[list[int]]
) -> tuple[tuple[Case, ...], str]:
    """(cases with their split, how it was made)."""
    target = next(iter(draft.kinds))
    shares = "/".join(f"{ratios.get(part, 0):g}" for part in SPLITS)
    have = {case.split for case in draft.cases}
    if not draft.official or "train" not in have:
        cases = split(draft.cases, target, ratios, seed, together, by)
        return cases, f"{shares} by {by}, stratified by {target}, seed {seed}"
    if "" in have:
        cases = tuple(replace(case, split=case.split or "train") for case in draft.cases)
        draft = replace(draft, cases=cases, notes=draft.notes)
    if "val" in have or not ratios.get("val"):
        return draft.cases, "official"
    rows = [row for row, case in enumerate(draft.cases) if case.split == "train"]
    place = {row: number for number, row in enumerate(rows)}
    inside = [[place[r] for r in group if r in place] for group in together]
    parts = {"train": ratios["train"], "val": ratios["val"]}
    found = split(
        [draft.cases[row] for row in rows], target, parts, seed, [g for g in inside if g], by
    )
    merged = list(draft.cases)
    for row, case in zip(rows, found, strict=True):
        merged[row] = case
    share = parts["val"] / sum(parts.values())
    return tuple(merged), f"official; {share:.1%} of train made val by {by}, seed {seed}"


def _info(draft, request, cases, how, seed, folder, positive) -> DatasetInfo:
    from tomos import __version__

    target = next(iter(draft.kinds))
    targets = {
        name: draft.targets.get(name) or TargetInfo(kind=kind, classes=draft.classes.get(name, ()))
        for name, kind in draft.kinds.items()
    }
    if positive:
        targets[target] = targets[target].model_copy(update={"positive": positive})
    return DatasetInfo(
        name=draft.name,
        task="segment" if targets[target].kind == "mask" else "classify",
        target=target,
        classes=targets[target].classes,
        modalities=draft.modalities,
        licence=draft.licence,
        roles=draft.roles,
        reference=draft.reference,
        checksum=checksum(cases),
        targets=targets,
        provenance=Provenance(
            source=relative(str(request.source.absolute()), folder),
            layout=draft.layout,
            date=datetime.date.today().isoformat(),
            tomos=__version__,
            split=how,
            seed=seed,
            patient=draft.patient,
            labels=draft.labels,
            images=request.images,
            columns=dict(draft.columns),
            notes=draft.notes,
        ),
    )


@contextlib.contextmanager
def _draft_folder(folder: Path, dry_run: bool):
    """A neighbour of `folder` to work in, gone afterwards whatever happens."""
    place = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    if dry_run:
        yield place
        return
    try:
        place.mkdir(parents=True, exist_ok=False)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be made here ({error.strerror})") from None
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _write(place: Path, folder: Path, info: DatasetInfo, cases: Sequence[Case]) -> None:
    """Everything in `place`, then into `folder` in one step where that is new or empty."""
    # Relative addresses are those seen from the final folder, a neighbour at the same depth.
    create(place, info, cases)
    with contextlib.suppress(OSError):
        folder.rmdir()  # only where it is empty
    if not folder.exists():
        place.rename(folder)
        return
    placed: list[Path] = []
    # dataset.toml makes a folder a data set, so it goes last.
    names = sorted((entry.name for entry in place.iterdir()), key=lambda n: (n == TOML, n))
    try:
        for name in names:
            if (folder / name).exists() and name != ".cache":
                raise DatasetError(
                    f"{folder / name} exists; choose another folder for the data set"
                )
        for name in names:
            if (folder / name).exists():
                shutil.rmtree(folder / name)
            (place / name).rename(folder / name)
            placed.append(folder / name)
    except OSError as error:
        for path in placed:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise StorageError(f"{folder}: cannot be written ({error.strerror})") from None

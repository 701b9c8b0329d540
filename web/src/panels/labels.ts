/** What was outlined: every label with its colour, how much there is of it, and how sure that is. */

import type { Answer, Form, Label, MaskFacts, Model } from "../api";
import { save } from "../download";
import { h } from "../dom";
import { type Key, number, t } from "../i18n";
import { sentence } from "../i18n/messages";
import { icon } from "../icons";
import { fetchMask } from "../reading";
import { changed, type Item, state } from "../state";
import { listed, words } from "./wording";

type Unit = MaskFacts["unit"] | "pixels";

/** How much there is of a label, outlined and expected. */
interface Extent {
  outlined: number;
  expected: number;
  unit: Unit;
}

/** What a file is called: on its button, and when it is saved. */
const FORMS: Record<Form, [Key, string]> = {
  "mask": ["mask.file.mask", "mask.nii.gz"],
  "dicom-seg": ["mask.file.dicom-seg", "seg.dcm"],
  "doubt": ["mask.file.doubt", "doubt.nii.gz"],
};
const PICTURE: [Key, string] = ["mask.file.picture", "mask.png"];

/** The sections on a mask; `goTo` moves the crosshair to a label, where there is one. */
export function labelSections(
  item: Item,
  answer: Answer,
  model: Model | undefined,
  goTo: ((label: string) => void) | null,
): HTMLElement[] {
  const { mask } = answer;
  const amounts = Object.values(answer.prediction.targets)[0]?.mask;
  if (!mask || !amounts) return [];
  const volume = answer.image.size.length === 3;
  const unit = mask.unit === "voxels" && !volume ? "pixels" : mask.unit;
  const there = mask.labels.filter((label) => amounts[label.name]!.voxels > 0);
  const absent = mask.labels.filter((label) => !there.includes(label));
  const rows = there.map((label) => {
    const usual = model?.mask?.doubt[label.name];
    const amount = amounts[label.name]!;
    const outlined = amount[mask.unit] ?? amount.voxels;
    return row(label, { outlined, expected: amount.expected, unit }, usual, volume ? goTo : null);
  });
  const title = t(mask.unit === "voxels" ? "mask.pixels" : volume ? "mask.volumes" : "mask.areas");
  const usual = mask.labels.some((label) => model?.mask?.doubt[label.name]);
  const how = h("p.faint", {}, t(usual ? "mask.how" : "mask.how.plain"));
  return [
    h(
      "section",
      {},
      h("h2", {}, title),
      h("ul.labels", {}, ...rows),
      absent.length > 0 && h("p.faint", {}, t("mask.absent", { labels: listed(absent.map(({ name }) => name)) })),
      rows.length > 0 && how,
    ),
    files(item, answer, mask, volume),
  ];
}

function row(
  label: Label,
  extent: Extent,
  usual: [number, number] | undefined,
  goTo: ((label: string) => void) | null,
): HTMLElement {
  const name = words(label.name);
  const toggle = h("input", {
    type: "checkbox",
    checked: !state.hidden.has(label.name),
    onchange: (event: Event) => {
      if ((event.target as HTMLInputElement).checked) state.hidden.delete(label.name);
      else state.hidden.add(label.name);
      changed("labels");
    },
  }) as HTMLInputElement;
  toggle.style.setProperty("--label", label.colour);
  const title = t("mask.find", { label: name });
  const go = () => goTo?.(label.name);
  const find = h("button.quiet.find", { type: "button", title, "aria-label": title, onclick: go }, icon("cross"));
  const value = h("b", {}, quantity(extent.outlined, extent.unit));
  return h(
    "li",
    {},
    h("div.label-head", {}, h("label", {}, toggle, h("span", {}, name)), goTo && find, value),
    ...sureness(extent, usual),
  );
}

/**
 * The amount beside what it usually is for such probabilities: `usual` is expected over outlined on
 * validation, so that outlined should lie within expected / high and expected / low.
 */
function sureness({ outlined, expected, unit }: Extent, usual: [number, number] | undefined): HTMLElement[] {
  const plain = h("span.threshold", {}, t("mask.expected", { value: quantity(expected, unit) }));
  if (!usual) return [plain];
  const [low, high] = [expected / usual[1], expected / usual[0]];
  const sure = outlined >= low && outlined <= high;
  const end = 1.25 * Math.max(outlined, high);
  const at = (value: number) => `${(100 * value) / end}%`;
  const range = h("i.range");
  range.style.left = at(low);
  range.style.width = `calc(${at(high)} - ${at(low)})`;
  const dot = h("i.dot");
  dot.style.left = at(outlined);
  const key = sure ? "mask.usual" : "mask.unsure";
  const note = t(key, { low: quantity(low, unit, false), high: quantity(high, unit) });
  return [
    h("div.amount", { "aria-hidden": "true", class: sure ? "amount" : "amount unsure" }, range, dot),
    h("span.threshold", {}, note),
    plain,
  ];
}

function quantity(value: number, unit: Unit, named = true): string {
  const counted = unit === "voxels" || unit === "pixels";
  const plain = number(value, counted || value >= 100 ? 0 : value >= 10 ? 1 : 2);
  return named ? `${plain}\u00a0${t(`unit.${unit}`)}` : plain;
}

function files(item: Item, answer: Answer, mask: MaskFacts, volume: boolean): HTMLElement {
  const stem = item.name.replace(/(\.nii)?\.\w{1,5}$/, "");
  const buttons = (Object.keys(FORMS) as Form[])
    .filter((form) => answer.prediction.files[form])
    .map((form) => {
      const [key, ending] = form === "mask" && !volume ? PICTURE : FORMS[form];
      const name = `${stem}-${ending}`;
      const act = (event: Event) => {
        void fetchAndSave(item, form, name, event.currentTarget as HTMLButtonElement);
      };
      return h("button", { type: "button", id: `file-${form}`, onclick: act }, icon("download"), t(key));
    });
  const left = Object.entries(mask.left_out).map(([form, reason]) =>
    h("p.faint", {}, `${t(FORMS[form as Form][0])}: ${sentence(reason, item.name)}`),
  );
  const minutes = Math.round(mask.kept_seconds / 60);
  const kept = buttons.length > 0 && h("p.faint", {}, t("mask.kept", { minutes }));
  return h("section", {}, h("h2", {}, t("mask.files")), h("div.file-buttons", {}, ...buttons), ...left, kept);
}

async function fetchAndSave(item: Item, form: Form, name: string, button: HTMLButtonElement): Promise<void> {
  button.disabled = true;
  try {
    const file = await fetchMask(item, form);
    if (file) save(file, name);
    else throw new Error();
  } catch {
    button.after(h("p.faint", { role: "alert" }, t("mask.lost")));
  } finally {
    button.disabled = false;
  }
}

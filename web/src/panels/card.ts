/** The model card: what the model is, what it was made for, and how well it did, with intervals. */

import type { Interval, Model } from "../api";
import { $, h, openDialog } from "../dom";
import { language, maybe, number, percent, t } from "../i18n";
import { icon } from "../icons";
import { state } from "../state";
import { prose } from "./prose";
import { listed, table, words } from "./wording";

/** Measures that are no share of 1, so that they have no place on the scale beside them. */
const MILLIMETRES = new Set(["hd95", "mae", "rmse"]);

export function openCard(): void {
  const model = state.model;
  if (model) openDialog($<HTMLDialogElement>("card"), card(model));
}

function card(model: Model): HTMLElement {
  const eyebrow = h("p.eyebrow", {}, t("card.title"));
  const close = closer($<HTMLDialogElement>("card"));
  const text = (language() === "zh" && model.card_zh) || model.card;
  return h(
    "article.card",
    {},
    h("header", {}, h("div", {}, eyebrow, h("h1", {}, model.name)), close),
    figures(model),
    model.kind === "mask" ? doubt(model) : point(model),
    h("section", {}, h("h2", {}, t("card.classes")), classes(model)),
    h("section", {}, h("h2", {}, t("card.envelope")), about(model)),
    text && h("section.prose", {}, h("h2", {}, t("card.text")), ...prose(text)),
    h("p.disclaimer", {}, t("disclaimer")),
  );
}

/** The button that closes a dialog. */
export function closer(dialog: HTMLDialogElement): HTMLElement {
  const label = t("card.close");
  const shut = () => dialog.close();
  return h("button.quiet", { type: "button", "aria-label": label, onclick: shut }, icon("close"));
}

function figures(model: Model): HTMLElement {
  const all = Object.entries(model.metrics?.overall ?? {});
  const overall = all.filter(([, figure]) => figure?.value != null);
  const head = h("h2", {}, t("card.figures"));
  if (!model.metrics || !overall.length) {
    return h("section", {}, head, h("p.faint", {}, t("card.nofigures")));
  }
  const rows = overall.map(([name, figure]) => line(name, maybe(`measure.${name}`, words(name)), figure));
  // Of masks also the labels one by one: their mean hides the one that is bad.
  const each = model.kind === "mask" ? Object.entries(model.metrics.per_class ?? {}) : [];
  for (const [label, measures] of each) {
    if (measures.dice?.value != null) {
      rows.push(line("dice", `${t("measure.dice")}, ${words(label)}`, measures.dice));
    }
  }
  const titles = [t("card.measure"), t("card.value"), t("card.interval"), ""];
  const header = h("tr", {}, ...titles.map((title) => h("th", { scope: "col" }, title)));
  return h(
    "section",
    {},
    head,
    h("p.faint", {}, source(model)),
    h("table", {}, h("thead", {}, header), h("tbody", {}, ...rows)),
  );
}

function line(measure: string, title: string, figure: Interval): HTMLElement {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, title),
    h("td.figure", {}, number(figure.value!, 3)),
    h("td", {}, interval(figure)),
    h("td.plot", {}, !MILLIMETRES.has(measure) && plot(figure)),
  );
}

function interval({ low, high }: Interval): string {
  return low == null || high == null ? "–" : `${number(low, 3)} – ${number(high, 3)}`;
}

/** The interval as a line on 0..1, with the value as a dot. */
function plot(figure: Interval): HTMLElement {
  const range = h("i.range");
  const dot = h("i.dot");
  const at = (value: number) => `${Math.min(1, Math.max(0, value)) * 100}%`;
  if (figure.low != null && figure.high != null) {
    range.style.left = at(figure.low);
    range.style.width = `calc(${at(figure.high)} - ${at(figure.low)})`;
  }
  dot.style.left = at(figure.value!);
  return h("div.interval", { "aria-hidden": "true" }, range, dot);
}

function source(model: Model): string {
  const { dataset, split, n_cases: cases, n_patients: patients } = model.metrics!;
  const part = maybe(`split.${split}`, split ?? "");
  const values = { dataset: dataset ?? "", split: part, cases: cases ?? 0 };
  return patients && dataset
    ? t("card.figures.on", { ...values, patients })
    : t("card.figures.cases", values);
}

function point(model: Model): HTMLElement {
  const { thresholds, rule, reason, split, refer } = model.operating_point;
  const limits = Object.entries(thresholds).map(
    ([name, value]): [string, string] => [words(name), percent(value)],
  );
  const bands = Object.entries(refer).map(([name, [low, high]]) =>
    t("card.refer.value", { name: words(name), low: percent(low), high: percent(high) }),
  );
  return h(
    "section",
    {},
    h("h2", {}, t("card.point")),
    table([
      ...limits,
      [t("card.refer"), bands.join("; ")],
      [t("card.rule"), [words(rule), reason].filter(Boolean).join(" – ")],
      [t("card.split"), split && maybe(`split.${split}`, split)],
    ]),
    !limits.length && model.kind === "class" && h("p.faint", {}, t("findings.highest")),
  );
}

/** Of a model of masks: within which expected over outlined must lie. */
function doubt(model: Model): HTMLElement {
  const usual = Object.entries(model.mask?.doubt ?? {}).map(([name, [low, high]]): [string, string] => [
    words(name),
    t("card.doubt.value", { low: number(low, 2), high: number(high, 2) }),
  ]);
  const largest = listed([...(model.mask?.largest ?? [])]);
  return h(
    "section",
    {},
    h("h2", {}, t("card.doubt")),
    (usual.length > 0 || !!largest) && table([...usual, [t("card.largest"), largest]]),
    !usual.length && h("p.faint", {}, t("card.doubt.none")),
  );
}

function classes(model: Model): HTMLElement {
  const items = model.classes.map((each) =>
    h("li", {}, words(each.name), each.finding && model.kind !== "mask" && h("span.tag", {}, t("card.finding"))),
  );
  return h("ul.classes", {}, ...items);
}

function about(model: Model): HTMLElement {
  return table([
    ...madeFor(model),
    [t("card.input"), [model.input.channels, ...model.input.size].join(" × ")],
    [t("card.network"), model.members > 1 ? `${model.members} × ${model.network}` : model.network],
    [t("card.map"), model.map_method !== "none" && maybe(`map.${model.map_method}`, model.map_method)],
    [t("card.created"), model.created],
    [t("card.licence"), model.licence],
  ]);
}

/** The images the model was made for: header facts and size. */
function madeFor(model: Model): [string, string][] {
  return Object.entries(model.envelope).map(([name, value]) => {
    const label = maybe(`envelope.${name}`, words(name));
    if (name === "side" && Array.isArray(value)) {
      return [label, t("envelope.pixels", { low: String(value[0]), high: String(value[1]) })];
    }
    return [label, plain(value)];
  });
}

/** The model in a few lines, shown while there is no image. */
export function brief(): HTMLElement[] {
  const { model } = state;
  if (!model) return [];
  const figures = Object.entries(model.metrics?.overall ?? {})
    .filter(([, figure]) => figure?.value != null)
    .slice(0, 3)
    .map(([name, figure]): [string, string] => [
      maybe(`measure.${name}`, words(name)),
      `${number(figure.value!, 3)} (${interval(figure)})`,
    ]);
  const open = h("button.wide", { type: "button", onclick: openCard }, icon("info"), t("card.open"));
  return [
    h("section", {}, h("h2", {}, t("findings.details")), classes(model)),
    h("section", {}, h("h2", {}, t("card.envelope")), table(madeFor(model))),
    ...(figures.length ? [h("section", {}, h("h2", {}, t("card.figures")), table(figures))] : []),
    open,
  ];
}

function plain(value: unknown): string {
  if (Array.isArray(value)) return value.map(plain).join(language() === "zh" ? "、" : ", ");
  if (typeof value === "number") return number(value);
  return value === null || value === undefined ? "" : maybe(`colour.${value}`, String(value));
}

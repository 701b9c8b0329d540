/** What the model says of the selected image, most important first. */

import type { Answer, Model, Prediction } from "../api";
import { $, h } from "../dom";
import { language, maybe, megabytes, number, percent, t } from "../i18n";
import { sentence, sort } from "../i18n/messages";
import { icon } from "../icons";
import { readAgain, showMember } from "../reading";
import { type Item, selectedItem, state } from "../state";
import { brief, openCard } from "./card";
import { tone, toneIcon } from "./files";
import { labelSections } from "./labels";
import { few, table, words } from "./wording";

/** Where a label can be gone to. */
interface Ground {
  goTo(label: string): void;
}

export function showFindings(stage: Ground): void {
  const panel = $("findings");
  const item = selectedItem();
  panel.replaceChildren(...parts(item, stage));
  panel.classList.toggle("empty", !item);
}

function parts(item: Item | null, stage: Ground): Node[] {
  if (!item) return state.offline ? [offline()] : [h("p.faint", {}, t("findings.none")), ...brief()];
  if (item.status === "refused") return [refused(item)];
  if (!item.answer || item.status !== "read") {
    return [h("p.faint.reading", {}, h("span.spinner"), t("findings.reading"))];
  }
  const model = state.models.find((each) => each.name === item.answer?.model);
  return [
    verdict(item.answer, model),
    ...warnings(item.answer),
    ...(item.answer.mask
      ? [...labelSections(item, item.answer, model, (label) => stage.goTo(label)), ...noMap(item.answer)]
      : [...(model ? probabilities(item.answer, model) : []), heatNote(item.answer)]),
    facts(item, item.answer),
    h("button.wide", { type: "button", onclick: openCard }, icon("info"), t("card.open")),
  ];
}

function verdict(answer: Answer, model: Model | undefined): HTMLElement {
  const { prediction } = answer;
  const label = words(Object.values(prediction.targets)[0]?.label ?? "");
  const named = !answer.mask && prediction.verdict === "finding" ? h("span.verdict-label", {}, label) : null;
  const kind = t(`verdict.${prediction.verdict}`);
  const colon = language() === "zh" ? "：" : ": ";
  const refer = prediction.verdict === "refer" && prediction.reason;
  return h(
    `section.verdict.${tone(answer)}`,
    { "aria-label": t("findings.title") },
    h("div.verdict-head", {}, icon(toneIcon(answer)), h("h2", {}, kind), named),
    h("p", {}, inWords(prediction, model)),
    refer && h("p.reason", {}, h("b", {}, t("findings.why")), colon, sentence(refer)),
  );
}

/** What the verdict rests on, in one sentence. */
function inWords(prediction: Prediction, model: Model | undefined): string {
  const { verdict, targets } = prediction;
  if (verdict === "refer") return t("verdict.refer.text");
  const { label = "", mask } = Object.values(targets)[0] ?? {};
  if (mask) return t(`verdict.mask.${verdict}`, { label: few(label) });
  const thresholds = model?.operating_point.thresholds ?? {};
  const most = !Object.keys(thresholds).length && model?.kind === "class";
  if (most) return t("verdict.most", { label: words(label) });
  return t(`verdict.${verdict}.text`, { label: words(label) });
}

function warnings(answer: Answer): HTMLElement[] {
  const said = sort([...new Set([...answer.prediction.warnings, ...answer.image.warnings])]);
  const groups = (["envelope", "quality", "file"] as const).filter((kind) => said[kind].length);
  if (!groups.length) return [];
  const lists = groups.flatMap((kind) => [
    h("h3", {}, t(`warnings.${kind}`)),
    h("ul", {}, ...said[kind].map((text) => h("li", {}, sentence(text)))),
  ]);
  const head = h("div.warnings-head", {}, icon("warning"), h("h2", {}, t("warnings.title")));
  return [h("section.warnings", { role: "note" }, head, ...lists)];
}

function probabilities(answer: Answer, model: Model): HTMLElement[] {
  return Object.values(answer.prediction.targets).map((target) => {
    const { thresholds, refer } = model.operating_point;
    const names = model.classes.map((each) => each.name).filter((name) => name in target.scores);
    const decided = answer.prediction.verdict !== "refer";
    const called = new Set(decided ? target.label.split("|") : []);
    const bars = names.map((name) =>
      bar(name, target.scores[name]!, thresholds[name], refer[name], called.has(name)),
    );
    const marked = names.some((name) => thresholds[name] !== undefined);
    return h(
      "section",
      {},
      h("h2", {}, t("findings.probabilities")),
      h("ul.bars", {}, ...bars),
      !marked && model.kind === "class" && h("p.faint", {}, t("findings.highest")),
    );
  });
}

/** One class: its probability, the operating threshold, and the band within which it refers. */
function bar(
  name: string,
  score: number,
  threshold: number | undefined,
  refer: [number, number] | undefined,
  called: boolean,
): HTMLElement {
  const fill = h("i.fill");
  fill.style.width = `${score * 100}%`;
  const track = h("div.track", {}, fill);
  const notes: string[] = [];
  if (refer) {
    const band = h("i.band");
    band.style.left = `${refer[0] * 100}%`;
    band.style.width = `${(refer[1] - refer[0]) * 100}%`;
    track.append(band);
  }
  if (threshold !== undefined) {
    const mark = h("i.mark");
    mark.style.left = `${threshold * 100}%`;
    track.append(mark);
    notes.push(t("findings.threshold", { value: percent(threshold) }));
  }
  if (refer) notes.push(t("findings.refer", { low: percent(refer[0]), high: percent(refer[1]) }));
  const label = [`${words(name)}: ${percent(score)}`, ...notes].join("; ");
  return h(
    "li",
    { class: called ? "called" : "", role: "img", "aria-label": label },
    h("div.bar-text", {}, h("span", {}, words(name)), h("b", {}, percent(score))),
    track,
    ...notes.map((note) => h("span.threshold", {}, note)),
  );
}

/** Why nothing is drawn that explains a mask. */
function noMap(answer: Answer): HTMLElement[] {
  return answer.no_map ? [h("p.faint", {}, sentence(answer.no_map))] : [];
}

function heatNote(answer: Answer): HTMLElement {
  const map = answer.maps[0];
  if (!map) return h("p.faint", {}, answer.no_map ? sentence(answer.no_map) : t("findings.noheat"));
  const method = maybe(`map.${map.method}`, map.method);
  return h("p.faint", {}, t("findings.heat", { label: words(map.label), method }));
}

function facts(item: Item, answer: Answer): HTMLElement {
  const { image, seconds } = answer;
  const spacing = image.spacing?.map((step) => number(step)).reverse().join(" × ");
  const size = [...image.size].reverse().join(" × ");
  const time = number(seconds.read + seconds.model, 2);
  const rows: [string, string | null | undefined][] = [
    [t("fact.file"), item.name],
    [t("fact.format"), image.format],
    [t("fact.modality"), image.modality],
    [t("fact.body"), image.body_part],
    [t("fact.view"), image.view],
    [t("fact.size"), size],
    [t("fact.spacing"), spacing && `${spacing} mm`],
    [t("fact.type"), image.unit === "1" ? image.type : `${image.type}, ${image.unit}`],
    [t("fact.time"), t("fact.seconds", { value: time })],
  ];
  return h("section", {}, h("h2", {}, t("findings.image")), table(rows));
}

function refused(item: Item): HTMLElement {
  const count = item.error?.members ?? 0;
  const middle = Math.floor(count / 2);
  const act = count ? () => showMember(item, middle) : () => readAgain([item]);
  const label = count ? t("error.middle", { n: middle + 1, count }) : t("error.retry");
  const again = h("button", { type: "button", onclick: act }, label);
  return h(
    "section.verdict.refused",
    { role: "alert" },
    h("div.verdict-head", {}, icon("refused"), h("h2", {}, t("error.title"))),
    h("p.reason", {}, refusal(item)),
    again,
  );
}

/** Why a file was refused, in the page's language where its words are known. */
export function refusal(item: Item): string {
  const { status, message } = item.error!;
  if (status === 0) return t("error.offline");
  const size = megabytes(state.uploadBytes);
  if (status === 413 && !message) return t("error.too_large", { size });
  if (status === 500 || status < 0) return t("error.failed");
  return sentence(message, item.name);
}

function offline(): HTMLElement {
  const head = h("div.verdict-head", {}, icon("refused"), h("h2", {}, t("error.models")));
  return h("section.verdict.refused", { role: "alert" }, head, h("p", {}, t("error.offline")));
}

/** For those who listen: the outcome of the selected image in one sentence. */
export function spoken(item: Item): string {
  const name = item.name;
  if (item.status === "refused") return t("announce.refused", { name, reason: refusal(item) });
  return t("announce.read", { name, verdict: verdictWords(item.answer?.prediction) });
}

export function verdictWords(prediction: Prediction | undefined): string {
  if (!prediction) return "";
  const label = few(Object.values(prediction.targets)[0]?.label ?? "");
  const verdict = t(`verdict.${prediction.verdict}`);
  if (prediction.verdict !== "finding") return verdict;
  return language() === "zh" ? `${verdict}：${label}` : `${verdict}: ${label}`;
}

/** The list of added files: thumbnail, name, and what came of each. */

import type { Answer } from "../api";
import { $, h } from "../dom";
import { percent, t } from "../i18n";
import { type IconName, icon } from "../icons";
import { remove } from "../reading";
import { type Item, select, state } from "../state";

export function showFiles(): void {
  $("count").textContent = state.items.length ? String(state.items.length) : "";
  $("download").hidden = !state.items.some((item) => item.answer);
  $("rail").classList.toggle("empty", !state.items.length);
  const list = $("files");
  const focused = list.contains(document.activeElement);
  list.replaceChildren(...state.items.map(row));
  const current = list.querySelector<HTMLElement>("[aria-current=true]");
  current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  if (focused) current?.focus();
}

function row(item: Item): HTMLElement {
  const name = item.name;
  const button = h(
    "button.file",
    {
      type: "button",
      "aria-current": String(item.id === state.selected),
      title: name,
      onclick: () => select(item.id),
    },
    item.thumbnail ?? placeholder(item),
    h("span.file-text", {}, h("span.file-name", {}, name), outcome(item)),
  );
  const label = t("files.remove", { name });
  const close = h(
    "button.file-remove",
    { type: "button", "aria-label": label, title: label, onclick: () => remove(item) },
    icon("close"),
  );
  return h("li", {}, button, close);
}

function placeholder(item: Item): HTMLElement {
  const inside = item.status === "refused" ? icon("refused") : h("span.spinner");
  return h(`span.file-blank.${item.status}`, {}, inside);
}

function outcome(item: Item): HTMLElement {
  if (item.status === "refused") return h("span.outcome.refused", {}, t("files.refused"));
  if (item.status !== "read" || !item.answer) {
    const key = item.status === "reading" ? "files.reading" : "files.waiting";
    return h("span.outcome", {}, t(key));
  }
  const { answer } = item;
  return h(`span.outcome.${tone(answer)}`, {}, icon(toneIcon(answer)), headline(answer));
}

/** The verdict in a few words with the probability behind it. */
function headline(answer: Answer): string {
  const { verdict, targets } = answer.prediction;
  const first = Object.values(targets)[0];
  const label = first?.label.split("|")[0];
  const score = label === undefined ? undefined : first?.scores[label];
  const words = t(`verdict.${verdict}`);
  return verdict === "finding" && score !== undefined ? `${words} ${percent(score)}` : words;
}

export function tone(answer: Answer): "finding" | "clear" | "refer" {
  const { verdict } = answer.prediction;
  return verdict === "no finding" ? "clear" : verdict;
}

export const toneIcon = (answer: Answer): IconName => tone(answer);

/** The model in the top bar: its name, a choice where there are several, and the way to its card. */

import { $, h } from "../dom";
import { t } from "../i18n";
import { icon } from "../icons";
import { readAgain } from "../reading";
import { changed, state } from "../state";
import { openCard } from "./card";

export function showModel(): void {
  const place = $("model");
  const { model, models } = state;
  if (!model) {
    place.replaceChildren();
    return;
  }
  const name = models.length > 1 ? choice() : h("span.model-name", { title: model.name }, model.name);
  const card = h(
    "button.quiet",
    { id: "open-card", type: "button", onclick: openCard, title: t("card.open"), "aria-label": t("card.open") },
    icon("info"),
    h("span.wide-only", {}, t("card.open")),
  );
  place.replaceChildren(name, card);
}

function choice(): HTMLElement {
  const options = state.models.map((model) =>
    h("option", { value: model.name, selected: model === state.model }, model.name),
  );
  const take = (event: Event) => {
    const name = (event.target as HTMLSelectElement).value;
    state.model = state.models.find((model) => model.name === name) ?? state.model;
    changed("models");
    readAgain();
  };
  return h("select", { "aria-label": t("findings.details"), onchange: take }, ...options);
}

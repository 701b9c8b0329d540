/** The middle of the page: the selected picture with what is written around it. */

import { $, h } from "../dom";
import { maybe, megabytes, number, t } from "../i18n";
import { type Item, changed, selectedItem, state } from "../state";
import { decode } from "../viewer/picture";
import type { Viewer } from "../viewer/viewer";
import { refusal, verdictWords } from "./findings";
import { words } from "./wording";

let shown: Item["answer"] = null;

/** Put the selected item on the screen. */
export async function showStage(viewer: Viewer): Promise<void> {
  const item = selectedItem();
  const answer = item?.answer ?? null;
  $("welcome").hidden = !!item;
  busy(item);
  if (answer === shown) return;
  shown = answer;
  if (!answer || !item) {
    viewer.show(null);
    changed("tool");
    return;
  }
  const picture = await decode(answer);
  if (shown !== answer) return; // another was selected while this one was decoded
  viewer.show(picture);
  changed("tool");
}

/** What is written over the picture's corners; called after every change of the view. */
export function showNotes(viewer: Viewer): void {
  const item = selectedItem();
  const answer = item?.answer;
  const { picture, view } = viewer;
  const ready = !!(picture && answer && item);
  const canvas = viewer.canvas;
  $("legend").hidden = !(ready && picture.heat && state.heat && state.opacity > 0);
  for (const id of ["note-file", "note-image", "note-view"]) $(id).hidden = !ready;
  if (!ready) {
    canvas.setAttribute("aria-label", t("viewer.empty"));
    $("note-value").textContent = "";
    return;
  }
  const [height, width] = answer.image.size.slice(-2) as [number, number];
  const { modality, body_part: body, view: position } = answer.image;
  lines("note-file", item.file.name, [modality, body, position].filter(Boolean).join(" · "));
  const map = answer.maps[0];
  const method = map && state.heat ? `${maybe(`map.${map.method}`, map.method)} · ${words(map.label)}` : "";
  lines("note-image", t("viewer.size", { width, height }), method);
  const { low, high } = view.window;
  const window = { centre: number((low + high) / 2, 0), width: number(high - low, 0) };
  const zoom = t("viewer.zoom", { zoom: Math.round((view.zoom / picture.step) * 100) });
  const wide = high - low < 5;
  if (wide) Object.assign(window, { centre: number((low + high) / 2), width: number(high - low) });
  lines("note-view", t("viewer.window", window), zoom);
  const verdict = verdictWords(answer.prediction);
  canvas.setAttribute("aria-label", t("viewer.canvas", { name: item.file.name, width, height, verdict }));
}

/** The value under the pointer. */
export function showValue(viewer: Viewer, at: { x: number; y: number } | null): void {
  const found = at && viewer.probe(at);
  if (!found) {
    $("note-value").textContent = "";
    return;
  }
  const value = Array.isArray(found.value) ? found.value.join(", ") : number(found.value);
  const unit = viewer.picture?.unit ? ` ${viewer.picture.unit}` : "";
  $("note-value").textContent = `x ${found.x}  y ${found.y}  ${value}${unit}`;
}

export function showWelcome(): void {
  $("welcome-kinds").textContent = t("welcome.kinds", { size: megabytes(state.uploadBytes || 256 << 20) });
  for (const id of ["example", "welcome-example"]) $(id).hidden = !state.model?.example;
}

function busy(item: Item | null): void {
  const waiting = item?.status === "reading" || item?.status === "waiting";
  const refused = item?.status === "refused";
  const place = $("busy");
  place.hidden = !waiting && !refused;
  place.classList.toggle("refused", refused);
  if (waiting) $("busy-text").textContent = t("viewer.reading", { name: item.file.name });
  if (refused) {
    $("busy-text").replaceChildren(
      h("b", {}, t("viewer.refused")),
      h("span", {}, refusal(item)),
    );
  }
}

function lines(id: string, ...texts: string[]): void {
  $(id).replaceChildren(...texts.filter(Boolean).map((text) => h("div", {}, text)));
}

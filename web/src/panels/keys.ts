/** The keyboard: what each key does, and the list of them. */

import { $, h, openDialog } from "../dom";
import { type Key, t } from "../i18n";
import { showMember } from "../reading";
import { selectedItem, state, step } from "../state";
import { closer } from "./card";
import type { Stage } from "./stage";
import { nextLayout, setOverlay } from "./toolbar";

const LIST: [string, Key][] = [
  ["J / K", "keys.next"],
  ["PgDn / PgUp", "keys.member"],
  ["+ / −", "keys.zoom"],
  ["← ↑ ↓ →", "keys.pan"],
  ["Shift + ← ↑ ↓ →", "keys.window"],
  ["0 / 1", "keys.fit"],
  ["I", "keys.invert"],
  ["H, [ / ]", "keys.heat"],
  ["V", "keys.layout"],
  ["R", "keys.reset"],
  ["?", "keys.help"],
];

export function listenToKeys(stage: Stage): void {
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    const typing = target.closest("input, select, textarea, dialog[open]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (act(stage, event)) event.preventDefault();
  });
}

export function openKeys(): void {
  const dialog = $<HTMLDialogElement>("keys");
  const rows = LIST.flatMap(([keys, key]) => [
    h("dt", {}, ...keys.split(/( [/+] |, | (?=[↑↓→]))/).map(keycap)),
    h("dd", {}, t(key)),
  ]);
  const content = h(
    "article.card",
    {},
    h("header", {}, h("h1", {}, t("keys.title")), closer(dialog)),
    h("dl.keys", {}, ...rows),
    h("p.faint", {}, t("keys.mouse")),
  );
  openDialog(dialog, content);
}

/** A key as it looks on a keyboard; what joins keys stays plain. */
const keycap = (part: string) => (/^( [/+] |, | )$/.test(part) ? part : h("kbd", {}, part));

/** Whether the key meant something. */
function act(stage: Stage, event: KeyboardEvent): boolean {
  const verb = arrows(stage, event) ?? VERBS[event.key.toLowerCase()];
  if (!verb) return false;
  verb(stage);
  return true;
}

const VERBS: Record<string, (stage: Stage) => void> = {
  "j": () => step(1),
  "k": () => step(-1),
  "+": ({ screen }) => screen.zoomBy(1.25),
  "=": ({ screen }) => screen.zoomBy(1.25),
  "-": ({ screen }) => screen.zoomBy(0.8),
  "0": ({ screen }) => screen.fit(),
  "1": ({ screen }) => screen.fullSize(),
  "i": ({ screen }) => screen.invert(),
  "r": ({ screen }) => screen.reset(),
  "h": () => setOverlay(!state.heat),
  "[": () => setOverlay(true, -0.1),
  "]": () => setOverlay(true, 0.1),
  "v": ({ volume, inSpace }) => inSpace && nextLayout(volume!),
  "pagedown": (stage) => onwards(stage, 1),
  "pageup": (stage) => onwards(stage, -1),
  "?": openKeys,
};

const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Arrow keys belong to the picture only while it has the focus; elsewhere they scroll. */
function arrows({ screen }: Stage, event: KeyboardEvent): (() => void) | null {
  const direction = ARROWS[event.key];
  if (!direction || document.activeElement !== screen.canvas) return null;
  const [x, y] = direction;
  if (event.shiftKey) return () => screen.windowBy(-y * 0.03, x * 0.03);
  return () => screen.arrow(x, y);
}

/** Through the slices of a volume, or the images of a file. */
function onwards({ screen }: Stage, by: number): void {
  const item = selectedItem();
  if (!screen.slice(by) && item) showMember(item, (item.member ?? 0) + by);
}

/** The keyboard: what each key does, and the list of them. */

import { $, h, openDialog } from "../dom";
import { type Key, t } from "../i18n";
import { showMember } from "../reading";
import { selectedItem, state, step } from "../state";
import type { Viewer } from "../viewer/viewer";
import { closer } from "./card";
import { setHeat } from "./toolbar";

const LIST: [string, Key][] = [
  ["J / K", "keys.next"],
  ["PgDn / PgUp", "keys.member"],
  ["+ / −", "keys.zoom"],
  ["← ↑ ↓ →", "keys.pan"],
  ["Shift + ← ↑ ↓ →", "keys.window"],
  ["0 / 1", "keys.fit"],
  ["I", "keys.invert"],
  ["H, [ / ]", "keys.heat"],
  ["R", "keys.reset"],
  ["?", "keys.help"],
];

export function listenToKeys(viewer: Viewer): void {
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    const typing = target.closest("input, select, textarea, dialog[open]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (act(viewer, event)) event.preventDefault();
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
function act(viewer: Viewer, event: KeyboardEvent): boolean {
  const verb = arrows(viewer, event) ?? VERBS[event.key.toLowerCase()];
  if (!verb) return false;
  verb(viewer);
  return true;
}

const VERBS: Record<string, (viewer: Viewer) => void> = {
  "j": () => step(1),
  "k": () => step(-1),
  "+": (viewer) => viewer.zoomBy(1.25),
  "=": (viewer) => viewer.zoomBy(1.25),
  "-": (viewer) => viewer.zoomBy(0.8),
  "0": (viewer) => viewer.fit(),
  "1": (viewer) => viewer.fullSize(),
  "i": (viewer) => viewer.invert(),
  "r": (viewer) => viewer.reset(),
  "h": () => setHeat(!state.heat),
  "[": () => setHeat(true, state.opacity - 0.1),
  "]": () => setHeat(true, state.opacity + 0.1),
  "pagedown": () => member(1),
  "pageup": () => member(-1),
  "?": openKeys,
};

const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Arrow keys belong to the picture only while it has the focus; elsewhere they scroll. */
function arrows(viewer: Viewer, event: KeyboardEvent): ((viewer: Viewer) => void) | null {
  const direction = ARROWS[event.key];
  if (!direction || document.activeElement !== viewer.canvas) return null;
  const [x, y] = direction;
  if (event.shiftKey) return () => viewer.windowBy(-y * 0.03, x * 0.03);
  return () => viewer.panBy(-x * 30, -y * 30);
}

function member(by: number): void {
  const item = selectedItem();
  if (item) showMember(item, (item.member ?? 0) + by);
}

/** The viewer's tools, above the picture. */

import { $, h } from "../dom";
import { type Key, t } from "../i18n";
import { type IconName, icon } from "../icons";
import { showMember } from "../reading";
import { changed, selectedItem, state, type Tool } from "../state";
import type { Viewer } from "../viewer/viewer";

const TOOLS: [Tool, IconName, Key][] = [
  ["window", "contrast", "tools.window"],
  ["pan", "hand", "tools.pan"],
  ["zoom", "zoom", "tools.zoom"],
];

export function showToolbar(viewer: Viewer): void {
  const bar = $("toolbar");
  const kept = bar.contains(document.activeElement) ? (document.activeElement?.id ?? "") : "";
  const ready = !!viewer.picture;
  const tools = TOOLS.map(([tool, name, key]) =>
    button(`tool-${tool}`, name, key, () => choose(tool), { pressed: state.tool === tool, ready }),
  );
  const actions = [
    button("act-fit", "fit", "tools.fit", () => viewer.fit(), { ready }),
    button("act-invert", "invert", "tools.invert", () => viewer.invert(), { ready }),
    button("act-reset", "reset", "tools.reset", () => viewer.reset(), { ready }),
  ];
  bar.replaceChildren(h("div.group", {}, ...tools), h("div.group", {}, ...actions), heat(viewer), members());
  if (kept) document.getElementById(kept)?.focus();
}

export function choose(tool: Tool): void {
  state.tool = tool;
  changed("tool");
}

export function setHeat(on: boolean, opacity = state.opacity): void {
  state.heat = on;
  state.opacity = Math.min(1, Math.max(0, opacity));
  changed("heat");
}

function heat(viewer: Viewer): HTMLElement {
  const ready = !!viewer.picture?.heat;
  const toggle = button("act-heat", "heat", "tools.heat", () => setHeat(!state.heat), {
    pressed: state.heat,
    ready,
  });
  toggle.append(h("span.tool-text", {}, t("tools.heat")));
  const slider = h("input", {
    id: "opacity",
    type: "range",
    min: 0,
    max: 100,
    step: 5,
    "aria-label": t("tools.opacity"),
    title: t("tools.opacity"),
    disabled: !ready || !state.heat,
    oninput: (event: Event) => {
      state.opacity = Number((event.target as HTMLInputElement).value) / 100;
      viewer.setHeat(state.heat, state.opacity);
    },
  }) as HTMLInputElement;
  slider.value = String(Math.round(state.opacity * 100));
  return h("div.group.heat", {}, toggle, slider);
}

/** Stepping through a file that holds several images. */
function members(): HTMLElement {
  const item = selectedItem();
  const count = item?.answer?.image.members ?? 1;
  if (!item || count < 2) return h("div.group");
  const member = item.member ?? 0;
  const go = (by: number) => () => showMember(item, member + by);
  return h(
    "div.group.members",
    {},
    button("act-previous", "previous", "tools.previous", go(-1), { ready: member > 0 }),
    h("span", {}, t("tools.member", { n: member + 1, count })),
    button("act-next", "next", "tools.next", go(1), { ready: member < count - 1 }),
  );
}

function button(
  id: string,
  name: IconName,
  key: Key,
  act: () => void,
  { pressed, ready = true }: { pressed?: boolean; ready?: boolean },
): HTMLElement {
  const label = t(key);
  return h(
    "button.tool",
    {
      id,
      type: "button",
      title: label,
      "aria-label": label,
      "aria-pressed": pressed === undefined ? null : String(pressed),
      disabled: !ready,
      onclick: act,
    },
    icon(name),
  );
}

/** The viewer's tools, above the picture. */

import { $, h } from "../dom";
import { type Key, t } from "../i18n";
import { type IconName, icon } from "../icons";
import { showMember } from "../reading";
import { changed, selectedItem, state, type Tool } from "../state";
import type { Layout, Volume } from "../viewer/volume";
import type { Stage } from "./stage";

const TOOLS: Record<Tool, [IconName, Key]> = {
  cross: ["cross", "tools.cross"],
  window: ["contrast", "tools.window"],
  pan: ["hand", "tools.pan"],
  zoom: ["zoom", "tools.zoom"],
};
export const LAYOUTS: [Layout, IconName][] = [
  ["planes", "planes"],
  ["axial", "axial"],
  ["coronal", "coronal"],
  ["sagittal", "sagittal"],
  ["render", "render"],
];
/** Windows in Hounsfield units, as radiologists set them: name, centre, width. */
const WINDOWS: [Key, number, number][] = [
  ["window.soft", 40, 400],
  ["window.lung", -600, 1500],
  ["window.bone", 400, 1800],
  ["window.brain", 40, 80],
];

export function showToolbar(stage: Stage): void {
  const bar = $("toolbar");
  const kept = bar.contains(document.activeElement) ? (document.activeElement?.id ?? "") : "";
  const { screen } = stage;
  const { ready } = screen;
  const tools = screen.tools.map((tool) => {
    const [name, key] = TOOLS[tool];
    return button(`tool-${tool}`, name, key, () => choose(stage, tool), { pressed: screen.tool === tool, ready });
  });
  const actions = [
    button("act-fit", "fit", "tools.fit", () => screen.fit(), { ready }),
    button("act-invert", "invert", "tools.invert", () => screen.invert(), { ready }),
    button("act-reset", "reset", "tools.reset", () => screen.reset(), { ready }),
  ];
  bar.replaceChildren(
    h("div.group", {}, ...tools),
    ...(stage.inSpace ? [layouts(stage.volume!)] : []),
    h("div.group", {}, ...actions),
    overlay(stage),
    ...windows(stage),
    members(),
  );
  if (kept) document.getElementById(kept)?.focus();
}

export function choose(stage: Stage, tool: Tool): void {
  stage.screen.choose(tool);
  changed("tool");
}

/** Show the heat map or the mask, or not, and how strongly. */
export function setOverlay(on: boolean, by = 0): void {
  state.heat = on;
  const bounded = (value: number) => Math.min(1, Math.max(0, value));
  if (selectedItem()?.answer?.mask) state.maskOpacity = bounded(state.maskOpacity + by);
  else state.opacity = bounded(state.opacity + by);
  changed("heat");
}

/** The next layout of a volume. */
export function nextLayout(volume: Volume): void {
  const at = LAYOUTS.findIndex(([layout]) => layout === volume.layout);
  volume.arrange(LAYOUTS[(at + 1) % LAYOUTS.length]![0]);
  changed("tool");
}

function layouts(volume: Volume): HTMLElement {
  const buttons = LAYOUTS.map(([layout, name]) => {
    const act = () => {
      volume.arrange(layout);
      changed("tool");
    };
    const pressed = volume.layout === layout;
    return button(`layout-${layout}`, name, `layout.${layout}`, act, { pressed });
  });
  return h("div.group", { role: "group", "aria-label": t("layout.title") }, ...buttons);
}

/** The usual windows, where values are Hounsfield units. */
function windows(stage: Stage): HTMLElement[] {
  const answer = selectedItem()?.answer;
  if (answer?.image.unit !== "HU" || !stage.screen.ready) return [];
  const take = (event: Event) => {
    const preset = WINDOWS[Number((event.target as HTMLSelectElement).value)];
    if (preset) stage.screen.setWindow({ low: preset[1] - preset[2] / 2, high: preset[1] + preset[2] / 2 });
    (event.target as HTMLSelectElement).value = "";
  };
  const options = WINDOWS.map(([key, centre, width], index) =>
    h("option", { value: index }, `${t(key)} (${t("viewer.window", { centre, width })})`),
  );
  const title = h("option", { value: "", disabled: true, selected: true }, t("window.title"));
  const choice = h("select.small", { id: "windows", "aria-label": t("window.title"), onchange: take }, title, ...options);
  return [h("div.group", {}, choice)];
}

function overlay(stage: Stage): HTMLElement {
  const { screen } = stage;
  const mask = !!selectedItem()?.answer?.mask;
  const ready = screen.ready && (mask || !!stage.viewer.picture?.heat);
  const key = mask ? "tools.mask" : "tools.heat";
  const act = () => setOverlay(!state.heat);
  const toggle = button("act-heat", mask ? "mask" : "heat", key, act, { pressed: state.heat, ready });
  toggle.append(h("span.tool-text", {}, t(key)));
  const label = t(mask ? "tools.mask.opacity" : "tools.opacity");
  const slider = h("input", {
    id: "opacity",
    type: "range",
    min: 0,
    max: 100,
    step: 5,
    "aria-label": label,
    title: label,
    disabled: !ready || !state.heat,
    oninput: (event: Event) => {
      const value = Number((event.target as HTMLInputElement).value) / 100;
      if (mask) state.maskOpacity = value;
      else state.opacity = value;
      stage.lay();
    },
  }) as HTMLInputElement;
  slider.value = String(Math.round((mask ? state.maskOpacity : state.opacity) * 100));
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

/** What the page knows, in one place; whoever shows it asks to be told when it changes. */

import type { Answer, Model } from "./api";

export type Tool = "window" | "pan" | "zoom";
export type Status = "waiting" | "reading" | "read" | "refused";

/** One file that was added, and what became of it. */
export interface Item {
  readonly id: number;
  readonly file: File;
  readonly abort: AbortController;
  status: Status;
  /** Which image of the file, null until one is chosen. */
  member: number | null;
  answer: Answer | null;
  error: { status: number; message: string; members: number } | null;
  thumbnail: HTMLCanvasElement | null;
}

export interface State {
  models: Model[];
  model: Model | null;
  uploadBytes: number;
  offline: boolean;
  items: Item[];
  selected: number;
  tool: Tool;
  heat: boolean;
  opacity: number;
}

/** What changed: listeners look at the parts they show. */
export type Part = "models" | "items" | "selected" | "tool" | "heat" | "language";

type Listener = (part: Part) => void;

const listeners: Listener[] = [];

export const state: State = {
  models: [],
  model: null,
  uploadBytes: 0,
  offline: false,
  items: [],
  selected: -1,
  tool: "window",
  heat: true,
  opacity: 0.6,
};

export function listen(listener: Listener): void {
  listeners.push(listener);
}

export function changed(...parts: Part[]): void {
  for (const part of parts) for (const listener of listeners) listener(part);
}

export function selectedItem(): Item | null {
  return state.items.find((item) => item.id === state.selected) ?? null;
}

export function select(id: number): void {
  if (id === state.selected) return;
  state.selected = id;
  changed("selected");
}

/** Select the next (1) or previous (-1) file. */
export function step(by: number): void {
  const at = state.items.findIndex((item) => item.id === state.selected);
  const next = state.items[Math.min(state.items.length - 1, Math.max(0, at + by))];
  if (next) select(next.id);
}

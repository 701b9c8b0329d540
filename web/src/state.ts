/** What the page knows, in one place; whoever shows it asks to be told when it changes. */

import type { Answer, Model } from "./api";

/** What dragging on the screen does. */
export type Tool = "cross" | "window" | "pan" | "zoom";
export type Status = "waiting" | "reading" | "read" | "refused";

/** One file that was added, or the files of one series, and what became of it. */
export interface Item {
  readonly id: number;
  readonly files: readonly File[];
  readonly name: string;
  readonly abort: AbortController;
  status: Status;
  /** How far its reading is, from 0 to 1. */
  progress: number;
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
  /** Whether the heat map or the mask is shown, and how strongly each. */
  heat: boolean;
  opacity: number;
  maskOpacity: number;
  /** Labels that are switched off, by name. */
  hidden: Set<string>;
}

/** What changed: listeners look at the parts they show. */
export type Part = "models" | "items" | "selected" | "progress" | "tool" | "heat" | "labels" | "language";

type Listener = (part: Part) => void;

const listeners: Listener[] = [];

export const state: State = {
  models: [],
  model: null,
  uploadBytes: 0,
  offline: false,
  items: [],
  selected: -1,
  heat: true,
  opacity: 0.6,
  maskOpacity: 0.4,
  hidden: new Set(),
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

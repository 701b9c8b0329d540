/** What keys and buttons can do to whatever is shown, be it a picture or a volume. */

import type { Tool } from "../state";
import type { Window } from "./picture";

export interface Screen {
  readonly canvas: HTMLCanvasElement;
  /** Whether there is something to see. */
  readonly ready: boolean;
  readonly tools: readonly Tool[];
  /** What dragging does. */
  readonly tool: Tool;
  choose(tool: Tool): void;
  zoomBy(factor: number): void;
  fit(): void;
  fullSize(): void;
  invert(): void;
  reset(): void;
  windowBy(centre: number, width: number): void;
  setWindow(window: Window): void;
  /** An arrow key: x to the right, y down, one step each. */
  arrow(x: number, y: number): void;
  /** To the next slice, or back; false where there is only one. */
  slice(by: number): boolean;
  setMask(on: boolean, opacity: number, hidden: ReadonlySet<string>): void;
}

/** Mouse, pen, fingers and wheel -> the viewer's verbs. */

import type { Viewer } from "./viewer";

interface Point {
  x: number;
  y: number;
}

/** Listen on the viewer's canvas; `hover` hears where the pointer is, null when it left. */
export function listenToPointers(viewer: Viewer, hover: (at: Point | null) => void): void {
  const { canvas } = viewer;
  const held = new Map<number, Point>();
  const place = (event: MouseEvent): Point => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    held.set(event.pointerId, place(event));
    canvas.focus({ preventScroll: true });
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = place(event);
    hover(now);
    const before = held.get(event.pointerId);
    if (!before) return;
    if (held.size === 2) pinch(viewer, held, event.pointerId, now);
    else if (held.size === 1) drag(viewer, event, before, now);
    held.set(event.pointerId, now);
  });
  const release = (event: PointerEvent) => held.delete(event.pointerId);
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => hover(null));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", () => viewer.fit());
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!viewer.picture) return;
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
      viewer.zoomBy(Math.exp((-event.deltaY * lines) / 500), place(event));
    },
    { passive: false },
  );
}

function drag(viewer: Viewer, event: PointerEvent, before: Point, now: Point): void {
  const [dx, dy] = [now.x - before.x, now.y - before.y];
  const middle = (event.buttons & 4) !== 0;
  const right = (event.buttons & 2) !== 0;
  const tool = middle || event.shiftKey ? "pan" : right ? "window" : viewer.tool;
  if (tool === "pan") viewer.panBy(dx, dy);
  else if (tool === "zoom") viewer.zoomBy(Math.exp(-dy / 150));
  else viewer.windowBy(-dy / 400, dx / 300);
}

/** Two fingers: their middle moves the picture, their distance magnifies it. */
function pinch(viewer: Viewer, held: Map<number, Point>, id: number, now: Point): void {
  const other = [...held].find(([key]) => key !== id)?.[1];
  const before = held.get(id);
  if (!other || !before) return;
  const gap = (a: Point, b: Point) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
  viewer.panBy((now.x - before.x) / 2, (now.y - before.y) / 2);
  const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
  viewer.zoomBy(gap(now, other) / gap(before, other), middle);
}

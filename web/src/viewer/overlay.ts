/** A mask over a picture: every label in its colour, its outline stronger than its inside. */

import { bytes, type Label, type MaskFacts } from "../api";

/** Labels (0: none) on a grid of their own, which covers the picture. */
export interface Overlay {
  width: number;
  height: number;
  codes: Uint16Array;
  labels: readonly Label[];
}

/** Where the picture lies on the screen, in pixels of the target. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

const EXACT: ImageBitmapOptions = { colorSpaceConversion: "none", premultiplyAlpha: "none" };

export async function decodeOverlay(mask: MaskFacts): Promise<Overlay> {
  const bitmap = await createImageBitmap(bytes(mask.picture.png), EXACT);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
  const codes = new Uint16Array(width * height);
  for (let i = 0; i < codes.length; i++) codes[i] = 256 * data[4 * i]! + data[4 * i + 1]!;
  return { width, height, codes, labels: mask.labels };
}

/**
 * Fill `target` (RGBA) with the labels as they lie in `box`.
 *
 * The label of every pixel of the screen is looked up, so that outlines are one pixel wide however
 * far the picture is magnified.
 */
export function paintOverlay(
  overlay: Overlay,
  box: Box,
  opacity: number,
  hidden: ReadonlySet<string>,
  target: ImageData,
): void {
  const { width, height } = target;
  const out = new Uint32Array(target.data.buffer);
  const [inside, outline] = [colours(overlay, opacity, hidden), colours(overlay, rim(opacity), hidden)];
  const columns = places(width, box.x, box.width, overlay.width);
  const rows = places(height, box.y, box.height, overlay.height);
  const at = (x: number, y: number): number => {
    const [column, row] = [columns[x]!, rows[y]!];
    return column < 0 || row < 0 ? 0 : overlay.codes[row * overlay.width + column]!;
  };
  for (let y = 0; y < height; y++) {
    if (rows[y]! < 0) continue;
    for (let x = 0; x < width; x++) {
      const code = at(x, y);
      if (!code) continue;
      const edge =
        at(Math.max(0, x - 1), y) !== code ||
        at(Math.min(width - 1, x + 1), y) !== code ||
        at(x, Math.max(0, y - 1)) !== code ||
        at(x, Math.min(height - 1, y + 1)) !== code;
      out[y * width + x] = (edge ? outline : inside)[code] ?? 0;
    }
  }
}

/** Pixels of the screen -> pixels of the overlay along one axis, -1 beside it. */
function places(count: number, start: number, length: number, size: number): Int32Array {
  const found = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const at = Math.floor(((i + 0.5 - start) / length) * size);
    found[i] = at >= 0 && at < size ? at : -1;
  }
  return found;
}

/** Label -> ABGR as the bytes of an `ImageData` lie in a little-endian word. */
function colours(overlay: Overlay, opacity: number, hidden: ReadonlySet<string>): Uint32Array {
  const last = Math.max(0, ...overlay.labels.map((label) => label.value));
  const table = new Uint32Array(last + 1);
  for (const { value, name, colour } of overlay.labels) {
    if (hidden.has(name)) continue;
    const [red, green, blue] = channels(colour);
    table[value] = ((Math.round(opacity * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  }
  return table;
}

/** "#rrggbb" -> red, green, blue from 0 to 255. */
export function channels(colour: string): [number, number, number] {
  const number = parseInt(colour.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

/** How strongly the outline of a label shows where its inside does by `opacity`. */
export const rim = (opacity: number) => (opacity > 0 ? Math.min(1, opacity + 0.45) : 0);

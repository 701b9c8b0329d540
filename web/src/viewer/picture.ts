/** A received picture with its values: decoding, and values -> grey through a window. */

import { type Answer, bytes } from "../api";
import { decodeOverlay, type Overlay } from "./overlay";

/** A range of values from black to white. */
export interface Window {
  low: number;
  high: number;
}

/**
 * One decoded picture.
 *
 * codes   grey codes, one a pixel (value = intercept + slope * code); for colour the RGBA bytes
 * aspect  height of a pixel over its width
 * mm      width of a pixel in millimetres, 0 when unknown
 */
export interface Picture {
  width: number;
  height: number;
  colour: boolean;
  codes: Uint16Array | Uint8ClampedArray;
  slope: number;
  intercept: number;
  initial: Window;
  aspect: number;
  mm: number;
  unit: string;
  step: number;
  heat: ImageBitmap | null;
  overlay: Overlay | null;
}

const EXACT: ImageBitmapOptions = { colorSpaceConversion: "none", premultiplyAlpha: "none" };

/** The picture of an answer: exact values where they came, else the 8 bits that are shown. */
export async function decode(answer: Answer): Promise<Picture> {
  const { picture, values, image } = answer;
  const rgba = await pixels(values ? values.png : picture.png);
  const colour = !values && image.channels === 3;
  const codes = colour ? rgba.data : greyCodes(rgba.data, !!values);
  const spacing = (picture.spacing ?? image.spacing)?.slice(-2);
  const [tall, wide] = [spacing?.[0] ?? 1, spacing?.[1] ?? 1];
  const shown = { low: picture.low, high: picture.high };
  const eightBits = { slope: (shown.high - shown.low) / 255, intercept: shown.low };
  return {
    width: rgba.width,
    height: rgba.height,
    colour,
    codes,
    ...(values ?? eightBits),
    initial: shown,
    aspect: tall / wide,
    mm: spacing ? wide * picture.step : 0,
    unit: image.unit === "1" ? "" : image.unit,
    step: picture.step,
    heat: answer.maps[0] ? await createImageBitmap(bytes(answer.maps[0].png)) : null,
    overlay: answer.mask ? await decodeOverlay(answer.mask) : null,
  };
}

/** Fill `target` (RGBA, the picture's size) with the picture as the window shows it. */
export function paint(picture: Picture, window: Window, invert: boolean, target: ImageData): void {
  const out = new Uint32Array(target.data.buffer);
  const table = greys(picture, window, invert);
  const { codes, colour } = picture;
  if (colour) {
    for (let i = 0; i < out.length; i++) {
      const [red, green, blue] = [table[codes[4 * i]!]!, table[codes[4 * i + 1]!]!, table[codes[4 * i + 2]!]!];
      out[i] = 0xff000000 | (blue << 16) | (green << 8) | red;
    }
    return;
  }
  for (let i = 0; i < out.length; i++) out[i] = 0xff000000 | (table[codes[i]!]! * 0x010101);
}

/** The value under a pixel, in the image's unit; for colour "r, g, b" bytes. */
export function valueAt(picture: Picture, x: number, y: number): number | number[] | null {
  if (x < 0 || y < 0 || x >= picture.width || y >= picture.height) return null;
  const at = y * picture.width + x;
  if (picture.colour) return [...picture.codes.subarray(4 * at, 4 * at + 3)];
  return picture.intercept + picture.slope * picture.codes[at]!;
}

/** Code -> grey level (0..255): one table instead of a sum a pixel. */
function greys(picture: Picture, window: Window, invert: boolean): Uint8Array {
  const table = new Uint8Array(picture.codes instanceof Uint16Array ? 65536 : 256);
  const scale = 255 / Math.max(window.high - window.low, 1e-12);
  for (let code = 0; code < table.length; code++) {
    const value = picture.intercept + picture.slope * code;
    const grey = Math.min(255, Math.max(0, (value - window.low) * scale));
    table[code] = Math.round(invert ? 255 - grey : grey);
  }
  return table;
}

function greyCodes(rgba: Uint8ClampedArray, exact: boolean): Uint16Array {
  const codes = new Uint16Array(rgba.length / 4);
  for (let i = 0; i < codes.length; i++) {
    codes[i] = exact ? 256 * rgba[4 * i]! + rgba[4 * i + 1]! : rgba[4 * i]!;
  }
  return codes;
}

async function pixels(png: string): Promise<ImageData> {
  const bitmap = await createImageBitmap(bytes(png), EXACT);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

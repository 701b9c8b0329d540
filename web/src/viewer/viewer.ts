/** The canvas: one picture, its window, its place on the screen, and the heat map or mask above. */

import type { Tool } from "../state";
import { type Box, paintOverlay } from "./overlay";
import { paint, type Picture, valueAt, type Window } from "./picture";
import type { Screen } from "./screen";

export interface View {
  window: Window;
  invert: boolean;
  /** Screen pixels (CSS) per picture pixel. */
  zoom: number;
  /** Where the picture's centre lies from the screen's centre, in CSS pixels. */
  x: number;
  y: number;
}

const SMALLEST = 0.02;
const LARGEST = 60;

/** Shows a `Picture`. `onChange` is called after every change of the view. */
export class Viewer implements Screen {
  readonly tools = ["window", "pan", "zoom"] as const;
  tool: Tool = "window";
  picture: Picture | null = null;
  view: View = { window: { low: 0, high: 1 }, invert: false, zoom: 1, x: 0, y: 0 };
  heat = true;
  opacity = 0.6;
  mask = { on: true, opacity: 0.4, hidden: new Set() as ReadonlySet<string> };
  onChange: () => void = () => {};

  private readonly context: CanvasRenderingContext2D;
  private readonly windowed = document.createElement("canvas");
  private readonly masked = document.createElement("canvas");
  private stale = true;
  private frame = 0;
  private fitted = true;

  constructor(readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext("2d")!;
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  get ready(): boolean {
    return this.picture !== null;
  }

  choose(tool: Tool): void {
    this.tool = tool;
  }

  /** Show another picture, from the beginning; null clears the screen. */
  show(picture: Picture | null): void {
    this.picture = picture;
    if (picture) {
      this.windowed.width = picture.width;
      this.windowed.height = picture.height;
    }
    this.reset();
  }

  /** The window the file asked for, the whole picture on the screen. */
  reset(): void {
    if (this.picture) this.view.window = { ...this.picture.initial };
    this.view.invert = false;
    this.stale = true;
    this.fit();
  }

  fit(): void {
    const { width, height } = this.size();
    const { picture } = this;
    if (picture && width && height) {
      const tall = picture.height * picture.aspect;
      this.view.zoom = Math.min(width / picture.width, height / tall) * 0.98;
    }
    this.view.x = 0;
    this.view.y = 0;
    this.fitted = true;
    this.draw();
  }

  /** One picture pixel on one screen pixel. */
  fullSize(): void {
    this.zoomBy(1 / this.view.zoom);
  }

  /** Magnify by a factor about a point of the canvas (its centre when none is given). */
  zoomBy(factor: number, at?: { x: number; y: number }): void {
    const { view } = this;
    const zoom = Math.min(LARGEST, Math.max(SMALLEST, view.zoom * factor));
    const { width, height } = this.size();
    const [px, py] = at ? [at.x - width / 2, at.y - height / 2] : [0, 0];
    view.x = px - ((px - view.x) * zoom) / view.zoom;
    view.y = py - ((py - view.y) * zoom) / view.zoom;
    view.zoom = zoom;
    this.fitted = false;
    this.draw();
  }

  panBy(dx: number, dy: number): void {
    this.view.x += dx;
    this.view.y += dy;
    this.fitted = false;
    this.draw();
  }

  /** Shift the window by shares of its first width: `centre` brightens, `width` flattens. */
  windowBy(centre: number, width: number): void {
    if (!this.picture) return;
    const { low, high } = this.view.window;
    const span = this.picture.initial.high - this.picture.initial.low || 1;
    const middle = (low + high) / 2 + centre * span;
    const half = Math.max((high - low) / 2 + (width * span) / 2, span / 500);
    this.view.window = { low: middle - half, high: middle + half };
    this.stale = true;
    this.draw();
  }

  setWindow(window: Window): void {
    this.view.window = { ...window };
    this.stale = true;
    this.draw();
  }

  arrow(x: number, y: number): void {
    this.panBy(-x * 30, -y * 30);
  }

  slice(): boolean {
    return false;
  }

  invert(): void {
    this.view.invert = !this.view.invert;
    this.stale = true;
    this.draw();
  }

  setHeat(on: boolean, opacity: number): void {
    this.heat = on;
    this.opacity = opacity;
    this.draw();
  }

  setMask(on: boolean, opacity: number, hidden: ReadonlySet<string>): void {
    this.mask = { on, opacity, hidden };
    this.draw();
  }

  /** The name of the label under a point of the canvas, "" where there is none. */
  labelAt(at: { x: number; y: number }): string {
    const overlay = this.picture?.overlay;
    if (!overlay) return "";
    const box = this.box();
    const x = Math.floor(((at.x - box.x) / box.width) * overlay.width);
    const y = Math.floor(((at.y - box.y) / box.height) * overlay.height);
    const code = overlay.codes[y * overlay.width + x] ?? 0;
    return overlay.labels.find((label) => label.value === code)?.name ?? "";
  }

  /** The picture pixel (x, y) and its value under a point of the canvas; null beside it. */
  probe(at: { x: number; y: number }): { x: number; y: number; value: number | number[] } | null {
    if (!this.picture) return null;
    const box = this.box();
    const x = Math.floor(((at.x - box.x) / box.width) * this.picture.width);
    const y = Math.floor(((at.y - box.y) / box.height) * this.picture.height);
    const value = valueAt(this.picture, x, y);
    return value === null ? null : { x: x * this.picture.step, y: y * this.picture.step, value };
  }

  draw(): void {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.render();
      this.onChange();
    });
  }

  private render(): void {
    const { context, picture } = this;
    const { width, height, ratio } = this.size();
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!picture) return;
    this.refresh();
    const box = this.box();
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.windowed, box.x, box.y, box.width, box.height);
    if (picture.heat && this.heat && this.opacity > 0) {
      context.globalAlpha = this.opacity;
      context.drawImage(picture.heat, box.x, box.y, box.width, box.height);
      context.globalAlpha = 1;
    }
    if (picture.overlay && this.mask.on && this.mask.opacity > 0) this.layMask(box, width, height);
    if (picture.mm > 0) this.scaleBar(width, height, picture.mm);
  }

  private layMask(box: Box, width: number, height: number): void {
    const context = this.masked.getContext("2d")!;
    [this.masked.width, this.masked.height] = [width, height];
    const target = context.createImageData(width, height);
    paintOverlay(this.picture!.overlay!, box, this.mask.opacity, this.mask.hidden, target);
    context.putImageData(target, 0, 0);
    this.context.drawImage(this.masked, 0, 0, width, height);
  }

  private refresh(): void {
    if (!this.picture || !this.stale) return;
    const context = this.windowed.getContext("2d")!;
    const target = context.createImageData(this.picture.width, this.picture.height);
    paint(this.picture, this.view.window, this.view.invert, target);
    context.putImageData(target, 0, 0);
    this.stale = false;
  }

  /** A bar of a round number of millimetres at the right edge. */
  private scaleBar(width: number, height: number, mm: number): void {
    const wanted = (height / 4 / this.view.zoom) * mm;
    const power = 10 ** Math.floor(Math.log10(wanted));
    const length = ([5, 2, 1].find((n) => n * power <= wanted) ?? 1) * power;
    const pixels = (length / mm) * this.view.zoom;
    const [x, y] = [width - 14, height / 2 - pixels / 2];
    const { context } = this;
    context.save();
    context.shadowColor = "#000";
    context.shadowBlur = 4;
    context.fillStyle = context.strokeStyle = "#d6e0e8";
    context.lineWidth = 1;
    context.beginPath();
    for (const [dx, dy] of [[-6, 0], [0, 0], [0, pixels], [-6, pixels]] as const) {
      context.lineTo(x + dx, Math.round(y + dy) + 0.5);
    }
    context.stroke();
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "right";
    context.fillText(length >= 10 ? `${length / 10} cm` : `${length} mm`, x - 8, y + pixels / 2 + 4);
    context.restore();
  }

  /** Where the picture lies on the canvas, in CSS pixels. */
  private box(): Box {
    const screen = this.size();
    const { picture, view } = this;
    const width = picture!.width * view.zoom;
    const height = picture!.height * picture!.aspect * view.zoom;
    return {
      x: screen.width / 2 + view.x - width / 2,
      y: screen.height / 2 + view.y - height / 2,
      width,
      height,
    };
  }

  private size(): { width: number; height: number; ratio: number } {
    return {
      width: this.canvas.clientWidth,
      height: this.canvas.clientHeight,
      ratio: window.devicePixelRatio || 1,
    };
  }

  private resize(): void {
    const { width, height, ratio } = this.size();
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    if (this.fitted) this.fit();
    else this.draw();
  }
}

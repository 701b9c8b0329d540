/** A volume in three planes with its mask over it: the page's verbs, carried out by NiiVue. */

import { cmapper, DRAG_MODE, NVImage, SHOW_RENDER, SLICE_TYPE } from "@niivue/niivue";

import type { Label } from "../api";
import type { Tool } from "../state";
import { channels, rim } from "./overlay";
import type { Window } from "./picture";
import { Planes } from "./planes";
import type { Screen } from "./screen";

export type Layout = "planes" | "axial" | "coronal" | "sagittal" | "render";

const LAYOUTS: Record<Layout, SLICE_TYPE> = {
  planes: SLICE_TYPE.MULTIPLANAR,
  axial: SLICE_TYPE.AXIAL,
  coronal: SLICE_TYPE.CORONAL,
  sagittal: SLICE_TYPE.SAGITTAL,
  render: SLICE_TYPE.RENDER,
};
const DRAGS: Partial<Record<Tool, DRAG_MODE>> = {
  cross: DRAG_MODE.crosshair,
  window: DRAG_MODE.windowing,
  pan: DRAG_MODE.pan,
};
const [LINE, GAP] = [1.3, 14]; // pixels of the screen, of the crosshair
const [SMALLEST, LARGEST] = [0.2, 30];
/** Voxels up to which space is drawn beside the planes: without a graphics card it takes seconds. */
const DRAWN_BESIDE = 1 << 21;

/** Where the crosshair is: mm towards right, anterior, superior; the value and the label there. */
export interface Place {
  mm: [number, number, number];
  value: number;
  label: string;
}

export interface Content {
  /** NIfTI, unpacked; the labels on the grid of the image. */
  image: ArrayBuffer;
  labels: ArrayBuffer;
  names: readonly Label[];
  window: Window;
  /** Whether its place in the patient is known, so that sides may be named. */
  placed: boolean;
}

export class Volume implements Screen {
  readonly tools = ["cross", "window", "pan"] as const;
  tool: Tool = "cross";
  layout: Layout = "planes";
  inverted = false;
  onChange: () => void = () => {};

  private names: readonly Label[] = [];
  private codes: Uint8Array = new Uint8Array();
  private extent = 1; // mm, of the longest side
  private hidden: string | null = null;
  private asked = 0;
  private first: Window = { low: 0, high: 1 };

  private constructor(
    readonly canvas: HTMLCanvasElement,
    private readonly planes: Planes,
  ) {}

  /** Throws where the browser has no WebGL 2. */
  static async on(canvas: HTMLCanvasElement): Promise<Volume> {
    const planes = new Planes();
    await planes.attachToCanvas(canvas);
    const volume = new Volume(canvas, planes);
    planes.onLocationChange = () => volume.onChange();
    canvas.addEventListener("pointermove", (event) => event.buttons && volume.onChange());
    canvas.addEventListener("dblclick", () => volume.fit());
    volume.choose("cross");
    return volume;
  }

  get ready(): boolean {
    return this.planes.volumes.length > 0;
  }

  async show(content: Content): Promise<void> {
    const asked = ++this.asked;
    const { low, high } = content.window;
    const shown = { url: content.image, name: "image.nii", colormap: "gray", cal_min: low, cal_max: high };
    const image = await NVImage.loadFromUrl(shown);
    const labels = await NVImage.loadFromUrl({ url: content.labels, name: "labels.nii" });
    if (asked !== this.asked) return; // another was asked for while this one was read
    this.clear();
    this.planes.opts.isOrientationTextVisible = content.placed;
    this.planes.addVolume(image);
    this.planes.loadDrawing(labels);
    this.codes = this.planes.drawBitmap ?? new Uint8Array();
    this.hidden = null;
    this.names = content.names;
    const [, ...size] = image.dimsRAS!.map((length, axis) => length * image.pixDimsRAS![axis]!);
    this.extent = Math.max(...size.slice(0, 3));
    const small = this.codes.length <= DRAWN_BESIDE;
    this.planes.opts.multiplanarShowRender = small ? SHOW_RENDER.ALWAYS : SHOW_RENDER.NEVER;
    this.first = { low, high };
    this.inverted = false;
    this.planes.scene.crosshairPos = [0.5, 0.5, 0.5];
    this.goTo(null);
    this.fit();
  }

  clear(): void {
    this.planes.closeDrawing();
    for (const volume of [...this.planes.volumes]) this.planes.removeVolume(volume);
  }

  choose(tool: Tool): void {
    this.tool = tool;
    const primary = DRAGS[tool] ?? DRAG_MODE.crosshair;
    this.planes.setMouseEventConfig({
      leftButton: { primary, withShift: DRAG_MODE.pan, withCtrl: DRAG_MODE.crosshair },
      rightButton: DRAG_MODE.windowing,
      centerButton: DRAG_MODE.pan,
    });
    // The wheel magnifies while the tool is to move, else it goes through the slices.
    this.planes.opts.dragMode = primary === DRAG_MODE.pan ? DRAG_MODE.pan : DRAG_MODE.windowing;
  }

  arrange(layout: Layout): void {
    this.layout = layout;
    this.planes.setSliceType(LAYOUTS[layout]);
    this.cross();
  }

  /** Keep the crosshair thin on the screen, whatever the volume measures in mm. */
  private cross(): void {
    const beside = this.layout === "planes" ? 2 : 1;
    const shorter = Math.min(this.canvas.clientWidth, this.canvas.clientHeight) || 1;
    const mm = (beside * this.extent) / (shorter * this.zoom);
    this.planes.opts.crosshairGap = GAP * mm;
    this.planes.setCrosshairWidth(LINE * mm); // draws anew
    this.onChange();
  }

  get zoom(): number {
    return this.planes.scene.pan2Dxyzmm[3]!;
  }

  zoomBy(factor: number): void {
    const [x, y, z, zoom] = this.planes.scene.pan2Dxyzmm as unknown as number[];
    const next = Math.min(LARGEST, Math.max(SMALLEST, zoom! * factor));
    // About the crosshair, which stays where it is on the screen.
    const at = this.planes.frac2mm(this.planes.scene.crosshairPos);
    const shift = zoom! - next;
    this.planes.setPan2Dxyzmm([x! + shift * at[0]!, y! + shift * at[1]!, z! + shift * at[2]!, next]);
    this.cross();
  }

  fit(): void {
    this.planes.setPan2Dxyzmm([0, 0, 0, 1]);
    this.cross();
  }

  fullSize(): void {
    this.fit();
  }

  get window(): Window {
    const image = this.planes.volumes[0];
    return { low: image?.cal_min ?? 0, high: image?.cal_max ?? 1 };
  }

  setWindow({ low, high }: Window): void {
    const image = this.planes.volumes[0];
    if (!image) return;
    [image.cal_min, image.cal_max] = [low, high];
    this.planes.updateGLVolume();
    this.onChange();
  }

  windowBy(centre: number, width: number): void {
    const { low, high } = this.window;
    const span = this.first.high - this.first.low || 1;
    const middle = (low + high) / 2 + centre * span;
    const half = Math.max((high - low) / 2 + (width * span) / 2, span / 500);
    this.setWindow({ low: middle - half, high: middle + half });
  }

  invert(): void {
    const image = this.planes.volumes[0];
    if (!image) return;
    this.inverted = !this.inverted;
    image.colormapInvert = this.inverted;
    this.planes.updateGLVolume();
  }

  reset(): void {
    if (this.inverted) this.invert();
    this.setWindow(this.first);
    this.goTo(null);
    this.fit();
  }

  /** Along the axes of the screen, in the plane that is shown alone, else in the axial one. */
  arrow(x: number, y: number): void {
    // Voxels run towards right, anterior and superior; on the screen the patient's left is to the
    // right, and in a sagittal slice the back is.
    if (this.layout === "coronal") this.move(-x, 0, -y);
    else if (this.layout === "sagittal") this.move(0, -x, -y);
    else this.move(-x, -y, 0);
  }

  slice(by: number): boolean {
    if (this.layout === "coronal") this.move(0, by, 0);
    else if (this.layout === "sagittal") this.move(by, 0, 0);
    else this.move(0, 0, by);
    return true;
  }

  private move(x: number, y: number, z: number): void {
    this.planes.moveCrosshairInVox(x, y, z);
    this.onChange();
  }

  setMask(on: boolean, opacity: number, hidden: ReadonlySet<string>): void {
    const gone = this.names.filter(({ name }) => hidden.has(name)).map(({ value }) => value);
    if (String(gone) !== this.hidden) this.colour(new Set(gone));
    this.hidden = String(gone);
    this.planes.drawRimOpacity = rim(opacity);
    this.planes.setDrawOpacity(on ? opacity : 0);
  }

  /** Give the labels their colours, but for those that are switched off. */
  private colour(gone: ReadonlySet<number>): void {
    const colours = [[0, 0, 0] as const, ...this.names.map(({ colour }) => channels(colour))];
    const column = (channel: 0 | 1 | 2) => colours.map((colour) => colour[channel]);
    const indices = [0, ...this.names.map(({ value }) => value)];
    const alpha = indices.map((value) => (value === 0 || gone.has(value) ? 0 : 255));
    const table = { R: column(0), G: column(1), B: column(2), A: alpha, I: indices };
    this.planes.drawLut = cmapper.makeDrawLut(table as unknown as string);
    this.planes.refreshColormaps();
    // In space a label that is off must not cover another: it is taken out of what is drawn.
    const left = gone.size ? this.codes.map((code) => (gone.has(code) ? 0 : code)) : this.codes;
    this.planes.drawBitmap = left;
    this.planes.refreshDrawing(false);
  }

  /** The crosshair to the middle of a label, of the whole mask when none is named. */
  goTo(label: string | null): void {
    const value = this.names.find((each) => each.name === label)?.value ?? 0;
    const middle = this.middle(value);
    if (!middle) return;
    this.planes.scene.crosshairPos = this.planes.vox2frac(middle);
    this.planes.drawScene();
    this.planes.createOnLocationChange();
  }

  get place(): Place | null {
    const image = this.planes.volumes[0];
    if (!image) return null;
    const mm = this.planes.frac2mm(this.planes.scene.crosshairPos, 0, true) as unknown as number[];
    const [x, y, z] = image.mm2vox(mm) as unknown as number[];
    const value = image.getValue(x!, y!, z!);
    const code = this.codeAt();
    const label = this.names.find((each) => each.value === code)?.name ?? "";
    return { mm: [mm[0]!, mm[1]!, mm[2]!], value, label };
  }

  private codeAt(): number {
    const size = this.planes.back?.dimsRAS;
    if (!size) return 0;
    const [x, y, z] = this.planes.frac2vox(this.planes.scene.crosshairPos) as unknown as number[];
    return this.codes[x! + size[1]! * (y! + size[2]! * z!)] ?? 0;
  }

  /** The voxel of a label (0: of any) in the slice that holds most of it, next to its middle. */
  private middle(value: number): [number, number, number] | null {
    const size = this.planes.back?.dimsRAS;
    if (!this.codes.length || !size) return null;
    const [width, height, depth] = [size[1]!, size[2]!, size[3]!];
    const wanted = (code: number) => (value ? code === value : code > 0);
    const counts = new Float64Array(depth);
    for (let i = 0; i < this.codes.length; i++) {
      if (wanted(this.codes[i]!)) counts[Math.floor(i / (width * height))]!++;
    }
    const z = counts.indexOf(Math.max(...counts));
    if (!counts[z]) return null;
    let [count, sumX, sumY] = [0, 0, 0];
    const start = z * width * height;
    for (let i = 0; i < width * height; i++) {
      if (!wanted(this.codes[start + i]!)) continue;
      count++;
      sumX += i % width;
      sumY += Math.floor(i / width);
    }
    return [Math.round(sumX / count), Math.round(sumY / count), z];
  }
}

/** The middle of the page: the selected picture or volume, with what is written around it. */

import { type Answer, fetchUnpacked, Refused } from "../api";
import { $, h } from "../dom";
import { maybe, megabytes, number, t } from "../i18n";
import { readAgain } from "../reading";
import { type Item, changed, selectedItem, state } from "../state";
import { decode } from "../viewer/picture";
import type { Screen } from "../viewer/screen";
import type { Viewer } from "../viewer/viewer";
import type { Volume } from "../viewer/volume";
import { refusal, verdictWords } from "./findings";
import { words } from "./wording";

let shown: Item["answer"] = null;

/** The two screens, one of which is seen. The second is loaded when a volume is first shown. */
export class Stage {
  volume: Volume | null = null;
  private opening: Promise<Volume | null> | null = null;
  private readonly again = new WeakSet<Item>();

  constructor(readonly viewer: Viewer) {}

  /** What is seen now. */
  get screen(): Screen {
    return this.inSpace ? this.volume! : this.viewer;
  }

  get inSpace(): boolean {
    return this.volume !== null && !$("planes").hidden;
  }

  /** Put the selected item on the screen. */
  async show(): Promise<void> {
    const item = selectedItem();
    const answer = item?.answer ?? null;
    $("welcome").hidden = !!item;
    busy(item);
    if (answer === shown) return;
    shown = answer;
    if (answer?.mask?.volume && item && (await this.showVolume(item, answer))) return;
    if (shown !== answer) return;
    this.turn(false);
    const picture = answer && (await decode(answer));
    if (shown !== answer) return; // another was selected while this one was decoded
    this.viewer.show(picture);
    changed("tool");
  }

  /** Whether the volume was shown, or why not was told; else its picture has to do. */
  private async showVolume(item: Item, answer: Answer): Promise<boolean> {
    const { volume, labels } = answer.mask!;
    this.viewer.show(null);
    changed("tool");
    loading(item);
    const files = Promise.all([fetchUnpacked(volume!.image), fetchUnpacked(volume!.labels)]);
    files.catch(() => {}); // it is awaited below, unless another item is selected first
    this.opening ??= this.open();
    this.volume = await this.opening;
    try {
      if (!this.volume) return false;
      const [image, mask] = await files;
      if (shown !== answer) return true;
      this.turn(true);
      const { low, high } = answer.picture;
      const placed = answer.image.frame === "patient";
      await this.volume.show({ image, labels: mask, names: labels, window: { low, high }, placed });
      this.lay();
    } catch (error) {
      if (shown !== answer) return true;
      if (error instanceof Refused) this.lost(item, error);
      return error instanceof Refused;
    } finally {
      if (shown === answer) busy(item);
    }
    changed("tool");
    return true;
  }

  /** What the server let go meanwhile is read again, once; whatever else happened is told. */
  private lost(item: Item, error: Refused): void {
    this.turn(false);
    shown = null;
    if (error.status === 404 && !this.again.has(item)) {
      this.again.add(item);
      readAgain([item]);
    } else broken(error.message);
  }

  /** Null where this browser has no WebGL 2. */
  private async open(): Promise<Volume | null> {
    try {
      const { Volume } = await import("../viewer/volume");
      $("planes").hidden = false; // its size is measured
      const volume = await Volume.on($<HTMLCanvasElement>("volume"));
      volume.onChange = () => this.notes();
      return volume;
    } catch {
      return null;
    }
  }

  private turn(inSpace: boolean): void {
    $("planes").hidden = !inSpace;
    $("canvas").hidden = inSpace;
    if (!inSpace) this.volume?.clear();
  }

  /** The heat map or the mask, as the toolbar has it. */
  lay(): void {
    this.viewer.setHeat(state.heat, state.opacity);
    this.screen.setMask(state.heat, state.maskOpacity, state.hidden);
  }

  /** What is written over the corners; called after every change of the view. */
  notes(): void {
    const item = selectedItem();
    const answer = item?.answer;
    const ready = !!(this.screen.ready && answer && item);
    const heat = !this.inSpace && this.viewer.picture?.heat;
    $("legend").hidden = !(ready && heat && state.heat && state.opacity > 0);
    for (const id of ["note-file", "note-image", "note-view"]) $(id).hidden = !ready;
    if (!ready) {
      this.screen.canvas.setAttribute("aria-label", t("viewer.empty"));
      $("note-value").textContent = "";
      return;
    }
    const { modality, body_part: body, view: position } = answer.image;
    lines("note-file", item.name, [modality, body, position].filter(Boolean).join(" · "));
    if (this.inSpace) this.volumeNotes(item, answer);
    else this.pictureNotes(item, answer);
  }

  private pictureNotes(item: Item, answer: Answer): void {
    const { picture, view, canvas } = this.viewer;
    const [width, height] = [answer.picture.width * picture!.step, answer.picture.height * picture!.step];
    const map = answer.maps[0];
    const method = map && state.heat ? `${maybe(`map.${map.method}`, map.method)} · ${words(map.label)}` : "";
    const slice = answer.mask && answer.image.size.length === 3 ? t("viewer.slice") : "";
    lines("note-image", t("viewer.size", { width, height }), method || slice);
    const zoom = t("viewer.zoom", { zoom: Math.round((view.zoom / picture!.step) * 100) });
    lines("note-view", windowWords(view.window), zoom);
    const verdict = verdictWords(answer.prediction);
    canvas.setAttribute("aria-label", t("viewer.canvas", { name: item.name, width, height, verdict }));
  }

  private volumeNotes(item: Item, answer: Answer): void {
    const volume = this.volume!;
    const size = [...answer.image.size].reverse().join(" × ");
    const spacing = answer.image.spacing?.map((step) => number(step)).reverse().join(" × ");
    const thinned = Math.max(...answer.mask!.volume!.steps) > 1;
    lines(
      "note-image",
      t("viewer.voxels", { size }),
      spacing ? `${spacing} mm` : "",
      answer.image.frame === "patient" ? t("viewer.radiological") : t("viewer.sides"),
      thinned ? t("viewer.thinned") : "",
    );
    const zoom = t("viewer.zoom", { zoom: Math.round(volume.zoom * 100) });
    lines("note-view", windowWords(volume.window), zoom);
    const { place } = volume;
    const unit = answer.image.unit === "1" ? "" : ` ${answer.image.unit}`;
    if (place) {
      const mm = place.mm.map((each) => number(each, 1)).join("  ");
      const value = t("viewer.value", { value: `${number(place.value)}${unit}` });
      lines("note-value", words(place.label), value, answer.image.spacing ? `${mm} mm` : mm);
    }
    const verdict = verdictWords(answer.prediction);
    volume.canvas.setAttribute("aria-label", t("viewer.volume", { name: item.name, size, verdict }));
  }

  /** Show where a label is. */
  goTo(label: string): void {
    if (this.inSpace) this.volume!.goTo(label);
  }

  /** The value under the pointer. */
  value(at: { x: number; y: number } | null): void {
    if (this.inSpace) return;
    const found = at && this.viewer.probe(at);
    if (!found) {
      $("note-value").textContent = "";
      return;
    }
    const value = Array.isArray(found.value) ? found.value.join(", ") : number(found.value);
    const unit = this.viewer.picture?.unit ? ` ${this.viewer.picture.unit}` : "";
    lines("note-value", words(this.viewer.labelAt(at)), `x ${found.x}  y ${found.y}  ${value}${unit}`);
  }
}

export function showWelcome(): void {
  const kinds = state.model?.input.axes === 3 ? "welcome.volumes" : "welcome.kinds";
  $("welcome-kinds").textContent = t(kinds, { size: megabytes(state.uploadBytes || 256 << 20) });
  const kept = state.model?.kind === "mask";
  $("welcome-private").textContent = t(kept ? "welcome.kept" : "welcome.private");
  for (const id of ["example", "welcome-example"]) $(id).hidden = !state.model?.example;
}

function windowWords({ low, high }: { low: number; high: number }): string {
  const digits = high - low < 5 ? undefined : 0;
  return t("viewer.window", { centre: number((low + high) / 2, digits), width: number(high - low, digits) });
}

function busy(item: Item | null): void {
  const waiting = item?.status === "reading" || item?.status === "waiting";
  const refused = item?.status === "refused";
  const place = $("busy");
  place.hidden = !waiting && !refused;
  place.classList.toggle("refused", refused);
  if (waiting) showProgress();
  if (refused) tell(refusal(item));
}

/** That the selected item is being read, and how far that is. */
export function showProgress(): void {
  const item = selectedItem();
  if (!item) return;
  const share = item.status === "reading" && item.progress > 0;
  const values = { name: item.name, share: Math.round(100 * item.progress) };
  $("busy-text").textContent = t(share ? "viewer.progress" : "viewer.reading", values);
}

function loading(item: Item): void {
  $("busy").hidden = false;
  $("busy").classList.remove("refused");
  $("busy-text").textContent = t("viewer.loading", { name: item.name });
}

function broken(message: string): void {
  $("busy").hidden = false;
  $("busy").classList.add("refused");
  tell(message || t("error.offline"));
}

function tell(message: string): void {
  $("busy-text").replaceChildren(h("b", {}, t("viewer.refused")), h("span", {}, message));
}

function lines(id: string, ...texts: string[]): void {
  $(id).replaceChildren(...texts.filter(Boolean).map((text) => h("div", {}, text)));
}

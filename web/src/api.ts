/** The server, as this page uses it. The only module that makes requests, all to its own origin. */

export interface Interval {
  value: number | null;
  low?: number | null;
  high?: number | null;
}

export interface ModelClass {
  name: string;
  finding: boolean;
}

export interface OperatingPoint {
  thresholds: Record<string, number>;
  refer: Record<string, [number, number]>;
  rule: string;
  reason: string;
  split: string;
  figures: Record<string, unknown>;
}

export interface Model {
  name: string;
  created: string;
  kind: "class" | "multilabel" | "ordinal" | "mask";
  classes: ModelClass[];
  /** `axes`: of the images it was made for, 3 also where it sees them slice by slice. */
  input: { channels: number; size: number[]; axes: number };
  network: string;
  precision: string;
  members: number;
  operating_point: OperatingPoint;
  calibration: Record<string, unknown>;
  /** Of a model of masks; `doubt`: within which expected over outlined usually lies. */
  mask: { doubt: Record<string, [number, number]>; largest: string[] } | null;
  metrics: Metrics | null;
  envelope: Record<string, unknown>;
  map_method: string;
  card: string;
  card_zh: string;
  licence: string;
  dataset: Record<string, unknown>;
  example: boolean;
}

export interface Metrics {
  dataset?: string;
  split?: string;
  n_cases?: number;
  n_patients?: number;
  overall?: Record<string, Interval>;
  per_class?: Record<string, Record<string, Interval>>;
}

export type Verdict = "finding" | "no finding" | "refer";

/** How much there is of a label: outlined, in voxels and in ml or mm2, and expected in that unit. */
export interface Amount {
  voxels: number;
  ml?: number;
  mm2?: number;
  expected: number;
}

export interface Target {
  scores: Record<string, number>;
  label: string;
  mask?: Record<string, Amount>;
}

/** Files of a mask: "mask", "doubt" (entropy), "dicom-seg". */
export type Form = "mask" | "doubt" | "dicom-seg";

export interface Prediction {
  input: string;
  targets: Record<string, Target>;
  verdict: Verdict;
  reason: string;
  warnings: string[];
  files: Partial<Record<Form, string>>;
}

export interface Label {
  value: number;
  name: string;
  /** "#rrggbb" */
  colour: string;
}

/** What there is to show of a mask. `volume`: addresses of NIfTI files, while they are kept. */
export interface MaskFacts {
  unit: "ml" | "mm2" | "voxels";
  labels: Label[];
  picture: { png: string; width: number; height: number };
  volume?: { image: string; labels: string; steps: number[] };
  left_out: Partial<Record<Form, string>>;
  kept_seconds: number;
}

export interface ImageFacts {
  size: number[];
  channels: number;
  type: string;
  unit: string;
  modality: string;
  body_part: string;
  view: string;
  format: string;
  spacing: number[] | null;
  frame: string;
  warnings: string[];
  members: number;
  member: number;
}

export interface Answer {
  schema: number;
  model: string;
  prediction: Prediction;
  image: ImageFacts;
  picture: {
    png: string;
    width: number;
    height: number;
    low: number;
    high: number;
    step: number;
    spacing: number[] | null;
  };
  mask?: MaskFacts;
  values?: { png: string; slope: number; intercept: number };
  maps: { method: string; label: string; png: string; width: number; height: number }[];
  no_map?: string;
  seconds: { read: number; model: number };
}

export interface Models {
  models: Model[];
  upload_bytes: number;
}

/** A refusal in the server's words; `status` 0 when it could not be reached at all. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly retryAfter = 0,
    /** Images to choose from, where the refusal is that none was chosen. */
    readonly members = 0,
  ) {
    super(message);
  }
}

export const fetchModels = () => request<Models>("/api/models");

/** The model's synthetic example, as a file to be read like any other. */
export async function fetchExample(model: string): Promise<File> {
  const answer = await send(`/api/models/${encodeURIComponent(model)}/example`);
  const named = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") ?? "");
  return new File([await answer.blob()], named?.[1] ?? "example");
}

/** Read one image of a file, or a series of files. Waits and tries again while the server is busy. */
export async function read(
  files: readonly File[],
  model: string,
  member: number | null,
  watch: string,
  signal: AbortSignal,
): Promise<Answer> {
  const wishes = new URLSearchParams({ model, values: "true", volume: "true", watch });
  if (member !== null) wishes.set("member", String(member));
  for (let attempt = 0; ; attempt++) {
    const body = new FormData();
    for (const file of files) body.append("file", file);
    try {
      return await request<Answer>(`/api/read?${wishes}`, { method: "POST", body, signal });
    } catch (error) {
      const busy = error instanceof Refused && error.status === 503 && attempt < 20;
      if (!busy) throw error;
      await pause(error.retryAfter * 1000 || 2000, signal);
    }
  }
}

/** How far the reading is that was asked for as `watch`: a share, 0 before it is known. */
export async function fetchProgress(watch: string): Promise<number> {
  const { done, total } = await request<{ done: number; total: number }>(`/api/progress/${watch}`);
  return total ? done / total : 0;
}

/** A file of an answer; Refused with status 404 when the server does not keep it any more. */
export async function fetchFile(address: string): Promise<Blob> {
  return (await send(address)).blob();
}

/** The same unpacked, of a file that is gzip. */
export async function fetchUnpacked(address: string): Promise<ArrayBuffer> {
  const packed = (await send(address)).body!;
  return new Response(packed.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/** Tell the server that the files of an answer are not needed any more; it need not succeed. */
export function forget(answer: Answer): void {
  const address = Object.values(answer.prediction.files)[0];
  if (!address) return;
  const result = address.slice(0, address.lastIndexOf("/"));
  void fetch(result, { method: "DELETE", keepalive: true }).catch(() => {});
}

/** Bytes of a base64 text; `fetch` of a data address would need a wider security policy. */
export function bytes(text: string): Blob {
  const raw = atob(text);
  const array = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) array[i] = raw.charCodeAt(i);
  return new Blob([array], { type: "image/png" });
}

async function request<T>(path: string, options: RequestInit = {}): Promise<T> {
  return (await (await send(path, options)).json()) as T;
}

async function send(path: string, options: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused(0, "");
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let [message, members] = [`${answer.status} ${answer.statusText}`, 0];
  try {
    const body = JSON.parse(text) as { error: unknown; members?: number };
    [message, members] = [String(body.error), body.members ?? 0];
  } catch {
    // Not from this server: a proxy between, perhaps. The status has to do.
  }
  throw new Refused(answer.status, message, Number(answer.headers.get("retry-after")) || 0, members);
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}

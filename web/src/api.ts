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
  kind: "class" | "multilabel" | "ordinal";
  classes: ModelClass[];
  input: { channels: number; size: number[] };
  network: string;
  precision: string;
  members: number;
  operating_point: OperatingPoint;
  calibration: Record<string, unknown>;
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
}

export type Verdict = "finding" | "no finding" | "refer";

export interface Prediction {
  input: string;
  targets: Record<string, { scores: Record<string, number>; label: string }>;
  verdict: Verdict;
  reason: string;
  warnings: string[];
  files: Record<string, string>;
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
  picture: { png: string; width: number; height: number; low: number; high: number; step: number };
  values?: { png: string; slope: number; intercept: number };
  maps: { method: string; label: string; png: string; width: number; height: number }[];
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

/** Read one image of a file. Waits and tries again while the server is busy. */
export async function read(
  file: File,
  model: string,
  member: number | null,
  signal: AbortSignal,
): Promise<Answer> {
  const wishes = new URLSearchParams({ model, values: "true" });
  if (member !== null) wishes.set("member", String(member));
  for (let attempt = 0; ; attempt++) {
    const body = new FormData();
    body.append("file", file);
    try {
      return await request<Answer>(`/api/read?${wishes}`, { method: "POST", body, signal });
    } catch (error) {
      const busy = error instanceof Refused && error.status === 503 && attempt < 20;
      if (!busy) throw error;
      await pause(error.retryAfter * 1000 || 2000, signal);
    }
  }
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

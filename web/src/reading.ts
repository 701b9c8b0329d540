/** Sending files to be read: a few at a time, in the order in which they were added. */

import { fetchExample, fetchFile, fetchProgress, forget, type Form, read, Refused } from "./api";
import { changed, type Item, select, selectedItem, state } from "./state";
import { thumbnail } from "./viewer/thumbnail";

const AT_ONCE = 2;
const LOOK = 1500; // milliseconds between two looks at how far a reading is
let lastId = 0;

/** Files that belong together under one name: the slices of a DICOM series; else one file each. */
export interface Bundle {
  name: string;
  files: readonly File[];
}

export const alone = (file: File): Bundle => ({ name: file.name, files: [file] });

/** Add files to the list and read them; the first new one is shown. */
export function add(bundles: Iterable<Bundle>): void {
  const items = [...bundles].map(
    (bundle): Item => ({
      id: ++lastId,
      ...bundle,
      abort: new AbortController(),
      status: "waiting",
      progress: 0,
      member: null,
      answer: null,
      error: null,
      thumbnail: null,
    }),
  );
  if (!items[0]) return;
  state.items.push(...items);
  changed("items");
  select(items[0].id);
  pump();
}

export async function addExample(): Promise<void> {
  if (!state.model) return;
  add([alone(await fetchExample(state.model.name))]);
}

export function remove(item: Item): void {
  item.abort.abort();
  if (item.answer) forget(item.answer);
  const at = state.items.indexOf(item);
  if (at < 0) return;
  state.items.splice(at, 1);
  if (state.selected === item.id) {
    state.selected = (state.items[at] ?? state.items[at - 1])?.id ?? -1;
  }
  changed("items", "selected");
}

/** Read everything again, as after another model was chosen. */
export function readAgain(items: Item[] = state.items): void {
  for (const item of items) if (item.status !== "reading") item.status = "waiting";
  changed("items", "selected");
  pump();
}

/** Show another image of a file that holds several. */
export function showMember(item: Item, member: number): void {
  const count = item.answer?.image.members ?? item.error?.members ?? 1;
  const wanted = Math.min(count - 1, Math.max(0, member));
  if (wanted === item.member || item.status === "reading") return;
  item.member = wanted;
  readAgain([item]);
}

/** A file of the selected item's mask. What the server let go meanwhile is read again first. */
export async function fetchMask(item: Item, form: Form): Promise<Blob | null> {
  for (const again of [false, true]) {
    if (again) await run(item);
    const address = item.answer?.prediction.files[form];
    if (!address) return null;
    try {
      return await fetchFile(address);
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 404) throw error;
    }
  }
  return null;
}

function pump(): void {
  const running = state.items.filter((item) => item.status === "reading").length;
  const waiting = state.items.filter((item) => item.status === "waiting");
  for (const item of waiting.slice(0, Math.max(0, AT_ONCE - running))) void run(item);
}

async function run(item: Item): Promise<void> {
  const model = state.model?.name ?? "";
  item.status = "reading";
  item.progress = 0;
  tell(item);
  try {
    const size = item.files.reduce((sum, file) => sum + file.size, 0);
    if (size > state.uploadBytes) throw new Refused(413, "");
    const before = item.answer;
    const watch = crypto.getRandomValues(new Uint32Array(2)).join("-");
    const looking = setInterval(() => void look(item, watch), LOOK);
    const reading = read(item.files, model, item.member, watch, item.abort.signal);
    item.answer = await reading.finally(() => clearInterval(looking));
    if (before) forget(before);
    item.thumbnail = await thumbnail(item.answer, 96);
    item.error = null;
    item.status = "read";
  } catch (error) {
    if (item.abort.signal.aborted) return pump();
    const refused = error instanceof Refused ? error : new Refused(-1, String(error));
    const { status, message, members } = refused;
    item.error = { status, message, members };
    item.answer = null;
    item.thumbnail = null;
    item.status = "refused";
  }
  if (model !== state.model?.name) item.status = "waiting"; // another was chosen meanwhile
  tell(item);
  pump();
}

/** Ask how far a reading is: that of a volume may take minutes. */
async function look(item: Item, watch: string): Promise<void> {
  const share = await fetchProgress(watch).catch(() => 0);
  if (item.status !== "reading" || !share) return;
  item.progress = share;
  if (selectedItem() === item) changed("progress");
}

function tell(item: Item): void {
  changed("items");
  if (selectedItem() === item) changed("selected");
}

/** Sending files to be read: a few at a time, in the order in which they were added. */

import { fetchExample, read, Refused } from "./api";
import { changed, type Item, select, selectedItem, state } from "./state";
import { thumbnail } from "./viewer/thumbnail";

const AT_ONCE = 2;
let lastId = 0;

/** Add files to the list and read them; the first new one is shown. */
export function add(files: Iterable<File>): void {
  const items = [...files].map(
    (file): Item => ({
      id: ++lastId,
      file,
      abort: new AbortController(),
      status: "waiting",
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
  add([await fetchExample(state.model.name)]);
}

export function remove(item: Item): void {
  item.abort.abort();
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

function pump(): void {
  const running = state.items.filter((item) => item.status === "reading").length;
  const waiting = state.items.filter((item) => item.status === "waiting");
  for (const item of waiting.slice(0, Math.max(0, AT_ONCE - running))) void run(item);
}

async function run(item: Item): Promise<void> {
  const model = state.model?.name ?? "";
  item.status = "reading";
  tell(item);
  try {
    if (item.file.size > state.uploadBytes) throw new Refused(413, "");
    item.answer = await read(item.file, model, item.member, item.abort.signal);
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

function tell(item: Item): void {
  changed("items");
  if (selectedItem() === item) changed("selected");
}

/** Files in: dropped anywhere, whole folders too, picked, or pasted. */

import { $ } from "../dom";
import { add } from "../reading";
import { bundled, type Found } from "../series";

const MOST = 4096;

export function listenForFiles(): void {
  const input = $<HTMLInputElement>("input");
  for (const id of ["pick", "welcome-pick"]) $(id).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take(input.files ?? []);
    input.value = "";
  });
  const cover = $("dropping");
  let depth = 0;
  const show = (by: number) => {
    depth = by === 0 ? 0 : Math.max(0, depth + by);
    cover.hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => {
    if (event.dataTransfer?.types.includes("Files")) show(1);
  });
  addEventListener("dragleave", () => show(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    show(0);
    if (event.dataTransfer) void collect(event.dataTransfer).then(bundled).then(add);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) take(event.clipboardData.files);
  });
}

function take(files: Iterable<File>): void {
  void bundled([...files].map((file) => ({ file, folder: "" }))).then(add);
}

/** The files of a drop, those inside folders included, in the order of their names. */
async function collect(transfer: DataTransfer): Promise<Found[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  if (!entries.some((entry) => entry?.isDirectory)) {
    return [...transfer.files].map((file) => ({ file, folder: "" }));
  }
  const found: Found[] = [];
  for (const entry of entries) if (entry) await walk(entry, "", found);
  return found;
}

async function walk(entry: FileSystemEntry, folder: string, found: Found[]): Promise<void> {
  if (found.length >= MOST || entry.name.startsWith(".")) return;
  if (entry.isFile) {
    const file = entry as FileSystemFileEntry;
    found.push({ file: await new Promise<File>((resolve, reject) => file.file(resolve, reject)), folder });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const children: FileSystemEntry[] = [];
  for (;;) {
    const more = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (!more.length) break;
    children.push(...more);
  }
  children.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  for (const child of children) await walk(child, entry.name, found);
}

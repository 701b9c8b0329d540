/** Which of the added files belong together: for a model of volumes, the DICOM files of a folder. */

import { alone, type Bundle } from "./reading";
import { state } from "./state";

/** A file, and the name of the folder it was found in, "" for none. */
export interface Found {
  file: File;
  folder: string;
}

const PREAMBLE = 128; // PS3.10 7.1: 128 bytes, then "DICM"
const MOST_ALONE = 500;

/** The server sorts a series out; here only its files are kept together. */
export async function bundled(found: Found[]): Promise<Bundle[]> {
  if (state.model?.input.axes !== 3) return found.slice(0, MOST_ALONE).map(({ file }) => alone(file));
  const folders = new Map<string, File[]>();
  const others: Bundle[] = [];
  for (const { file, folder } of found) {
    const together = folders.get(folder) ?? [];
    if (!(await isDicom(file))) {
      others.push(alone(file));
      continue;
    }
    together.push(file);
    folders.set(folder, together);
  }
  const series = [...folders].map(([folder, files]): Bundle => {
    const first = files[0]!;
    const name = folder || `${first.name} + ${files.length - 1}`;
    return files.length === 1 ? alone(first) : { name, files };
  });
  return [...series, ...others];
}

async function isDicom(file: File): Promise<boolean> {
  const mark = await file.slice(PREAMBLE, PREAMBLE + 4).text();
  return mark === "DICM";
}

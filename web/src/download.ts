/** Everything that was read, as `tomos predict --json` would have written it. */

import { h } from "./dom";
import { state } from "./state";

export function downloadResults(): void {
  const predictions = state.items.map((item) => {
    // The addresses of its files are gone in a few minutes.
    if (item.answer) return { ...item.answer.prediction, files: {}, image: item.answer.image };
    return { input: item.name, error: item.error?.message || item.status };
  });
  const result = { schema: 1, model: state.model?.name ?? "", predictions };
  const file = new Blob([JSON.stringify(result, null, 1)], { type: "application/json" });
  save(file, `tomos-${state.model?.name ?? "results"}.json`);
}

/** Hand a file to the browser's downloads. */
export function save(file: Blob, name: string): void {
  const address = URL.createObjectURL(file);
  const link = h("a", { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** Everything that was read, as `tomos predict --json` would have written it. */

import { h } from "./dom";
import { state } from "./state";

export function downloadResults(): void {
  const predictions = state.items.map((item) => {
    if (item.answer) return { ...item.answer.prediction, image: item.answer.image };
    return { input: item.file.name, error: item.error?.message || item.status };
  });
  const result = { schema: 1, model: state.model?.name ?? "", predictions };
  const file = new Blob([JSON.stringify(result, null, 1)], { type: "application/json" });
  const address = URL.createObjectURL(file);
  const link = h("a", { href: address, download: `tomos-${state.model?.name ?? "results"}.json` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** What several panels show alike. */

import { h } from "../dom";

/** A class or label as words: underscores are spaces. */
export const words = (name: string) => name.replaceAll("_", " ").split("|").join(", ");

/** Name and value pairs; those without a value are left out. */
export function table(rows: [string, string | null | undefined][]): HTMLElement {
  const kept = rows.filter(([, value]) => value);
  const cells = kept.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]);
  return h("dl", {}, ...cells);
}

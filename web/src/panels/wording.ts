/** What several panels show alike. */

import { h } from "../dom";
import { language, t } from "../i18n";

/** A class or label as words: underscores are spaces. */
export const words = (name: string) => name.replaceAll("_", " ").split("|").join(", ");

/** Names in a row. */
export const listed = (names: string[]) => names.map(words).join(language() === "zh" ? "、" : ", ");

/** A label that may name many classes, in a few words. */
export function few(label: string, most = 5): string {
  const names = label.split("|");
  if (names.length <= most) return listed(names);
  return t("verdict.mask.more", { labels: listed(names.slice(0, most)), n: names.length - most });
}

/** Name and value pairs; those without a value are left out. */
export function table(rows: [string, string | null | undefined | false][]): HTMLElement {
  const kept = rows.filter(([, value]) => value);
  const cells = kept.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value || "")]);
  return h("dl", {}, ...cells);
}

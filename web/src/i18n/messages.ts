/**
 * What the server says in English (reasons, warnings, refusals), sorted and in Chinese.
 *
 * A prediction carries sentences for people; those that Tomos itself writes are known here by their
 * pattern. What is not known is shown as it came, which is better than hiding it.
 */

import { language } from "./index";
import { MESSAGES } from "./messages.zh";

export interface Sorted {
  envelope: string[];
  quality: string[];
  file: string[];
}

/** A sentence of the server in the page's language. */
export function sentence(text: string): string {
  if (language() === "en") return text.charAt(0).toUpperCase() + text.slice(1);
  for (const { pattern, zh } of MESSAGES) {
    const match = pattern.exec(text);
    if (match) return zh.replace(/\$(\d)/g, (_, n: string) => match[Number(n)] ?? "");
  }
  return text;
}

/** Warnings by what they are about. */
export function sort(texts: string[]): Sorted {
  const sorted: Sorted = { envelope: [], quality: [], file: [] };
  for (const text of texts) {
    const kind = MESSAGES.find(({ pattern }) => pattern.test(text))?.kind ?? "file";
    sorted[kind].push(text);
  }
  return sorted;
}

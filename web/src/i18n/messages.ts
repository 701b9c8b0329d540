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

/** Between sentences; a semicolon stands in some of them, too. */
const PARTS = /; (?!the model was made for)/;

/** A sentence of the server, or several joined by "; ", in the page's language. */
export function sentence(text: string, name = ""): string {
  const own = name && text.startsWith(`${name}: `) ? text.slice(name.length + 2) : text;
  if (language() === "en") return own.charAt(0).toUpperCase() + own.slice(1);
  // What comes first may be the name of a file, as the server knows it.
  const bare = own.replace(/^[^:]*: /, "");
  return whole(own) ?? whole(bare) ?? own.split(PARTS).map((part) => whole(part) ?? part).join("；");
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

/** The Chinese of one whole sentence; what it quotes is put into Chinese where it is known. */
function whole(text: string): string | null {
  for (const { pattern, zh } of MESSAGES) {
    const match = pattern.exec(text);
    if (match) return zh.replace(/\$(\d)/g, (_, n: string) => quoted(match[Number(n)] ?? ""));
  }
  return null;
}

function quoted(text: string): string {
  const known = whole(text);
  if (known !== null) return known;
  return text
    .split(" and ")
    .map((part) => whole(part) ?? part)
    .join("、");
}

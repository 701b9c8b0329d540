/** The page's language: chosen by the reader, else by the server's --lang, else by the browser. */

import { changed } from "../state";
import { en, type Key } from "./en";
import { zh } from "./zh";

export type { Key };
export type Language = "en" | "zh";

const TEXTS = { en, zh } satisfies Record<Language, Record<Key, string>>;
const TAGS: Record<Language, string> = { en: "en", zh: "zh-Hans" };
const STORED = "tomos.language";

let current: Language = "en";

export const language = (): Language => current;

/** The text of a key, with {places} filled. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return TEXTS[current][key].replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in values ? String(values[name]) : whole,
  );
}

/** The text of a key that may not exist, such as a measure's name; else the name itself. */
export function maybe(key: string, otherwise: string): string {
  return key in en ? t(key as Key) : otherwise;
}

/** A probability in per cent, never rounded to certainty. */
export function percent(value: number): string {
  const edge = value > 0.999 ? ">" : value < 0.001 ? "<" : "";
  const kept = edge === ">" ? 0.999 : edge === "<" ? 0.001 : value;
  const number = number1.format(kept * 100);
  return `${edge}${number}${current === "zh" ? "%" : "\u202f%"}`;
}

/** A number with as many decimals as its size needs. */
export function number(value: number, digits?: number): string {
  const size = Math.abs(value);
  const decimals = digits ?? (Number.isInteger(value) || size >= 100 ? 0 : size >= 1 ? 2 : 3);
  return value.toFixed(decimals).replace("-", "\u2212");
}

export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1048576)}\u00a0MB`;
}

/** Take up the language that applies; called once at the start. */
export function startLanguage(): void {
  const served = document.documentElement.dataset.language;
  use(stored() ?? (served === "en" || served === "zh" ? served : browser()));
}

/** The reader's choice, remembered. */
export function chooseLanguage(choice: Language): void {
  try {
    localStorage.setItem(STORED, choice);
  } catch {
    // Private windows may refuse: the choice then lasts as long as the page.
  }
  use(choice);
}

function use(choice: Language): void {
  current = choice;
  document.documentElement.lang = TAGS[choice];
  for (const place of document.querySelectorAll<HTMLElement>("[data-t]")) {
    place.textContent = t(place.dataset.t as Key);
  }
  for (const place of document.querySelectorAll<HTMLElement>("[data-t-label]")) {
    const text = t(place.dataset.tLabel as Key);
    place.setAttribute("aria-label", text);
    if (place instanceof HTMLButtonElement) place.title = text;
  }
  for (const button of document.querySelectorAll<HTMLElement>("[data-language-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.languageChoice === choice));
  }
  changed("language");
}

function stored(): Language | null {
  try {
    const choice = localStorage.getItem(STORED);
    return choice === "en" || choice === "zh" ? choice : null;
  } catch {
    return null;
  }
}

function browser(): Language {
  const first = (navigator.languages[0] ?? navigator.language).toLowerCase();
  return first.startsWith("zh") ? "zh" : "en";
}

const number1 = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

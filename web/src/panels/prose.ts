/** The little of Markdown that a model card uses, as elements: headings, lists, paragraphs, bold. */

import { h } from "../dom";

export function prose(text: string): HTMLElement[] {
  return text
    .trim()
    .split(/\n\s*\n/)
    .flatMap((block) => blocks(block.split("\n")));
}

function blocks(lines: string[]): HTMLElement[] {
  const heading = /^#{1,6}\s+(.*)/.exec(lines[0] ?? "");
  if (heading) {
    const rest = lines.slice(1);
    return [h("h3", {}, ...inline(heading[1]!)), ...(rest.length ? blocks(rest) : [])];
  }
  const items = lines.filter((line) => /^\s*[-*]\s+/.test(line));
  if (items.length && items.length === lines.filter((line) => line.trim()).length) {
    return [h("ul", {}, ...items.map((line) => h("li", {}, ...inline(line.replace(/^\s*[-*]\s+/, "")))))];
  }
  return [h("p", {}, ...inline(lines.join(" ")))];
}

function inline(text: string): (Node | string)[] {
  return text
    .split(/(\*\*[^*]+\*\*|`[^`]+`)/)
    .filter(Boolean)
    .map((part) => {
      if (part.startsWith("**")) return h("b", {}, part.slice(2, -2));
      if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
      return part;
    });
}

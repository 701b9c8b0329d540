/** Building elements without markup in strings: nothing from a file can become HTML. */

import { icon, type IconName } from "./icons";

type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined | EventListener>;

/** `h("p.note", { title: "x", onclick: f }, "text")`; classes follow the name after dots. */
export function h(name: string, attributes: Attributes = {}, ...children: Child[]): HTMLElement {
  const [tag = "div", ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(key, String(value));
    }
  }
  element.append(...children.filter((child): child is Node | string => !!child));
  return element;
}

/** An element that the page holds from the start. */
export function $<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as T;
}

/** Put the icons into `<span data-icon="NAME">`. */
export function placeIcons(root: ParentNode): void {
  for (const place of root.querySelectorAll<HTMLElement>("[data-icon]")) {
    if (!place.firstChild) place.append(icon(place.dataset.icon as IconName));
  }
}

/** Show a dialog, closing on a click beside it; `fill` gives it its content each time. */
export function openDialog(dialog: HTMLDialogElement, content: Node): void {
  dialog.replaceChildren(content);
  dialog.onclick = (event) => {
    if (event.target === dialog) dialog.close();
  };
  if (!dialog.open) dialog.showModal();
}

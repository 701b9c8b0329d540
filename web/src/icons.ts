/** The page's icons, drawn on a grid of 24 with one line width. */

const PATHS = {
  plus: "M12 5v14M5 12h14",
  download: "M12 4v11m-4.500-4.500L12 15l4.500-4.500M5 19.500h14",
  close: "M6 6l12 12M18 6L6 18",
  hand: "M8 12V6.500a1.500 1.500 0 0 1 3 0V11m0-5.500a1.500 1.500 0 0 1 3 0V11m0-4a1.500 1.500 0 0 1 3 0v7c0 3.500-2.200 6-5.500 6-2.800 0-4.200-1.200-5.500-3.500L4.400 13.200a1.500 1.500 0 0 1 2.500-1.600L8 13",
  contrast: "M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17zm0 0v17M12 8h5.500M12 12h8M12 16h5.500",
  zoom: "M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zm5 11.500L20.500 20.500M10.500 7.800v5.400M7.800 10.500h5.400",
  fit: "M4 9V4.500h4.500M20 9V4.500h-4.500M4 15v4.500h4.500M20 15v4.500h-4.500",
  invert: "M4.500 4.500h15v15h-15zM4.500 19.500l15-15M14 15.500h3.500M6.500 8.500H10M8.250 6.750v3.500",
  reset: "M5 5v5h5M5.600 14.500A7 7 0 1 0 7 7.200L5 10",
  heat: "M12 3.500c.6 3.400 5.500 5.400 5.500 10.200A5.500 5.500 0 0 1 12 19.500a5.500 5.500 0 0 1-5.500-5.800c0-2.200 1.200-3.500 2.300-4.700.4 1.600 1.100 2.300 2 2.700-.4-3 .1-5.800 1.200-8.200z",
  previous: "M14.500 6l-6 6 6 6",
  next: "M9.500 6l6 6-6 6",
  finding: "M12 3.500l9 16H3zM12 10v4.500m0 2.200v.3",
  clear: "M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17zM8 12.300l2.800 2.800L16 9.500",
  refer: "M3 12s3.300-6 9-6 9 6 9 6-3.300 6-9 6-9-6-9-6zm9-2.600a2.600 2.600 0 1 0 0 5.200 2.600 2.600 0 0 0 0-5.200z",
  warning: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zm0 4v5m0 2.700v.3",
  refused: "M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17zM6.200 6.200l11.600 11.600",
  shield: "M12 3.500l7 2.500v5.500c0 4.200-2.800 7.300-7 9-4.200-1.700-7-4.800-7-9V6z",
  keyboard: "M3.500 7h17v10.500h-17zM6.500 10h.3m3 0h.3m3.300 0h.3m3 0h.3M6.500 14.300h.3m3 0h4.500m3 0h.3",
  info: "M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17zm0 7.500v5.500m0-8.800v.3",
  drop: "M4 15.500v3A1.500 1.500 0 0 0 5.500 20h13a1.500 1.500 0 0 0 1.500-1.500v-3M12 4v11m-4.500-4.500L12 15l4.500-4.500",
} as const;

export type IconName = keyof typeof PATHS;

const SVG = "http://www.w3.org/2000/svg";

export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

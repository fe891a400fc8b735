// The colours of the map, read from the style sheet's variables so that page and canvas are one.
// Knows colours; draws nothing.

const NAMES = [
  "paper", "surface", "floor", "ink", "muted", "line", "brass", "stage", "on-stage", "table", "on-table", "focus",
  "seat-available-fill", "seat-available-on", "seat-held-fill", "seat-sold-fill", "seat-sold-on",
  "seat-blocked-fill", "seat-mine-fill", "seat-mine-edge", "seat-mine-on", "sans", "serif",
];

/** Fill, edge and text of a drawing that brings no colours of its own; as renderers/palette.py. */
const ROLES = {
  stage: ["stage", "brass", "onStage"],
  screen: ["stage", "brass", "onStage"],
  pitch: ["surface", "line", "muted"],
  bar: ["table", "brass", "onTable"],
  wall: ["line", "line", "ink"],
  rail: ["brass", "", "ink"],
  floor: ["surface", "line", "muted"],
  label: ["", "", "muted"],
  "": ["surface", "line", "ink"],
};

/** {floor, onStage, seatSoldFill...} as the page shows them now. */
export function readTheme(root = document.documentElement) {
  const style = getComputedStyle(root);
  const theme = {};
  for (const name of NAMES) {
    theme[name.replace(/-(.)/g, (_, letter) => letter.toUpperCase())] = style.getPropertyValue(`--${name}`).trim();
  }
  theme.dark = root.dataset.theme === "dark";
  // Where the light of the stage falls: towards white by day, towards its gold by night.
  theme.lit = theme.dark ? mix(theme.stage, theme.floor, 0.13) : mix("#ffffff", theme.floor, 0.75);
  return theme;
}

/** [fill, edge, text] of a drawn shape; "" for none. */
export function shapeColors(shape, theme) {
  let [fill, edge, ink] = (ROLES[shape.role] ?? ROLES[""]).map((name) => theme[name] ?? "");
  const given = themed(shape.fill, theme);
  const plays = (shape.role === "stage" || shape.role === "screen") && (!given || isGrey(given));
  if (shape.kind === "text") [fill, edge, ink] = ["", "", themed(shape.text_color, theme) || theme.muted];
  else if (given && !plays) {
    [fill, edge, ink] = [given, themed(shape.border, theme), themed(shape.text_color, theme) || ink];
  }
  return [fill, edge, readable(ink, fill || theme.floor)];
}

/** A plan's own colour, turned down until the seats are the brightest thing in the house. */
function themed(color, theme) {
  const plain = hexOf(color);
  return plain && mix(plain, theme.floor, theme.dark ? 0.3 : 0.6);
}

const isGrey = (color) => Math.max(...parts(color)) - Math.min(...parts(color)) < 16;

/** `color`, moved towards black or white until it can be read on `ground`. */
function readable(color, ground) {
  const target = luminance(ground) > 0.18 ? "#000000" : "#ffffff";
  for (let step = 0; step <= 10; step += 1) {
    const found = mix(target, color, step / 10);
    const [lighter, darker] = [luminance(found), luminance(ground)].sort((one, other) => other - one);
    if ((lighter + 0.05) / (darker + 0.05) >= 4.5) return found;
  }
  return target;
}

/** `share` of colour `a` over colour `b`, both #rrggbb. */
export function mix(a, b, share) {
  const [one, other] = [parts(a), parts(b)];
  const mixed = one.map((value, i) => Math.round(value * share + other[i] * (1 - share)));
  return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

/** Relative luminance as WCAG 2 defines it. */
function luminance(color) {
  const [red, green, blue] = parts(color).map((value) => {
    const unit = value / 255;
    return unit <= 0.04045 ? unit / 12.92 : ((unit + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

const parts = (color) => [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));

const probe = document.createElement("canvas").getContext("2d");

/** Any colour a plan may carry as #rrggbb; "" for none: the canvas knows their names. */
function hexOf(color) {
  if (!color || color === "none" || color === "transparent") return "";
  probe.fillStyle = "#010203";
  probe.fillStyle = color;
  const found = probe.fillStyle;
  return found.startsWith("#") && found !== "#010203" ? found : "";
}

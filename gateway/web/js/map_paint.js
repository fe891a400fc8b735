// Paints any rectangle of a house: floor, drawing, areas, tables, row letters, then the seats.
// A rectangle always comes out the same, whichever tile asks for it. Knows no screen and no input.

import { SeatPainter } from "./map_seats.js";
import { middle } from "./plan.js";
import { mix, shapeColors } from "./map_theme.js";

const MAX_ROW_LABEL_CHARS = 3;
const TEXT_FROM_CSS_PX = 6.5;
const DEGREE = Math.PI / 180;
const STAGES = new Set(["stage", "screen"]);

export class Painter {
  /** `looks[seat]` (map_seats.js Look) is the caller's and read at every painting. */
  constructor(plan, looks) {
    this.plan = plan;
    this.seats = new SeatPainter(plan, looks);
    this.rowLabels = rowLabels(plan);
    this.shapeBoxes = plan.shapes.map(shapeBox);
    this.areaBoxes = plan.areas.map((area) => box(area.polygon));
    this.areaShares = plan.areas.map(() => null); // of the capacity still free, null until known
  }

  setTheme(theme) {
    this.theme = theme;
    this.seats.setTheme(theme);
  }

  /**
   * Paints `rect` (plan units) where the context's transform already maps plan units to the
   * tile's pixels. `scale`: device pixels per plan unit; `ratio`: device pixels per CSS pixel.
   */
  paint(context, rect, scale, ratio) {
    const css = scale / ratio;
    this.#floor(context, rect);
    this.plan.shapes.forEach((shape, index) => {
      if (meets(this.shapeBoxes[index], rect)) this.#shape(context, shape, css);
    });
    this.plan.areas.forEach((area, index) => {
      if (meets(this.areaBoxes[index], rect)) this.#area(context, area, index, css);
    });
    for (const table of this.plan.tables) {
      const reach = Math.hypot(table.width, table.height);
      if (meets(around(table.x, table.y, reach, reach), rect)) this.#table(context, table, css);
    }
    this.#rowLabels(context, rect, css);
    this.seats.paint(context, rect, scale, ratio);
  }

  /** The floor, with the light that falls from the stage into the house. */
  #floor(context, rect) {
    const { focal, width, height } = this.plan;
    const light = context.createRadialGradient(...focal, 0, ...focal, Math.max(width, height) * 0.75);
    light.addColorStop(0, this.theme.lit);
    light.addColorStop(1, this.theme.floor);
    context.fillStyle = light;
    context.fillRect(rect.left, rect.top, rect.right - rect.left, rect.bottom - rect.top);
  }

  #shape(context, shape, css) {
    const [fill, edge, ink] = shapeColors(shape, this.theme);
    context.save();
    context.translate(shape.x, shape.y);
    context.rotate((shape.rotation ?? 0) * DEGREE);
    if (fill || edge) {
      context.beginPath();
      outline(context, shape);
      context.fillStyle = fill;
      if (fill) context.fill();
      context.strokeStyle = edge;
      context.lineWidth = 1.2 / css;
      if (edge) context.stroke();
    }
    if (shape.text) this.#shapeText(context, shape, ink, css);
    context.restore();
  }

  #shapeText(context, shape, ink, css) {
    const largest = (STAGES.has(shape.role) ? 24 : 14) / css;
    const fitting = shape.kind === "text" ? Infinity : textSize(shape);
    const size = Math.min(shape.text_size || fitting, Math.max(fitting, largest));
    if (size * css < TEXT_FROM_CSS_PX) return;
    const moved = shape.text_x || shape.text_y;
    const [x, y] = moved ? [shape.text_x ?? 0, shape.text_y ?? 0] : shapeMiddle(shape);
    context.fillStyle = ink;
    context.font = STAGES.has(shape.role) ? `600 ${size}px ${this.theme.serif}` : `500 ${size}px ${this.theme.sans}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    shape.text.split("\n").forEach((line, index, lines) => {
      context.fillText(line, x, y + (index - (lines.length - 1) / 2) * size * 1.2);
    });
  }

  /** Unnumbered places: as green as there is room left. Names and numbers are the map's overlay. */
  #area(context, area, index, css) {
    const share = this.areaShares[index];
    const dims = this.seats.category >= 0 && area.category !== this.seats.category;
    const color = areaColor(this.theme, share);
    context.beginPath();
    outline(context, { kind: "polygon", points: area.polygon });
    context.fillStyle = mix(color, this.theme.floor, dims ? 0.06 : 0.12 + 0.14 * share);
    context.fill();
    context.strokeStyle = mix(color, this.theme.floor, dims ? 0.3 : 0.85);
    context.lineWidth = 1.5 / css;
    context.setLineDash([6 / css, 4 / css]);
    context.stroke();
    context.setLineDash([]);
  }

  #table(context, table, css) {
    context.save();
    context.translate(table.x, table.y);
    context.rotate(table.rotation * DEGREE);
    context.beginPath();
    const { width, height } = table;
    if (table.shape === "round") context.ellipse(0, 0, width / 2, height / 2, 0, 0, 2 * Math.PI);
    else context.roundRect(-width / 2, -height / 2, width, height, Math.min(width, height) * 0.12);
    context.fillStyle = this.theme.table;
    context.fill();
    context.strokeStyle = mix(this.theme.onTable, this.theme.table, 0.25);
    context.lineWidth = 1 / css;
    context.stroke();
    context.rotate(-table.rotation * DEGREE);
    const size = Math.min(width, height) * 0.36;
    if (table.label && size * css >= TEXT_FROM_CSS_PX) {
      context.fillStyle = this.theme.onTable;
      context.font = `500 ${size / Math.max(1, table.label.length / 3)}px ${this.theme.serif}`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillText(table.label, 0, 0);
    }
    context.restore();
  }

  #rowLabels(context, rect, css) {
    context.fillStyle = this.theme.muted;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const { x, y, text, size } of this.rowLabels) {
      if (size * css < TEXT_FROM_CSS_PX || !meets(around(x, y, size * 2, size * 2), rect)) continue;
      context.font = `600 ${size}px ${this.theme.sans}`;
      context.fillText(text, x, y);
    }
  }
}

function outline(context, shape) {
  const { width = 0, height = 0 } = shape;
  if (shape.kind === "rectangle") context.roundRect(0, 0, width, height, Math.min(width, height) * 0.04);
  else if (shape.kind === "polygon") {
    shape.points.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.closePath();
  } else context.ellipse(0, 0, width / 2, (height || width) / 2, 0, 0, 2 * Math.PI);
}

/** As large as the shape has room for. */
function textSize(shape) {
  const lines = shape.text.split("\n");
  const longest = lines.reduce((most, line) => Math.max(most, line.length), 1);
  const { right, left, bottom, top } = shape.kind === "polygon" ? box(shape.points)
    : { left: 0, top: 0, right: shape.width, bottom: shape.height || shape.width };
  return Math.min((bottom - top) * (0.55 / lines.length), ((right - left) * 0.86) / (longest * 0.55));
}

/** The middle of a shape, from its own origin. */
function shapeMiddle(shape) {
  if (shape.kind === "rectangle") return [shape.width / 2, shape.height / 2];
  return shape.kind === "polygon" ? middle(shape.points) : [0, 0];
}

/** A generous box of a drawing and its text, whichever way it is turned. */
function shapeBox(shape) {
  const { width = 0, height = 0 } = shape;
  let reach = Math.hypot(width, height || width);
  for (const [x, y] of shape.points ?? []) reach = Math.max(reach, Math.hypot(x, y));
  const text = shape.text ? (shape.text_size || (shape.kind === "text" ? 16 : textSize(shape))) * shape.text.length : 0;
  reach = Math.max(reach, text) + Math.hypot(shape.text_x ?? 0, shape.text_y ?? 0);
  return around(shape.x, shape.y, reach, reach);
}

const around = (x, y, wide, high) => ({ left: x - wide, top: y - high, right: x + wide, bottom: y + high });

function box(points) {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  return { left: Math.min(...xs), top: Math.min(...ys), right: Math.max(...xs), bottom: Math.max(...ys) };
}

const meets = (one, other) =>
  one.left <= other.right && one.right >= other.left && one.top <= other.bottom && one.bottom >= other.top;

/** The letter of each row, beyond both its ends, wherever no seat is in the way. */
function rowLabels(plan) {
  const labels = [];
  for (const row of plan.rows) {
    if (!row.label || row.label.length > MAX_ROW_LABEL_CHARS || plan.table[row.first] >= 0) continue;
    const last = row.first + row.count - 1;
    const inward = row.count > 1 ? 1 : 0;
    const ends = [[row.first, row.first + inward], [last, last - inward]];
    for (const [end, next] of ends) {
      const label = rowLabel(plan, row.label, end, next);
      if (label) labels.push(label);
    }
  }
  return labels;
}

function rowLabel(plan, text, end, next) {
  const [dx, dy] = [plan.x[end] - plan.x[next], plan.y[end] - plan.y[next]];
  const length = Math.hypot(dx, dy);
  const reach = plan.radius[end] * 2.7;
  const [x, y] = length ? [plan.x[end] + (dx / length) * reach, plan.y[end] + (dy / length) * reach]
    : [plan.x[end] - reach, plan.y[end]];
  if (plan.grid.nearest(x, y, plan.radius[end] * 1.5) >= 0) return null;
  return { x, y, text, size: plan.radius[end] * (text.length > 2 ? 1.1 : 1.4) };
}

function areaColor(theme, share) {
  if (share === null) return theme.seatBlockedFill;
  return share > 0 ? theme.seatAvailableFill : theme.seatSoldFill;
}

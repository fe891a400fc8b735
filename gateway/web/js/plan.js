// A seating plan as the page uses it: the server's columns, and what follows from them (sections,
// names of places, how large a seat may be drawn, who shares a table). Knows no status and no price.

import { Grid } from "./grid.js";

export const WHEELCHAIR = 1;
export const COMPANION = 2;
export const RESTRICTED_VIEW = 4;

const RADIUS_PER_GAP = 0.43;
const CHAIR_PER_ROOM = 0.75; // of the distance between a chair's middle and its table's edge
const LEAST_CHAIR = 0.2; // of the pitch
const SAMPLES_PER_SECTION = 300;

export class Plan {
  /** `json` as GET /api/plans/{hash} gives it. */
  constructor(json) {
    this.name = json.name;
    this.width = json.width;
    this.height = json.height;
    this.focal = json.focal;
    this.pitch = json.pitch;
    this.categories = json.categories;
    this.sections = json.sections;
    this.rows = json.rows.map(([section, label, first, count]) => ({ section, label, first, count }));
    this.tables = json.tables.map(([section, label, x, y, shape, width, height, rotation, whole, seats]) =>
      ({ section, label, x, y, shape, width, height, rotation, whole, seats }));
    this.areas = json.areas.map(([section, name, capacity, category, polygon]) =>
      ({ section, name, capacity, category, polygon }));
    this.shapes = json.shapes;
    this.x = Float32Array.from(json.x);
    this.y = Float32Array.from(json.y);
    this.labels = json.label;
    this.category = Uint16Array.from(json.category);
    this.flags = Uint8Array.from(json.flags);
    this.table = Int32Array.from(json.table);
    this.runs = json.runs;
    this.count = this.x.length;
    this.#place();
    this.grid = new Grid(this.x, this.y, Math.max(this.pitch * 6, Math.max(this.width, this.height) / 400));
    this.#measure();
  }

  /** Per seat its row and section. */
  #place() {
    this.rowOf = new Uint32Array(this.count);
    this.sectionOf = new Uint16Array(this.count);
    this.rows.forEach((row, index) => {
      this.rowOf.fill(index, row.first, row.first + row.count);
      this.sectionOf.fill(row.section, row.first, row.first + row.count);
    });
  }

  /** Per section its box, and how large its seats may be: its own typical gap decides. */
  #measure() {
    this.boxes = this.sections.map(() =>
      ({ left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity, seats: 0 }));
    for (let i = 0; i < this.count; i += 1) {
      const box = this.boxes[this.sectionOf[i]];
      box.left = Math.min(box.left, this.x[i]);
      box.right = Math.max(box.right, this.x[i]);
      box.top = Math.min(box.top, this.y[i]);
      box.bottom = Math.max(box.bottom, this.y[i]);
      box.seats += 1;
    }
    const gaps = this.#gaps();
    this.radius = Float32Array.from(this.sectionOf, (section, seat) =>
      Math.min(gaps[section] * RADIUS_PER_GAP, this.#beside(seat)));
    this.largestRadius = this.radius.reduce((most, radius) => Math.max(most, radius), 0);
  }

  /** How large a chair may be drawn without lying on its table; no bound for a seat without one. */
  #beside(seat) {
    if (this.table[seat] < 0) return Infinity;
    const { x, y, width, height, rotation, shape } = this.tables[this.table[seat]];
    const [dx, dy] = [this.x[seat] - x, this.y[seat] - y];
    const turn = (-rotation * Math.PI) / 180;
    const across = Math.abs(dx * Math.cos(turn) - dy * Math.sin(turn));
    const along = Math.abs(dx * Math.sin(turn) + dy * Math.cos(turn));
    const off = shape === "round" ? Math.hypot(dx, dy) - Math.max(width, height) / 2
      : Math.hypot(Math.max(0, across - width / 2), Math.max(0, along - height / 2));
    return Math.max(off * CHAIR_PER_ROOM, this.pitch * LEAST_CHAIR);
  }

  #gaps() {
    const samples = this.sections.map(() => []);
    const steps = this.boxes.map((box) => Math.max(1, Math.floor(box.seats / SAMPLES_PER_SECTION)));
    for (let i = 0; i < this.count; i += 1) {
      const section = this.sectionOf[i];
      if (i % steps[section]) continue;
      const near = this.grid.nearest(this.x[i], this.y[i], this.pitch * 2, i);
      if (near >= 0) samples[section].push(Math.hypot(this.x[near] - this.x[i], this.y[near] - this.y[i]));
    }
    return samples.map((gaps) => {
      if (!gaps.length) return this.pitch;
      gaps.sort((a, b) => a - b);
      return Math.min(gaps[Math.floor(gaps.length / 4)], this.pitch * 1.3);
    });
  }

  /** {section, row, seat}: the words for a seat; the row may be empty. */
  seatName(seat) {
    const row = this.rows[this.rowOf[seat]];
    const table = this.table[seat] >= 0 ? this.tables[this.table[seat]].label : "";
    return { section: this.sections[row.section].name, row: row.label, seat: this.labels[seat], table };
  }

  /** The seats that can only be taken together with this one; itself alone in most houses. */
  together(seat) {
    const table = this.table[seat] >= 0 ? this.tables[this.table[seat]] : null;
    return table?.whole ? table.seats : [seat];
  }

  /** The table (of those sold as a whole) under a point, or the area there; -1 for none. */
  areaAt(x, y) {
    return this.areas.findIndex((area) => inside(area.polygon, x, y));
  }
}

/** Whether (x, y) lies inside the polygon: an odd number of its edges is to the left. */
export function inside(polygon, x, y) {
  let odd = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i, i += 1) {
    const [xi, yi] = polygon[i];
    const [xj, yj] = polygon[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
  }
  return odd;
}

/** The middle of a polygon by area; of its points where it has none. */
export function middle(polygon) {
  let [twice, sumX, sumY] = [0, 0, 0];
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i, i += 1) {
    const cross = polygon[j][0] * polygon[i][1] - polygon[i][0] * polygon[j][1];
    twice += cross;
    sumX += (polygon[j][0] + polygon[i][0]) * cross;
    sumY += (polygon[j][1] + polygon[i][1]) * cross;
  }
  if (twice) return [sumX / (3 * twice), sumY / (3 * twice)];
  const total = polygon.reduce(([x, y], [px, py]) => [x + px, y + py], [0, 0]);
  return [total[0] / polygon.length, total[1] / polygon.length];
}

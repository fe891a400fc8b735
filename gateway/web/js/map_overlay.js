// What lies over the painted house and changes with every frame: names of sections and areas,
// the rings of hover and focus, the pulse round seats that a message speaks of.
// Knows the view and the theme; nothing of tiles or input.

import { middle } from "./plan.js";
import { readTheme } from "./map_theme.js";

const SECTION_NAMES_UNTIL_CSS_PX = 15; // gap between seats beyond which one reads the seats instead
const NAME_PX = 12.5;
const PULSE_MS = 900;
const PULSES = 4;

export class Overlay {
  constructor(plan, areaText) {
    this.plan = plan;
    this.areaText = areaText; // area -> "320 places left"
    this.hover = -1;
    this.hoverArea = -1;
    this.marked = { seats: [], sinceMs: 0 };
    this.theme = readTheme();
    const drawn = new Set(plan.shapes.filter((shape) => shape.text).map((shape) => plain(shape.text)));
    this.names = plan.boxes
      .map((box, section) => ({ section, ...box, text: plan.sections[section].name }))
      .filter(({ seats, text }) => seats && text && !drawn.has(plain(text)));
    this.areaMiddles = plan.areas.map((area) => middle(area.polygon));
  }

  /** Pulses round these seats from now on, for a few seconds. */
  mark(seats, nowMs) {
    this.marked = { seats, sinceMs: nowMs };
  }

  /** Whether something still moves. */
  moves(nowMs) {
    return this.marked.seats.length > 0 && nowMs - this.marked.sinceMs < PULSE_MS * PULSES;
  }

  /** Draws in CSS pixels: the context's transform is the device ratio alone. */
  draw(context, view, nowMs, still) {
    this.#areas(context, view);
    if (this.hover >= 0) this.#ring(context, view, this.hover, 2.5, 1.3, 1);
    this.#marks(context, view, nowMs, still);
    if (this.plan.pitch * view.scale < SECTION_NAMES_UNTIL_CSS_PX) this.#sections(context, view);
  }

  #ring(context, view, seat, width, reach, alpha) {
    const [x, y] = view.toScreen(this.plan.x[seat], this.plan.y[seat]);
    const radius = Math.max(5, this.plan.radius[seat] * view.scale * reach);
    context.globalAlpha = alpha;
    context.lineWidth = width + 2.5;
    context.strokeStyle = this.theme.paper;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
    context.lineWidth = width;
    context.strokeStyle = this.theme.focus;
    context.stroke();
    context.globalAlpha = 1;
  }

  #marks(context, view, nowMs, still) {
    if (!this.moves(nowMs)) return;
    const phase = still ? 0.5 : ((nowMs - this.marked.sinceMs) % PULSE_MS) / PULSE_MS;
    for (const seat of this.marked.seats) {
      this.#ring(context, view, seat, 3, 1.3 + phase, still ? 1 : 1 - phase * 0.8);
    }
  }

  #areas(context, view) {
    this.plan.areas.forEach((area, index) => {
      const [x, y] = view.toScreen(...this.areaMiddles[index]);
      if (x < -200 || y < -60 || x > view.width + 200 || y > view.height + 60) return;
      const box = area.polygon.map(([px]) => px);
      const wide = (Math.max(...box) - Math.min(...box)) * view.scale;
      if (wide < 60) return;
      const size = Math.min(22, Math.max(12, wide / 11));
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillStyle = this.theme.ink;
      context.font = `600 ${size}px ${this.theme.serif}`;
      context.fillText(area.name, x, y - size * 0.62);
      context.font = `500 ${size * 0.72}px ${this.theme.sans}`;
      context.fillStyle = this.theme.muted;
      context.fillText(this.areaText(index), x, y + size * 0.62);
      if (index === this.hoverArea) this.#outline(context, view, area);
    });
  }

  #outline(context, view, area) {
    context.beginPath();
    area.polygon.forEach((point, index) => {
      const [x, y] = view.toScreen(...point);
      if (index) context.lineTo(x, y);
      else context.moveTo(x, y);
    });
    context.closePath();
    context.lineWidth = 2.5;
    context.strokeStyle = this.theme.focus;
    context.stroke();
  }

  /** The sections' names, largest first, wherever they do not run into one another. */
  #sections(context, view) {
    context.font = `600 ${NAME_PX}px ${this.theme.sans}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const placed = [];
    const names = [...this.names].sort((one, other) => other.seats - one.seats);
    for (const name of names) {
      const [x, y] = view.toScreen((name.left + name.right) / 2, (name.top + name.bottom) / 2);
      const wide = context.measureText(name.text).width + 14;
      const label = { left: x - wide / 2, right: x + wide / 2, top: y - 11, bottom: y + 11 };
      const onScreen = label.right > 0 && label.left < view.width && label.bottom > 0 && label.top < view.height;
      const room = (name.right - name.left) * view.scale > wide * 0.6;
      if (!onScreen || !room || placed.some((other) => meets(label, other))) continue;
      placed.push(label);
      context.globalAlpha = 0.9;
      context.fillStyle = this.theme.paper;
      context.beginPath();
      context.roundRect(label.left, label.top, wide, 22, 11);
      context.fill();
      context.globalAlpha = 1;
      context.fillStyle = this.theme.ink;
      context.fillText(name.text, x, y + 0.5);
    }
  }
}

const meets = (one, other) =>
  one.left < other.right && one.right > other.left && one.top < other.bottom && one.bottom > other.top;

const plain = (text) => text.trim().toLowerCase();

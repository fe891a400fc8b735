// Which part of the house is on the screen: a centre and a scale, their bounds, and gliding from
// one to another. Pure numbers: no canvas, no input.

export const ZOOM_STEP = 1.5;
const GLIDE_MS = 320;
const LARGEST_SEAT_CSS_PX = 30; // radius of a seat at the closest zoom

export class View {
  constructor(plan) {
    this.plan = plan;
    this.width = 1; // of the screen, CSS pixels
    this.height = 1;
    this.inset = { top: 0, right: 0, bottom: 0, left: 0 }; // covered by panels
    this.x = plan.width / 2; // plan units at the middle of the uncovered part
    this.y = plan.height / 2;
    this.scale = 1; // CSS pixels per plan unit
    this.glide = null;
    this.fitted = true;
  }

  resize(width, height, inset) {
    this.width = width;
    this.height = height;
    this.inset = inset;
    if (this.fitted) this.show(this.fit());
    else this.show(this);
  }

  /** The place and scale at which the whole house shows. */
  fit() {
    return this.frame({ left: 0, top: 0, right: this.plan.width, bottom: this.plan.height }, this.mostScale);
  }

  /** The place and scale at which a box shows, no closer than `most`. */
  frame(box, most) {
    const { inset } = this;
    const wide = Math.max(40, this.width - inset.left - inset.right);
    const high = Math.max(40, this.height - inset.top - inset.bottom);
    const across = wide / Math.max(1e-6, box.right - box.left);
    const down = high / Math.max(1e-6, box.bottom - box.top);
    const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    return { x, y, scale: Math.min(across, down, most) };
  }

  get mostScale() {
    return LARGEST_SEAT_CSS_PX / this.plan.largestRadius;
  }

  get leastScale() {
    return Math.min(this.fit().scale * 0.85, this.mostScale);
  }

  /** Where plan (0, 0) lies on the screen, CSS pixels. */
  origin() {
    const { inset } = this;
    return {
      x: (this.width + inset.left - inset.right) / 2 - this.x * this.scale,
      y: (this.height + inset.top - inset.bottom) / 2 - this.y * this.scale,
    };
  }

  toPlan(screenX, screenY) {
    const origin = this.origin();
    return [(screenX - origin.x) / this.scale, (screenY - origin.y) / this.scale];
  }

  toScreen(x, y) {
    const origin = this.origin();
    return [origin.x + x * this.scale, origin.y + y * this.scale];
  }

  /** Goes there at once, kept inside the bounds. */
  show({ x, y, scale }) {
    const bounded = this.#bounded(x, y, scale);
    this.x = bounded.x;
    this.y = bounded.y;
    this.scale = bounded.scale;
  }

  #bounded(x, y, scale) {
    return {
      x: Math.min(Math.max(x, 0), this.plan.width),
      y: Math.min(Math.max(y, 0), this.plan.height),
      scale: Math.min(Math.max(scale, this.leastScale), this.mostScale),
    };
  }

  pan(screenX, screenY) {
    this.glide = null;
    this.fitted = false;
    this.show({ x: this.x - screenX / this.scale, y: this.y - screenY / this.scale, scale: this.scale });
  }

  /** Where the view would be after zooming by `factor` about a point of the screen. */
  zoomed(factor, screenX, screenY) {
    const [x, y] = this.toPlan(screenX, screenY);
    const scale = Math.min(Math.max(this.scale * factor, this.leastScale), this.mostScale);
    const keep = this.scale / scale;
    return { x: x + (this.x - x) * keep, y: y + (this.y - y) * keep, scale };
  }

  zoom(factor, screenX, screenY) {
    this.glide = null;
    this.fitted = false;
    this.show(this.zoomed(factor, screenX, screenY));
  }

  /** Glides there from `nowMs`; jumps when `still`. */
  glideTo(target, nowMs, still) {
    const bounded = this.#bounded(target.x, target.y, target.scale);
    this.fitted = target.fitted ?? false;
    if (still) this.show(bounded);
    else this.glide = { from: { x: this.x, y: this.y, scale: this.scale }, to: bounded, startMs: nowMs };
  }

  /** Moves a running glide on; true while one runs. */
  step(nowMs) {
    if (!this.glide) return false;
    const { from, to, startMs } = this.glide;
    const done = Math.min(1, (nowMs - startMs) / GLIDE_MS);
    const eased = 1 - (1 - done) ** 3;
    // Scales are multiplied, not added: each instant zooms by the same factor. The point that both
    // ends agree on stays put when the centre follows the scale.
    const scale = from.scale * (to.scale / from.scale) ** eased;
    const share = from.scale === to.scale ? eased : (1 / from.scale - 1 / scale) / (1 / from.scale - 1 / to.scale);
    this.show({ x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share, scale });
    if (done === 1) this.glide = null;
    return Boolean(this.glide);
  }
}

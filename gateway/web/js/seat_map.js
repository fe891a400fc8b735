// The map: a house on a canvas that pans, zooms, shows what every seat is to this buyer, and says
// which seat or area was picked. Owns the frame loop. Knows no prices, no network, no basket.
//
// Events: "seat" ({seat, pointerType}), "area" ({area}), "hover" ({seat, area, x, y} or null).

import { Painter } from "./map_paint.js";
import { Overlay } from "./map_overlay.js";
import { Tiles } from "./map_tiles.js";
import { View, ZOOM_STEP } from "./map_view.js";
import { attachGestures, flingStep } from "./map_gestures.js";
import { readTheme } from "./map_theme.js";
import { Look } from "./map_seats.js";

const MAX_RATIO = 2; // more device pixels than this cost much and show little
const MAX_CANVAS_PX = 6_000_000;
const PATIENCE_MS = 700; // the empty floor shows this long at most while the first colours are on their way
const SETTLE_MS = 110; // after the last change of zoom, tiles are painted for it
const REACH_CSS_PX = { mouse: 9, pen: 12, touch: 20 };
const PICKABLE_CSS_PX = { mouse: 3.2, pen: 6, touch: 8 }; // radius from which a seat can be meant
const PICK_ZOOM_CSS_PX = 14; // radius to which a pick on too small a seat zooms
const MARK_MOST = 200;

export class SeatMap extends EventTarget {
  #frameWanted = false;
  #settleTimer = 0;
  #scale = { last: 0, sinceMs: 0 };
  #fling = null;

  /** Fills `host` with a canvas for `plan`. `areaText(area)` says how many places are left. */
  constructor(host, plan, { areaText }) {
    super();
    this.host = host;
    this.plan = plan;
    this.looks = new Uint8Array(plan.count).fill(Look.UNKNOWN);
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false });
    host.prepend(this.canvas);
    this.painter = new Painter(plan, this.looks);
    this.tiles = new Tiles(this.painter, plan);
    this.overlay = new Overlay(plan, areaText);
    this.view = new View(plan);
    this.live = false; // the first snapshot has come
    this.patientUntilMs = performance.now() + PATIENCE_MS;
    this.inset = { top: 28, right: 28, bottom: 28, left: 28 };
    this.stillness = matchMedia("(prefers-reduced-motion: reduce)");
    this.retheme();
    attachGestures(host, this.#gestures());
    new ResizeObserver(() => this.#resize()).observe(host);
    this.#resize();
  }

  /** The page's colours have changed. */
  retheme() {
    this.theme = readTheme();
    this.painter.setTheme(this.theme);
    this.overlay.theme = this.theme;
    this.repaint();
  }

  /** Everything may look different. */
  repaint() {
    this.tiles.reset();
    this.#want();
  }

  /** These seats' `looks` have changed. */
  touch(seats) {
    this.tiles.touch(seats);
    this.#want();
  }

  /** Places left have changed, as shares of each area's capacity (null: not known). */
  setAreaShares(shares) {
    const before = this.painter.areaShares;
    this.painter.areaShares = shares;
    // A tint is worth a repaint in steps that can be seen; the number is drawn with every frame.
    const step = (share) => (share > 0 ? Math.ceil(share * 10) : share);
    if (shares.some((share, area) => step(share) !== step(before[area]))) this.repaint();
    else this.#want();
  }

  /** One category at full strength, the others dimmed; -1 for all. */
  focusCategory(category) {
    if (this.painter.seats.category === category) return;
    this.painter.seats.category = category;
    this.repaint();
  }

  /** Draws attention to seats, and brings them into view when they are not. */
  mark(seats) {
    this.overlay.mark(seats.slice(0, MARK_MOST), performance.now());
    if (seats.length && !seats.some((seat) => this.#inSight(seat))) this.showSeats(seats);
    this.#want();
  }

  /** Room that panels leave: the house is centred in what remains. */
  setInset(inset) {
    this.inset = inset;
    this.#resize();
  }

  fit() {
    this.#glide({ ...this.view.fit(), fitted: true });
  }

  zoomIn() {
    this.#step(1);
  }

  zoomOut() {
    this.#step(-1);
  }

  /** Glides until these seats are comfortably in view. */
  showSeats(seats) {
    const { x, y, pitch } = this.plan;
    const margin = pitch * 6;
    const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
    for (const seat of seats) {
      box.left = Math.min(box.left, x[seat] - margin);
      box.right = Math.max(box.right, x[seat] + margin);
      box.top = Math.min(box.top, y[seat] - margin);
      box.bottom = Math.max(box.bottom, y[seat] + margin);
    }
    this.#glide(this.view.frame(box, this.#pickScale()));
  }

  /** Where a seat lies on the screen, CSS pixels within the host. */
  locate(seat) {
    return this.view.toScreen(this.plan.x[seat], this.plan.y[seat]);
  }

  /** The seat under a point of the screen, within a finger's reach; -1 for none. */
  seatAt(screenX, screenY, pointerType = "mouse") {
    const [x, y] = this.view.toPlan(screenX, screenY);
    const { largestRadius, pitch } = this.plan;
    const reach = Math.max(largestRadius * 1.25, Math.min(REACH_CSS_PX[pointerType] / this.view.scale, pitch));
    return this.plan.grid.nearest(x, y, reach);
  }

  #inSight(seat) {
    const [x, y] = this.locate(seat);
    const { inset, view } = this;
    const across = x > inset.left && x < view.width - inset.right;
    const down = y > inset.top && y < view.height - inset.bottom;
    return across && down && this.plan.radius[seat] * this.view.scale >= PICKABLE_CSS_PX.mouse;
  }

  #gestures() {
    return {
      grab: () => { this.#fling = null; },
      pan: (dx, dy) => this.#moved(() => this.view.pan(dx, dy)),
      zoom: (factor, x, y) => this.#moved(() => this.view.zoom(factor, x, y)),
      step: (direction) => this.#step(direction),
      fit: () => this.fit(),
      pick: (x, y, pointerType) => this.#pick(x, y, pointerType),
      hover: (x, y) => this.#hover(x, y),
      fling: (vx, vy) => {
        if (!this.stillness.matches) this.#fling = { vx, vy, startMs: performance.now(), lastMs: performance.now() };
        this.#want();
      },
    };
  }

  #pick(screenX, screenY, pointerType) {
    const seat = this.seatAt(screenX, screenY, pointerType);
    const [x, y] = this.view.toPlan(screenX, screenY);
    if (seat < 0) {
      const area = this.plan.areaAt(x, y);
      if (area >= 0) this.#tell("area", { area });
      return;
    }
    if (this.plan.radius[seat] * this.view.scale < PICKABLE_CSS_PX[pointerType]) {
      // Too small to be meant: come closer, with the seat under the finger staying there.
      this.#glide(this.view.zoomed(this.#pickScale() / this.view.scale, screenX, screenY));
      return;
    }
    this.#tell("seat", { seat, pointerType });
  }

  #pickScale() {
    return PICK_ZOOM_CSS_PX / this.plan.largestRadius;
  }

  #hover(screenX, screenY) {
    const large = this.plan.largestRadius * this.view.scale >= PICKABLE_CSS_PX.mouse;
    const seat = screenX !== null && large ? this.seatAt(screenX, screenY) : -1;
    const area = screenX !== null && seat < 0 ? this.plan.areaAt(...this.view.toPlan(screenX, screenY)) : -1;
    if (seat === this.overlay.hover && area === this.overlay.hoverArea) return;
    this.overlay.hover = seat;
    this.overlay.hoverArea = area;
    this.host.classList.toggle("over-place", seat >= 0 || area >= 0);
    this.#want();
    if (seat < 0) this.#tell("hover", null);
    else {
      const [x, y] = this.locate(seat);
      this.#tell("hover", { seat, x, y, reach: this.plan.radius[seat] * this.view.scale });
    }
  }

  #step(direction) {
    const { view } = this;
    const [x, y] = view.toScreen(view.x, view.y);
    this.#glide(view.zoomed(ZOOM_STEP ** direction, x, y));
  }

  #glide(target) {
    this.#fling = null;
    this.view.glideTo(target, performance.now(), this.stillness.matches);
    this.#moved(() => {});
  }

  #moved(change) {
    change();
    if (this.overlay.hover >= 0) this.#hover(null);
    this.#want();
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (!width || !height) return; // hidden: nothing to see, and nothing to fit
    this.ratio = Math.min(devicePixelRatio || 1, MAX_RATIO, Math.sqrt(MAX_CANVAS_PX / (width * height)));
    this.canvas.width = Math.round(width * this.ratio);
    this.canvas.height = Math.round(height * this.ratio);
    this.view.resize(width, height, this.inset);
    this.tiles.settle(this.view.scale * this.ratio, this.ratio);
    this.#want();
  }

  #want() {
    if (this.#frameWanted) return;
    this.#frameWanted = true;
    requestAnimationFrame((ms) => this.#frame(ms));
  }

  #frame(nowMs) {
    this.#frameWanted = false;
    if (!this.tiles.current) return;
    const moving = this.#animate(nowMs);
    this.#settle(nowMs);
    const { context, canvas, view, ratio } = this;
    const origin = view.origin();
    const device = { x: Math.round(origin.x * ratio), y: Math.round(origin.y * ratio) };
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = this.theme.floor;
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (!this.live && nowMs < this.patientUntilMs) {
      setTimeout(() => this.#want(), this.patientUntilMs - nowMs);
      return;
    }
    this.tiles.draw(context, device, view.scale * ratio, canvas.width, canvas.height);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.overlay.draw(context, view, nowMs, this.stillness.matches);
    const painted = this.tiles.work();
    if (moving || painted || this.overlay.moves(nowMs)) this.#want();
    else if (this.live && !this.host.dataset.ready) this.#ready();
  }

  #animate(nowMs) {
    let moving = this.view.step(nowMs);
    if (this.#fling) {
      const { vx, vy, startMs, lastMs } = this.#fling;
      const far = flingStep(nowMs - startMs, nowMs - lastMs);
      this.#fling.lastMs = nowMs;
      if (far || nowMs - startMs < 40) this.view.pan(vx * far, vy * far);
      else this.#fling = null;
      moving ||= Boolean(this.#fling);
    }
    return moving;
  }

  /** Tiles for a new zoom are painted once it rests: in between the old ones are stretched. */
  #settle(nowMs) {
    const scale = this.view.scale * this.ratio;
    if (scale !== this.#scale.last) this.#scale = { last: scale, sinceMs: nowMs };
    if (scale === this.tiles.current.scale) return;
    const restsMs = nowMs - this.#scale.sinceMs;
    if (restsMs >= SETTLE_MS) {
      this.tiles.settle(scale, this.ratio);
    } else {
      clearTimeout(this.#settleTimer);
      this.#settleTimer = setTimeout(() => this.#want(), SETTLE_MS - restsMs);
    }
  }

  /** The whole screen has been painted once with live colours: told to whoever measures. */
  #ready() {
    performance.mark("map-ready");
    this.host.dataset.ready = "1";
  }
}

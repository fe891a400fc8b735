// Turns mouse, touch, wheel and keys on the map into pans, zooms, picks and hovers.
// Knows pointers; what a pick means is the map's business.

const DRAG_FROM_PX = { mouse: 4, pen: 6, touch: 9 };
const WHEEL_STEP = 0.0016;
const PINCH_WHEEL_STEP = 0.011; // a trackpad's pinch arrives as small wheel steps with Ctrl
const LINE_PX = 16;
const KEY_PAN_PX = 80;
const INERTIA_FROM = 0.25; // pixels per millisecond
const INERTIA_DECAY_MS = 240;
const SAMPLE_MS = 80;

/**
 * Attaches to `element`. `on` has pan(dx, dy), zoom(factor, x, y), pick(x, y, pointerType),
 * hover(x, y) or hover(null), fit(), step(factor), fling(vx, vy), grab(). Positions are CSS pixels
 * within the element.
 */
export function attachGestures(element, on) {
  const pointers = new Map();
  let dragging = false;
  let pinch = null;
  let trail = [];

  const at = (event) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { ...at(event), start: at(event) });
    on.grab();
    pinch = pointers.size === 2 ? span(pointers) : null;
    if (pointers.size === 1) {
      dragging = false;
      trail = [];
    } else dragging = true;
  });

  element.addEventListener("pointermove", (event) => {
    const point = at(event);
    const held = pointers.get(event.pointerId);
    if (!held) {
      if (event.pointerType !== "touch") on.hover(point.x, point.y);
      return;
    }
    const [dx, dy] = [point.x - held.x, point.y - held.y];
    const far = Math.hypot(point.x - held.start.x, point.y - held.start.y);
    if (!dragging && far < DRAG_FROM_PX[event.pointerType]) return;
    if (!dragging) on.hover(null);
    dragging = true;
    held.x = point.x;
    held.y = point.y;
    if (pointers.size === 1) {
      trail.push({ ...point, ms: event.timeStamp });
      trail = trail.filter((one) => event.timeStamp - one.ms < SAMPLE_MS);
      on.pan(dx, dy);
    } else if (pinch) {
      const next = span(pointers);
      on.pan(next.x - pinch.x, next.y - pinch.y);
      on.zoom(next.distance / pinch.distance, next.x, next.y);
      pinch = next;
    }
  });

  const release = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    const point = at(event);
    if (!dragging && event.type === "pointerup") on.pick(point.x, point.y, event.pointerType);
    if (dragging && pointers.size === 0 && event.type === "pointerup") fling(trail, event.timeStamp, on);
    pinch = null;
    // One finger stays down after a pinch: it goes on dragging from where it is.
    for (const held of pointers.values()) held.start = { x: held.x, y: held.y };
  };
  element.addEventListener("pointerup", release);
  element.addEventListener("pointercancel", release);
  element.addEventListener("pointerleave", () => on.hover(null));

  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { x, y } = at(event);
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1;
    const step = event.ctrlKey ? PINCH_WHEEL_STEP : WHEEL_STEP;
    on.zoom(Math.exp(-event.deltaY * lines * step), x, y);
  }, { passive: false });

  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key(event.key, on)) event.preventDefault();
  });
}

function key(name, on) {
  switch (name) {
    case "+": case "=": on.step(1); return true;
    case "-": case "_": on.step(-1); return true;
    case "0": case "Home": on.fit(); return true;
    case "ArrowLeft": on.pan(KEY_PAN_PX, 0); return true;
    case "ArrowRight": on.pan(-KEY_PAN_PX, 0); return true;
    case "ArrowUp": on.pan(0, KEY_PAN_PX); return true;
    case "ArrowDown": on.pan(0, -KEY_PAN_PX); return true;
    default: return false;
  }
}

function span(pointers) {
  const [one, other] = [...pointers.values()];
  return {
    x: (one.x + other.x) / 2,
    y: (one.y + other.y) / 2,
    distance: Math.max(1, Math.hypot(one.x - other.x, one.y - other.y)),
  };
}

/** A finger that leaves at speed lets the house glide on. */
function fling(trail, nowMs, on) {
  if (trail.length < 2) return;
  const [first, last] = [trail[0], trail[trail.length - 1]];
  const ms = Math.max(1, nowMs - first.ms);
  const [vx, vy] = [(last.x - first.x) / ms, (last.y - first.y) / ms];
  if (Math.hypot(vx, vy) >= INERTIA_FROM) on.fling(vx, vy);
}

/** How far a fling moves in `ms` after `elapsed` ms, per unit of its first speed; 0 once at rest. */
export function flingStep(elapsed, ms) {
  const speed = Math.exp(-elapsed / INERTIA_DECAY_MS);
  return speed < 0.02 ? 0 : speed * ms;
}

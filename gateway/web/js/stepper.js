// A number with a minus and a plus: a party's size, places of an area. A real number input, so that
// it can be typed, stepped by key and read aloud.

import { h, icon } from "./dom.js";
import { t } from "./i18n.js";

/** An element with `value` and `limit(most)`; `label` is read aloud, `onchange(value)` is told. */
export function stepper({ label, value, least, most, onchange = () => {} }) {
  const input = h("input.stepper-value", {
    type: "number", inputmode: "numeric", min: least, max: most, "aria-label": label,
  });
  const button = (text, picture) => h("button.stepper-button", { type: "button", "aria-label": text }, icon(picture));
  const fewer = button(t("web.stepper.fewer", { what: label }), "minus");
  const more = button(t("web.stepper.more", { what: label }), "plus");
  const element = h("div.stepper", {}, fewer, input, more);
  const bounds = { least, most };

  const set = (wanted) => {
    const whole = Number.isFinite(wanted) ? Math.round(wanted) : bounds.least;
    const next = Math.min(Math.max(whole, bounds.least), Math.max(bounds.least, bounds.most));
    const changed = next !== element.value;
    element.value = next;
    input.value = String(next);
    fewer.disabled = next <= bounds.least;
    more.disabled = next >= bounds.most;
    if (changed) onchange(next);
  };
  fewer.addEventListener("click", () => set(element.value - 1));
  more.addEventListener("click", () => set(element.value + 1));
  input.addEventListener("change", () => set(Number.parseInt(input.value, 10)));
  element.limit = (limit) => {
    bounds.most = limit;
    input.max = limit;
    set(element.value);
  };
  element.value = value;
  set(value);
  return element;
}

// The first page, /: what is played here, by production, and its dates.

import * as api from "./api.js";
import { openHouse, runPage, setTitle, titles } from "./chrome.js";
import { byId, h, icon } from "./dom.js";
import { exchangeStrip } from "./exchange.js";
import { clock, dayOfMonth, longDate, money, month, t, weekday } from "./i18n.js";
import { paintPicture } from "./picture.js";
import { Plan } from "./plan.js";
import { hasQueue, roomText } from "./room_words.js";
import { saleText, statusAt } from "./sale.js";

/** Performances of one production stand together, the first date first. */
function productions(performances) {
  const found = new Map();
  for (const performance of [...performances].sort((one, other) => one.starts_ms - other.starts_ms)) {
    const key = JSON.stringify([performance.title, performance.subtitle, performance.venue]);
    found.set(key, [...(found.get(key) ?? []), performance]);
  }
  return [...found.values()];
}

function production(performances) {
  const [first] = performances;
  const [title, subtitle] = titles(first);
  const picture = h("canvas", { "aria-hidden": "true" });
  showLater(picture, first.plan);
  return h("article.production", {},
    h("div.production-picture", {}, picture),
    h("div", {},
      h("h2", {}, title),
      subtitle ? h("p.production-subtitle", {}, subtitle) : "",
      first.venue ? h("p.production-place", {}, first.venue) : "",
      h("ul.dates", {}, performances.map(date))));
}

function date(performance) {
  const { starts_ms: starts, doors_ms: doors, price_from: from, currency } = performance;
  const queue = hasQueue(performance);
  const now = Date.now();
  const status = statusAt(performance, now);
  const open = queue || status === "on_sale";
  const details = [
    doors && doors < starts ? t("web.list_page.doors", { time: clock(doors) }) : "",
    !open || performance.changes_ms > now ? saleText(performance, now) : "",
    from ? t("web.list_page.from", { price: money(from, currency) }) : "",
  ].filter(Boolean).join(" · ");
  const go = t(queue ? "web.queue.name" : open ? "web.list_page.choose" : "web.list_page.look");
  return h("li", {}, h(`a.date${open ? "" : ".closed"}`, { href: `/p/${performance.id}` },
    h("span.date-leaf", { "aria-hidden": "true" },
      h("span", {}, weekday(starts)), h("strong", {}, dayOfMonth(starts)), h("span", {}, month(starts))),
    h("span", {},
      h("span.date-title", {}, t("web.when", { date: longDate(starts), time: clock(starts) })),
      queue && h("span.date-room", {}, icon("clock"), roomText(performance.room, Date.now())),
      h("span.date-details", {}, details)),
    h("span.date-go.button", {}, go)));
}

/** The picture is drawn once it is scrolled to: a stadium's plan is not small. */
function showLater(canvas, hash) {
  const observer = new IntersectionObserver(async ([entry]) => {
    if (!entry.isIntersecting) return;
    observer.disconnect();
    try {
      paintPicture(canvas, new Plan(await api.plan(hash)));
    } catch (error) {
      // A picture is a pleasure, not a need: the page is whole without it.
      if (!(error instanceof api.Problem || error instanceof api.Unreachable)) throw error;
    }
  }, { rootMargin: "200px" });
  observer.observe(canvas);
}

runPage(async () => {
  const [house, performances] = await Promise.all([openHouse(), api.performances()]);
  setTitle(house.name);
  byId("name").textContent = house.name;
  byId("address").textContent = [house.address].flat().join(", ");
  const shown = productions(performances);
  const nothing = h("p.nothing", {}, t("web.list_page.nothing"));
  byId("exchange").replaceChildren(exchangeStrip());
  byId("programme").replaceChildren(...(shown.length ? shown.map(production) : [nothing]));
});

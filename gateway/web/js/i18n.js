// Words, money and dates in the reader's language. The messages come from the server's catalogue;
// French and English share one plural rule with renderers/i18n.py. Knows no page.

const LANGUAGE_KEY = "strapontin.language";
const LOCALES = { fr: "fr-FR", en: "en-GB" };

let language = "en";
let catalogue = {};
let timeZone = "UTC";

/** The language now shown: "fr" or "en". */
export const currentLanguage = () => language;

/** The kept choice, else what the browser prefers among `offered`. */
export function chosenLanguage(offered) {
  const wanted = [localStorage.getItem(LANGUAGE_KEY), ...navigator.languages.map((tag) => tag.split("-")[0])];
  return wanted.find((one) => offered.includes(one)) ?? "en";
}

/** Keeps the choice for every page of this house. */
export function keepLanguage(chosen) {
  localStorage.setItem(LANGUAGE_KEY, chosen);
}

/** From here on everything is in `chosen`, with dates in the house's zone (an IANA name). */
export function setLanguage(chosen, messages, houseTimeZone) {
  language = chosen;
  catalogue = messages;
  timeZone = houseTimeZone;
  document.documentElement.lang = chosen;
}

/** The message of a key, its {placeholders} filled. A missing key shows itself: a bug, seen. */
export function t(key, values = {}) {
  const message = catalogue[key];
  if (typeof message !== "string") return key;
  return fill(message, values);
}

/** The form of a counted message for `count`, which is also {count}. */
export function plural(key, count, values = {}) {
  const forms = catalogue[key];
  if (typeof forms !== "object") return key;
  const singular = language === "fr" ? Math.abs(count) < 2 : count === 1;
  return fill(singular ? forms.one : forms.other, { count: number(count), ...values });
}

/** Whether the catalogue has this message: for texts chosen by a code the server may extend. */
export const has = (key) => key in catalogue;

function fill(message, values) {
  return message.replace(/\{([a-z_]+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

/** The one of {fr: ..., en: ...} to show. */
export const pick = (texts) => texts[language] || texts.en || Object.values(texts)[0] || "";

const formats = new Map();

function format(kind, options, make) {
  const key = `${language} ${timeZone} ${kind} ${JSON.stringify(options)}`;
  if (!formats.has(key)) formats.set(key, make(LOCALES[language], options));
  return formats.get(key);
}

export const number = (value) =>
  format("number", {}, (locale, options) => new Intl.NumberFormat(locale, options)).format(value);

/** An amount in minor units as people read it: 4500, "EUR" -> "45 €". */
export function money(minor, currency) {
  const formatter = (options) =>
    format("money", { style: "currency", currency, ...options }, (locale, all) => new Intl.NumberFormat(locale, all));
  const digits = formatter({}).resolvedOptions().maximumFractionDigits;
  const whole = minor % 10 ** digits === 0;
  return formatter(whole ? { minimumFractionDigits: 0, maximumFractionDigits: 0 } : {}).format(minor / 10 ** digits);
}

/** Like money, always with its decimals: for columns that must align. */
export function moneyExact(minor, currency) {
  const options = { style: "currency", currency };
  const formatter = format("exact", options, (locale, all) => new Intl.NumberFormat(locale, all));
  return formatter.format(minor / 10 ** formatter.resolvedOptions().maximumFractionDigits);
}

function date(ms, options) {
  return format("date", { timeZone, ...options }, (locale, all) => new Intl.DateTimeFormat(locale, all)).format(ms);
}

/** "Friday 12 December 2026"; in French the first of a month is "1er". */
export function longDate(ms) {
  const text = date(ms, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
  return language === "fr" ? text.replace(/\b1 /, "1er ") : text;
}
/** "20:00" */
export const clock = (ms) => date(ms, { hour: "2-digit", minute: "2-digit" });
/** "3 minutes ago", "2 hours ago", "3 days ago"; "this minute" at first. */
export function ago(ms, nowMs) {
  const minutes = Math.max(0, Math.floor((nowMs - ms) / 60_000));
  const [count, unit] = minutes < 60 ? [minutes, "minute"]
    : minutes < 1_440 ? [Math.floor(minutes / 60), "hour"] : [Math.floor(minutes / 1_440), "day"];
  return format("ago", { numeric: "auto" }, (locale, all) => new Intl.RelativeTimeFormat(locale, all))
    .format(-count, unit);
}
/** "Fri", "12", "Dec": the parts of a calendar leaf. */
export const weekday = (ms) => date(ms, { weekday: "short" });
export const dayOfMonth = (ms) => date(ms, { day: "numeric" });
export const month = (ms) => date(ms, { month: "short" });
/** "10:00" on the day itself, else "Fri 12 Dec, 10:00". */
export function momentText(ms, nowMs) {
  const day = (at) => `${weekday(at)} ${dayOfMonth(at)} ${month(at)}`;
  const values = { day: day(ms), time: clock(ms) };
  return day(ms) === day(nowMs) ? values.time : t("web.queue.day_time", values);
}
export const monthAndYear = (ms) => date(ms, { month: "long", year: "numeric" });

/** Lists read aloud: "A, B and C". */
export const list = (items) =>
  format("list", { type: "conjunction" }, (locale, options) => new Intl.ListFormat(locale, options)).format(items);

/**
 * Fills the shell's texts: data-t="key" gives an element its text, data-t-label its aria-label,
 * data-t-placeholder its placeholder.
 */
export function translate(root = document) {
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", t(element.dataset.tLabel));
    if (element.hasAttribute("title")) element.title = t(element.dataset.tLabel);
  }
  for (const element of root.querySelectorAll("[data-t-placeholder]")) {
    element.placeholder = t(element.dataset.tPlaceholder);
  }
}

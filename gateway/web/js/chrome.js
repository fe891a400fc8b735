// What every page has: the house's name, the choice of language and of light, the first loading,
// and the words for when it fails. Knows no performance.

import * as api from "./api.js";
import { byId, h, icon } from "./dom.js";
import { chosenLanguage, currentLanguage, keepLanguage, pick, setLanguage, t, translate } from "./i18n.js";

const THEME_KEY = "strapontin.theme";

/** Loads the house and its words, fills the shell, and returns the house. */
export async function openHouse() {
  const house = await api.house();
  const language = chosenLanguage(house.languages);
  setLanguage(language, await api.messages(language), house.time_zone);
  translate();
  for (const place of document.querySelectorAll("[data-icon]")) place.append(icon(place.dataset.icon));
  byId("house-name").textContent = house.name;
  byId("tools").replaceChildren(languageSwitch(house.languages), themeSwitch());
  return house;
}

/** Runs a page; what it throws while loading becomes a text with a way out. */
export async function runPage(open) {
  try {
    await open();
    document.documentElement.classList.add("loaded");
  } catch (error) {
    if (!(error instanceof api.Unreachable || error instanceof api.Problem)) throw error;
    await showFailure(error);
  }
}

/** Sets the browser tab's title. */
export function setTitle(...parts) {
  document.title = parts.filter(Boolean).join(" · ");
}

/** Buttons for the other languages; the page begins again in the chosen one. */
export function languageSwitch(languages) {
  const names = { fr: "Français", en: "English" };
  const others = languages.filter((language) => language !== currentLanguage());
  return h("div.tool-group", {}, others.map((language) =>
    h("button.tool", {
      type: "button", lang: language, "aria-label": names[language], title: names[language],
      "data-language": language,
      onclick: () => {
        keepLanguage(language);
        location.reload();
      },
    }, language.toUpperCase())));
}

/** A button for the other light. */
export function themeSwitch() {
  const root = document.documentElement;
  const button = h("button.tool", { type: "button", id: "theme" });
  const show = () => {
    const dark = root.dataset.theme === "dark";
    const label = t(dark ? "web.theme.light" : "web.theme.dark");
    button.replaceChildren(icon(dark ? "lights-up" : "lights-down"));
    button.setAttribute("aria-label", label);
    button.title = label;
  };
  button.addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem(THEME_KEY, root.dataset.theme);
  });
  // early.js follows the system's choice too: whoever changes the theme, the button agrees.
  new MutationObserver(show).observe(root, { attributeFilter: ["data-theme"] });
  show();
  return button;
}

async function showFailure(error) {
  const gone = error instanceof api.Problem && error.status === 404;
  const known = document.documentElement.lang && t("web.failure.title") !== "web.failure.title";
  if (!known) await fallBack();
  byId("main").replaceChildren(h("div.failure", { role: "alert" },
    h("h1", {}, t(gone ? "web.failure.gone" : "web.failure.title")),
    h("p", {}, t(gone ? "web.failure.gone_text" : "web.failure.text")),
    gone
      ? h("a.button.primary", { href: "/" }, t("web.failure.home"))
      : h("button.button.primary", { type: "button", onclick: () => location.reload() }, t("web.failure.retry"))));
}

/** The house itself did not answer: the words may still, or may have been kept by the browser. */
async function fallBack() {
  const language = chosenLanguage(["fr", "en"]);
  setLanguage(language, await api.messages(language).catch(() => LAST_WORDS[language]), "UTC");
}

// The only texts outside the catalogue: for when the catalogue itself cannot be reached. A test
// holds them equal to it.
export const LAST_WORDS = {
  fr: {
    "web.failure.title": "La salle ne répond pas",
    "web.failure.text": "Vérifiez votre connexion, puis réessayez. Rien n’est perdu : votre panier vous attend.",
    "web.failure.retry": "Réessayer",
  },
  en: {
    "web.failure.title": "The house does not answer",
    "web.failure.text": "Check your connection, then try again. Nothing is lost: your basket is waiting for you.",
    "web.failure.retry": "Try again",
  },
};

/** Title and subtitle of a performance, in the language shown. */
export const titles = (performance) => [pick(performance.title), pick(performance.subtitle ?? {})];

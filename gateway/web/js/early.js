// Runs before the first paint, as a classic script: the theme must not change under one's eyes.
"use strict";

(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const kept = localStorage.getItem("strapontin.theme");
    document.documentElement.dataset.theme = kept || (dark.matches ? "dark" : "light");
  };
  apply();
  dark.addEventListener("change", apply);
})();

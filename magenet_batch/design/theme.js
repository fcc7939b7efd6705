"use strict";
// light, dark, or as the system
(() => {
  const root = document.documentElement;
  const themes = ["", "light", "dark"];
  document.getElementById("theme").addEventListener("click", (event) => {
    const next = themes[(themes.indexOf(root.dataset.theme || "") + 1) % themes.length];
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
    event.currentTarget.setAttribute("aria-label", "Colours: " + (next || "as the system"));
  });
})();

"use strict";
// the enlarged picture: zoom, move, compare; and the sliders of the small ones
(() => {
  document.documentElement.classList.add("js");
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const one = (id) => document.getElementById(id);

  // before/after: the range covers its picture, so mouse, touch and keyboard all move it
  for (const input of all("input.cut")) {
    const move = () => input.parentElement.style.setProperty("--cut", input.value + "%");
    input.addEventListener("input", move);
    move();
  }
  for (const button of all("[data-changed]")) {
    button.addEventListener("click", () => {
      const on = button.closest(".stage").classList.toggle("show-changed");
      button.setAttribute("aria-pressed", String(on));
    });
  }

  const dialog = one("viewer"), view = dialog.querySelector(".view");
  const pictures = { before: dialog.querySelector(".v-one"), after: dialog.querySelector(".v-two") };
  const state = { figure: null, mode: "compare", zoom: 1, x: 0, y: 0, compares: false };
  const LARGEST = 12;

  const place = () => {
    const box = view.getBoundingClientRect();
    const far = { x: (box.width * (state.zoom - 1)) / 2, y: (box.height * (state.zoom - 1)) / 2 };
    state.x = Math.min(far.x, Math.max(-far.x, state.x));
    state.y = Math.min(far.y, Math.max(-far.y, state.y));
    view.style.setProperty("--zoom", state.zoom);
    view.style.setProperty("--x", state.x + "px");
    view.style.setProperty("--y", state.y + "px");
    one("viewer-zoom").textContent = Math.round(100 * state.zoom) + " %";
  };
  // zooms about a point of the screen, the middle of the picture without one
  const zoom = (factor, at) => {
    const box = view.getBoundingClientRect();
    const next = Math.min(LARGEST, Math.max(1, state.zoom * factor)), scale = next / state.zoom;
    const px = at ? at.x - box.x - box.width / 2 : 0, py = at ? at.y - box.y - box.height / 2 : 0;
    state.x = px - (px - state.x) * scale;
    state.y = py - (py - state.y) * scale;
    state.zoom = next;
    place();
  };
  const fit = () => { Object.assign(state, { zoom: 1, x: 0, y: 0 }); place(); };

  const cut = one("viewer-cut");
  const share = () => view.style.setProperty("--cut", cut.value + "%");
  cut.addEventListener("input", share);

  const source = (selector) => {
    const image = state.figure.querySelector(selector);
    return image ? { src: image.src, alt: image.alt, data: image.dataset } : null;
  };
  const put = (image, from) => {
    image.hidden = !from;
    image.src = from ? from.src : "data:,";
    image.alt = from ? from.alt : "";
  };
  const show = (mode) => {
    const before = source(".one"), after = source(".two"), changed = source(".changed");
    if (mode === "changed" && !changed) mode = "compare";
    if (mode === "after" && !after) mode = "before";
    if (mode === "before" && !before) mode = "after";
    if (mode === "compare" && !(before && after)) mode = after ? "after" : "before";
    state.mode = mode;
    const compare = mode === "compare";
    put(pictures.before, mode === "changed" ? changed : mode === "after" ? after : before);
    put(pictures.after, compare ? after : null);
    view.classList.toggle("compare", compare);
    const right = state.figure.querySelector(".corner.right");
    const word = right ? right.textContent : "after";
    one("viewer-left").textContent =
      compare || mode === "before" ? "before" : mode === "changed" ? "what changed" : word;
    one("viewer-right").textContent = compare ? word : "";
    dialog.querySelector(".share").hidden = !compare;
    const legend = state.figure.querySelector(".changed-legend");
    one("viewer-legend").hidden = mode !== "changed" || !legend;
    if (legend) one("viewer-legend").innerHTML = legend.innerHTML;
    for (const button of all("[data-mode]", dialog)) {
      const there = { compare: before && after, before, after, changed }[button.dataset.mode];
      button.hidden = !there;
      button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    }
  };
  const open = (figure) => {
    state.figure = figure;
    one("viewer-name").textContent = figure.dataset.name;
    const tags = all(".tags .tag:not(.why), .passed li", figure).map((tag) => tag.textContent.trim());
    one("viewer-about").textContent = tags.join(" · ");
    if (!dialog.open) dialog.showModal();
    show(state.mode);
    share();
    fit();
    dialog.dispatchEvent(new CustomEvent("shown", { detail: figure }));
  };
  dialog.addEventListener("open-figure", (event) => open(event.detail));
  // goes through the pictures that are shown now, round and round
  const step = (by) => {
    const figures = all("[data-name]").filter((f) => !f.hidden && f.querySelector("img"));
    const at = figures.indexOf(state.figure);
    open(figures[(at + by + figures.length) % figures.length]);
  };

  for (const button of all("[data-enlarge]")) {
    button.addEventListener("click", () => open(button.closest("[data-name]")));
  }
  for (const button of all("[data-mode]", dialog)) {
    button.addEventListener("click", () => show(button.dataset.mode));
  }
  for (const button of all("[data-step]", dialog)) {
    button.addEventListener("click", () => step(Number(button.dataset.step)));
  }
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.querySelector("[data-zoom=in]").addEventListener("click", () => zoom(1.5));
  dialog.querySelector("[data-zoom=out]").addEventListener("click", () => zoom(1 / 1.5));
  dialog.querySelector("[data-zoom=fit]").addEventListener("click", fit);

  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), event);
  }, { passive: false });
  view.addEventListener("dblclick", (event) => (state.zoom > 1 ? fit() : zoom(3, event)));

  // one pointer moves the picture or the dividing line, two pinch
  const pointers = new Map();
  let line = false;
  view.addEventListener("pointerdown", (event) => {
    view.setPointerCapture(event.pointerId);
    const box = view.getBoundingClientRect();
    const at = box.x + (box.width * cut.value) / 100;
    line = pointers.size === 0 && view.classList.contains("compare") && Math.abs(event.clientX - at) < 22;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  view.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const now = { x: event.clientX, y: event.clientY };
    if (line) {
      const box = view.getBoundingClientRect();
      cut.value = (100 * (now.x - box.x)) / box.width;
      share();
    } else if (pointers.size === 2) {
      const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
      const gap = (a) => Math.hypot(a.x - other.x, a.y - other.y);
      zoom(gap(now) / Math.max(1, gap(last)), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    } else {
      state.x += now.x - last.x;
      state.y += now.y - last.y;
      place();
    }
    pointers.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    view.addEventListener(end, (event) => { pointers.delete(event.pointerId); line = false; });
  }

  const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  dialog.addEventListener("keydown", (event) => {
    const keys = {
      "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), "0": fit,
      PageUp: () => step(-1), PageDown: () => step(1),
    };
    if (keys[event.key]) keys[event.key]();
    else if (event.target === view && moves[event.key]) {
      state.x += moves[event.key][0];
      state.y += moves[event.key][1];
      place();
    } else return;
    event.preventDefault();
  });
  addEventListener("resize", () => { if (dialog.open) place(); });
})();

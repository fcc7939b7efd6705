"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const one = (id) => document.getElementById(id);

  // before/after: the range covers its picture, so mouse, touch and keyboard all move it
  for (const input of all("input.cut")) {
    const move = () => input.parentElement.style.setProperty("--cut", input.value + "%");
    input.addEventListener("input", move);
    move();
  }

  const themes = ["", "light", "dark"];
  one("theme").addEventListener("click", (event) => {
    const next = themes[(themes.indexOf(root.dataset.theme || "") + 1) % themes.length];
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
    event.currentTarget.setAttribute("aria-label", "Colours: " + (next || "as the system"));
  });

  const shows = all("[data-show]");
  for (const button of shows) {
    button.addEventListener("click", () => {
      for (const b of shows) b.setAttribute("aria-pressed", String(b === button));
      let left = 0;
      for (const pair of all(".pairs .pair")) {
        const wanted = button.dataset.show;
        pair.hidden = wanted !== "" && !pair.dataset.why.split(" ").includes(wanted);
        left += pair.hidden ? 0 : 1;
      }
      one("no-pairs").hidden = left > 0;
    });
  }

  const data = JSON.parse(one("data").textContent);
  const at = Object.fromEntries(data.columns.map((name, index) => [name, index]));
  const PAGE = 50;
  const state = { page: 0, column: -1, down: false };
  const body = one("table").tBodies[0];
  const words = data.rows.map((row) =>
    [row[at.image_id], row[at.notes], row[at.status]].join("\n").toLowerCase()
  );

  // a pair [before, after] sorts by its change
  const rank = (v) => (Array.isArray(v) ? (v.includes(null) ? null : v[1] - v[0]) : v);
  const compare = (a, b) => {
    const x = rank(data.rows[a][state.column]), y = rank(data.rows[b][state.column]);
    const none = (v) => v === null || v === "";
    if (none(x) || none(y)) return none(x) - none(y) || a - b;
    const order = typeof x === "number" ? x - y : x < y ? -1 : x > y ? 1 : 0;
    return (state.down ? -order : order) || a - b;
  };

  const chosen = () => {
    const text = one("q").value.trim().toLowerCase();
    const status = one("status").value, flagged = one("flagged").checked;
    const kept = [];
    data.rows.forEach((row, index) => {
      if (status && row[at.status] !== status) return;
      if (flagged && (row[at.status] === "failed" || !row[at.notes])) return;
      if (text && !words[index].includes(text)) return;
      kept.push(index);
    });
    return state.column < 0 ? kept : kept.sort(compare);
  };

  const digits = (v) => (v === null ? "–" : v.toFixed(Math.abs(v) < 10 ? 3 : 1));
  const cell = (name, value) => {
    const td = document.createElement(name === "image_id" ? "th" : "td");
    if (name === "image_id") {
      td.scope = "row";
      const bdi = document.createElement("bdi");
      bdi.className = "name";
      bdi.textContent = value;
      bdi.title = value;
      td.append(bdi);
    } else if (name === "status") {
      td.textContent = value;
      td.className = "status " + value;
    } else if (typeof value === "string") {
      td.textContent = value;
      td.className = "notes";
    } else {
      td.textContent = Array.isArray(value)
        ? value[1] === null ? digits(value[0]) : value.map(digits).join(" → ")
        : digits(value);
      td.className = "n";
    }
    return td;
  };

  const draw = () => {
    const rows = chosen();
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    state.page = Math.min(state.page, pages - 1);
    body.replaceChildren(
      ...rows.slice(state.page * PAGE, (state.page + 1) * PAGE).map((index) => {
        const tr = document.createElement("tr");
        tr.append(...data.columns.map((name, i) => cell(name, data.rows[index][i])));
        return tr;
      })
    );
    one("count").textContent = rows.length.toLocaleString("en") + (rows.length === 1 ? " image" : " images");
    one("page").textContent = "page " + (state.page + 1) + " of " + pages;
    one("prev").disabled = state.page === 0;
    one("next").disabled = state.page === pages - 1;
  };
  const redraw = () => { state.page = 0; draw(); };

  for (const button of all("#table thead button")) {
    button.addEventListener("click", () => {
      const column = Number(button.dataset.column);
      state.down = state.column === column && !state.down;
      state.column = column;
      for (const th of all("#table thead th")) th.setAttribute("aria-sort", "none");
      button.parentElement.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      redraw();
    });
  }
  one("q").addEventListener("input", redraw);
  one("status").addEventListener("input", redraw);
  one("flagged").addEventListener("input", redraw);
  one("q").form.addEventListener("submit", (event) => event.preventDefault());
  one("prev").addEventListener("click", () => { state.page -= 1; draw(); });
  one("next").addEventListener("click", () => { state.page += 1; draw(); });
  for (const button of all("[data-flag]")) {
    button.addEventListener("click", () => {
      one("q").value = button.dataset.flag;
      redraw();
      one("images").scrollIntoView();
    });
  }
  draw();
})();

"use strict";
// the gallery's filter, and the table of images
(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const one = (id) => document.getElementById(id);

  const shows = all("[data-show]");
  for (const button of shows) {
    button.addEventListener("click", () => {
      for (const b of shows) b.setAttribute("aria-pressed", String(b === button));
      let left = 0;
      for (const pair of all(".pairs .pair")) {
        const wanted = button.dataset.show;
        const kinds = pair.dataset.why.split(" ");
        const open = kinds.includes("review") && !pair.dataset.decision;
        pair.hidden = wanted !== "" && !(wanted === "undecided" ? open : kinds.includes(wanted));
        left += pair.hidden ? 0 : 1;
      }
      one("no-pairs").hidden = left > 0;
    });
  }

  const data = JSON.parse(one("data").textContent);
  const at = Object.fromEntries(data.columns.map((name, index) => [name, index]));
  const TEXT = ["image_id", "status", "notes", "grade", "decision"];
  const PAGE = 50;
  const state = { page: 0, column: -1, down: false };
  const body = one("table").tBodies[0];
  const words = data.rows.map((row) =>
    [row[at.image_id], row[at.notes], data.statuses[row[at.status]]].join("\n").toLowerCase()
  );
  const shown = new Map(all(".pair").map((figure) => [figure.dataset.name, figure]));

  // a pair [before, after] sorts by its change, or by its only value
  const rank = (v) => (!Array.isArray(v) ? v : v[1] === null ? v[0] : v[0] === null ? null : v[1] - v[0]);
  const compare = (a, b) => {
    const x = rank(data.rows[a][state.column]), y = rank(data.rows[b][state.column]);
    const none = (v) => v === null || v === "";
    if (none(x) || none(y)) return none(x) - none(y) || a - b;
    const order = typeof x === "number" ? x - y : x < y ? -1 : x > y ? 1 : 0;
    return (state.down ? -order : order) || a - b;
  };

  const value = (id) => (one(id) ? one(id).value : "");
  const chosen = () => {
    const text = value("q").trim().toLowerCase();
    const status = value("status"), kind = value("kind"), flag = value("flag"), grade = value("grade");
    const others = all("select[data-filter]").filter((s) => s.value !== "");
    const kept = [];
    data.rows.forEach((row, index) => {
      if (kind && !data.kinds[index].includes(kind)) return;
      if (status && row[at.status] !== status) return;
      if (flag === "*" && !data.flags[index].length) return;
      if (flag && flag !== "*" && !data.flags[index].includes(flag)) return;
      if (grade && row[at.grade].split(" → ")[0] !== grade) return;
      if (others.some((s) => row[at[s.dataset.filter]] !== s.value)) return;
      if (text && !words[index].includes(text)) return;
      kept.push(index);
    });
    return state.column < 0 ? kept : kept.sort(compare);
  };

  const digits = (v) => (v === null ? "–" : v.toFixed(Math.abs(v) < 10 ? 3 : 1));
  const made = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    element.textContent = text;
    return element;
  };
  // the name leads to the image's own page, or to its picture in the gallery
  const named = (text, index) => {
    const bdi = made("bdi", "name", text);
    bdi.title = text;
    const figure = shown.get(text), page = data.pages[index];
    if (!page && !figure) return bdi;
    const link = made("a", "", "");
    link.href = page || "#" + figure.id;
    link.append(bdi);
    return link;
  };
  const cell = (name, v, index) => {
    if (name === "image_id") {
      const th = made("th", "", "");
      th.scope = "row";
      th.append(named(v, index));
      return th;
    }
    if (name === "status") return made("td", "status " + v, data.statuses[v] || v);
    if (name === "notes" && data.flags[index].length) return made("td", "notes doubt", v);
    if (TEXT.includes(name)) return made("td", name, v);
    if (typeof v === "string") return made("td", "manifest", v);
    if (!Array.isArray(v)) return made("td", "n", digits(v));
    return made("td", "n", v[1] === null ? digits(v[0]) : v.map(digits).join(" → "));
  };

  const draw = () => {
    const rows = chosen();
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    state.page = Math.min(state.page, pages - 1);
    body.replaceChildren(
      ...rows.slice(state.page * PAGE, (state.page + 1) * PAGE).map((index) => {
        const tr = document.createElement("tr");
        tr.append(...data.columns.map((name, i) => cell(name, data.rows[index][i], index)));
        return tr;
      })
    );
    one("count").textContent = rows.length.toLocaleString("en") + (rows.length === 1 ? " image" : " images");
    one("page").textContent = "page " + (state.page + 1) + " of " + pages;
    one("prev").disabled = state.page === 0;
    one("next-page").disabled = state.page === pages - 1;
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
  const form = one("q").form;
  form.addEventListener("input", redraw);
  form.addEventListener("submit", (event) => event.preventDefault());
  one("clear").addEventListener("click", () => { form.reset(); redraw(); });
  one("prev").addEventListener("click", () => { state.page -= 1; draw(); });
  one("next-page").addEventListener("click", () => { state.page += 1; draw(); });
  for (const button of all("[data-flag]")) {
    button.addEventListener("click", () => {
      form.reset();
      one("flag").value = button.dataset.flag;
      redraw();
      one("images").scrollIntoView();
    });
  }
  // what to do next: leads to the pictures of that kind, or where there are none, to the rows
  for (const button of all("[data-go]")) {
    button.addEventListener("click", () => {
      const wanted = button.dataset.go;
      const filter = shows.find((b) => b.dataset.show === wanted);
      if (filter) {
        filter.click();
        one("gallery").scrollIntoView();
        return;
      }
      form.reset();
      const select = one("kind") && [...one("kind").options].some((o) => o.value === wanted) ? "kind" : "status";
      one(select).value = wanted;
      redraw();
      one("images").scrollIntoView();
    });
  }
  draw();
})();

"use strict";
// decisions of a reviewer: made with keys or buttons, kept in this browser, exported as CSV
(() => {
  const data = JSON.parse(document.getElementById("review-data").textContent);
  if (!data.items.length) return;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const one = (id) => document.getElementById(id);
  const dialog = one("viewer"), figures = all(".pair[data-review]");
  const KEY = "magenet-review:" + data.job;
  const WORDS = { deliver: "deliver enhanced", withhold: "withhold", undo: "take the decision back" };

  // a browser may refuse to keep anything: then the decisions last as long as the page
  let kept = true;
  const load = () => {
    try {
      const found = JSON.parse(localStorage.getItem(KEY) || "{}");
      // what was applied meanwhile is in the rows, and no decision of this browser any more
      const recorded = new Map(data.items.map((item) => [item.id, item.recorded || "undo"]));
      const open = ([id, d]) => WORDS[d.decision] && recorded.has(id) && recorded.get(id) !== d.decision;
      const entries = Object.entries(found.decisions || {}).filter(open);
      return { decisions: new Map(entries), reviewer: String(found.reviewer || "") };
    } catch {
      return { decisions: new Map(), reviewer: "" };
    }
  };
  const state = load();
  const save = () => {
    try {
      const text = JSON.stringify({ decisions: Object.fromEntries(state.decisions), reviewer: state.reviewer });
      localStorage.setItem(KEY, text);
    } catch {
      kept = false;
    }
  };

  const itemOf = (figure) => data.items[Number(figure.dataset.review)];
  const decided = (item) => (state.decisions.get(item.id) || {}).decision || item.recorded || "";
  const word = (item) => {
    const here = state.decisions.get(item.id);
    if (here) return "Decided: " + WORDS[here.decision];
    return item.recorded ? "Recorded: " + WORDS[item.recorded] + (item.reviewer ? ", " + item.reviewer : "") : "";
  };
  let current = null;
  const draw = () => {
    const done = data.items.filter((item) => decided(item)).length;
    one("review-done").textContent = done.toLocaleString("en");
    one("review-progress").value = done;
    one("review-export").disabled = state.decisions.size === 0;
    one("review-start").textContent =
      done === 0 ? "Start review" : done < data.items.length ? "Continue review" : "Look again";
    for (const figure of figures) {
      const item = itemOf(figure), is = decided(item);
      figure.dataset.decision = is;
      for (const button of all("[data-decide]", figure)) {
        button.setAttribute("aria-pressed", String(button.dataset.decide === is));
      }
      figure.querySelector(".decided-word").textContent = word(item);
    }
    one("judge").hidden = !current;
    if (!current) return;
    const item = itemOf(current), is = decided(item);
    for (const button of all("[data-judge]")) button.setAttribute("aria-pressed", String(button.dataset.judge === is));
    one("judged").textContent = word(item) || "Not decided";
    one("judge-progress").textContent = done + " of " + data.items.length + " decided";
  };

  const decide = (figure, what) => {
    const item = itemOf(figure);
    if (what !== "undo") state.decisions.set(item.id, { decision: what, decided: new Date().toISOString() });
    else if (state.decisions.has(item.id)) state.decisions.delete(item.id);
    else if (item.recorded) state.decisions.set(item.id, { decision: "undo", decided: new Date().toISOString() });
    save();
    draw();
    if (!kept) one("review-then").textContent = "This browser keeps nothing: export before you close the page.";
  };
  const open = (figure) => dialog.dispatchEvent(new CustomEvent("open-figure", { detail: figure }));
  const neighbour = (figure, by) => figures[(figures.indexOf(figure) + by + figures.length) % figures.length];
  const undecidedAfter = (figure) => {
    const from = figures.indexOf(figure) + 1;
    return [...figures.slice(from), ...figures.slice(0, from)].find((f) => !decided(itemOf(f)));
  };
  // after the last decision the page shows the way on
  const judge = (what) => {
    const figure = current;
    decide(figure, what);
    if (what === "undo") return;
    const next = undecidedAfter(figure);
    if (next) open(next);
    else {
      dialog.close();
      one("review").scrollIntoView({ block: "center" });
      one("review-export").focus();
    }
  };

  dialog.addEventListener("shown", (event) => {
    current = event.detail.dataset.review === undefined ? null : event.detail;
    draw();
  });
  dialog.addEventListener("close", () => { current = null; draw(); });
  const KEYS = { d: "deliver", w: "withhold", u: "undo" };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input:not([type=range]), select, textarea")) return;
    const key = event.key.toLowerCase();
    const focused = dialog.open ? current : event.target.closest(".pair[data-review]");
    if (KEYS[key] && focused) dialog.open ? judge(KEYS[key]) : decide(focused, KEYS[key]);
    else if ((key === "n" || key === "p") && dialog.open && current) open(neighbour(current, key === "n" ? 1 : -1));
    else return;
    event.preventDefault();
  });
  for (const button of all("[data-judge]")) button.addEventListener("click", () => judge(button.dataset.judge));
  for (const figure of figures) {
    for (const button of all("[data-decide]", figure)) {
      button.addEventListener("click", () => {
        decide(figure, decided(itemOf(figure)) === button.dataset.decide ? "undo" : button.dataset.decide);
      });
    }
  }
  one("review-start").addEventListener("click", () => open(figures.find((f) => !decided(itemOf(f))) || figures[0]));
  one("review-clear").addEventListener("click", () => {
    if (state.decisions.size && !confirm("Forget the decisions in this browser?")) return;
    state.decisions.clear();
    save();
    draw();
  });
  one("reviewer").value = state.reviewer;
  one("reviewer").addEventListener("input", (event) => { state.reviewer = event.target.value.trim(); save(); });

  // text that a spreadsheet would take for a formula gets an apostrophe in front, as in every CSV of ours
  const cell = (text) => {
    const harmless = /^[=+\-@\t\r\n＝＋－＠]/.test(text) ? "'" + text : text;
    return /[",\r\n;]/.test(harmless) ? '"' + harmless.replaceAll('"', '""') + '"' : harmless;
  };
  const csv = () => {
    const rows = [...state.decisions].map(([id, d]) => [data.job, id, d.decision, state.reviewer, d.decided]);
    return [["job", "image_id", "decision", "reviewer", "decided"], ...rows]
      .map((row) => row.map(cell).join(",") + "\r\n").join("");
  };
  one("review-export").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = "data:text/csv;charset=utf-8," + encodeURIComponent(csv());
    link.download = "decisions.csv";
    link.click();
  });
  draw();
})();

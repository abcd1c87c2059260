// The theme, the legends, and the explorer of answers. Data is written with textContent only, never as HTML.
"use strict";

// --- theme: before anything is drawn ---------------------------------------------------------------------------------
const root = document.documentElement;
const remembered = {
  get() { try { return localStorage.getItem("qalign-theme"); } catch { return null; } },
  set(value) { try { localStorage.setItem("qalign-theme", value); } catch { /* a file may have no storage */ } },
};
if (["light", "dark"].includes(remembered.get())) root.dataset.theme = remembered.get();

function startTheme() {
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => {
    button.setAttribute("aria-pressed", String(isDark()));
    button.title = isDark() ? "Switch to light" : "Switch to dark";
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remembered.set(root.dataset.theme);
    show();
  });
  system.addEventListener("change", show);
  show();
}

// --- legends: one system alone ---------------------------------------------------------------------------------------
function startLegends() {
  for (const chart of document.querySelectorAll(".focusable")) {
    const buttons = [...chart.querySelectorAll(".legend button")];
    for (const button of buttons) {
      button.addEventListener("click", () => {
        const on = button.getAttribute("aria-pressed") !== "true";
        for (const other of buttons) other.setAttribute("aria-pressed", String(on && other === button));
        chart.classList.toggle("focused", on);
        for (const mark of chart.querySelectorAll(".mark-of")) {
          mark.classList.toggle("lit", on && mark.dataset.slot === button.dataset.slot);
        }
      });
    }
  }
}

// --- explorer --------------------------------------------------------------------------------------------------------
const OUTCOMES = [
  { key: "correct", word: "right", symbol: "✓" },
  { key: "wrong", word: "wrong", symbol: "✗" },
  { key: "unanswered", word: "no answer", symbol: "–" },
  { key: "cut_off", word: "truncated", symbol: "…" },
];
const PAGE = 60;
const byId = (id) => document.getElementById(id);

// An element with attributes and children; text becomes text nodes.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function startExplorer() {
  const raw = JSON.parse(byId("data").textContent);
  byId("data").textContent = ""; // it is held once
  const languages = raw.languages.map(([code, name, own, tag, latin]) => ({ code, name, own, tag, latin }));
  const systems = raw.systems.map(([name, title, slot]) => ({ name, title, slot }));
  const benchmarks = raw.benchmarks.map(([name, title]) => ({ name, title }));
  const problems = raw.problems.map(([benchmark, id, rows]) => ({
    benchmark, id, words: null,
    rows: rows.map(([language, gold, question, answers]) => ({ language, gold, question, answers })),
  }));
  if (!problems.length) {
    byId("explorer").append(make("p", { class: "none" }, "No answers were kept with this report."));
    return;
  }
  const nameOf = (language) => (language.name === language.code ? language.code : `${language.name} (${language.code})`);
  const english = languages.findIndex((row) => row.code === "en");
  const fields = { query: byId("f-query"), benchmark: byId("f-benchmark"), language: byId("f-language"), system: byId("f-system"), outcome: byId("f-outcome") };
  const list = byId("list"), detail = byId("detail"), more = byId("more"), panes = byId("panes");
  let found = [], shown = 0, opened = null;

  const fill = (select, all, rows) => select.append(make("option", { value: "" }, all), ...rows.map(([value, text]) => make("option", { value }, text)));
  fill(fields.benchmark, "All", benchmarks.map((row) => [row.name, row.title]));
  fill(fields.language, "All", languages.map((row) => [row.code, nameOf(row)]));
  fill(fields.system, "All", systems.map((row) => [row.name, row.title]));
  fill(fields.outcome, "Any", OUTCOMES.map((row) => [row.key, `${row.symbol} ${row.word}`]));

  // What is asked for, as indices; -1 is "all".
  function asked() {
    const at = (rows, key, value) => rows.findIndex((row) => row[key] === value);
    return {
      query: plain(fields.query.value.trim()),
      benchmark: at(benchmarks, "name", fields.benchmark.value),
      language: at(languages, "code", fields.language.value),
      system: at(systems, "name", fields.system.value),
      outcome: at(OUTCOMES, "key", fields.outcome.value),
    };
  }

  function plain(text) { return text.normalize("NFKC").toLowerCase(); }

  // The words of a problem for searching, made when first searched: by row the question and each answer.
  function wordsOf(problem) {
    problem.words ??= problem.rows.map((row) => ({ question: plain(row.question), answers: row.answers.map((a) => (a ? plain(a[0]) : "")) }));
    return problem.words;
  }

  function fits(answer, place, want) {
    return answer && (want.system < 0 || place === want.system) && (want.outcome < 0 || answer[4] === want.outcome);
  }

  // How many answers of a problem are meant, how many of those are right, and how many match; no match is 0.
  function countOf(problem, want) {
    if (want.benchmark >= 0 && problem.benchmark !== want.benchmark) return null;
    let matches = 0, right = 0, all = 0;
    const words = want.query ? wordsOf(problem) : null;
    problem.rows.forEach((row, at) => {
      if (want.language >= 0 && row.language !== want.language) return;
      const inQuestion = !want.query || words[at].question.includes(want.query);
      row.answers.forEach((answer, place) => {
        if (!answer || (want.system >= 0 && place !== want.system)) return;
        all += 1;
        if (answer[4] === 0) right += 1;
        if (fits(answer, place, want) && (inQuestion || words[at].answers[place].includes(want.query))) matches += 1;
      });
    });
    return matches ? { problem, matches, right, all } : null;
  }

  function rowFor(problem, want) {
    return problem.rows.find((row) => row.language === want.language) ?? problem.rows.find((row) => row.language === english) ?? problem.rows[0];
  }

  const numbers = new Intl.NumberFormat("en");
  const plural = (count, word) => `${numbers.format(count)} ${word}${count === 1 ? "" : "s"}`;

  function filter() {
    const want = asked();
    found = problems.map((problem) => countOf(problem, want)).filter(Boolean);
    const matches = found.reduce((sum, row) => sum + row.matches, 0);
    byId("count").replaceChildren(make("b", {}, plural(found.length, "problem")), ` of ${numbers.format(problems.length)}, with ${plural(matches, "matching answer")}`);
    shown = 0;
    list.replaceChildren();
    showMore();
    list.parentElement.scrollTop = 0;
    if (opened) showDetail(opened);
  }

  function showMore(upTo = shown + PAGE) {
    const want = asked();
    const next = found.slice(shown, upTo);
    list.append(...next.map(({ problem, right, all }) => {
      const row = rowFor(problem, want);
      const item = make("button", { type: "button", class: "item", "aria-current": problem === opened ? "true" : null },
        make("span", { class: "item-head" },
          make("span", {}, `${benchmarks.length > 1 ? benchmarks[problem.benchmark].title + " " : ""}${problem.id}`),
          make("span", {}, `${right} of ${all} right`)),
        make("span", { class: "item-text", lang: languages[row.language].tag || null, dir: "auto" }, row.question));
      item.problem = problem;
      item.addEventListener("click", () => open(problem, true));
      return make("li", {}, item);
    }));
    shown += next.length;
    more.hidden = shown >= found.length;
    more.textContent = `Show ${Math.min(PAGE, found.length - shown)} more`;
  }

  // --- one problem ---
  const labelOf = (row, place) => {
    const answer = row.answers[place];
    return `${systems[place].title}, ${languages[row.language].name}: ${OUTCOMES[answer[4]].word}${answer[1] === null ? "" : ", read " + answer[1]}`;
  };

  function matrixOf(problem, want) {
    const head = make("tr", {}, make("td"), ...problem.rows.map((row) => make("th", { scope: "col" }, make("span", { class: "tall" }, nameOf(languages[row.language])))));
    const body = systems.map((system, place) => make("tr", {}, make("th", { scope: "row" }, system.title), ...problem.rows.map((row) => {
      const answer = row.answers[place];
      if (!answer) return make("td", {}, "");
      const outcome = OUTCOMES[answer[4]];
      const unmatched = !fits(answer, place, want) || (want.language >= 0 && row.language !== want.language);
      const cell = make("button", { type: "button", class: `cell ${outcome.key}${unmatched ? " unmatched" : ""}`, "aria-label": labelOf(row, place), title: labelOf(row, place) }, outcome.symbol);
      cell.addEventListener("click", () => goTo(row.language, place));
      return make("td", {}, cell);
    })));
    return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Outcomes by system and language" },
      make("table", { class: "matrix" }, make("caption", { class: "hidden" }, "Outcomes by system and language; a cell goes to the answer"), make("thead", {}, head), make("tbody", {}, ...body)));
  }

  function answerOf(row, place, want) {
    const [text, value, start, end, outcomeAt, right, spoken] = row.answers[place];
    const outcome = OUTCOMES[outcomeAt], language = languages[row.language];
    // An answer in plain ASCII to a question in another script is, most likely, in English.
    const tag = spoken in raw.spoken ? spoken : !language.latin && /^[\x00-\x7f]*$/.test(text) ? "en" : language.tag;
    const body = text === "" ? make("p", { class: "text-of empty" }, "The answer is empty.")
      : make("p", { class: "text-of", lang: tag || null, dir: "auto" }, text.slice(0, start), end > start ? make("mark", {}, text.slice(start, end)) : null, text.slice(Math.max(start, end)));
    const others = right.map((one, at) => (Boolean(one) === (outcomeAt === 0) ? "" : `; ${one ? "right" : "wrong"} under the ${raw.rules[at]}`)).join("");
    const inAnother = spoken ? `; answered in ${raw.spoken[spoken] ?? "another language"}` : "";
    const match = (want.system >= 0 || want.outcome >= 0) && fits(row.answers[place], place, want);
    return make("section", { class: `answer${match ? " match" : ""}`, tabindex: "-1", "data-place": place, "aria-label": labelOf(row, place) },
      make("header", {},
        make("h4", {}, make("span", { class: `key s${systems[place].slot % 9}${systems[place].slot >= 9 ? " again" : ""}`, "aria-hidden": "true" }), systems[place].title),
        make("span", { class: `badge ${outcome.key}` }, `${outcome.symbol} ${outcome.word}`),
        make("span", { class: "read" }, "read ", value === null ? "nothing" : make("b", {}, value), ", gold ", make("b", {}, row.gold), others + inAnother)),
      body);
  }

  function languageOf(row, want, isOpen) {
    const language = languages[row.language];
    const there = row.answers.map((answer, place) => (answer ? place : -1)).filter((place) => place >= 0);
    const right = there.filter((place) => row.answers[place][4] === 0).length;
    const box = make("details", { class: "language", "data-language": row.language },
      make("summary", {}, make("span", {}, nameOf(language)), language.own && language.own !== language.name ? make("small", { lang: language.tag || null }, language.own) : null, make("span", { class: "tally" }, `${right} of ${there.length} right`)));
    box.fill = () => {
      if (box.childElementCount > 1) return;
      box.append(make("p", { class: "question", lang: language.tag || null, dir: "auto" }, row.question),
        make("div", { class: "answers" }, ...there.map((place) => answerOf(row, place, want))));
    };
    box.addEventListener("toggle", () => { if (box.open) box.fill(); });
    if (isOpen) { box.fill(); box.open = true; }
    return box;
  }

  function goTo(language, place) {
    const box = detail.querySelector(`[data-language="${language}"]`);
    box.fill();
    box.open = true;
    const answer = box.querySelector(`[data-place="${place}"]`);
    answer.focus({ preventScroll: true });
    answer.scrollIntoView({ block: "center" });
  }

  function showDetail(problem) {
    const want = asked();
    const at = found.findIndex((row) => row.problem === problem);
    const step = (by, text) => {
      const button = make("button", { type: "button", class: "quiet", disabled: at < 0 || !found[at + by] }, text);
      button.addEventListener("click", () => move(by, true));
      return button;
    };
    const close = make("button", { type: "button", class: "quiet" }, "Close");
    close.addEventListener("click", () => shut(true));
    const copy = copyButton("Copy link", () => location.href.split("#")[0] + linkTo(problem));
    const golds = [...new Set(problem.rows.map((row) => row.gold))];
    const has = (row) => row.answers.some((answer, place) => fits(answer, place, want));
    const first = want.language >= 0 ? want.language : (problem.rows.find((row) => row.language === english && has(row)) ?? problem.rows.find(has) ?? problem.rows[0]).language;
    const boxes = problem.rows.map((row) => languageOf(row, want, row.language === first));
    const all = make("button", { type: "button", class: "quiet" }, "Open all languages");
    all.addEventListener("click", () => boxes.forEach((box) => { box.fill(); box.open = true; }));
    detail.replaceChildren(
      make("div", { class: "detail-bar" }, make("h3", { tabindex: "-1" }, `${benchmarks[problem.benchmark].title}, problem ${problem.id}`), step(-1, "← Previous"), step(1, "Next →"), copy, close),
      make("p", { class: "gold" }, "Gold answer: ", make("b", {}, golds.join(", "))),
      matrixOf(problem, want),
      make("p", { class: "symbols" }, ...OUTCOMES.map((row) => make("span", {}, make("span", { class: `badge ${row.key}` }, row.symbol), ` ${row.word}`)), all),
      ...boxes);
    panes.classList.add("opened");
  }

  function markCurrent() {
    for (const item of list.querySelectorAll(".item")) {
      if (item.problem === opened) item.setAttribute("aria-current", "true");
      else item.removeAttribute("aria-current");
    }
  }

  function open(problem, focus, remember = true) {
    opened = problem;
    showDetail(problem);
    markCurrent();
    if (focus) {
      detail.querySelector("h3").focus({ preventScroll: true });
      if (detail.getBoundingClientRect().top < 0 || detail.getBoundingClientRect().top > innerHeight * 0.6) detail.scrollIntoView();
    }
    if (remember) writeAddress(true);
  }

  function shut(remember) {
    const last = opened;
    opened = null;
    panes.classList.remove("opened");
    detail.replaceChildren(make("p", { class: "hint" }, "Choose a problem to see how every system answered it in every language."));
    markCurrent();
    if (!last) return;
    const at = found.findIndex((row) => row.problem === last);
    if (at >= shown) showMore(at + 1);
    if (remember) {
      items()[at]?.focus();
      writeAddress(true);
    }
  }

  // --- keyboard ---
  const items = () => [...list.querySelectorAll(".item")];

  function move(by, focusDetail) {
    const focused = document.activeElement;
    const inList = list.contains(focused);
    const from = inList ? items().indexOf(focused) : found.findIndex((row) => row.problem === opened);
    const to = Math.min(found.length - 1, Math.max(0, from + by));
    if (!found.length) return;
    if (to >= shown) showMore(to + PAGE);
    if (opened && !inList) {
      if (to !== from) open(found[to].problem, focusDetail);
      items()[to].scrollIntoView({ block: "nearest" });
    } else items()[to].focus();
  }

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    const typing = target.matches?.("input[type=search], select, textarea");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && opened) { shut(true); event.preventDefault(); return; }
    if (typing) {
      if (event.key === "ArrowDown" && target === fields.query && found.length) { items()[0].focus(); event.preventDefault(); }
      return;
    }
    const here = byId("explorer").contains(target) || (opened && target === document.body);
    if (event.key === "/") { fields.query.focus(); event.preventDefault(); return; }
    if (!here) return;
    const inList = list.contains(target);
    const by = { j: 1, k: -1, ...(inList ? { ArrowDown: 1, ArrowUp: -1 } : {}), ...(detail.contains(target) && !target.matches(".scroll") ? { ArrowRight: 1, ArrowLeft: -1 } : {}) }[event.key];
    if (by) { move(by, true); event.preventDefault(); }
  });

  // --- address: what is shown can be linked to ---
  function linkTo(problem) {
    return `#${new URLSearchParams({ in: benchmarks[problem.benchmark].name, problem: problem.id })}`;
  }

  function writeAddress(push) {
    const said = new URLSearchParams();
    for (const [name, field] of Object.entries(fields)) if (field.value) said.set(name, field.value);
    if (opened) { said.set("in", benchmarks[opened.benchmark].name); said.set("problem", opened.id); }
    const hash = `#${said.toString() || "explorer"}`;
    if (hash !== location.hash) history[push ? "pushState" : "replaceState"](null, "", hash);
  }

  function readAddress() {
    if (!location.hash.includes("=")) { if (opened) shut(false); return false; }
    const said = new URLSearchParams(location.hash.slice(1));
    for (const [name, field] of Object.entries(fields)) {
      field.value = said.get(name) ?? "";
      if (field.selectedIndex === -1) field.value = ""; // a link from elsewhere may name what is not here
    }
    opened = null;
    filter();
    const benchmark = benchmarks.findIndex((row) => row.name === said.get("in"));
    const problem = said.has("problem") && problems.find((row) => row.id === said.get("problem") && (benchmark < 0 || row.benchmark === benchmark));
    if (problem) open(problem, false, false);
    else shut(false);
    return true;
  }

  let waiting = 0;
  const changed = () => { filter(); writeAddress(false); };
  fields.query.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(changed, 150); });
  for (const name of ["benchmark", "language", "system", "outcome"]) fields[name].addEventListener("change", changed);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("reset", () => setTimeout(changed));
  more.addEventListener("click", () => { const from = shown; showMore(); items()[from]?.focus(); });
  addEventListener("popstate", readAddress);

  for (const id of ["filters", "count", "panes", "keys"]) byId(id).hidden = false;
  shut(false);
  if (readAddress()) byId("explorer").scrollIntoView({ behavior: "instant" });
  else filter();
}

addEventListener("DOMContentLoaded", () => { startTheme(); startLegends(); startTables(); startPrinting(); startExplorer(); });

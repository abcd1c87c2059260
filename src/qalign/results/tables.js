// The tables of the report: sorted by a column, and copied as text.
"use strict";

// The text of a cell without what is hidden, and with or without the interval below a figure.
function textOf(cell, withInterval) {
  if (cell.dataset.name) return cell.dataset.name;
  const copy = cell.cloneNode(true);
  for (const part of copy.querySelectorAll(".hidden, svg, [aria-hidden=true], .copy")) part.remove();
  for (const part of copy.querySelectorAll(".ci")) {
    if (withInterval) part.replaceWith(` (${part.textContent.trim()})`);
    else if (copy.textContent.trim() !== part.textContent.trim()) part.remove();
  }
  return copy.textContent.replace(/\s+/g, " ").trim();
}

// The number that a text begins with; null for a text without one.
function numberOf(text) {
  const found = /^(<\s*)?([+\-−]?[\d,]*\.?\d+)/.exec(text);
  if (!found) return null;
  const value = Number(found[2].replaceAll(",", "").replace("−", "-"));
  return found[1] ? value - 1e-9 : value;
}

// --- sorting ---
function sortTable(table, column, direction, original) {
  const rows = [...original];
  const keys = new Map(rows.map((row) => [row, textOf(row.cells[column], false)]));
  const isNumeric = rows.every((row) => numberOf(keys.get(row)) !== null || /^[–-]?$/.test(keys.get(row)));
  const compare = (a, b) => {
    const [one, two] = [keys.get(a), keys.get(b)];
    if (!isNumeric) return direction * one.localeCompare(two, "en", { numeric: true });
    const [x, y] = [numberOf(one), numberOf(two)];
    if (x === null || y === null) return (x === null) - (y === null); // what was not measured comes last
    return direction * (x - y);
  };
  if (direction) rows.sort(compare);
  table.tBodies[0].append(...rows);
  return isNumeric;
}

function startSorting(table) {
  const heads = [...table.tHead.rows[0].cells];
  const original = [...table.tBodies[0].rows];
  if (original.length < 2 || original.some((row) => row.cells.length !== heads.length)) return;
  heads.forEach((head, column) => {
    if (!textOf(head, false)) return; // a column of drawings
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.title = "Sort by this column";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      // Figures begin with the highest, texts with the first; a third press brings the first order back.
      const isNumeric = sortTable(table, column, 0, original);
      const order = isNumeric ? ["descending", "ascending", null] : ["ascending", "descending", null];
      const next = order[before ? order.indexOf(before) + 1 : 0];
      for (const other of heads) other.removeAttribute("aria-sort");
      if (next) head.setAttribute("aria-sort", next);
      sortTable(table, column, { ascending: 1, descending: -1 }[next] ?? 0, original);
    });
  });
}

// --- copying ---
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // a browser without that permission
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "hidden";
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (!done) throw new Error("the browser does not allow copying");
  }
}

// A button that copies a text, and says so.
function copyButton(label, makeText) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet copies";
  button.textContent = label;
  button.addEventListener("click", async () => {
    let said = "Copied";
    try { await copyText(makeText()); } catch { said = "Copying is not allowed"; }
    button.textContent = said;
    setTimeout(() => { button.textContent = label; }, 2000);
  });
  return button;
}

// The columns that hold text, in some row or in their head.
function cellsOf(table, withInterval) {
  const rows = [...table.tHead.rows, ...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => textOf(cell, withInterval)));
  const kept = rows[0].map((_, column) => rows.some((row) => row[column]));
  return rows.map((row) => row.filter((_, column) => kept[column]));
}

// No cell is a formula to a spreadsheet.
function withoutFormula(text) {
  if (/^(?:[-–]|[<+\-−]?\s?\d[\d,.]*%?(?: (?:±|to|→) [+\-−]?\d[\d,.]*)?)$/.test(text)) return text;
  return /^[\s'"\u2018-\u201f]*[=+@\-\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text;
}

function tabSeparated(table) {
  return cellsOf(table, false).map((row) => row.map(withoutFormula).join("\t")).join("\n") + "\n";
}

function markdownOf(table) {
  const rows = cellsOf(table, true).map((row) => row.map((text) => text.replace(/[\\`*_<>[\]|]/g, "\\$&")));
  const line = (row) => `| ${row.join(" | ")} |`;
  return [line(rows[0]), `|${rows[0].map((_, column) => (column ? "---:" : "---")).join("|")}|`, ...rows.slice(1).map(line)].join("\n") + "\n";
}

function startTables() {
  for (const table of document.querySelectorAll("main table")) {
    if (!table.classList.contains("heat")) startSorting(table);
    const bar = document.createElement("p");
    bar.className = "copy";
    bar.append(copyButton("Copy table", () => tabSeparated(table)), copyButton("Copy as Markdown", () => markdownOf(table)));
    table.closest(".scroll").after(bar);
  }
  for (const code of document.querySelectorAll("main pre.code")) code.after(copyButton("Copy", () => code.textContent));
}

// --- printing: all of what is folded, as it is on the screen otherwise ---
function startPrinting() {
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("main section:not(#explorer) details:not([open])")];
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => { for (const details of closed) details.open = false; });
}

// A table's heads sort its rows by their column; the teacher's stays on top.
for (const button of document.querySelectorAll(".sortable .sort")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), body = head.closest("table").tBodies[0];
    const column = head.cellIndex, down = head.getAttribute("aria-sort") !== "descending";
    const numeric = head.classList.contains("n");
    const text = row => row.cells[column].textContent.trim();
    const number = row => { const v = parseFloat(text(row).replace("\u2212", "-")); return isNaN(v) ? -Infinity : v; };
    const rows = [...body.rows].filter(row => !row.classList.contains("dim"));
    rows.sort((a, b) => numeric ? number(a) - number(b) : text(b).localeCompare(text(a)));
    if (down) rows.reverse();
    for (const row of rows) body.append(row);
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  });
}
// A legend's boxes show and hide their lines. Without this script all are shown.
for (const box of document.querySelectorAll(".legend input")) {
  box.addEventListener("change", () => {
    const figure = box.closest("figure");
    for (const lines of figure.querySelectorAll("." + box.value)) lines.style.display = box.checked ? "" : "none";
  });
}
// What a column under the pointer or finger says stands below its figure.
for (const column of document.querySelectorAll(".big .hover")) {
  const say = () => { column.closest("figure").querySelector(".reading").textContent = column.textContent; };
  column.addEventListener("pointerenter", say);
  column.addEventListener("pointerdown", say);
}
for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.of), label = button.textContent;
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = label; }, 1500);
    } catch {  // not allowed: shown, to be taken by hand
      source.hidden = false;
    }
  });
}
// Print shows what is folded, but for the settings of runs.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not(.long):not([open])")];
  for (const one of opened) one.open = true;
});
addEventListener("afterprint", () => { for (const one of opened) one.open = false; });

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

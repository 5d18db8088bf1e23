// A legend's boxes show and hide their lines. Without this script all are shown.
for (const box of document.querySelectorAll(".legend input")) {
  box.addEventListener("change", () => {
    const figure = box.closest("figure");
    for (const lines of figure.querySelectorAll("." + box.value)) lines.style.display = box.checked ? "" : "none";
  });
}

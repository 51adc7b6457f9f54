// Ticks every row of a list's page with one click, and shows the filters at once where there is room for them. Without
// this script there is no box for the former, and the filters wait behind one word.
(() => {
  const wide = window.matchMedia("(min-width: 62rem)");

  function ready(root) {
    for (const all of root.querySelectorAll("[data-tick-all]")) all.hidden = false;
    if (wide.matches) for (const fold of root.querySelectorAll(".filters-fold")) fold.open = true;
  }

  document.addEventListener("change", (event) => {
    const box = event.target;
    const form = box.closest?.("#rows-form");
    if (!form) return;
    const rows = [...form.querySelectorAll('input[name="key"]')];
    const all = form.querySelector("[data-tick-all]");
    if (box === all) for (const row of rows) row.checked = all.checked;
    else if (box.name === "key") {
      const ticked = rows.filter((row) => row.checked).length;
      all.checked = ticked === rows.length;
      all.indeterminate = ticked > 0 && ticked < rows.length;
    }
  });
  document.addEventListener("htmx:load", (event) => ready(event.target));
  ready(document);
})();

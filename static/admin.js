// Ticks every row of a list's page with one click. Without this script the box for that is not shown.
(() => {
  function ready(root) {
    for (const all of root.querySelectorAll("[data-tick-all]")) all.hidden = false;
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

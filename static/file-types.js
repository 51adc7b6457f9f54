// Rows of columns that come and go without a request, and samples of which only the first part is sent. Without this
// script the button asks the server for more rows, and an empty row counts for nothing.
(() => {
  "use strict";

  const FIRST_PART = 1024 * 1024; // as much as the server looks at
  const WHOLE = /\.(xlsx|parquet|zip)$/i; // a part of such a file tells nothing
  const table = document.querySelector("[data-columns]");
  const template = document.querySelector("[data-column-template]");

  function showRemove() {
    for (const cell of table.querySelectorAll(".type-remove")) cell.hidden = false;
  }

  function addRow() {
    const used = [...table.querySelectorAll("[name^=column-]")].map((field) => Number(field.name.split("-")[1]));
    const index = Math.max(-1, ...used) + 1;
    const row = template.content.cloneNode(true);
    for (const element of row.querySelectorAll("*")) {
      for (const attribute of ["name", "aria-label"]) {
        const text = element.getAttribute(attribute);
        if (text) element.setAttribute(attribute, text.replace("NEW", attribute === "name" ? index : index + 1));
      }
    }
    table.tBodies[0].append(row);
    showRemove();
    table.tBodies[0].lastElementChild.querySelector("input").focus();
  }

  if (table && template) {
    showRemove();
    document.querySelector("[data-add-column]").addEventListener("click", (event) => {
      event.preventDefault();
      addRow();
    });
    table.addEventListener("click", (event) => {
      const button = event.target.closest("[data-remove-column]");
      if (!button) return;
      const row = button.closest("tr");
      const next = row.nextElementSibling || row.previousElementSibling;
      row.remove();
      (next?.querySelector("[data-remove-column]") || document.querySelector("[data-add-column]")).focus();
    });
  }

  document.addEventListener("htmx:configRequest", (event) => {
    const file = event.detail.formData?.get("sample");
    if (!(file instanceof File) || file.size <= FIRST_PART || WHOLE.test(file.name)) return;
    // The mark that it is cut goes before the file, where the server reads the fields.
    event.detail.formData.delete("sample");
    event.detail.formData.append("sample_cut", "1");
    event.detail.formData.append("sample", file.slice(0, FIRST_PART), file.name);
  });
})();

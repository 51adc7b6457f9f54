// Makes lists of the admin area quicker to work with: ticks every row of a page, or those between two clicks with Shift;
// closes a filter that is left, and leaves one open in which there is more to choose; after a swap, keeps the keyboard
// where it was and says what has changed. Without this script everything can be done as well, with more clicks.
(() => {
  let lastTick = null;
  let typed = null; // what was in the search box when a swap began: more may have been typed than was asked for
  let turnedPage = false;
  let filter = null; // the id of the filter in which something was chosen when a swap began
  let scrolled = 0;

  function ready(root) {
    for (const all of root.querySelectorAll("[data-with-script]")) all.hidden = false;
  }

  function ticks(form) {
    return [...form.querySelectorAll('input[name="key"]')];
  }

  function countTicks(form) {
    const rows = ticks(form);
    const ticked = rows.filter((row) => row.checked).length;
    for (const all of document.querySelectorAll("[data-tick-all]")) {
      all.checked = ticked > 0 && ticked === rows.length;
      all.indeterminate = ticked > 0 && ticked < rows.length;
    }
    form.querySelector("[data-ticked]").textContent = ticked ? `${ticked} of ${rows.length} ticked` : "";
  }

  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll(".filter[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
    const box = event.target;
    if (!box.matches?.('#rows-form input[name="key"]')) return;
    const rows = ticks(box.form);
    if (event.shiftKey && lastTick?.isConnected) {
      const [first, last] = [rows.indexOf(lastTick), rows.indexOf(box)].sort((one, other) => one - other);
      for (const row of rows.slice(first, last + 1)) row.checked = box.checked;
      countTicks(box.form);
    }
    lastTick = box;
  });

  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && document.querySelector(".filter[open]");
    if (!open) return;
    open.open = false;
    open.querySelector("summary").focus();
  });

  document.addEventListener("change", (event) => {
    const box = event.target;
    const form = box.form;
    if (form?.id !== "rows-form" || box.type !== "checkbox") return;
    if (box.matches("[data-tick-all]")) for (const row of ticks(form)) row.checked = box.checked;
    countTicks(form);
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    const search = document.activeElement;
    typed = search?.id === "q" ? { text: search.value, start: search.selectionStart, end: search.selectionEnd } : null;
    filter = event.detail.requestConfig?.elt?.closest?.(".filter")?.querySelector("summary").id ?? null;
    turnedPage = Boolean(event.detail.requestConfig?.elt?.closest?.("[data-pages]"));
    scrolled = document.querySelector(".talk-window")?.scrollTop ?? 0;
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    const search = document.getElementById("q");
    if (typed && search && event.detail.target?.id === "list") {
      search.value = typed.text;
      search.setSelectionRange(typed.start, typed.end);
    }
    const chosen = filter && document.getElementById(filter);
    if (chosen) {
      chosen.parentElement.open = chosen.parentElement.matches("[data-further]");
      chosen.focus({ preventScroll: true });
    }
    const found = document.getElementById("found");
    // What had the keyboard may be gone: a page that is left, a filter that is taken off.
    if (found && (turnedPage || document.activeElement === document.body)) {
      found.focus({ preventScroll: true });
      if (found.getBoundingClientRect().top < 0) found.scrollIntoView();
    }
    // Somebody who reads further up while a delivery is looked at goes on there.
    if (event.detail.target?.id === "talk") document.querySelector(".talk-window").scrollTop = scrolled;
    const news = document.querySelector("[data-news]")?.textContent.replace(/\s+/g, " ").trim();
    const said = document.getElementById("admin-news");
    if (news && said && said.textContent !== news) said.textContent = news;
    turnedPage = false;
    filter = null;
  });

  document.addEventListener("htmx:load", (event) => ready(event.target));
  ready(document);
})();

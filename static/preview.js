// Shows what Daybook reads in a chosen file, as soon as it is chosen and again with every change of a choice. Without
// this script the form has a button for it. static/uploads.js sends the files and asks here whether they may go.
(() => {
  "use strict";

  const PART = 1024 * 1024 + 64 * 1024; // blueprints/previews.py takes as much
  const WHOLE = 32 * 1024 * 1024;
  const PATIENCE = 5000; // milliseconds that an upload waits for a preview
  const TYPING = 500; // milliseconds without a key after which a text is looked at

  const form = document.getElementById("upload-form");
  if (!form) return;
  const input = document.getElementById("files");
  const panel = document.getElementById("preview");
  const state = document.getElementById("preview-state");
  const news = document.getElementById("upload-news");
  const reason = document.getElementById("upload-reason");
  const button = document.getElementById("upload-button");
  const chooser = document.getElementById("preview-of");
  const saveForm = document.getElementById("save-form");
  // The fields that the preview has too stand in the form only while there is no preview.
  const before = document.getElementById("before-preview");
  const place = document.createComment("before-preview");
  before.before(place);
  const SHARED = ["file_type", "timezone", "date_order"];
  const KEPT = new Set([...SHARED, "layout"]); // what an upload needs to know of a preview

  let number = 0; // which of the chosen files is shown
  let running = null; // the request under way
  let latest = Promise.resolve();
  let timer = 0;
  let changed = false; // typed since the request left
  let shown = ""; // what the panel was made from
  let unseen = false; // the files were chosen, and nothing of them was shown yet

  const headers = () => ({ "X-CSRFToken": JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"], "HX-Request": "true" });
  const field = (name) => form.elements.namedItem(name);
  const section = () => panel.querySelector("section");

  function say(text, trouble = false) {
    state.textContent = text;
    state.classList.toggle("preview-trouble", trouble);
    if (trouble) news.textContent = text;
  }

  function allow() {
    const found = section();
    const ready = !found || found.dataset.ready === "yes";
    button.disabled = !ready;
    reason.textContent = ready ? "" : found.dataset.reason;
    reason.title = reason.textContent; // cut off where it is longer than a line
  }

  // In the list of several files, those that an import would refuse as they are shown.
  function mark() {
    const option = document.getElementById("preview-file").options[number];
    if (option) option.text = input.files[number].name + (section().dataset.ready === "yes" ? "" : " – needs a look");
  }

  // On a phone what was found begins below the fold: the question if there is one, else the heading.
  function bring() {
    if (!unseen) return;
    unseen = false;
    if (!window.matchMedia("(max-width: 48rem)").matches) return;
    const first = panel.querySelector(".preview-question:not(.answered)") || document.getElementById("preview-title");
    first.scrollIntoView({ block: "start" });
  }

  function fields() {
    const found = new FormData(form);
    found.delete("files");
    return found;
  }

  // Text in part, as that is enough to tell; workbooks, Parquet files and archives can only be read whole.
  async function part(file) {
    const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
    const magic = String.fromCharCode(...head);
    const whole = ["PK\x03\x04", "PK\x05\x06", "PAR1"].includes(magic);
    if (whole && file.size > WHOLE) return null;
    return whole ? file : file.slice(0, PART);
  }

  // Puts the fields back that the preview had taken over, with what a person said in them.
  function close() {
    if (running) running.abort();
    running = null;
    window.clearTimeout(timer);
    timer = 0;
    shown = "";
    if (section()) {
      const byItself = field("by_itself") && field("by_itself").value === field("file_type").value;
      const kept = { timezone: field("timezone").value, file_type: byItself ? "" : field("file_type").value };
      panel.replaceChildren();
      place.after(before);
      for (const [name, value] of Object.entries(kept)) field(name).value = value;
    }
    say("");
    allow();
  }

  function show(html) {
    const active = document.activeElement;
    const inside = active && panel.contains(active);
    const top = inside ? active.getBoundingClientRect().top : 0;
    const caret = inside && active.type === "text" ? [active.selectionStart, active.selectionEnd] : null;
    const open = new Map([...panel.querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
    const scrolled = new Map([...panel.querySelectorAll("[data-keep-scroll]")].map((one) => [one.id, [one.scrollLeft, one.scrollTop]]));
    const held = before.contains(active) ? active.id : "";
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const found = holder.content.querySelector("section");
    if (!found) throw new Error("The preview could not be shown.");
    for (const one of found.querySelectorAll("details[id]")) if (open.get(one.id)) one.open = true;
    before.remove();
    panel.replaceChildren(found);
    const lines = document.getElementById("file-lines");
    const names = lines?.querySelector(".line-of-header, .line-of-data");
    if (names && !scrolled.size) lines.scrollTop = names.offsetTop - lines.clientHeight / 3;
    for (const [id, [left, above]] of scrolled) document.getElementById(id)?.scrollTo(left, above);
    for (const one of panel.querySelectorAll("[data-start-over]")) one.hidden = false;
    allow();
    if (held) document.getElementById(held)?.focus({ preventScroll: true });
    if (!inside) return;
    const again = (active.id && document.getElementById(active.id)) || document.getElementById("preview-title");
    again.focus({ preventScroll: true });
    if (caret && again.type === "text") again.setSelectionRange(...caret);
    window.scrollBy(0, again.getBoundingClientRect().top - top);
  }

  // The type that a file which is not shown is read by at a first look; empty where none fits or it cannot be told.
  async function typeOf(file) {
    const data = await part(file);
    if (!data) return "";
    const body = new FormData();
    for (const [name, value] of fields()) if (KEPT.has(name) && name !== "file_type") body.set(name, value);
    body.set("size", String(file.size));
    body.append("part", data, file.name);
    const answer = await fetch(form.dataset.preview, { method: "POST", headers: headers(), body }).catch(() => null);
    if (!answer || !answer.ok) return "";
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    return holder.content.querySelector("[name=by_itself]")?.value || "";
  }

  async function trouble(answer, file) {
    if (answer.status === 401) return "You are logged out, so there is no preview. Log in, then choose the file again.";
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    const words = holder.content.querySelector(".alert");
    return `No preview of ${file.name}: ${words ? words.textContent.trim() : `the server answered ${answer.status}.`}`;
  }

  async function look() {
    window.clearTimeout(timer);
    timer = 0;
    const file = input.files[number];
    if (!file) return close();
    const body = fields();
    const wanted = JSON.stringify([number, file.name, file.size, file.lastModified, [...body]]);
    if (wanted === shown && !running) return undefined;
    if (running) running.abort();
    const mine = new AbortController();
    running = mine;
    changed = false;
    const slow = window.setTimeout(() => say(`Reading ${file.name}…`), 200);
    try {
      const data = await part(file);
      if (running !== mine) return undefined;
      if (!data) {
        close();
        say(`There is no preview of a workbook, Parquet file or archive above 32 MB. ${file.name} can be uploaded without.`, true);
        return undefined;
      }
      body.set("size", String(file.size));
      body.append("part", data, file.name);
      const answer = await fetch(form.dataset.preview, { method: "POST", headers: headers(), body, signal: mine.signal });
      const words = answer.ok ? await answer.text() : await trouble(answer, file);
      if (running !== mine || changed) return undefined; // a newer one is on its way
      running = null;
      if (!answer.ok) {
        close();
        say(words, true);
        return undefined;
      }
      show(words);
      mark();
      bring();
      shown = JSON.stringify([number, file.name, file.size, file.lastModified, [...fields()]]);
      say("");
      news.textContent = section().dataset.news;
    } catch (error) {
      if (error.name === "AbortError") return undefined;
      if (running === mine) running = null;
      say(`No preview of ${file.name}: ${error instanceof TypeError ? "the server cannot be reached, or the file changed on disk." : error.message}`, true);
    } finally {
      window.clearTimeout(slow);
      if (running === mine) running = null;
    }
    return undefined;
  }

  function again() {
    latest = look();
  }

  function later() {
    changed = true;
    window.clearTimeout(timer);
    timer = window.setTimeout(again, TYPING);
  }

  function chosen() {
    close();
    unseen = true;
    number = 0;
    const files = [...input.files];
    const list = document.getElementById("preview-file");
    list.replaceChildren(...files.map((file, index) => new Option(file.name, String(index))));
    chooser.hidden = files.length < 2;
    document.getElementById("preview-files-note").textContent = `What you choose goes for all ${files.length} files.`;
    again();
  }

  const ours = (target) => target.form === form && target.name && target !== input && (panel.contains(target) || before.contains(target));

  form.addEventListener("change", (event) => {
    if (event.target === input) return chosen();
    if (event.target.id === "preview-file") {
      number = Number(event.target.value);
      return again();
    }
    return ours(event.target) && input.files.length ? again() : undefined;
  });
  form.addEventListener("input", (event) => {
    const typed = event.target.matches("input:not([type=radio]), textarea");
    if (typed && ours(event.target) && input.files.length) later();
  });
  // Enter in a field of the preview looks again; it must not upload.
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches("input") || !ours(event.target) || !input.files.length) return;
    event.preventDefault();
    again();
  });
  panel.addEventListener("click", (event) => {
    if (!event.target.closest("[data-start-over]")) return;
    close();
    for (const name of SHARED) field(name).value = "";
    again();
    latest.then(() => document.getElementById("preview-title")?.focus({ preventScroll: true }));
  });

  saveForm.addEventListener("submit", async (event) => {
    event.preventDefault();
    await window.daybookPreview.settled();
    const body = new URLSearchParams(new FormData(saveForm));
    const answer = await fetch(saveForm.action, { method: "POST", headers: headers(), body }).catch(() => null);
    if (!answer || (!answer.ok && answer.status !== 422)) {
      say(answer ? await trouble(answer, { name: "the file type" }) : "The server cannot be reached. Try again in a moment.", true);
      return;
    }
    const box = document.getElementById("save-type");
    box.innerHTML = await answer.text();
    const saved = box.querySelector("[data-saved]")?.dataset.saved;
    if (!saved) {
      document.getElementById("type-name").focus();
      return;
    }
    // From here on the file is read by the type, which says all that was chosen.
    close();
    for (const name of SHARED) field(name).value = "";
    field("file_type").append(new Option(saved, saved));
    field("file_type").value = saved;
    again();
    await latest;
    say(`Saved as “${saved}”, by which this file is read now.`);
    news.textContent = state.textContent;
    document.getElementById("preview-title")?.focus({ preventScroll: true });
  });

  window.daybookPreview = {
    close,
    // Waits for what is under way, but not for ever; says whether the files may be uploaded.
    async settled() {
      const end = Date.now() + PATIENCE;
      do {
        if (timer) again();
        await Promise.race([latest, new Promise((resolve) => window.setTimeout(resolve, PATIENCE))]);
      } while ((timer || running) && Date.now() < end);
      return !button.disabled;
    },
    // The fields of the form as an upload of this file takes them: of the preview only what it comes down to. A type
    // that nobody chose, because the file that is shown looks like it, says nothing of the other files: each is looked
    // at for its own.
    async uploadFields(file) {
      const found = fields();
      const byItself = found.get("by_itself");
      if (byItself && byItself === found.get("file_type") && file !== input.files[number]) found.set("file_type", await typeOf(file));
      for (const one of panel.querySelectorAll("[name]")) if (!KEPT.has(one.name)) found.delete(one.name);
      return found;
    },
  };
})();

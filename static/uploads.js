// Sends the chosen files one after the other, each with its own card. Without this script the form sends them itself.
(() => {
  "use strict";

  const form = document.getElementById("upload-form");
  if (!form) return;
  const input = document.getElementById("files");
  const zone = document.getElementById("drop-zone");
  const cards = document.getElementById("upload-cards");
  const problem = document.getElementById("upload-problem");
  const news = document.getElementById("upload-news");
  const button = document.getElementById("upload-button");
  const preview = window.daybookPreview;
  const running = new Map(); // upload id -> {request, sent, total}
  const queue = [];
  const cancelled = new Set();
  let busy = false;

  const token = () => JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
  const headers = () => ({ "X-CSRFToken": token(), "HX-Request": "true" });

  function size(bytes) {
    if (bytes < 1000) return `${bytes} Bytes`;
    const units = ["kB", "MB", "GB", "TB"];
    let power = -1;
    do {
      bytes /= 1000;
      power += 1;
    } while (bytes >= 1000 && power < units.length - 1);
    return `${bytes.toFixed(1)} ${units[power]}`;
  }

  function say(text) {
    problem.replaceChildren();
    if (!text) return;
    const alert = document.createElement("div");
    alert.className = "alert alert-danger";
    alert.textContent = text;
    problem.append(alert);
  }

  function mark(name, message) {
    const field = document.getElementById(name);
    if (!field) return;
    const note = document.createElement("div");
    note.className = "invalid-feedback";
    note.id = `${name}-wrong`;
    note.textContent = message;
    field.classList.add("is-invalid");
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", note.id);
    field.after(note);
    field.focus();
  }

  function unmark() {
    for (const field of form.querySelectorAll(".is-invalid")) {
      field.classList.remove("is-invalid");
      field.removeAttribute("aria-invalid");
      document.getElementById(`${field.id}-wrong`)?.remove();
      field.setAttribute("aria-describedby", `${field.id}-hint`);
    }
  }

  function draw(id) {
    const state = running.get(id);
    const card = document.getElementById(`upload-${id}`);
    if (!state || !card) return;
    const bar = card.querySelector("[data-bar]");
    const sent = card.querySelector("[data-sent]");
    if (bar && state.total) {
      bar.max = state.total;
      bar.value = state.sent;
    }
    if (sent) sent.textContent = `${size(state.sent)} of ${size(state.total)} sent`;
  }

  function replaceCard(id, html) {
    const old = document.getElementById(`upload-${id}`);
    if (!old) return;
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const card = holder.content.querySelector("article");
    if (!card) return;
    old.replaceWith(card);
    htmx.process(card);
    if (["done", "failed", "cancelled"].includes(card.dataset.status)) {
      const name = card.querySelector(".upload-name").textContent.trim();
      const result = card.querySelector(".upload-result, .alert");
      news.textContent = `${name}: ${card.dataset.status}. ${result ? result.textContent.replace(/\s+/g, " ").trim() : ""}`;
    }
  }

  async function refresh(id) {
    const answer = await fetch(`/uploads/${id}/card`, { headers: headers() });
    if (answer.ok) replaceCard(id, await answer.text());
  }

  // The card that the server polls in replaces what was drawn here; draw again.
  document.addEventListener("htmx:afterSwap", () => running.forEach((_, id) => draw(id)));
  document.addEventListener("htmx:afterRequest", (event) => {
    const pressed = event.target.closest && event.target.closest("[data-cancel]");
    if (!pressed) return;
    const id = pressed.dataset.cancel;
    cancelled.add(id);
    const state = running.get(id);
    if (state) state.request.abort();
    const place = queue.findIndex((job) => job.id === id);
    if (place >= 0) queue.splice(place, 1);
  });

  const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

  // Sends one file; while the server takes no more uploads at once, waits and tries again.
  async function send(job) {
    for (let attempt = 0; attempt < 30; attempt += 1) {
      const wait = await sendOnce(job);
      if (!wait) return;
      await pause(wait);
      if (cancelled.has(job.id)) return;
    }
    say(`The server is too busy to take ${job.file.name}. Upload it again later.`);
  }

  function sendOnce({ id, file }) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      const state = { request, sent: 0, total: file.size };
      running.set(id, state);
      request.upload.addEventListener("progress", (event) => {
        state.sent = event.loaded;
        draw(id);
      });
      request.addEventListener("loadend", async () => {
        running.delete(id);
        const busy = request.status === 503 && Number(request.getResponseHeader("Retry-After"));
        if (busy) return resolve(Math.min(busy, 20));
        if (request.status === 200) replaceCard(id, request.responseText);
        else await refresh(id).catch(() => say(`The connection broke while ${file.name} was sent. Check the line and upload it again.`));
        return resolve(0);
      });
      request.open("PUT", `/uploads/${id}/content`);
      for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.send(file);
    });
  }

  async function work() {
    if (busy) return;
    busy = true;
    while (queue.length) await send(queue.shift());
    busy = false;
  }

  async function announce(file) {
    const fields = await preview.uploadFields(file);
    fields.set("filename", file.name);
    fields.set("size", String(file.size));
    const answer = await fetch(form.dataset.announce, { method: "POST", headers: headers(), body: new URLSearchParams(fields) });
    if (answer.status === 401) throw new Error("You are logged out, so nothing was sent. Log in, then upload again.");
    if (answer.headers.get("Content-Type").startsWith("application/json")) {
      const complaint = await answer.json();
      mark(complaint.field, complaint.message);
      throw new Error(complaint.message);
    }
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    const card = answer.ok && holder.content.querySelector("article");
    if (!card) throw new Error(`The server refused ${file.name} (${answer.status}). Load the page again and repeat the step.`);
    cards.prepend(card);
    htmx.process(card);
    queue.push({ id: card.id.replace("upload-", ""), file });
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    say("");
    unmark();
    if (!(await preview.settled())) return; // it says why
    button.disabled = true;
    try {
      for (const file of input.files) {
        await announce(file);
        work();
      }
      input.value = "";
      preview.close();
      document.getElementById("preview-of").hidden = true;
    } catch (error) {
      say(error instanceof TypeError ? "The server cannot be reached. Try again in a moment." : error.message);
    } finally {
      button.disabled = false;
    }
  });

  document.addEventListener("htmx:sendError", (event) => {
    const card = event.target.closest && event.target.closest(".upload-card");
    if (card) card.classList.add("lost");
  });
  document.querySelector(".drop-hint").hidden = false;
  for (const kind of ["dragenter", "dragover"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.remove("over");
    });
  }
  zone.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    input.focus();
  });

  window.addEventListener("beforeunload", (event) => {
    if (busy || queue.length) event.preventDefault();
  });
})();

// Keeps the control room's page up to date: listens to /events, fetches the page again when something
// changed, and replaces only the parts that did. Never overwrites what somebody is filling in.

const SILENCE_MS = 5000; // the server says something each second
const live = document.getElementById("live");
const lost = document.getElementById("lost");
let after = live.dataset.after;
let key = live.dataset.key;
let source;
let heardAt = Date.now();
let pending;

function listen() {
  source?.close();
  source = new EventSource(`/events?after=${after}`);
  source.addEventListener("open", heard);
  source.addEventListener("beat", heard);
  source.addEventListener("status", (event) => {
    heard();
    const status = JSON.parse(event.data);
    for (const place of document.querySelectorAll("[data-faces]")) {
      if (status.faces_seen !== null) place.textContent = status.faces_seen;
    }
    if (status.key !== key) {
      key = status.key;
      refreshSoon();
    }
  });
  source.addEventListener("alert", (event) => {
    heard();
    after = event.lastEventId;
    refreshSoon(JSON.parse(event.data).type === "alert_raised");
  });
  source.addEventListener("reload", () => location.reload());
}

function heard() {
  heardAt = Date.now();
  if (!lost.hidden) {
    lost.hidden = true;
    refreshSoon();
  }
}

function watch() {
  if (Date.now() - heardAt < SILENCE_MS) return;
  if (lost.hidden) {
    const since = new Date(heardAt).toLocaleTimeString();
    lost.textContent = `Connection lost since ${since}: new alerts are not shown. Trying again…`;
    lost.hidden = false;
  }
  // A refused stream is not retried by the browser.
  if (source.readyState === EventSource.CLOSED) listen();
}

function refreshSoon(isNew = false) {
  clearTimeout(pending?.timer);
  pending = { isNew: isNew || pending?.isNew, timer: setTimeout(refresh, 80) };
}

async function refresh() {
  const { isNew } = pending;
  pending = undefined;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => undefined);
  if (answer?.status === 401) location.reload();
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.title = fresh.title;
  replace("standing", fresh);
  replace("queue", fresh);
  const panel = document.getElementById("panel");
  if (panel.dataset.stamp !== fresh.getElementById("panel").dataset.stamp) {
    if (isFilledIn(panel)) showNotice(panel, fresh);
    else replacePanel(panel, fresh);
  }
  if (isNew) announce();
}

function replace(id, fresh) {
  const here = document.getElementById(id);
  const there = fresh.getElementById(id);
  if (here.innerHTML === there.innerHTML || here.querySelector("details[open]")) return;
  const focused = document.activeElement?.getAttribute("href");
  const held = here.contains(document.activeElement);
  here.replaceChildren(...there.childNodes);
  here.dataset.stamp = there.dataset.stamp ?? "";
  if (held && focused) here.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
}

function replacePanel(panel, fresh) {
  const there = fresh.getElementById("panel");
  // A picture that stays is kept: each load of one is written into the audit trail.
  for (const image of there.querySelectorAll("img[data-picture]")) {
    const kept = panel.querySelector(`img[data-picture="${CSS.escape(image.dataset.picture)}"]`);
    if (kept) image.replaceWith(kept);
  }
  panel.replaceChildren(...there.childNodes);
  panel.dataset.stamp = there.dataset.stamp;
  prepare(panel);
}

function isFilledIn(panel) {
  return panel.querySelector("[data-entries] input:checked") !== null;
}

function showNotice(panel, fresh) {
  panel.querySelector(".changed")?.remove();
  const notice = document.getElementById("changed-notice").content.cloneNode(true);
  notice.querySelector("button").addEventListener("click", () => replacePanel(panel, fresh));
  panel.prepend(notice);
}

function announce() {
  const waiting = document.querySelectorAll(".line.mine").length;
  // Emptied first: the same text again would not be read out.
  const place = document.getElementById("announce");
  place.textContent = "";
  setTimeout(() => (place.textContent = `New alert. Waiting for you: ${waiting}.`), 50);
}

// Only the reasons that go with the chosen answer are offered.
function prepare(panel) {
  const select = panel.querySelector("select[name=reason]");
  if (!select) return;
  const offer = (verdict) => {
    for (const group of select.querySelectorAll("optgroup")) {
      group.hidden = group.disabled = verdict !== undefined && group.dataset.verdict !== verdict;
    }
    if (select.selectedOptions[0]?.parentElement.disabled) select.value = "";
  };
  for (const radio of panel.querySelectorAll("input[name=verdict]")) {
    radio.addEventListener("change", () => offer(radio.value));
    if (radio.checked) offer(radio.value);
  }
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll("details[open]")) open.open = false;
});

// A better picture replaced this one between the page and the picture: the page is out of date.
document.getElementById("panel").addEventListener("error", () => refreshSoon(), true);

prepare(document.getElementById("panel"));
listen();
setInterval(watch, 1000);

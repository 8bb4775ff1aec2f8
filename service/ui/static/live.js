// Keeps the part of a page that changes while a run trains: the server's stream says that something happened, the part
// is fetched again and put in its place. One stream a page, closed while nobody looks, as browsers allow six a host.
const part = document.querySelector("[data-live]");

let stream = null, waiting = null, isBusy = false, timer = null, errors = 0, polls = 0;

async function refresh() {
  waiting = null;
  if (isBusy) { later(); return; }
  isBusy = true;
  try {
    const answer = await fetch(part.dataset.live, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-live]");
    const status = part.dataset.status;
    part.replaceChildren(...fresh.childNodes);
    part.dataset.status = fresh.dataset.status;
    if (status !== fresh.dataset.status) document.querySelector("[data-told]").textContent = `The run is ${fresh.dataset.status}.`;
  } catch {
    poll();
  } finally {
    isBusy = false;
  }
}

function later() { waiting ??= setTimeout(refresh, 300); }

function isOver() { return ["succeeded", "failed", "cancelled"].includes(part.dataset.status); }

// Where the stream fails twice on end, the part is fetched every two seconds, and the stream tried again now and then.
function poll() {
  timer ??= setTimeout(() => {
    timer = null;
    polls += 1;
    if (isOver() || document.hidden) return;
    later();
    if (polls % 5 === 0) open();
    if (!stream) poll();
  }, 2000);
}

function open() {
  if (stream || isOver() || document.hidden) return;
  stream = new EventSource(part.dataset.events);
  stream.addEventListener("open", () => { errors = 0; later(); });
  stream.addEventListener("error", () => { errors += 1; if (errors > 1) { close(); poll(); } });
  for (const kind of ["epoch", "claimed", "paused", "resumed", "requeued", "succeeded", "failed", "cancelled"]) {
    stream.addEventListener(kind, later);
  }
  stream.addEventListener("end", () => { close(); later(); });
}

function close() { stream?.close(); stream = null; }

if (part) {
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else { later(); open(); } });
  addEventListener("pagehide", close);
  open();
}

// Shows how a number came about while the pointer or the focus is on it, without leaving the line it stands in.
const math = document.querySelector(".math"), known = new Map();
let waiting = null, peek = null;

async function lines(href) {
  if (!known.has(href)) {
    const answer = await fetch(href, { headers: { Accept: "text/html" } });
    known.set(href, new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".math"));
  }
  return known.get(href);
}

async function show(link) {
  const found = await lines(link.href);
  if (!found || waiting === null) return;
  hide();
  peek = document.createElement("div");
  peek.className = "peek math card";
  peek.setAttribute("aria-hidden", "true");
  const name = document.createElement("strong"), table = found.querySelector("table")?.cloneNode(true);
  name.textContent = found.querySelector("h1, h2")?.textContent ?? link.title;
  table?.querySelectorAll("a").forEach((each) => each.replaceWith(...each.childNodes));
  peek.append(name, ...(table ? [table] : []));
  const box = link.getBoundingClientRect(), around = math.getBoundingClientRect();
  math.parentElement.append(peek);
  peek.style.left = `${Math.max(8, Math.min(box.left + scrollX, innerWidth - peek.offsetWidth - 8))}px`;
  peek.style.top = `${box.bottom + scrollY + 6}px`;
  peek.style.maxWidth = `${Math.max(around.width, 260)}px`;
}

function hide() { peek?.remove(); peek = null; }

function leave() { clearTimeout(waiting); waiting = null; hide(); }

function come(event) {
  const link = event.target.closest?.(".math a[href]");
  if (!link) return;
  leave();
  waiting = setTimeout(() => show(link), 200);
}

for (const kind of ["pointerover", "focusin"]) math.addEventListener(kind, come);
for (const kind of ["pointerout", "focusout"]) math.addEventListener(kind, leave);
addEventListener("keydown", (event) => { if (event.key === "Escape") leave(); });

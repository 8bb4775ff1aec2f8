// Tells the numbers under the pointer in every chart of lines, and zooms: what is drawn over is put into the address.
const SVG = "http://www.w3.org/2000/svg";

function place(svg, event) {
  const box = svg.getBoundingClientRect(), [low, high, start, stop] = svg.dataset.across.split(" ").map(Number);
  const at = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
  return { at: Math.min(stop, Math.max(start, at)), value: low + (at - start) / (stop - start) * (high - low) };
}

function nearest(svg, value) {
  const [low, high] = svg.dataset.across.split(" ").map(Number), x = svg.dataset.x.split("|");
  const numbers = x.map((text) => Number(text.replace(/\s/g, "")));
  let best = 0;
  numbers.forEach((each, index) => { if (Math.abs(each - value) < Math.abs(numbers[best] - value)) best = index; });
  return { index: best, text: x[best], share: (numbers[best] - low) / (high - low) };
}

function mark(svg, kind, attributes) {
  const found = svg.querySelector(`.${kind}`) ?? svg.appendChild(document.createElementNS(SVG, kind === "cursor" ? "line" : "rect"));
  for (const [name, value] of Object.entries({ class: kind, ...attributes })) found.setAttribute(name, value);
}

function leave(svg) {
  svg.querySelectorAll(".cursor, .chosen").forEach((each) => each.remove());
  svg.parentElement.querySelector(".tip")?.remove();
}

function tellCell(svg, event) {
  const image = svg.querySelector("image"), box = image.getBoundingClientRect(), rows = (svg.cells ??= svg.dataset.cells.split(";").map((row) => row.split(" ")));
  const row = Math.floor((event.clientY - box.top) / box.height * rows.length), column = Math.floor((event.clientX - box.left) / box.width * rows[0].length);
  const value = rows[row]?.[column];
  if (value === undefined) { leave(svg); return; }
  const tip = tipOf(svg), around = svg.getBoundingClientRect();
  tip.textContent = `${row} → ${column}: ${value}`;
  tip.style.top = "40px";
  tip.style.left = `${Math.min(event.clientX - around.left + 16, around.width - tip.offsetWidth)}px`;
}

function tipOf(svg) {
  const tip = svg.parentElement.querySelector(".tip") ?? svg.parentElement.appendChild(document.createElement("div"));
  tip.className = "tip";
  return tip;
}

let from = null;

document.addEventListener("pointermove", (event) => {
  const svg = event.target.closest?.("svg[data-x], svg[data-cells]");
  document.querySelectorAll(".tip").forEach((tip) => { const own = tip.parentElement.querySelector("svg"); if (own !== svg) leave(own); });
  if (svg?.dataset.cells) tellCell(svg, event);
  if (!svg?.dataset.x) return;
  const [, , start, stop] = svg.dataset.across.split(" ").map(Number), { at, value } = place(svg, event);
  const { index, text, share } = nearest(svg, value), x = start + share * (stop - start), height = svg.viewBox.baseVal.height;
  mark(svg, "cursor", { x1: x, x2: x, y1: 30, y2: height - 40 });
  const tip = tipOf(svg);
  tip.textContent = [text, ...[...svg.querySelectorAll("g[data-y]")].map((line) => `${line.dataset.name}: ${line.dataset.y.split("|")[index]}`)].join("\n");
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  tip.style.top = "40px";
  tip.style.left = `${share > 0.5 ? x * scale - tip.offsetWidth - 8 : x * scale + 24}px`;
  if (from !== null && svg === from.svg) mark(svg, "chosen", { x: Math.min(at, from.at), width: Math.abs(at - from.at), y: 30, height: height - 70 });
});

document.addEventListener("pointerdown", (event) => {
  const svg = event.target.closest?.("[data-zooms] svg[data-x]");
  from = svg && event.button === 0 ? { svg, ...place(svg, event) } : null;
  if (svg) event.preventDefault();
});

document.addEventListener("pointerup", (event) => {
  if (from === null) return;
  const { svg, at, value } = from, to = place(svg, event);
  from = null;
  svg.querySelector(".chosen")?.remove();
  if (Math.abs(to.at - at) < 8) return;
  const address = new URL(location.href), [low, high] = [value, to.value].sort((a, b) => a - b);
  address.searchParams.set("from", Math.max(0, Math.round(low)));
  address.searchParams.set("to", Math.max(1, Math.round(high)));
  location.assign(address);
});

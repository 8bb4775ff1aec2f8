// A pad to draw an image on, whose pixels are the fields of the form; what the network says of it follows the pen.
const place = document.querySelector("[data-pad]"), form = document.querySelector("[data-tries]");
const side = Number(place.dataset.pad), most = Number(place.dataset.most), names = place.dataset.names.split("|");
const pad = document.createElement("canvas"), context = pad.getContext("2d"), image = context?.createImageData(side, side);
const fields = names.map((name) => form.elements.namedItem(name)), values = names.map((_, index) => Number(fields[index]?.value) || 0);
let last = null, waiting = null;

function draw() {
  values.forEach((value, index) => image.data.set([255, 255, 255].map((full) => full * Math.min(1, value / most)).concat(255), 4 * index));
  context.putImageData(image, 0, 0);
}

function stroke(x, y) {
  const radius = Math.max(0.7, side / 20), from = last ?? { x, y }, parts = Math.ceil(Math.hypot(x - from.x, y - from.y) * 2) + 1;
  for (let part = 1; part <= parts; part += 1) {
    const at = { x: from.x + (x - from.x) * part / parts, y: from.y + (y - from.y) * part / parts };
    values.forEach((value, index) => {
      const away = Math.hypot(index % side + 0.5 - at.x, Math.floor(index / side) + 0.5 - at.y);
      values[index] = Math.max(value, most * Math.min(1, Math.max(0, radius + 0.5 - away)));
    });
  }
  last = { x, y };
  change();
}

function change() {
  fields.forEach((field, index) => { if (field) field.value = String(Number(values[index].toFixed(3))); });
  draw();
  waiting ??= setTimeout(ask, 150);
}

async function ask() {
  waiting = null;
  const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-answers]");
  if (fresh) document.querySelector("[data-answers]").replaceChildren(...fresh.childNodes);
}

function at(event) {
  const box = pad.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width * side, (event.clientY - box.top) / box.height * side];
}

pad.className = "pad";
pad.width = pad.height = side;
pad.setAttribute("role", "img");
pad.setAttribute("aria-label", "The row as an image, to draw on; its pixels are the fields below");
pad.addEventListener("pointerdown", (event) => { pad.setPointerCapture(event.pointerId); stroke(...at(event)); });
pad.addEventListener("pointermove", (event) => { if (last) stroke(...at(event)); });
pad.addEventListener("pointerup", () => { last = null; });
pad.addEventListener("pointercancel", () => { last = null; });
document.querySelector("[data-clear]").addEventListener("click", () => { values.fill(0); change(); });
document.querySelector("[data-drawing]").hidden = false;
place.replaceChildren(pad);
draw();

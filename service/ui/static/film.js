// Shows the small pictures of a training one after the other in the large one.
const play = document.createElement("button");
play.type = "button";
play.textContent = "Play";
let timer = null, place = 0;

function frames() { return [...document.querySelectorAll("[data-film] .film a")]; }

function stop() { clearInterval(timer); timer = null; play.textContent = "Play"; }

function show(frame) {
  const figure = document.querySelector("[data-film] figure");
  figure.querySelector("image").setAttribute("href", frame.querySelector("img").src);
  figure.querySelector("h3").textContent = frame.textContent;
  delete figure.querySelector("svg").dataset.cells;
  frames().forEach((each) => each.toggleAttribute("data-now", each === frame));
}

play.addEventListener("click", () => {
  if (timer) { stop(); return; }
  if (place >= frames().length) place = 0;
  play.textContent = "Stop";
  timer = setInterval(() => {
    if (place >= frames().length) { stop(); return; }
    show(frames()[place]);
    place += 1;
  }, 180);
});

if (frames().length) document.querySelector(".slider")?.append(play);

// Forms that send themselves when something in them is chosen, and sliders that tell their number while they move.
document.addEventListener("input", (event) => {
  if (event.target.type === "range") event.target.form.querySelector("output").textContent = event.target.value;
});

document.addEventListener("change", (event) => {
  if (event.target.form?.dataset.sends !== undefined) event.target.form.requestSubmit();
});

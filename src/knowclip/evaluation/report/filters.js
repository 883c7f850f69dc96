"use strict";
/* Narrows the page to a benchmark, and its cases to an outcome and a kind; without it everything is shown. */
(() => {
  const form = document.querySelector(".filters");
  const selects = [...form.querySelectorAll("select")];
  if (!selects.length) return;
  const cases = [...document.querySelectorAll("[data-kind]")];

  const narrow = () => {
    const chosen = Object.fromEntries(selects.map((select) => [select.name, select.value]));
    const fits = (element, name) => !chosen[name] || element.dataset[name] === chosen[name];
    const shown = (element) => !element.closest("[hidden]");
    for (const name of ["benchmark", "kind"])
      for (const element of document.querySelectorAll(`[data-${name}]`)) element.hidden = !fits(element, name);
    for (const outcome of document.querySelectorAll("[data-outcome]"))
      outcome.hidden = !fits(outcome, "outcome") || !outcome.querySelector("[data-kind]:not([hidden])");
    for (const gallery of document.querySelectorAll("section[data-benchmark]"))
      gallery.hidden ||= !gallery.querySelector("[data-outcome]:not([hidden])");
    /* a benchmark chosen on purpose is opened, so that it is seen at once */
    if (chosen.benchmark)
      for (const details of document.querySelectorAll("details[data-benchmark]:not([hidden])")) details.open = true;
    const count = cases.filter(shown).length;
    form.querySelector("output").textContent = `${count} of ${cases.length} cases shown`;
  };

  form.addEventListener("change", narrow);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  narrow();
})();

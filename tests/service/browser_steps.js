// Runs in the page of the service: types, moves the slider, opens alternatives, copies; the results are JSON in a <pre>.
(async () => {
  const found = {};
  const until = async (condition) => {
    for (let i = 0; i < 400 && !condition(); i++) await new Promise((done) => setTimeout(done, 25));
    if (!condition()) throw new Error(`never: ${condition}`);
  };
  const type = async (value) => {
    document.getElementById("entities").replaceChildren();
    input.value = value;
    input.dispatchEvent(new Event("input"));
    await until(() => text === value.replace(/\p{Surrogate}/gu, "\ufffd"));
  };
  const state = () => ({
    status: byId("status").textContent,
    marks: [...result.querySelectorAll(".sentence > .ner-text .ner-span")].map((node) => node.textContent),
    rows: [...byId("entities").rows].map((row) => [...row.cells].map((cell) => cell.textContent)),
    texts: [...result.querySelectorAll(".sentence > .ner-text")].map((node) => node.textContent),
    counts: [...byId("legend").children].map((item) => item.textContent.trim()),
    html: [...result.querySelectorAll(".sentence > .ner-text")].map((node) => node.innerHTML),
  });
  try {
    await until(() => sentences.length);
    found.first = state();
    await type("😀 Ada met Bo.\n👩‍🚀 in Rome <b>today</b>");
    found.emoji = state();
    found.json = asJson();
    found.conll = asConll();
    threshold.value = "0.7";
    threshold.dispatchEvent(new Event("input"));
    found.threshold = { ...state(), conll: asConll(), json: JSON.parse(asJson()), shown: byId("cut").textContent };
    threshold.value = "0";
    threshold.dispatchEvent(new Event("input"));
    const button = result.querySelector(".more");
    button.click();
    await until(() => button.getAttribute("aria-expanded") === "true");
    const list = button.nextElementSibling;
    found.alternatives = [...list.children].map((item) => item.textContent);
    found.alternativesStatus = byId("status").textContent;
    button.click();
    found.closed = [list.hidden, button.getAttribute("aria-expanded")];
    result.querySelectorAll(".sentence")[1].click();
    await until(() => result.querySelectorAll(".alternatives")[1].hidden === false);
    found.clicked = result.querySelectorAll(".alternatives li").length;
    await type("half \ud83d");
    found.half = state().texts;
    await type("");
    found.empty = state();
    await type("BUSY Ada");
    found.afterBusy = state().status;
    navigator.clipboard.writeText = async () => { throw new Error("denied"); };
    byId("copy-conll").click();
    await until(() => !byId("copied").hidden);
    found.copied = [byId("copied").value, document.activeElement.id];
    // every control is named and can be reached by keyboard
    const controls = [...document.querySelectorAll("button, input, textarea, a, summary, [tabindex]")];
    found.unnamed = controls
      .filter((node) => !(node.labels?.length || node.getAttribute("aria-label") || node.textContent.trim()))
      .map((node) => node.outerHTML);
    found.unreachable = controls.filter((node) => node.tabIndex < 0 && !node.hidden).map((node) => node.outerHTML);
    found.width = [document.documentElement.scrollWidth, document.documentElement.clientWidth];
    found.resources = performance.getEntriesByType("resource").map((entry) => new URL(entry.name).pathname);
  } catch (error) {
    found.error = String(error.stack);
  }
  const shown = document.createElement("pre");
  shown.id = "results";
  shown.textContent = JSON.stringify(found);
  document.body.append(shown);
})();

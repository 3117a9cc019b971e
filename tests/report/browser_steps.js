// Clicks and keys of tests/report/test_browser.py; writes what the page shows to an element as JSON.
(async () => {
  const results = {};
  const wait = () => new Promise((resolve) => setTimeout(resolve, 20));
  const change = (name, value) => {
    const control = document.querySelector(`#filters [name=${name}]`);
    control.value = value;
    control.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const press = (key, target = document.body) =>
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const texts = (selector) => [...document.querySelectorAll(selector)].map((node) => node.textContent);
  const shown = () => ({
    count: document.getElementById("count").textContent,
    badges: texts(".row .badge"),
    confidences: texts(".row .confidence"),
    selected: texts(".row[aria-selected=true] .excerpt"),
    active: document.getElementById("list").getAttribute("aria-activedescendant"),
    position: document.getElementById("position").textContent,
    mistakes: [...document.querySelectorAll("#mistakes tr")].map((row) => [...row.cells].map((cell) => cell.textContent)),
    hidden: document.getElementById("details").hidden,
  });
  const reset = async () => {
    document.querySelector("#filters [type=reset]").click();
    await wait();
  };
  const list = document.getElementById("list");

  results.start = shown();
  results.title = document.title;
  results.scripts = document.scripts.length;
  for (const box of document.querySelectorAll("#filters [type=checkbox]")) if (box.value !== "spurious") box.click();
  results.spurious = shown();
  document.querySelectorAll(".row")[1].click();
  results.script = shown().mistakes[0].slice(1, 3);
  await reset();
  results.reset = shown();
  change("low", "0.65");
  change("high", "0.9");
  results.range = shown();
  await reset();
  change("text", "PARIS");
  results.text = shown();
  change("text", "nowhere");
  results.nothing = shown();
  await reset();
  change("gold", "LOC");
  change("predicted", "ORG");
  results.types = shown();
  await reset();
  change("predicted", "");
  results.missed = shown();
  await reset();
  change("order", "file");
  results.file = shown();
  change("order", "rising");
  results.rising = shown();
  await reset();
  press("j");
  press("j");
  results.twoDown = shown();
  press("k");
  results.oneUp = shown();
  press("j", document.querySelector("#filters [name=text]"));
  results.typed = shown();
  press("ArrowDown", list);
  results.arrow = shown();
  press("End", list);
  results.end = shown();
  press("j");
  results.pastTheEnd = shown();
  press("Home", list);
  results.home = shown();
  document.querySelectorAll(".row")[3].click();
  results.clicked = shown();
  document.querySelector('[data-gold="ORG"][data-predicted="LOC"]').click();
  results.confusion = shown();
  await reset();
  results.html = DATA.sentences.map(({ text, gold, predicted }) =>
    [gold, predicted].map((marks) => highlighted(text, marks, DATA.hues).innerHTML));
  change("text", "القاهرة");
  const paragraph = document.querySelector(".side .ner-text");
  results.direction = [getComputedStyle(paragraph).direction, paragraph.textContent];
  change("text", "北京");
  results.chinese = [...document.querySelectorAll(".side .ner-span")].map((node) => node.textContent);
  results.wrong = document.querySelectorAll(".side .wrong").length;

  await reset();
  const first = DATA.sentences;
  DATA.sentences = Array.from({ length: 5000 }, (_, number) => first[number % first.length]);
  const started = performance.now();
  applyFilters();
  press("End", list);
  results.many = { rows: document.querySelectorAll(".row").length, milliseconds: performance.now() - started, ...shown() };
  delete results.many.badges;
  results.width = [document.documentElement.scrollWidth, window.innerWidth];

  const output = document.createElement("pre");
  output.id = "results";
  output.textContent = JSON.stringify(results);
  document.body.append(output);
})();

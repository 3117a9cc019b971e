function element(name, className, text, attributes = {}) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

// Text with highlighted characters, as highlight.py builds it. Positions count code points, not UTF-16 units.
function highlighted(text, marks, hues, wrong = new Set()) {
  const characters = Array.from(text);
  const sorted = marks.map((mark, number) => ({ mark, number }));
  sorted.sort((a, b) => a.mark[0] - b.mark[0] || b.mark[1] - a.mark[1]);
  const borders = new Set([0, characters.length]);
  for (const [start, end] of marks) borders.add(start).add(end);
  const ends = [...borders].sort((a, b) => a - b);
  const paragraph = element("p", "ner-text", undefined, { dir: "auto" });
  for (let i = 0; i + 1 < ends.length; i++) {
    const [start, end] = [ends[i], ends[i + 1]];
    let part = document.createTextNode(characters.slice(start, end).join(""));
    const active = sorted.filter(({ mark }) => mark[0] <= start && end <= mark[1]);
    for (const { mark, number } of active.reverse()) {
      const [, last, label, score] = mark;
      const node = element("mark", "ner-span");
      node.style.setProperty("--hue", hues[label]);
      if (wrong.has(number)) node.classList.add("wrong");
      node.append(part);
      if (last === end) {
        const name = score === null ? label : `${label} ${score.toFixed(3)}`;
        node.append(element("small", "", name, { dir: "ltr" }));
      }
      part = node;
    }
    paragraph.append(part);
  }
  return paragraph;
}

// Marks, hatches and axes that maps and curves share.

// A mark of a phase, centred, r in pixels.
const MARKS = {
  cross: (x, y, r) => `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`,
  bar: (x, y, r) => `M${x - r} ${y}L${x + r} ${y}`,
  disc: (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`,
  diamond: (x, y, r) => `M${x} ${y - r}L${x + r} ${y}L${x} ${y + r}L${x - r} ${y}Z`,
};

function markOf(mark, d, ink) {
  const solid = mark === "disc" || mark === "diamond";
  return svg("path", { d, class: "mark", fill: solid ? ink : "none", stroke: solid ? "none" : ink });
}

function hatchOf(id, ink) {
  const line = svg("path", { d: "M0 0V6", stroke: ink, "stroke-width": 1.6 });
  return svg("pattern", {
    id, width: 5, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)",
  }, line);
}

// The swatch of a phase in a legend or table.
function swatch(phase, dimmed = false) {
  const box = svg("rect", { x: 0.5, y: 0.5, width: 15, height: 15, fill: dimmed ? "#fff" : phase.colour, stroke: "#333" });
  const ink = inkOn(phase.colour);
  const mark = markOf(phase.mark, MARKS[phase.mark](8, 8, 3), dimmed ? "#333" : ink);
  return svg("svg", { viewBox: "0 0 16 16", class: "swatch", "aria-hidden": "true" }, box, mark);
}

function inkOn(colour) {
  const [r, g, b] = rgb(colour);
  return 0.3 * r + 0.59 * g + 0.11 * b > 120 ? "#000" : "#fff";
}

// Frame, ticks and names of two axes. x, y: scales; ticks: as of ticksOf.
function axesOf(x, y, ticks, labels) {
  const parts = [svg("rect", {
    class: "frame", x: x.from, y: y.to, width: x.to - x.from, height: y.from - y.to,
  })];
  for (const { at, text } of ticks.x) {
    parts.push(svg("path", { class: "tick", d: `M${x(at)} ${y.from}v4` }));
    parts.push(svg("text", { x: x(at), y: y.from + 15, "text-anchor": "middle" }, text));
  }
  for (const { at, text } of ticks.y) {
    parts.push(svg("path", { class: "tick", d: `M${x.from} ${y(at)}h-4` }));
    parts.push(svg("text", { x: x.from - 6, y: y(at) + 4, "text-anchor": "end" }, text));
  }
  const middle = { x: (x.from + x.to) / 2, y: (y.from + y.to) / 2 };
  if (labels.x) parts.push(svg("text", { class: "name", x: middle.x, y: y.from + 31, "text-anchor": "middle" }, labels.x));
  if (labels.y) {
    const turn = `translate(13 ${middle.y}) rotate(-90)`;
    parts.push(svg("text", { class: "name", transform: turn, "text-anchor": "middle" }, labels.y));
  }
  return parts;
}

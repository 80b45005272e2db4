// The runs of the chosen cell: table, curves, settings, command.

function nameOfAxis(result, name) {
  if (name === "decay_rate") return "decay rate r";
  return result.axes.get(name).label;
}

// The value of an axis of a run in words; null where the run does not read it.
function wordOf(result, name, i) {
  if (name === "decay_rate") return num(result.column("decay_rate")[i], 4);
  const place = result.column(`axis:${name}`)[i];
  return place < 0 ? null : result.axes.get(name).shown[place];
}

function placeText(result, i, without = []) {
  const names = result.facts.axes.map((axis) => axis.name).filter((name) => !without.includes(name));
  return names.map((name) => [nameOfAxis(result, name), wordOf(result, name, i)])
    .filter(([, word]) => word !== null).map(([name, word]) => `${name} = ${word}`).join(", ");
}

function flagsOf(result, i) {
  const bits = result.column("flags")[i];
  return result.facts.flags.filter((_, k) => bits & (1 << k));
}

// The line that trains a run again, as `grokmap show RESULT RUN --reproduce` prints it.
function commandOf(result, i) {
  const { head, tail, run } = result.facts.command;
  const settings = result.facts.axes.map((axis) => {
    const place = result.column(`axis:${axis.name}`)[i];
    return place < 0 ? null : axis.settings[place];
  }).filter((words) => words !== null);
  const tile = result.column("tile")[i];
  const tiles = tile > 0 ? [`--tile ${tile}`] : [];
  return [head, ...settings, ...tiles, tail.replaceAll(run, result.id(i))].join(" ");
}

function cellText(result, cell) {
  const phases = result.facts.phases;
  const place = placeText(result, cell.runs[0], ["seed"]);
  if (cell.done.length === 0) return `${place}: not run yet`;
  const counts = [...cell.counts].map(([k, n]) => `${n} ${phases[k].name}`).join(", ");
  const notes = ["censored", "partial"].filter((name) => cell[name] > 0)
    .map((name) => `${Math.round(cell[name] * cell.done.length)} ${name}`);
  return `${place || result.facts.name}: ${[counts, ...notes].join(", ")}`;
}

function runTable(result, cell, front, state, choose) {
  const heads = ["run", "seed", "phase", "t_mem", "t_grok", "t_grok / t_mem", "steps", "flags"];
  const rows = cell.runs.map((i) => runRow(result, i, i === front, state, choose));
  const table = html("table", {},
    html("caption", {}, `${plural(cell.runs.length, "run")}; choose one to see its curves in front`),
    html("thead", {}, html("tr", {}, ...heads.map((word) => html("th", { scope: "col" }, word)))),
    html("tbody", {}, ...rows));
  return html("div", { class: "runs", tabindex: 0, role: "group", "aria-label": "Runs" }, table);
}

function runRow(result, i, chosen, state, choose) {
  const phase = result.facts.phases[result.column("phase")[i]];
  const seed = result.axes.has("seed") ? wordOf(result, "seed", i) : "";
  const button = html("button", { type: "button", "aria-pressed": String(chosen), "data-run": i, onclick: () => choose(i) }, result.id(i).slice(0, 8));
  const cells = phase === undefined ? [html("td", { colspan: 6 }, "not run yet")] : [
    html("td", {}, swatch(phase), " ", phase.name),
    html("td", {}, timeText(result, "t_mem", i)),
    html("td", {}, timeText(result, "t_grok", i)),
    html("td", {}, num(result.values("delay_ratio")[i])),
    html("td", {}, count(result.column("n_steps")[i])),
    html("td", {}, flagsOf(result, i).join(", ") || "–"),
  ];
  const off = phase !== undefined && state.off.includes(phase.name);
  const row = html("tr", { class: `${chosen ? "chosen" : ""} ${off ? "off" : ""}` }, html("th", { scope: "row" }, button), html("td", {}, seed), ...cells);
  row.addEventListener("click", (event) => event.target.tagName !== "BUTTON" && choose(i));
  return row;
}

// A time with the spacing of records before it.
function timeText(result, name, i) {
  const t = result.column(name)[i];
  if (t < 0) return "never";
  const width = result.column(`${name}_resolution`)[i];
  return width > 1 ? `${count(t)} (−${count(width)})` : count(t);
}

function factsList(result, i) {
  const { settings, path, criteria } = result.facts;
  const pairs = [["run", result.id(i)], ["result", path], ["labelled by", criteria]];
  for (const axis of result.facts.axes) {
    const word = wordOf(result, axis.name, i);
    if (word !== null) pairs.push([axis.label, word]);
  }
  const followed = result.column("horizon_fraction")[i];
  pairs.push(["decay rate r", num(result.column("decay_rate")[i], 4)]);
  pairs.push(["budget", `${count(result.column("budget_steps")[i])} steps`]);
  if (!Number.isNaN(followed)) pairs.push(["followed", `${num(followed)} of its horizon`]);
  for (const [name, value] of Object.entries(settings)) pairs.push([name.replaceAll("_", " "), value]);
  return listOf("settings", pairs);
}

function listOf(name, pairs) {
  return html("dl", { class: name }, ...pairs.map(([key, value]) => html("div", {}, html("dt", {}, key), html("dd", {}, value))));
}

function finalsList(result, i) {
  const pairs = result.facts.quantities.map((q) => [q.label, num(result.column(`final:${q.name}`)[i], 4)]);
  return listOf("settings", pairs.filter(([, value]) => value !== "–"));
}

function commandBox(result, i) {
  const text = commandOf(result, i);
  const said = html("span", { role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      said.replaceChildren("copied");
    } catch {
      getSelection().selectAllChildren(box);
      said.replaceChildren("selected: copy it with Ctrl-C");
    }
  };
  const box = html("code", { class: "command" }, text);
  return html("div", { class: "again" }, html("pre", { tabindex: 0, "aria-label": "Command" }, box), html("button", { type: "button", onclick: copy }, "Copy"), " ", said);
}

function showChooser(result, state, toggle) {
  const boxes = choosable(result).map((q) => html("label", { title: q.meaning },
    html("input", { type: "checkbox", "data-show": q.name, checked: state.show.includes(q.name) ? "" : null, onchange: () => toggle(q.name) }), ` ${q.label}`));
  if (boxes.length === 0) return null;
  return html("fieldset", { class: "chooser" }, html("legend", {}, "More curves"), ...boxes);
}

// A section on the cell of a result, one of its runs in front.
// acts: choose(run), toggle(quantity).
function sectionOf(result, cell, run, state, acts) {
  const done = result.column("phase")[run] !== NOT_DONE;
  const name = result.id(run).slice(0, 8);
  const seed = result.axes.has("seed") ? `, seed ${wordOf(result, "seed", run)}` : "";
  return html("section", { "data-result": result.k },
    html("h2", {}, `${result.facts.name}: ${placeText(result, cell.runs[0], ["seed"])}`),
    runTable(result, cell, run, state, acts.choose),
    ...(done ? [html("h3", {}, `Curves of run ${name}${seed}`)] : []),
    ...curvesPart(result, cell, run, state, acts),
    html("h3", {}, "Make this run again"),
    commandBox(result, run),
    html("details", {}, html("summary", {}, "Settings"), factsList(result, run)),
    ...(done ? [html("details", {}, html("summary", {}, "Final values"), finalsList(result, run))] : []),
  );
}

function curvesPart(result, cell, run, state, acts) {
  if (result.column("phase")[run] === NOT_DONE) return [html("p", {}, "This run is planned, but not done yet.")];
  if (result.facts.curves === null) return [html("p", {}, "Only the labels of this result are here, not its trajectories: no curves.")];
  if (result.curves === null) return [html("p", {}, "Unpacking the curves ...")];
  const off = (i) => state.off.includes(result.facts.phases[result.column("phase")[i]].name);
  const runs = cell.done.filter((i) => i === run || !off(i));
  const more = showChooser(result, state, acts.toggle);
  return [html("div", { class: "curves" }, ...drawCurves(result, runs, run, state.show)), ...(more ? [more] : [])];
}

// Places in pixels, ticks, colours.

function scaleOf(low, high, from, to) {
  const share = (to - from) / (high - low || 1);
  const scale = (value) => from + (value - low) * share;
  return Object.assign(scale, { low, high, from, to });
}

// Ticks as {at, text}; at: in places, logarithms on a log axis.
function ticksOf(values, log, at, low, high, most) {
  if (values.length <= most) return apart(values.map((v) => ({ at: at(v), text: num(v) })), (high - low) / 16);
  const zero = log && values[0] === 0 ? [{ at: at(0), text: "0" }] : [];
  const round = log ? roundLogs(Math.exp(low), Math.exp(high), most) : roundNumbers(low, high, most);
  const places = round.map((v) => ({ at: log ? Math.log(v) : v, text: num(v) }));
  const free = places.filter((tick) => zero.every((z) => tick.at - z.at > (high - low) / 14));
  return [...zero, ...free];
}

// Ticks without those that stand too near to one before.
function apart(ticks, least) {
  const found = [];
  for (const tick of ticks) {
    if (found.length === 0 || tick.at - found.at(-1).at >= least) found.push(tick);
  }
  return found;
}

function roundLogs(low, high, most) {
  const found = [];
  for (const factors of [[1], [1, 3], [1, 2, 5]]) {
    const ticks = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++) {
      for (const f of factors) {
        const value = Number(`${f}e${e}`);
        if (value >= low && value <= high) ticks.push(value);
      }
    }
    if (found.length === 0 || ticks.length <= most) found.splice(0, found.length, ...ticks);
  }
  const every = Math.ceil(found.length / most);
  return found.length >= 2 ? found.filter((_, k) => k % every === 0) : roundNumbers(low, high, 4).filter((v) => v > 0);
}

function roundNumbers(low, high, most) {
  const raw = (high - low) / most || 1;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((f) => f * unit >= raw) * unit;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) {
    found.push(Number((k * step).toPrecision(12)));
  }
  return found;
}

const VIRIDIS = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];

function rgb(text) {
  return [1, 3, 5].map((k) => parseInt(text.slice(k, k + 2), 16));
}

function mixed(one, two, share) {
  const [a, b] = [rgb(one), rgb(two)];
  const parts = a.map((v, k) => Math.round(v + (b[k] - v) * share));
  return "#" + parts.map((v) => v.toString(16).padStart(2, "0")).join("");
}

// share: in [0, 1]; one of 64 colours.
function viridis(share) {
  const place = (Math.round(Math.min(1, Math.max(0, share)) * 63) / 63) * (VIRIDIS.length - 1);
  const k = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return mixed(VIRIDIS[k], VIRIDIS[k + 1], place - k);
}

// The range of a quantity over the cells of all maps; null where no cell has it.
function normOf(values, log) {
  let [low, high] = [Infinity, -Infinity];
  for (const v of values) {
    if (!Number.isFinite(v) || (log && v <= 0)) continue;
    if (v < low) low = v;
    if (v > high) high = v;
  }
  if (low > high) return null;
  if (low === high) high = low + (Math.abs(low) || 1) / 10;
  const f = log ? Math.log : (v) => v;
  return { low, high, log, share: (v) => (f(log ? Math.max(v, low) : v) - f(low)) / (f(high) - f(low)) };
}

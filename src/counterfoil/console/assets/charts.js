// Charts from the numbers that stand in the page, in the colours of its style sheet. The same numbers stand in a table.
"use strict";

const HEIGHT_PX = 190;
// From one time on the axis to the next: hours, minutes and seconds, and a space between.
const TIME_PX = 80;
// Lines that lie on one another are told apart by their dashes too.
const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3]];
const dark = matchMedia("(prefers-color-scheme: dark)");

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const spelled = (value, unit) =>
  value == null ? "–" : value.toLocaleString("en", { maximumFractionDigits: 2 }).replaceAll(",", "\u202f") + unit;

function clock(seconds, step) {
  const told = new Date(seconds * 1000).toISOString();
  return step >= 86400 ? told.slice(5, 10) : step >= 60 ? told.slice(11, 16) : told.slice(11, 19);
}

const powersOfTen = (_, splits) => splits.map((each) => (Number.isInteger(Math.round(1e6 * Math.log10(each)) / 1e6) ? each : null));

// Towers of one column upon the other, the tallest first: each lower one is drawn over it, and leaves its own part to be seen.
function stacked([times, ...columns]) {
  const sums = times.map(() => 0);
  const towers = columns.map((column) => column.map((value, at) => (value == null ? null : (sums[at] += value))));
  return [times, ...towers.reverse()];
}

class Chart {
  constructor(holder) {
    this.holder = holder;
    holder.addEventListener("fresh", () => this.refresh());
    dark.addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.plot.setSize(this.size())).observe(holder);
    this.draw();
  }

  size() {
    return { width: this.holder.clientWidth, height: HEIGHT_PX };
  }

  read() {
    this.columns = JSON.parse(this.holder.dataset.columns);
    return this.isStacked ? stacked(this.columns) : this.columns;
  }

  refresh() {
    if (this.holder.dataset.series !== this.named) return this.draw();
    this.plot.setData(this.read());
    if (!this.plot.over.matches(":hover")) this.tellNewest();
  }

  draw() {
    const { kind, unit, series, spanS } = this.holder.dataset;
    this.plot?.destroy();
    this.named = series;
    this.isStacked = kind === "stacked";
    this.beginsAt = this.holder.dataset.bars === "from";
    const names = JSON.parse(series);
    const order = names.map((_, at) => (this.isStacked ? names.length - 1 - at : at));
    const axis = {
      stroke: colour("ink-soft"),
      font: `12px ${colour("sans")}`,
      ticks: { stroke: colour("rule"), width: 1, size: 4 },
    };
    const scale = kind === "log"
      ? { distr: 3, range: (_, lowest, highest) => uPlot.rangeLog(lowest || 0.1, highest || 10, 10, true) }
      : { range: (_, __, highest) => (kind === "share" ? [0, 100] : [0, 1.08 * Math.max(highest || 0, 1)]) };
    const options = {
      ...this.size(),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { y: false, drag: { x: false, y: false }, points: { show: !this.isStacked } },
      scales: {
        x: { range: () => this.span(Number(spanS)) },
        y: scale,
      },
      axes: [
        { ...axis, size: 26, space: TIME_PX, grid: { show: false }, values: (_, splits, __, ___, step) => splits.map((each) => clock(each, step)) },
        { ...axis, size: 50, grid: { stroke: colour("rule"), width: 1, filter: kind === "log" ? powersOfTen : (_, splits) => splits }, values: (_, splits) => splits.map((each) => (each == null ? "" : spelled(each, kind === "share" ? unit : ""))) },
      ],
      series: [
        { label: "UTC", value: (_, seconds) => (seconds == null ? "–" : clock(seconds, 1)) },
        ...order.map((at) => this.line(names[at], at, unit)),
      ],
      hooks: { ready: [() => this.tellNewest()] },
    };
    this.plot = new uPlot(options, this.read(), this.holder);
    this.plot.over.addEventListener("mouseleave", () => this.tellNewest());
  }

  // Bars that begin at a time end after the last of them; what moves ends with the newest. By our own times: where there is but
  // one, the library makes years of it.
  span(spanS) {
    const [times] = this.columns;
    if (!times.length) return [0, spanS];
    const first = times[0], last = times[times.length - 1];
    return this.beginsAt ? [first, first + spanS] : [Math.min(first, last - spanS), last];
  }

  line([label, name], at, unit) {
    const stroke = colour(name);
    const told = { label, stroke, points: { show: false }, value: (_, __, ___, index) => spelled(this.columns[at + 1][index], unit) };
    if (!this.isStacked) return { ...told, width: 2, dash: DASHES[at % DASHES.length] };
    const align = this.beginsAt ? 1 : -1;
    return { ...told, fill: stroke, width: 0, paths: uPlot.paths.bars({ size: [0.9, 40], align }) };
  }

  // While nobody points at a moment, the legend tells the newest.
  tellNewest() {
    const newest = this.columns[0].length - 1;
    if (newest >= 0) this.plot.setLegend({ idx: newest });
  }
}

for (const holder of document.querySelectorAll(".chart")) new Chart(holder);

// Draws the chart of a sensor page from the JSON that its data-series-url names, again after every swap by htmx.
// The numbers come from the server, one point per pixel at most; dragging over the chart asks for that stretch.
(() => {
  "use strict";

  const HEIGHT = 340;
  const drawn = new Map(); // chart element -> uPlot

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const faded = (name, alpha) => `rgba(${css(name)}, ${alpha})`;

  // Times as ISO dates and 24 hours, in UTC as everywhere; a second line where the day, month or year begins.
  const DAY_LINE = "\n{D} {MMM} {YYYY}";
  const TICKS = [
    // step, text, and what is added when the year, the day, or the minute changes
    [31536000, "{YYYY}", null, null, null, null, null, null, 1],
    [2419200, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [86400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [60, "{HH}:{mm}", DAY_LINE, null, "\n{D} {MMM}", null, null, null, 1],
    [1, "{HH}:{mm}:{ss}", DAY_LINE, null, "\n{D} {MMM}", null, null, null, 1],
    [0.001, ":{ss}.{fff}", DAY_LINE, null, "\n{D} {MMM}", null, "\n{HH}:{mm}", null, 1],
  ];

  const timeText = (seconds, bucket) => {
    const text = new Date(seconds * 1000).toISOString().replace("T", " ");
    if (bucket.endsWith("y")) return text.slice(0, 4);
    if (bucket.endsWith("mo")) return text.slice(0, 7);
    if (/[dw]$/.test(bucket)) return text.slice(0, 10);
    return `${text.slice(0, seconds % 60 ? 19 : 16)} UTC`;
  };

  // Figures that were calculated have more digits than anybody measured.
  const number = (value, digits = 7) => {
    const [whole, ...rest] = String(Number(value.toPrecision(digits))).split(".");
    return [whole.replace(/\B(?=(\d{3})+$)/g, "\u202f"), ...rest].join(".");
  };

  const withUnit = (text, unit) => (unit ? `${text} ${unit}` : text);

  const readout = (data, index) => {
    if (index === null || index === undefined || !data.count[index]) return "";
    const when = timeText(data.time[index], data.bucket);
    const show = (name) => (data[name][index] === null ? "–" : number(data[name][index]));
    if (data.kind === "amount") return `${when}: ${withUnit(show("sum"), data.unit)}`;
    if (!data.bucket) return `${when}: ${withUnit(show("mean"), data.unit)}`;
    return `${when}: ${withUnit(number(data.mean[index], 5), data.unit)} (${show("least")} to ${show("most")})`;
  };

  // As wide as the widest label, which is known only once there are labels.
  const axisWidth = (_, labels) => {
    const longest = Math.max(0, ...(labels || []).map((label) => String(label).length));
    return 22 + longest * 7.5;
  };

  // A single reading still gets a day, and a value that never changes a scale. Bars stand to the right of their times:
  // the last one ends a bucket later.
  const timeRange = (barSeconds) => (chart) => {
    const [first, last] = [chart.data[0][0], chart.data[0].at(-1)];
    if (barSeconds) return [first, last + barSeconds];
    return first === last ? [first - 43200, last + 43200] : [first, last];
  };
  const lineRange = (_, least, most) => (least === most ? [least - 1, most + 1] : uPlot.rangeNum(least, most, 0.1, true));
  const barRange = (_, least, most) => [Math.min(0, least * 1.05), Math.max(0, most * 1.05) || 1];

  const seriesFor = (data) => {
    const line = { label: data.bucket ? "mean" : "value", stroke: () => css("--accent"), width: 1.5, points: { size: 4 } };
    if (data.kind === "amount") {
      const bars = uPlot.paths.bars({ size: [0.8, 64, 1], align: 1 });
      return [{ ...line, label: "sum", fill: () => css("--accent"), width: 0, paths: bars, points: { show: false } }];
    }
    if (!data.bucket) return [line];
    const edge = { stroke: "transparent", points: { show: false } };
    return [{ ...edge, label: "max" }, { ...edge, label: "min" }, line];
  };

  const columnsFor = (data) => {
    if (data.kind === "amount") return [data.time, data.sum];
    return data.bucket ? [data.time, data.most, data.least, data.mean] : [data.time, data.mean];
  };

  const draw = (element, data) => {
    const figure = element.closest("figure");
    const read = figure.querySelector(".chart-readout");
    const amount = data.kind === "amount";
    const axis = {
      stroke: () => css("--ink-soft"),
      font: "12px system-ui, sans-serif",
      labelFont: "500 12px system-ui, sans-serif",
      grid: { stroke: () => css("--rule"), width: 1 },
      ticks: { stroke: () => css("--rule"), width: 1 },
    };
    const options = {
      width: element.clientWidth,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false },
        points: amount ? { show: false } : { size: 7, fill: () => css("--accent") },
        // A bar stands to the right of its time, so it is the one before the pointer that is meant, not the nearest.
        dataIdx: (_, __, nearest, at) => (amount && nearest > 0 && data.time[nearest] > at ? nearest - 1 : nearest),
      },
      scales: { x: { time: true, range: timeRange(amount ? data.seconds : 0) }, y: { range: amount ? barRange : lineRange } },
      bands: !amount && data.bucket ? [{ series: [1, 2], fill: () => faded("--accent-rgb", 0.22) }] : [],
      series: [{}, ...seriesFor(data)],
      axes: [
        { ...axis, values: TICKS, space: 70, label: "Time (UTC)", labelSize: 22 },
        { ...axis, size: axisWidth, values: (_, marks) => marks.map((mark) => number(mark)), label: data.unit || element.dataset.name, labelSize: 20 },
      ],
      hooks: {
        setCursor: [(chart) => { read.textContent = readout(data, chart.cursor.idxs[1]); }],
        setSelect: [(chart) => choose(chart, element)],
      },
    };
    const chart = new uPlot(options, columnsFor(data), element);
    drawn.set(element, chart);
    // At our width it may be other buckets than in the table, or readings.
    if (amount) {
      figure.querySelector(".chart-key-bar").textContent = data.bucket ? `Sum per ${data.width}` : "Readings";
    } else {
      figure.querySelector(".chart-key-line").textContent = data.bucket ? `Mean per ${data.width}` : "Readings";
      figure.querySelector(".chart-key-band").hidden = !data.bucket;
    }
    element.dataset.drawn = data.bucket || "readings";
  };

  // The stretch that was dragged over goes into the form, as if it had been typed there.
  const choose = (chart, element) => {
    const { left, width } = chart.select;
    if (width < 8) return;
    const form = element.closest(".series").querySelector("form");
    const text = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");
    const first = chart.posToVal(left, "x");
    const last = chart.posToVal(left + width, "x");
    form.elements.from.value = text(first);
    form.elements.to.value = text(Math.ceil(last / 60) * 60);
    form.requestSubmit();
  };

  const load = async (element) => {
    element.dataset.loading = "";
    const url = new URL(element.dataset.seriesUrl, location.href);
    url.searchParams.set("points", Math.max(2, Math.floor(element.clientWidth)));
    try {
      const response = await fetch(url, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      const data = await response.json();
      if (!element.isConnected) return; // another range was chosen meanwhile
      draw(element, data);
    } catch (error) {
      element.textContent = `The chart could not be loaded (${error.message}). The table below has its numbers.`;
    } finally {
      delete element.dataset.loading;
    }
  };

  const loadAll = () => {
    for (const [element, chart] of drawn) {
      if (element.isConnected) continue;
      chart.destroy();
      drawn.delete(element);
    }
    for (const element of document.querySelectorAll("[data-series-url]")) {
      if (drawn.has(element) || "loading" in element.dataset) continue;
      sizes.observe(element);
      load(element);
    }
  };

  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const chart = drawn.get(target);
      if (!target.isConnected) sizes.unobserve(target);
      else if (chart && target.clientWidth && chart.width !== target.clientWidth) {
        chart.setSize({ width: target.clientWidth, height: HEIGHT });
      }
    }
  });

  // theme.js sets the attribute when the reader's system turns dark or light.
  new MutationObserver(() => drawn.forEach((chart) => chart.redraw())).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-bs-theme"],
  });

  document.addEventListener("htmx:afterSettle", loadAll);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", loadAll);
  else loadAll();
})();

"use strict";
// Draws the charts of this page as SVG. No library: the file has to work wherever it is copied to.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const WIDTH = 960, HEIGHT = 300, LEFT = 78, RIGHT = 14, TOP = 12, BOTTOM = 30, COLORS = 8;
  const charts = JSON.parse(document.getElementById("charts").textContent);

  const node = (name, attributes, parent, text) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, String(value));
    if (text !== undefined) made.textContent = text;
    if (parent) parent.appendChild(made);
    return made;
  };
  const element = (name, classes, parent, text) => {
    const made = document.createElement(name);
    if (classes) made.className = classes;
    if (text !== undefined) made.textContent = text;
    if (parent) parent.appendChild(made);
    return made;
  };
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "#444";

  // Numbers as people read them.
  const rounded = (value) => {
    const size = Math.abs(value);
    return value.toLocaleString("en", { maximumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : 2, useGrouping: false });
  };
  const bytes = (value) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let at = 0;
    while (Math.abs(value) >= 1024 && at < units.length - 1) { value /= 1024; at += 1; }
    return `${rounded(value)} ${units[at]}`;
  };
  const shown = (value, unit) =>
    unit === "bytes" ? bytes(value) : unit === "rate" ? `${bytes(value)}/s` : unit === "percent" ? `${rounded(value)} %` : rounded(value);
  const two = (number) => String(number).padStart(2, "0");
  const clock = (seconds, span, full) => {
    const at = new Date(seconds * 1000);
    const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
    if (full) return `${day} ${time}:${two(at.getSeconds())}`;
    return span > 2 * 86400 ? `${day.slice(5)} ${time}` : span > 600 ? time : `${time}:${two(at.getSeconds())}`;
  };
  const step = (span, count, base) => {
    const raw = span / Math.max(1, count);
    const power = Math.pow(base, Math.floor(Math.log(raw) / Math.log(base)));
    const nice = base === 10 ? [1, 2, 5, 10] : [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
    return power * (nice.find((one) => one * power >= raw) || base);
  };
  const TIMES = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

  const least = (points, time) => {
    // The first point that is not before a time.
    let low = 0, high = points.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (points[middle][0] < time) low = middle + 1; else high = middle;
    }
    return low;
  };

  const lines = (figure, chart) => {
    const hidden = new Set();
    let first = Infinity, last = -Infinity;
    for (const line of chart.lines) {
      if (line.points.length) {
        first = Math.min(first, line.points[0][0]);
        last = Math.max(last, line.points[line.points.length - 1][0]);
      }
    }
    if (first === last) { first -= 1; last += 1; }
    let from = first, to = last;
    const plot = element("div", "plot", figure);
    const svg = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": chart.title }, plot);
    const tip = element("div", "tip", plot);
    tip.hidden = true;
    const x = (time) => LEFT + ((time - from) / (to - from)) * (WIDTH - LEFT - RIGHT);
    let y = () => 0;
    let cursor = null, band = null;

    const draw = () => {
      svg.replaceChildren();
      const seen = chart.lines.map((line, at) => ({ line, at })).filter((one) => !hidden.has(one.at));
      let top = 0;
      for (const { line } of seen) {
        for (const [time, value] of line.points) if (time >= from && time <= to && value > top) top = value;
      }
      // A limit far above everything would press the lines to the ground.
      const limits = chart.limits.filter((one) => top === 0 || one.value <= top * 4);
      for (const one of limits) top = Math.max(top, one.value);
      top = top * 1.06 || 1;
      y = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
      node("rect", { x: 0, y: 0, width: WIDTH, height: HEIGHT, fill: color("--panel") }, svg);
      const text = { "font-family": "system-ui, sans-serif", "font-size": 12, fill: color("--soft") };
      const rise = step(top, 5, chart.unit === "bytes" || chart.unit === "rate" ? 1024 : 10);
      for (let value = 0; value <= top; value += rise) {
        node("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), stroke: color("--grid") }, svg);
        node("text", { ...text, x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, svg, shown(value, chart.unit));
      }
      const span = to - from;
      const pace = TIMES.find((one) => span / one <= 8) || 604800;
      const shift = new Date(from * 1000).getTimezoneOffset() * 60;
      for (let time = Math.ceil((from - shift) / pace) * pace + shift; time <= to; time += pace) {
        node("line", { x1: x(time), x2: x(time), y1: TOP, y2: HEIGHT - BOTTOM, stroke: color("--grid") }, svg);
        node("text", { ...text, x: x(time), y: HEIGHT - 10, "text-anchor": "middle" }, svg, clock(time, span, false));
      }
      for (const one of limits) {
        node("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(one.value), y2: y(one.value), stroke: color("--limit"), "stroke-dasharray": "6 4" }, svg);
        node("text", { ...text, x: WIDTH - RIGHT - 4, y: y(one.value) - 4, "text-anchor": "end", fill: color("--limit") }, svg, one.name);
      }
      for (const { line, at } of seen) {
        const begin = Math.max(0, least(line.points, from) - 1);
        const end = Math.min(line.points.length, least(line.points, to) + 1);
        let path = "";
        for (let place = begin; place < end; place += 1) {
          const [time, value] = line.points[place];
          path += `${path ? "L" : "M"}${Math.min(WIDTH, Math.max(0, x(time))).toFixed(1)} ${y(value).toFixed(1)}`;
        }
        const stroke = color(`--s${at % COLORS}`);
        const dash = at < COLORS ? {} : { "stroke-dasharray": at % (2 * COLORS) < COLORS ? "1 0" : "7 3" };
        if (end - begin === 1) node("circle", { cx: x(line.points[begin][0]), cy: y(line.points[begin][1]), r: 3, fill: stroke }, svg);
        else node("path", { d: path, fill: "none", stroke, "stroke-width": 1.6, "stroke-linejoin": "round", ...dash }, svg);
      }
      band = node("rect", { x: 0, y: TOP, width: 0, height: HEIGHT - TOP - BOTTOM, fill: color("--s0"), opacity: 0.15 }, svg);
      cursor = node("line", { x1: 0, x2: 0, y1: TOP, y2: HEIGHT - BOTTOM, stroke: color("--soft"), opacity: 0 }, svg);
    };

    const place = (event) => {
      const box = svg.getBoundingClientRect();
      const across = ((event.clientX - box.left) / box.width) * WIDTH;
      return Math.min(WIDTH - RIGHT, Math.max(LEFT, across));
    };
    const time = (across) => from + ((across - LEFT) / (WIDTH - LEFT - RIGHT)) * (to - from);
    let start = null;
    svg.addEventListener("pointerdown", (event) => { if (event.button === 0) start = place(event); });
    svg.addEventListener("pointermove", (event) => {
      const across = place(event);
      const now = time(across);
      cursor.setAttribute("x1", across);
      cursor.setAttribute("x2", across);
      cursor.setAttribute("opacity", 0.6);
      if (start !== null) {
        band.setAttribute("x", Math.min(start, across));
        band.setAttribute("width", Math.abs(across - start));
      }
      const told = [];
      chart.lines.forEach((line, at) => {
        if (hidden.has(at) || !line.points.length) return;
        let near = least(line.points, now);
        if (near > 0 && (near === line.points.length || now - line.points[near - 1][0] < line.points[near][0] - now)) near -= 1;
        const value = line.points[near][1], slack = (to - from) / 20;
        if (now > line.points[0][0] - slack && now < line.points[line.points.length - 1][0] + slack) told.push({ value, text: `${line.name}: ${shown(value, chart.unit)}` });
      });
      told.sort((one, other) => other.value - one.value);
      const more = told.length > 12 ? `\n… and ${told.length - 12} more` : "";
      tip.textContent = `${clock(now, 0, true)}\n${told.slice(0, 12).map((one) => one.text).join("\n")}${more}`;
      tip.hidden = false;
      const half = across > WIDTH / 2;
      tip.style.left = half ? "" : `${(across / WIDTH) * 100 + 1.5}%`;
      tip.style.right = half ? `${(1 - across / WIDTH) * 100 + 1.5}%` : "";
    });
    const leave = () => { tip.hidden = true; cursor.setAttribute("opacity", 0); };
    svg.addEventListener("pointerleave", leave);
    window.addEventListener("pointerup", (event) => {
      if (start === null) return;
      const end = place(event), begin = start;
      start = null;
      band.setAttribute("width", 0);
      // What lies under a double click must not be drawn anew by its first half.
      if (Math.abs(end - begin) <= 6) return;
      [from, to] = [time(Math.min(begin, end)), time(Math.max(begin, end))];
      draw();
    });
    const whole = () => { [from, to] = [first, last]; draw(); };
    svg.addEventListener("dblclick", whole);

    const legend = element("div", "bar legend", figure);
    chart.lines.forEach((line, at) => {
      const button = element("button", "", legend);
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      const swatch = element("span", "swatch", button);
      swatch.style.background = `var(--s${at % COLORS})`;
      button.appendChild(document.createTextNode(line.name));
      button.addEventListener("click", () => {
        if (!hidden.delete(at)) hidden.add(at);
        button.setAttribute("aria-pressed", String(!hidden.has(at)));
        draw();
      });
    });
    draw();
    return { svg, draw, whole };
  };

  const bars = (figure, chart) => {
    const row = 34, left = 220, height = chart.bars.length * row + 12;
    const plot = element("div", "plot", figure);
    const svg = node("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": chart.title }, plot);
    const hidden = new Set();
    const kinds = [["peak", "--s0"], ["mean", "--s1"]];
    const draw = () => {
      svg.replaceChildren();
      const top = Math.max(...chart.bars.map((one) => Math.max(...kinds.filter(([kind]) => !hidden.has(kind)).map(([kind]) => one[kind]), 0))) * 1.02 || 1;
      const x = (value) => left + (value / top) * (WIDTH - left - 110);
      node("rect", { x: 0, y: 0, width: WIDTH, height, fill: color("--panel") }, svg);
      const text = { "font-family": "system-ui, sans-serif", "font-size": 12, fill: color("--ink") };
      chart.bars.forEach((one, at) => {
        const name = one.name.length > 34 ? `${one.name.slice(0, 33)}…` : one.name;
        const label = node("text", { ...text, x: left - 8, y: at * row + 24, "text-anchor": "end" }, svg, name);
        node("title", {}, label, one.name);
        kinds.forEach(([kind, tone], which) => {
          if (hidden.has(kind)) return;
          const bar = node("rect", { x: left, y: at * row + 8 + which * 12, width: Math.max(1, x(one[kind]) - left), height: 11, fill: color(tone) }, svg);
          node("title", {}, bar, `${one.name}, ${kind === "mean" ? "average" : kind}: ${shown(one[kind], chart.unit)}`);
          node("text", { ...text, "font-size": 11, fill: color("--soft"), x: x(one[kind]) + 5, y: at * row + 17 + which * 12 }, svg, shown(one[kind], chart.unit));
        });
      });
    };
    const legend = element("div", "bar legend", figure);
    for (const [kind, tone] of kinds) {
      const button = element("button", "", legend);
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      element("span", "swatch", button).style.background = `var(${tone})`;
      button.appendChild(document.createTextNode(kind === "mean" ? "average" : kind));
      button.addEventListener("click", () => {
        if (!hidden.delete(kind)) hidden.add(kind);
        button.setAttribute("aria-pressed", String(!hidden.has(kind)));
        draw();
      });
    }
    draw();
    return { svg, draw, whole: null };
  };

  const save = (name, blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const written = (svg) => {
    const copy = svg.cloneNode(true);
    const [, , width, height] = svg.getAttribute("viewBox").split(" ");
    copy.setAttribute("xmlns", SVG);
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    return { text: new XMLSerializer().serializeToString(copy), width: Number(width), height: Number(height) };
  };

  const drawn = [];
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    const chart = charts[Number(figure.dataset.chart)];
    const details = figure.querySelector("details");
    const made = chart.bars.length ? bars(figure, chart) : lines(figure, chart);
    drawn.push(made);
    const file = [...new Set([document.title, chart.title])].join(" ").replace(/[^\w.-]+/g, "_").slice(0, 100);
    const bar = element("div", "bar", figure);
    const act = (label, what) => {
      const button = element("button", "", bar, label);
      button.type = "button";
      button.addEventListener("click", what);
    };
    if (made.whole) act("Whole time", made.whole);
    act("Save as SVG", () => save(`${file}.svg`, new Blob([written(made.svg).text], { type: "image/svg+xml" })));
    act("Save as PNG", () => {
      const { text, width, height } = written(made.svg);
      const image = new Image();
      image.onload = () => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [2 * width, 2 * height];
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
        canvas.toBlob((blob) => save(`${file}.png`, blob), "image/png");
      };
      image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    });
    figure.appendChild(details);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach((one) => one.draw()));
})();

"use strict";
(() => {
  const EVERY = 2000;
  const PATIENCE = 10000;
  const SVG = "http://www.w3.org/2000/svg";
  const at = (id) => document.getElementById(id);

  const write = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };
  const svg = (name, attributes, text) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };

  const bytes = (count) => {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let unit = 0;
    while (count >= 1000 && unit < units.length - 1) {
      count /= 1000;
      unit += 1;
    }
    return `${count.toFixed(unit ? 1 : 0)} ${units[unit]}`;
  };
  const lasting = (millis) => {
    const seconds = Math.max(0, Math.floor(millis / 1000));
    const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(seconds / unit));
    if (days) return `${days} d ${hours % 24} h`;
    if (hours) return `${hours} h ${minutes % 60} min`;
    if (minutes) return `${minutes} min ${seconds % 60} s`;
    return `${seconds} s`;
  };
  const time = (millis) => `${new Date(millis).toISOString().slice(0, 19).replace("T", " ")} UTC`;
  const rate = (count) => (count >= 100 ? count.toFixed(0) : count.toFixed(1));
  const ms = (value) => (value === null || value === undefined ? "–" : `${value} ms`);

  // One row of cells: text, or { text, tone, node }.
  const fill = (id, rows, empty) => {
    const table = at(id);
    const body = document.createElement("tbody");
    for (const cells of rows) {
      const row = body.insertRow();
      for (const cell of cells) {
        const { text, tone, node } = typeof cell === "object" ? cell : { text: cell };
        const made = row.insertCell();
        if (node) {
          made.append(node);
        } else {
          made.textContent = String(text);
          if (String(text).length > 30) made.title = String(text);
        }
        if (tone) made.className = tone;
      }
    }
    if (!rows.length) {
      const cell = body.insertRow().insertCell();
      cell.className = "empty";
      cell.colSpan = table.tHead.rows[0].cells.length;
      cell.textContent = empty;
    }
    table.replaceChild(body, table.tBodies[0]);
  };

  const sorting = { column: 0, down: false };
  const KEYS = ["id", "login", "application", "tds_version", "peer", "target", "database", "identity", "state", "since",
    "bytes_from", "bytes_to", "requests"];
  const order = (a, b) => {
    const key = KEYS[sorting.column];
    const [x, y] = sorting.down ? [b[key], a[key]] : [a[key], b[key]];
    // What is shown is for how long, so the latest is the least.
    if (key === "since") return y - x;
    return typeof x === "number" ? x - y : String(x).localeCompare(String(y));
  };

  let shown = null;
  let before = null;

  const tiles = (status) => {
    const totals = status.totals;
    const all = totals.bytes_from_clients + totals.bytes_to_clients;
    write(at("uptime"), lasting(status.now - status.started));
    write(at("clients"), String(totals.clients));
    write(at("logins"), String(totals.logins));
    write(at("requests"), String(totals.requests));
    write(at("bytes"), bytes(all));
    write(at("errors"), String(totals.errors));
    at("errors").classList.toggle("bad", totals.errors > 0);
    write(at("uptime-note"), `since ${time(status.started).slice(5, 16)} UTC`);
    if (!before || before.now >= status.now || before.started !== status.started) return;
    const seconds = (status.now - before.now) / 1000;
    const last = before.totals;
    const per = (now, then) => Math.max(0, now - then) / seconds;
    const flow = per(all, last.bytes_from_clients + last.bytes_to_clients);
    write(at("logins-note"), `${rate(per(totals.logins, last.logins))}/s · ${totals.logins_not_accepted} not accepted`);
    write(at("requests-note"), `${rate(per(totals.requests, last.requests))}/s`);
    write(at("bytes-note"), `${bytes(Math.round(flow))}/s`);
  };

  const sessions = (status) => {
    const rows = [...status.sessions].sort(order).map((client) => [
      client.id, client.login || "–", client.application || "–", client.tds_version || "–",
      client.peer + (client.encrypted ? " 🔒" : ""), client.target, client.database, client.identity,
      client.state, lasting(status.now - client.since),
      bytes(client.bytes_from), bytes(client.bytes_to), client.requests,
    ]);
    fill("sessions", rows, "Nobody is connected.");
    const more = status.totals.clients - status.sessions.length;
    write(at("sessions-note"), more > 0 ? `the first ${status.sessions.length}; ${more} more` : "");
  };

  const bar = (pool) => {
    const percent = (count) => (pool.max ? Math.min(100, (100 * count) / pool.max) : 0);
    const busy = pool.in_use + pool.busy;
    const label = `${busy} of ${pool.max} in use, ${pool.idle} idle`;
    const node = svg("svg", { class: "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", role: "img", "aria-label": label });
    const used = percent(busy);
    const idle = Math.min(percent(pool.idle), 100 - used);
    node.append(
      svg("rect", { class: "all", width: 100, height: 8 }),
      svg("rect", { class: "used", width: used, height: 8 }),
      svg("rect", { class: "idle", x: used, width: idle, height: 8 }),
    );
    return node;
  };

  const pools = (status) => {
    const rows = status.pools.map((pool) => [
      pool.paused ? { text: `${pool.target} (paused)`, tone: "warn" } : pool.target, pool.identity,
      { node: bar(pool) }, pool.idle, pool.in_use, pool.busy,
      pool.waiting ? { text: pool.waiting, tone: "warn" } : pool.waiting, pool.max, pool.opened, pool.reused,
    ]);
    fill("pools", rows, "No session has been asked for yet.");
  };

  const tokens = (status) => {
    const rows = status.tokens.map((token) => {
      const left = token.expires === null ? null : token.expires - status.now;
      const soon = left !== null && left < 300000;
      return [
        token.target, token.identity, token.source === token.identity ? "–" : token.source,
        left === null ? "no token" : { text: lasting(left), tone: soon ? "warn" : "" },
        token.obtained === null ? "–" : lasting(status.now - token.obtained),
        token.trouble === null ? "none" : { text: token.trouble, tone: "bad" },
      ];
    });
    fill("tokens", rows, "No target logs in with a token.");
  };

  const listeners = (status) => {
    const rows = status.listeners.map((one) => {
      const left = one.certificate_expires === null ? null : one.certificate_expires - status.now;
      const soon = left !== null && left < 14 * 86400000;
      return [
        one.name, one.address, one.tls, one.admission, one.target,
        left === null ? "–" : { text: lasting(left), tone: soon ? "warn" : "" },
      ];
    });
    fill("listeners", rows, "There is none.");
  };

  const nice = (top) => {
    const power = 10 ** Math.floor(Math.log10(top));
    return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= top);
  };

  const latest = (column) => column.findLast((value) => value !== null);

  const chart = (history) => {
    const [width, height, left, bottom, top] = [Math.max(280, at("chart").clientWidth), 200, 52, 22, 8];
    const slots = 120;
    const count = history.p99.length;
    const values = history.p99.filter((value) => value !== null);
    const most = nice(Math.max(0.1, ...values));
    const x = (index) => left + ((width - left - 8) * (slots - (count - 1 - index))) / slots;
    const y = (value) => top + (height - top - bottom) * (1 - value / most);
    const label = values.length
      ? `First-byte latency: p50 ${ms(latest(history.p50))}, p95 ${ms(latest(history.p95))}, p99 ${ms(latest(history.p99))}`
      : "No request has been answered in the last 10 minutes";
    const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    for (const part of [0, 0.5, 1]) {
      const line = y(most * part);
      node.append(svg("line", { x1: left, x2: width - 8, y1: line, y2: line }));
      node.append(svg("text", { x: left - 8, y: line + 4, "text-anchor": "end" }, `${Number((most * part).toPrecision(3))} ms`));
    }
    for (const minutes of [10, 5, 0]) {
      const text = minutes ? `−${minutes} min` : "now";
      const anchor = minutes === 10 ? "start" : minutes ? "middle" : "end";
      const mark = left + ((width - left - 8) * (10 - minutes)) / 10;
      node.append(svg("text", { x: mark, y: height - 4, "text-anchor": anchor }, text));
    }
    for (const name of ["p99", "p95", "p50"]) {
      let path = "";
      let pen = false;
      history[name].forEach((value, index) => {
        if (value !== null) {
          // A lone point is drawn as a short line.
          const point = `${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
          path += pen ? `L${point}` : `M${point}h.1`;
        }
        pen = value !== null;
      });
      node.append(svg("path", { class: name, d: path }));
      write(at(name), ms(latest(history[name])));
    }
    at("chart").replaceChildren(node);
  };

  const show = (status) => {
    tiles(status);
    sessions(status);
    pools(status);
    tokens(status);
    listeners(status);
    fill("recent-errors", status.errors.map((error) => [time(error.at), error.text]), "None.");
    chart(status.history);
    write(at("state"), status.draining ? "draining" : "running");
    at("state").className = `pill ${status.draining ? "warn" : "good"}`;
    write(at("clock"), `as of ${time(status.now)}`);
    before = status;
  };

  const tell = (text, tone) => {
    write(at("live"), text);
    at("live").className = `pill ${tone}`;
  };

  const poll = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch("/status.json", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
        if (!answer.ok) throw new Error(String(answer.status));
        shown = await answer.json();
        show(shown);
        tell("live", "good");
      } catch {
        tell("no answer", "bad");
      }
    }
    setTimeout(poll, EVERY);
  };

  const heads = at("sessions").tHead.rows[0].cells;
  [...heads].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      sorting.down = sorting.column === column && !sorting.down;
      sorting.column = column;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
      if (shown) sessions(shown);
    });
  });
  heads[0].setAttribute("aria-sort", "ascending");
  window.addEventListener("resize", () => shown && chart(shown.history));
  poll();
})();

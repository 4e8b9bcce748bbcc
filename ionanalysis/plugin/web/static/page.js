// Our own pages around plugins: the barcode table, saving of plan pages, starting, and results that follow their plugins.
(function () {
  "use strict";
  var body = document.body;
  var frame = document.getElementById("plugin-frame");
  var rows = JSON.parse(body.dataset.rows || "[]");
  var columns = JSON.parse(body.dataset.columns || "[]");
  var BED = ["target_region_filepath", "hotspot_filepath"];

  function say(text) { var place = document.getElementById("said"); if (place) place.textContent = text; }
  function tell(action, content) {
    // A sandboxed frame has no origin to name; what it gets is its own configuration and its table.
    if (frame && frame.contentWindow) frame.contentWindow.postMessage({ ionanalysis: action, content: content }, "*");
  }
  function ask(method, address, content) {
    var headers = { "Content-Type": "application/json", "X-Requested-With": "ionanalysis" };
    if (body.dataset.csrf) headers["X-CSRFToken"] = body.dataset.csrf;
    return fetch(address, {
      method: method,
      headers: headers,
      body: content === undefined ? undefined : JSON.stringify(content),
    });
  }

  function choices(column, row) {
    var all = column.options || [];
    return BED.indexOf(column.field) < 0 ? all : all.filter(function (one) { return one.reference === row.reference; });
  }
  function changed(row, field, value) {
    row[field] = value;
    if (field === "reference") { BED.forEach(function (name) { if (name in row) row[name] = ""; }); draw(); }
    tell("rows", rows);
  }
  function cell(column, row) {
    var field;
    if (column.type === "checkbox") {
      field = document.createElement("input");
      field.type = "checkbox";
      field.checked = Boolean(row[column.field]);
      field.addEventListener("change", function () { changed(row, column.field, field.checked); });
    } else if (column.type === "dropdown") {
      field = document.createElement("select");
      var options = choices(column, row);
      [{ display: "", value: "" }].concat(options).forEach(function (one) {
        field.add(new Option(one.display, one.value));
      });
      var value = row[column.field] || "";
      if (value && !options.some(function (one) { return one.value === value; })) field.add(new Option(value, value));
      field.value = value;
      field.addEventListener("change", function () { changed(row, column.field, field.value); });
    } else if (column.type === "input") {
      field = document.createElement("input");
      field.value = row[column.field] || "";
      field.addEventListener("change", function () { changed(row, column.field, field.value); });
    } else {
      return document.createTextNode(row[column.field] === undefined ? "" : String(row[column.field]));
    }
    field.disabled = !column.editable;
    field.setAttribute("aria-label", column.title);
    return field;
  }
  function draw() {
    var table = document.getElementById("barcodetable");
    if (!table) return;
    var head = table.tHead || table.createTHead();
    head.replaceChildren();
    var names = head.insertRow();
    columns.forEach(function (column) {
      var name = document.createElement("th");
      name.scope = "col";
      name.textContent = column.title;
      name.title = column.description || "";
      name.style.width = column.width;
      names.appendChild(name);
    });
    var part = table.tBodies[0] || table.createTBody();
    part.replaceChildren();
    rows.forEach(function (row) {
      var line = part.insertRow();
      columns.forEach(function (column) { line.insertCell().appendChild(cell(column, row)); });
    });
  }

  function closed() {
    say("Saved.");
    if (body.dataset.back) window.location.assign(body.dataset.back);
  }
  window.addEventListener("message", function (event) {
    var data = event.data;
    if (!data || !data.ionanalysis) return;
    if (data.ionanalysis === "height") {
      document.querySelectorAll("iframe.block").forEach(function (one) {
        if (one.contentWindow === event.source) one.style.height = Math.min(4000, Number(data.content) + 20) + "px";
      });
      return;
    }
    if (!frame || event.source !== frame.contentWindow) return;
    if (data.ionanalysis === "ready") tell("rows", rows);
    if (data.ionanalysis === "close") closed();
    if (data.ionanalysis === "table") document.getElementById("barcodes").hidden = !data.content;
    if (data.ionanalysis === "rows" && Array.isArray(data.content)) { rows = data.content; draw(); }
    if (data.ionanalysis === "serialized") {
      ask("POST", body.dataset.save, data.content).then(function (answer) {
        return answer.json().then(function (told) { say(told.issues.length ? told.issues.join(" ") : told.said); });
      });
    }
  });
  if (frame) {
    // The name goes with a frame only if it has it when it comes into the page.
    var waiting = frame;
    frame = waiting.cloneNode(false);
    frame.name = JSON.stringify(rows);
    frame.src = frame.dataset.src;
    frame.addEventListener("load", function () {
      tell("rows", rows);
      var saved = JSON.parse(body.dataset.saved || "null");
      if (saved) tell("restore", saved);
    });
    waiting.replaceWith(frame);
  }
  var save = document.getElementById("save");
  if (save) save.addEventListener("click", function () { tell("serialize"); });
  var start = document.getElementById("start");
  if (start) {
    start.addEventListener("click", function () {
      start.disabled = true;
      var config = rows.length ? { barcodetable: rows } : {};
      ask("POST", body.dataset.launch, { plugin: [body.dataset.plugin], pluginconfig: config }).then(function (answer) {
        if (answer.status === 202) closed();
        else answer.text().then(say);
      });
    });
  }
  document.querySelectorAll("[data-stop]").forEach(function (button) {
    button.addEventListener("click", function () { ask("GET", button.dataset.stop); button.disabled = true; });
  });

  // A report's plugin results: pages are loaded again when a plugin has written them anew.
  function follow() {
    ask("GET", body.dataset.results).then(function (answer) { return answer.json(); }).then(function (results) {
      var isNew = false;
      results.forEach(function (one) {
        var state = document.getElementById("state-" + one.id);
        if (!state) { isNew = true; return; }
        state.textContent = one.State;
        Object.keys(one.Modified).forEach(function (file) {
          var shown = document.getElementById("block-" + one.id + "-" + file);
          if (!shown) { if (/_block\.html$/.test(file) && document.getElementById("blocks-" + one.id)) isNew = true; return; }
          if (shown.dataset.modified !== String(one.Modified[file])) {
            shown.dataset.modified = String(one.Modified[file]);
            shown.src = shown.dataset.src;
          }
        });
      });
      if (isNew) window.location.reload();
    });
  }
  if (body.dataset.results) { follow(); setInterval(follow, 3000); }
  draw();
})();
